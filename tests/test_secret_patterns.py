"""Objects hide their secrets, and tokens are detected in texts."""

import base64
import copy
import json
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfai_magics.backends.credentials import (
    FILE_NAME,
    Credentials,
    CredentialStore,
    Secret,
)
from cfai_magics.errors import CfaiError, StorageError
from cfai_magics.redaction import redact_secrets, redact_tokens
from cfai_magics.secret_patterns import contains_token, find_token, may_contain_secret
from tests.canaries import account_id, admin_key, class_key, older_token, token

TOKEN_MAKERS = {
    "newer": token,
    "older": older_token,
    "class key": class_key,
    "admin key": admin_key,
}


@pytest.mark.parametrize(
    "show",
    [
        pytest.param(repr, id="repr"),
        pytest.param(str, id="str"),
        pytest.param(lambda it: format(it), id="format"),  # noqa: PLW0108 - as it is called
        pytest.param(lambda it: f"{it} {it!r} {it!s:>60} {it!a}", id="f-string"),
        pytest.param(lambda it: "%s %r" % (it, it), id="percent"),  # noqa: UP031
        pytest.param(lambda it: repr([it, {it: it}]), id="in a container"),
        pytest.param(lambda it: repr(Credentials(account_id(), it, "a test")), id="credentials"),
    ],
)
def test_no_text_form_of_a_secret_contains_it(show: Callable[[Secret], str]) -> None:
    text = token()
    assert text not in show(Secret(text))
    assert text[5:] not in show(Secret(text))


@pytest.mark.parametrize(
    "take",
    [
        pytest.param(vars, id="vars"),
        pytest.param(pickle.dumps, id="pickle"),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(json.dumps, id="json"),
        pytest.param(lambda it: asdict(Credentials(account_id(), it, "a test")), id="asdict"),
        pytest.param(lambda it: format(it, ">60"), id="an unknown format"),
    ],
)
def test_a_secret_cannot_be_copied_or_serialized(take: Callable[[Secret], object]) -> None:
    text = token()
    with pytest.raises(TypeError) as caught:
        take(Secret(text))
    assert text not in str(caught.value)


def format_traceback(error: BaseException) -> str:
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(report.format())


def test_a_traceback_with_local_variables_shows_no_secret() -> None:
    secret = Secret(token())
    credentials = Credentials(account_id(), secret, "a test")
    try:
        assert [secret, credentials] == []
    except AssertionError as error:
        report = format_traceback(error)
    assert "<secret>" in report
    assert secret.reveal() not in report


class Full:
    """A keyring that rejects new entries."""

    name = "the full one"

    def get(self) -> None:
        return None

    def set(self, _text: str, /) -> None:
        raise StorageError("It is full")

    def delete(self) -> None:
        raise StorageError("It is empty")


def test_the_traceback_of_a_failed_save_shows_no_secret(home: Path) -> None:
    (home / FILE_NAME).mkdir(parents=True)
    secret = Secret(token())
    with pytest.raises(CfaiError) as caught:
        CredentialStore(home, {}, Full()).save(account_id(), secret)
    report = format_traceback(caught.value)
    assert "<secret>" in report
    assert secret.reveal() not in report


def test_equal_secrets_are_equal_and_hash_alike() -> None:
    text = token()
    assert Secret(text) == Secret(text)
    assert len({Secret(text), Secret(text), Secret(token())}) == 2
    assert Secret(text) != text


each_token = pytest.mark.parametrize("make_token", TOKEN_MAKERS.values(), ids=TOKEN_MAKERS.keys())


@each_token
@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "login {}",
        "-p api_token={}",
        "-p 'k=\"{}\"'",
        "Bearer {}",
        "({})",
        "token:{},",
        "{};",
        "密钥{}密钥",
        "a\n{}",
        r"a\n{}",  # as JSON and repr write it
        "https://class.example/?key={}",
    ],
)
def test_a_token_is_detected_and_redacted_in_any_position(
    make_token: Callable[[], str], line: str
) -> None:
    secret = make_token()
    text = line.format(secret)
    assert contains_token(text)
    assert secret not in redact_tokens(text)
    assert secret not in redact_secrets(text)


