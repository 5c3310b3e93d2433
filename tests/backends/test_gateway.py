"""AI Gateway: routing, cache notes and errors."""

import json
import math
from pathlib import Path

import pytest

from cfai_magics import cli
from cfai_magics.commands import run
from cfai_magics.display.footer import format_usage_footer
from cfai_magics.errors import (
    BadRequestError,
    CoursePolicyError,
    GatewayLimitError,
    InvalidOptionError,
)
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai, load_settings, update_settings_file
from cfai_magics.types.messages import Message
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

HI: list[Message] = [{"role": "user", "content": "Hi"}]
NAME, METADATA = "cf-aig-gateway-id", "cf-aig-metadata"


@pytest.fixture
def gateway_session(account: Standin, session: Session) -> Session:
    """A session that sends its calls through a caching gateway."""
    account.switch(gateways=("class", "other"), gateway_caches=True)
    session.settings.gateway = "class"
    session.settings.metadata = {"student": "ada", "group": 3, "exam": False}
    return session


def test_calls_do_not_use_a_gateway_by_default(session: Session, account: Standin) -> None:
    answer = session.ask(session.build_request(HI))
    assert answer.endpoint == ""
    assert not {NAME, METADATA} & set(account.requests[0].headers)


def test_every_kind_of_call_uses_the_gateway_and_sends_metadata(
    gateway_session: Session, account: Standin
) -> None:
    gateway_session.ask(gateway_session.build_request(HI))
    gateway_session.embed(["a"])
    gateway_session.run("flux-1-schnell", {"prompt": "a boat"})
    for request in account.requests:
        assert request.headers[NAME] == "class"
        assert json.loads(request.headers[METADATA]) == {
            "student": "ada",
            "group": 3,
            "exam": False,
        }
        assert request.token == account.token
    assert len(account.requests) == 3


def test_a_cached_answer_costs_nothing_and_is_marked(
    gateway_session: Session, account: Standin
) -> None:
    first = gateway_session.ask(gateway_session.build_request(HI))
    repeated = gateway_session.ask(gateway_session.build_request(HI))
    assert repeated.text == first.text
    assert (first.endpoint, repeated.endpoint) == (
        "gateway class, cache miss",
        "gateway class, cache hit",
    )
    assert (first.neurons, first.cost_basis) == (account.billed, "billed")
    assert (repeated.neurons, repeated.cost_basis) == (0.0, "billed")
    assert repeated.usage.completion_tokens == first.usage.completion_tokens
    line = str(format_usage_footer(repeated, "short"))
    assert "0 neurons billed" in line
    assert line.endswith("gateway class, cache hit")
    assert gateway_session.accounting.day_usage().billed == pytest.approx(account.billed)


def test_cached_vectors_and_images_cost_nothing(
    gateway_session: Session, account: Standin
) -> None:
    for _ in range(2):
        vectors = gateway_session.embed(["a"])
        picture = gateway_session.run("flux-1-schnell", {"prompt": "a boat"})
    assert (vectors.usage.neurons, picture.neurons) == (0.0, 0.0)
    assert gateway_session.accounting.day_usage().spent == pytest.approx(account.billed, rel=0.01)


def test_cached_answers_are_not_counted_as_billed_usage(gateway_session: Session) -> None:
    for _ in range(5):
        gateway_session.ask(gateway_session.build_request(HI))
    model = gateway_session.resolve_model("gemma-4-26b-a4b-it")
    assert len(gateway_session.accounting.ledger.recent_billed_usage(model.name)) == 1