@pytest.mark.parametrize("make_token", [token, class_key, admin_key])
@pytest.mark.parametrize(
    "line", [r"\u5bc6{}", "%20{}", "%3D{}&x=1"], ids=["json", "a space in a URL", "a URL"]
)
def test_a_token_with_a_prefix_is_detected_after_an_escape_sequence(
    make_token: Callable[[], str], line: str
) -> None:
    assert contains_token(line.format(make_token()))


@pytest.mark.parametrize(
    ("make_token", "name", "placeholder"),
    [
        (token, "an API token", "<API token, not shown>"),
        (older_token, "an API token", "<API token, not shown>"),
        (class_key, "a class key", "<class key, not shown>"),
        (admin_key, "the admin key of a class server", "<admin key, not shown>"),
    ],
)
def test_a_token_is_named_and_redacted_by_its_kind(
    make_token: Callable[[], str], name: str, placeholder: str
) -> None:
    text = f"key = {make_token()}"
    kind = find_token(text)
    assert kind is not None
    assert kind.name == name
    assert redact_tokens(text) == f"key = {placeholder}"


@pytest.mark.parametrize("make_key", [class_key, admin_key])
@pytest.mark.parametrize("change", [str.upper, str.lower, lambda key: key[:-9]])
def test_a_mistyped_class_key_is_detected(
    make_key: Callable[[], str], change: Callable[[str], str]
) -> None:
    assert contains_token(change(make_key()))
    assert may_contain_secret(change(make_key()))


@pytest.mark.parametrize("make_key", [class_key, admin_key])
def test_a_short_piece_of_a_class_key_may_be_a_secret(make_key: Callable[[], str]) -> None:
    assert may_contain_secret(make_key()[:12])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="an empty text"),
        pytest.param("0123456789abcdef" * 2, id="an account ID"),
        pytest.param("0123456789abcdef01234567" + "89abcdef" * 2, id="SHA-1"),
        pytest.param("0123456789ABCDEF01234567" + "89ABCDEF" * 2, id="SHA-1 in upper case"),
        pytest.param("0123456789abcdef" * 4, id="SHA-256"),
        pytest.param("123e4567-e89b-12d3-a456-426614174000", id="a UUID"),
        pytest.param("@cf/meta/llama-3.3-70b-instruct-fp8-fast", id="a model"),
        pytest.param("@cf/deepseek-ai/DeepSeek-R1-Distill-Qwen-32B-Instruct", id="a long model"),
        pytest.param("data/SmolLM2-135M-Instruct-Quantized-Q4.gguf", id="a file"),
        pytest.param("/home/Ann/A1" + "bC-_" * 9 + "/x.txt", id="a folder of 40 characters"),
        pytest.param("A1" + "bC-_" * 9 + "xy.csv", id="a file name of 40 characters"),
        pytest.param("A1" + "bC-_" * 9 + "xyz", id="41 characters"),
        pytest.param("A1" + "bC-_" * 9 + "x", id="39 characters"),
        pytest.param("cfut_short", id="too short for a token"),
        pytest.param("mycfut_" + "a" * 40, id="a longer prefix"),
        pytest.param("mycfs_" + "aB3" * 15, id="a longer prefix of a class key"),
        pytest.param("cfs_short1", id="too short for a class key"),
        pytest.param("cfs_bandwidth_slack_timer_enabled", id="a name in Linux"),
        pytest.param("CFS_BANDWIDTH_SLACK_TIMER_ENABLED", id="a constant"),
    ],
)
def test_other_texts_are_not_detected_as_tokens(text: str) -> None:
    assert not contains_token(text)


@given(st.binary(min_size=60, max_size=4_000))
def test_images_are_not_detected_as_tokens(data: bytes) -> None:
    assert not contains_token(f"-p image=data:image/png;base64,{base64.b64encode(data).decode()}")


@pytest.mark.parametrize("ends", ["+{}+", "/{}+", "+{}/", "+{}=", "+{}=="])
def test_forty_characters_between_base64_signs_are_not_a_token(ends: str) -> None:
    assert not contains_token(
        f"AAAA{ends.format(older_token().replace('-', 'x').replace('_', 'y'))}"
    )