def test_the_gateway_option_selects_a_gateway_or_none(
    account: Standin, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.switch(gateways=("class", "other"))
    update_settings_file(home, {"gateway": "class"})
    for options in ([], ["--gateway", "other"], ["--gateway", "off"]):
        assert cli.main(["ask", "Hi", *options]) == 0
    gateways = [request.headers.get(NAME) for request in account.requests]
    assert gateways == ["class", "other", None]
    assert "gateway other" in capsys.readouterr().err


def test_a_missing_gateway_raises_an_error_with_a_hint(session: Session, account: Standin) -> None:
    with pytest.raises(BadRequestError, match="AI Gateway") as caught:
        session.stream(session.build_request(HI), gateway="nowhere").__iter__().__next__()
    assert "--gateway off" in str(caught.value)
    assert session.accounting.day_usage().spent == 0


def test_a_spend_limit_error_is_not_retried(gateway_session: Session, account: Standin) -> None:
    account.switch(gateway_calls=1)
    gateway_session.ask(gateway_session.build_request(HI))
    with pytest.raises(GatewayLimitError, match=r"^Spending limit exceeded: 1 of 1 used"):
        gateway_session.ask(gateway_session.build_request([{"role": "user", "content": "Again"}]))
    assert len(account.requests) == 2
    gateway_session.settings.metadata = {"student": "bob"}
    assert gateway_session.ask(
        gateway_session.build_request([{"role": "user", "content": "Again"}])
    ).text


@pytest.mark.parametrize("name", ["a b", "a/b", "ü", "x" * 65, "a\r\nb: c"])
def test_an_invalid_gateway_name_sends_no_request(
    session: Session, account: Standin, name: str
) -> None:
    with pytest.raises(InvalidOptionError, match="not a valid gateway name"):
        session.stream(session.build_request(HI), gateway=name)
    assert account.requests == ()


@pytest.mark.parametrize(
    "metadata",
    [
        *({"a": [1]}, {"a b": 1}, {"a": math.inf}, {"a": math.nan}),
        dict.fromkeys("abcdef", 1),
    ],
)
def test_invalid_metadata_sends_no_request(
    session: Session, account: Standin, metadata: dict[str, object]
) -> None:
    with pytest.raises(InvalidOptionError, match="metadata"):
        session.settings.metadata = metadata
    session.settings.gateway, session.settings.metadata["a"] = "class", [1]  # type: ignore[assignment]
    with pytest.raises(InvalidOptionError, match="metadata"):
        session.ask(session.build_request(HI))
    assert account.requests == ()


def test_metadata_can_contain_any_script(gateway_session: Session, account: Standin) -> None:
    gateway_session.settings.metadata = {"student": "李 雷\n"}
    gateway_session.ask(gateway_session.build_request(HI))
    assert json.loads(account.requests[0].headers[METADATA]) == {"student": "李 雷\n"}


def test_gateway_settings_are_saved_and_status_shows_their_source(
    account: Standin, home: Path
) -> None:
    update_settings_file(home, {"gateway": "class"})
    (home / "settings.toml").write_text('gateway = "class"\nmetadata = { "student" = "ada" }')
    update_settings_file(home, {"max_tokens": 7})
    session = Session(load_settings(home), home)
    frontend = bare_frontend(session)
    status = str(run("status", [], frontend, "%cfai"))
    for name, value in (("gateway", "class"), ("metadata student", "ada")):
        line = next(line for line in status.splitlines() if line.startswith(name))
        assert value in line
        assert line.endswith("settings.toml")
    session.close()


def test_the_gateway_and_metadata_of_a_course_override_settings(
    account: Standin, home: Path, tmp_path: Path
) -> None:
    account.switch(gateways=("class",))
    course = 'gateway = "class"\n[metadata]\ncourse = "Physics 1"'
    (tmp_path / "cfai.toml").write_text(course)
    settings = load_settings(home, None, tmp_path)
    settings.metadata = {"student": "ada", "course": "none"}
    session = Session(settings, home)
    session.ask(session.build_request(HI))
    headers = account.requests[0].headers
    assert headers[NAME] == "class"
    assert json.loads(headers[METADATA]) == {"student": "ada", "course": "Physics 1"}
    for name in ("off", "other"):
        with pytest.raises(CoursePolicyError, match="gateway class"):
            session.stream(session.build_request(HI), gateway=name)
    for name, value in (("gateway", "other"), ("base_url", "http://127.0.0.1:9/v1")):
        with pytest.raises(CoursePolicyError, match="gateway class"):
            setattr(settings, name, value)
    session.close()


def test_local_models_do_not_use_a_gateway(home: Path) -> None:
    session = Session(Cfai(gateway="class"), home)
    session.backend.local_server = object()  # type: ignore[assignment]
    assert session.backend.resolve_gateway() is None
    with pytest.raises(InvalidOptionError, match="another server"):
        session.backend.resolve_gateway("class")
