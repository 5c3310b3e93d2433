"""Another OpenAI-compatible server: requests, credentials and errors."""

import json
import stat
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import cfai_magics
from cfai_magics.backends.credentials import CredentialStore, Secret
from cfai_magics.backends.selector import configured_server, normalize_base_url
from cfai_magics.chat.frontend import Frontend
from cfai_magics.commands import run, status
from cfai_magics.display.footer import format_usage_footer
from cfai_magics.display.tables import Table
from cfai_magics.errors import (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    InvalidOptionError,
    ModelNotFoundError,
    TokenInCommandError,
)
from cfai_magics.frontends.completion import CfaiMatcher
from cfai_magics.frontends.lab_comm import Request as PageRequest
from cfai_magics.frontends.lab_comm import handle_use
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.pricing.catalog import find_model
from cfai_magics.pricing.tokens import prompt_token_bounds
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai, load_settings, read_settings_file
from cfai_magics.types.messages import Message, Request
from tests.canaries import class_key, older_token, token
from tests.catalog_cache import cache_catalog_without
from tests.fake_frontends import bare_frontend
from tests.standin import Fault, Standin
from tests.standin.state import EVERYTHING

HI: list[Message] = [{"role": "user", "content": "Hi"}]
LLAMA = "@cf/meta/llama-3.2-3b-instruct"


@pytest.fixture
def other() -> Iterator[Standin]:
    """A server with OpenAI's routes, separate from the account's Cloudflare."""
    with Standin() as server:
        yield server


def address(server: Standin) -> str:
    return f"{server.base_url}/accounts/{server.account_id}/ai/v1"


@pytest.fixture
def elsewhere(
    account: Standin, other: Standin, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Session]:
    """A session with a Cloudflare account whose requests go to the other server."""
    monkeypatch.setenv("CFAI_BASE_URL", address(other))
    session = Session(Cfai(), home)
    yield session
    session.close()


def set_server_key(monkeypatch: pytest.MonkeyPatch, server: Standin) -> str:
    """Set a key for the other server that does not look like a Cloudflare token."""
    key = "sk-other"
    server.issue_token(EVERYTHING, text=key)
    monkeypatch.setenv("CFAI_API_KEY", key)
    return key


def test_the_server_receives_its_own_key_and_not_the_token(
    elsewhere: Session, account: Standin, other: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = set_server_key(monkeypatch, other)
    assert elsewhere.ask(elsewhere.build_request(HI)).text
    assert elsewhere.embed(["a"], "@cf/baai/bge-m3").vectors
    assert {request.token for request in other.requests} == {key}
    assert account.token not in str([request.as_json() for request in other.requests])
    assert account.account_id not in str([request.as_json() for request in other.requests])
    assert account.requests == ()


def test_without_a_key_no_authorization_header_is_sent(
    elsewhere: Session, other: Standin, account: Standin
) -> None:
    with pytest.raises(AuthenticationError, match="CFAI_API_KEY"):
        elsewhere.ask(elsewhere.build_request(HI))
    assert "authorization" not in other.requests[0].headers
    assert account.requests == ()


@pytest.mark.parametrize("make_token", [token, older_token])
def test_a_cloudflare_token_is_rejected_as_server_key(
    elsewhere: Session, other: Standin, monkeypatch: pytest.MonkeyPatch, make_token: object
) -> None:
    assert callable(make_token)
    secret = make_token()
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", secret)
    monkeypatch.setenv("CFAI_API_KEY", secret)
    with pytest.raises(InvalidOptionError, match="must not be sent to other servers") as caught:
        elsewhere.ask(elsewhere.build_request(HI))
    assert secret not in str(caught.value)
    assert other.requests == ()


def test_a_saved_key_is_used_only_for_its_own_address(home: Path) -> None:
    store = CredentialStore(home, {})
    store.save("0" * 32, Secret("t"))
    store.save_server_key("http://127.0.0.1:9/v1", Secret("sk-saved"))
    assert store.server_key("http://127.0.0.1:9/v1").reveal() == "sk-saved"
    assert store.server_key("http://127.0.0.1:8/v1").reveal() == ""
    assert store.find().api_token.reveal() == "t"
    assert stat.S_IMODE((home / "credentials.json").stat().st_mode) == 0o600


def test_model_names_are_unchanged_and_reported_neurons_are_shown(
    elsewhere: Session, other: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_server_key(monkeypatch, other)
    answer = elsewhere.ask(elsewhere.build_request(HI, LLAMA))
    assert (answer.neurons, answer.cost_basis) == (other.billed, "billed")
    line = str(format_usage_footer(answer, "short"))
    assert "127.0.0.1:" in line
    assert "today" not in line
    with pytest.raises(ModelNotFoundError, match="on that server"):
        elsewhere.ask(elsewhere.build_request(HI, "llama-3.2-3b-instruct"))


def test_a_model_without_a_price_has_unknown_neurons(
    elsewhere: Session, other: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_server_key(monkeypatch, other)
    other.switch(omit_neurons_body=True, omit_neurons_header=True)
    cache_catalog_without(elsewhere.home, LLAMA)
    elsewhere.accounting.ledger.budgets.set("day", 1)
    answer = elsewhere.ask(elsewhere.build_request(HI, LLAMA))
    assert (answer.neurons, answer.cost_basis) == (None, None)
    footer = str(format_usage_footer(answer, "short"))
    assert "neurons not reported" in footer
    assert (
        "The price of llama-3.2-3b-instruct is unknown, so no limit on neurons applies" in footer
    )
    (call,) = elsewhere.accounting.ledger.history.iter_calls()
    assert (call["neurons"], call["basis"]) == (0.0, "unknown")


def test_the_cost_of_a_model_without_a_price_is_unknown_everywhere(
    elsewhere: Session, other: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_server_key(monkeypatch, other)
    request, model = (
        elsewhere.build_request(HI, "dynamic/class"),
        elsewhere.resolve_model("dynamic/class"),
    )
    assert elsewhere.estimate_cost(request, model) is None
    assert elsewhere.accounting.estimate_cost(request, model) is None
    target = elsewhere.find_target("dynamic/class")
    assert elsewhere.resolver.preview_chat(request, target).cost is None
    assert elsewhere.resolver.estimate_cost(request, target) is None
    notes = elsewhere.accounting.estimate_notes(model, None, 5, is_other_server=True)
    assert notes == (
        "The price of class is unknown, so no limit on neurons applies to this call.",
    )
    assert elsewhere.accounting.estimate_notes(model, None, None, is_other_server=True) == ()


def test_a_map_with_a_model_without_a_price_runs_without_confirmation(
    elsewhere: Session, other: Standin, own_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_server_key(monkeypatch, other)
    cache_catalog_without(elsewhere.home, LLAMA)
    elsewhere.accounting.ledger.budgets.set("day", 1)
    rows = cfai_magics.map("{text}", ["a", "b"], model=LLAMA, max_tokens=9)
    assert [row["error"] for row in rows] == [None, None]


@pytest.mark.parametrize("name", [LLAMA, f"workers-ai/{LLAMA}"])
def test_a_model_that_a_gateway_names_has_its_price(elsewhere: Session, name: str) -> None:
    model = elsewhere.resolve_model(name)
    assert model.name == name
    assert model.neurons_in == find_model(name, elsewhere.catalog()).neurons_in is not None
    assert find_model(name, elsewhere.catalog()).name == LLAMA


def test_a_budget_also_limits_priced_models_of_other_servers(
    elsewhere: Session, other: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_server_key(monkeypatch, other)
    elsewhere.accounting.ledger.budgets.set("session", 0.001)
    with pytest.raises(BudgetExceededError):
        elsewhere.ask(elsewhere.build_request(HI, LLAMA))
    assert other.requests == ()


def test_features_of_workers_ai_raise_an_invalid_option_error(
    elsewhere: Session, account: Standin
) -> None:
    with pytest.raises(InvalidOptionError, match="no Workers AI account"):
        elsewhere.run("flux-1-schnell", {"prompt": "a boat"})
    with pytest.raises(InvalidOptionError, match="sends requests to Workers AI"):
        elsewhere.stream(elsewhere.build_request(HI), gateway="class")
    assert account.requests == ()


def test_an_unreachable_address_raises_an_error_with_a_hint(
    home: Path, monkeypatch: pytest.MonkeyPatch, other: Standin
) -> None:
    monkeypatch.setenv("CFAI_BASE_URL", f"{other.base_url}/nowhere")
    session = Session(Cfai(), home)
    other.switch(error=Fault(404, 0, "Not found", "html"))
    with pytest.raises(BadRequestError, match="CFAI_BASE_URL: most addresses end in /v1"):
        session.ask(session.build_request(HI))
    monkeypatch.setenv("CFAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setattr("cfai_magics.workers_ai.retry.FIRST_WAIT_SECONDS", 0.0)
    with pytest.raises(APIConnectionError, match="Check that the server is running"):
        session.ask(session.build_request(HI))


def test_server_addresses_are_normalized() -> None:
    for typed in ("http://h:1/v1", " http://h:1/v1/ ", "http://h:1/v1/chat/completions"):
        assert normalize_base_url(typed) == "http://h:1/v1"


@pytest.mark.parametrize(
    "typed",
    [
        *("sk-some-key", "ftp://h/v1", "http:///v1", "http://u:secret@h/v1", "http://h:port/v1"),
        *("http://h/v1?key=secret", "http://h/v1#secret", "http://h/v1?"),
        pytest.param(f"http://h/{class_key()}/v1", id="a class key in the path"),
        pytest.param(f"http://{token()}.example/v1", id="a token in the host"),
    ],
)
def test_an_invalid_address_is_rejected_without_repeating_it(typed: str) -> None:
    with pytest.raises(InvalidOptionError, match="Not a valid server address") as caught:
        normalize_base_url(typed)
    assert typed not in str(caught.value)


def test_an_invalid_address_names_its_file_or_variable(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('base_url = "x"\n', "utf-8")
    settings = load_settings(tmp_path, working_directory=tmp_path)
    for environ, source in (
        ({}, tmp_path / "settings.toml"),
        ({"CFAI_BASE_URL": "http://h/v1?key=secret"}, "CFAI_BASE_URL"),
    ):
        with pytest.raises(InvalidOptionError, match="Not a valid server address") as caught:
            configured_server(settings, environ)
        assert str(caught.value).startswith(f"In {source}: ")
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h:1/v4", "http://h:1/v4"),
        ("http://h:1?token=secret", "http://h:1?…"),
        ("https://h/v4#secret", "https://h/v4?…"),
        ("http://u:secret@h/v4?token=secret", "http://…@h/v4?…"),
        ("http://u:sec?ret@h/v4", "http://…@h/v4"),
        ("http://h:port?token=secret", "http://h:port?…"),
        ("u:secret@h", "…@h"),
    ],
)
def test_status_shows_no_secret_in_an_address(
    home: Path, monkeypatch: pytest.MonkeyPatch, url: str, shown: str
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", url)
    table = status.run(bare_frontend(Session(Cfai(), home)), Namespace())
    assert [row[1] for row in table.rows if row[2] == "CLOUDFLARE_API_BASE_URL"] == [shown]


@pytest.mark.parametrize("url", ["x", "http://127.0.0.1:9?token=abc", "http://127.0.0.1:9#abc"])
def test_an_invalid_address_of_cloudflare_is_not_used(home: Path, url: str) -> None:
    environ = {
        "CLOUDFLARE_ACCOUNT_ID": "0" * 32,
        "CLOUDFLARE_API_TOKEN": "t" * 40,
        "CLOUDFLARE_API_BASE_URL": url,
    }
    session = Session(Cfai(), home, environ=environ)
    start = "^In CLOUDFLARE_API_BASE_URL: Not a valid server address"
    with pytest.raises(InvalidOptionError, match=start):
        session.ask(session.build_request(HI))


def frontend_with_input(session: Session, *typed: str) -> Frontend:
    answers = iter(typed)
    return create_shell_frontend(session)._replace(
        prompt_secret=lambda _label: next(answers), print=print
    )


def test_login_saves_the_server_key_apart_from_the_settings(
    account: Standin, other: Standin, home: Path
) -> None:
    session = Session(Cfai(), home)
    other.issue_token(EVERYTHING, text="sk-typed")
    output = str(
        run(
            "login",
            ["--server", address(other)],
            frontend_with_input(session, " sk-typed "),
            "cfai",
        )
    )
    assert "sk-typed" not in output
    assert read_settings_file(home) == {"base_url": address(other)}
    assert "sk-typed" not in (home / "settings.toml").read_text()
    assert session.ask(session.build_request(HI, LLAMA)).text
    later = Session(load_settings(home), home)
    assert later.ask(later.build_request(HI, LLAMA)).text
    assert [request.token for request in other.requests] == ["sk-typed", "sk-typed"]
    assert "settings.toml" in str(run("status", [], frontend_with_input(later), "cfai"))
    run("login", ["--server", "off"], frontend_with_input(session), "cfai")
    assert session.ask(session.build_request(HI)).endpoint == ""
    assert len(account.requests) == 1
    for each in (session, later):
        each.close()


@pytest.mark.parametrize("words", [["sk-key"], ["--server"], ["--server", "x", "sk-key"]])
def test_login_rejects_a_key_on_the_command_line(
    session: Session, account: Standin, words: list[str]
) -> None:
    with pytest.raises((TokenInCommandError, InvalidOptionError)) as caught:
        run("login", words, frontend_with_input(session), "cfai")
    assert "sk-key" not in str(caught.value)
    assert account.requests == ()


NAMES = ["gpt-4o", "llama-3.2-3b-instruct", "@cf/meta/llama-3.2-3b-instruct", "vendor/model:7b"]


@pytest.mark.parametrize("name", NAMES)
def test_every_way_of_naming_a_model_sends_the_name_as_typed(
    elsewhere: Session, other: Standin, name: str
) -> None:
    matcher = CfaiMatcher(lambda: elsewhere, dict, has_badges=True)

    def use_in_page() -> None:
        handle_use(PageRequest({"model": name}, elsewhere, matcher))

    def use_by_command() -> None:
        assert name in str(run("use", [name], bare_frontend(elsewhere), "%cfai"))

    def set_setting() -> None:
        elsewhere.settings.model = name

    for set_model in (use_in_page, use_by_command, set_setting):
        elsewhere.settings.model = "another"
        set_model()
        assert elsewhere.settings.model == name
        assert elsewhere.build_request([]).model == name
    assert elsewhere.build_request([], name).model == name
    assert f"model         {name} " in str(run("status", [], bare_frontend(elsewhere), "%cfai"))
    assert other.requests == ()


def test_a_plan_accepts_the_models_of_the_server(elsewhere: Session, tmp_path: Path) -> None:
    path = tmp_path / "lesson.ipynb"

    def plan(*names: str) -> Table:
        cells = [{"cell_type": "code", "source": f"%%cfai -m {name}\nWhy?"} for name in names]
        path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
        table = run("plan", [str(path)], bare_frontend(elsewhere), "%cfai")
        assert isinstance(table, Table)
        return table

    table = plan("gpt-4o")
    assert table.rows[0][3] == "gpt-4o has no known price"
    assert table.note == "No cell has a known cost."
    table = plan("gpt-4o", f"workers-ai/{LLAMA}")
    assert table.rows[1][2] == "llama-3.2-3b-instruct"
    assert "1 student: ≈ " in table.note
    assert "free neurons." not in table.note


def test_no_quota_of_cloudflare_is_shown(elsewhere: Session) -> None:
    def budget(*words: str) -> str:
        return str(run("budget", words, bare_frontend(elsewhere), "%cfai"))

    server = elsewhere.backend.server
    assert server is not None
    note = f"Requests go to {server.name} and use no neurons."
    assert budget() == f"No budget is set. {note}"
    output = budget("500")
    assert output.splitlines()[1].split() == ["today,", "all", "kernels", "500", "0", "500"]
    assert note in output
    assert "quota" not in output
    assert "quota" not in budget("off")


def test_a_local_model_has_no_quota_either(elsewhere: Session) -> None:
    elsewhere.settings.local = "small"
    assert str(run("budget", [], bare_frontend(elsewhere), "%cfai")) == (
        "No budget is set. The local model uses no neurons."
    )


REFUSAL = {
    "error": {
        "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead.",
        "type": "invalid_request_error",
        "param": "max_tokens",
        "code": "unsupported_parameter",
    }
}


@pytest.mark.parametrize("stream", [True, False])
def test_the_new_name_of_max_tokens_is_used_after_the_server_refused_the_old_one(
    stream: bool, elsewhere: Session
) -> None:
    bodies: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        if "max_tokens" in bodies[-1]:
            return httpx.Response(400, json=REFUSAL)
        return httpx.Response(200, json={"choices": [{"message": {"content": "Hi"}}]})

    session = Session(Cfai(), elsewhere.home, transport=httpx.MockTransport(answer))
    for _ in range(2):
        request = session.build_request(HI, LLAMA, max_tokens=9, stream=stream)
        assert session.ask(request).text == "Hi"
        session.backend.close()  # the name is kept for the server, not for the connection
    sent = [(body.get("max_tokens"), body.get("max_completion_tokens")) for body in bodies]
    assert sent == [(9, None), (None, 9), (None, 9)]
    session.close()


def answering(
    elsewhere: Session, refusal: Any, refused_fields: set[str]
) -> tuple[Session, list[dict[str, Any]]]:
    """Return a session whose server refuses fields, and the list of the bodies it received."""
    bodies: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        if refused_fields & bodies[-1].keys():
            return httpx.Response(400, json=refusal)
        return httpx.Response(200, json={"choices": [{"message": {"content": "Hi"}}]})

    return Session(Cfai(), elsewhere.home, transport=httpx.MockTransport(answer)), bodies


@pytest.mark.parametrize(
    "message",
    [
        "Unrecognized request argument supplied: max_completion_tokens",
        "The limit for max_tokens plus max_completion_tokens is 4096",
    ],
)
def test_an_error_about_another_field_does_not_rename_max_tokens(
    message: str, elsewhere: Session
) -> None:
    session, bodies = answering(elsewhere, {"error": {"message": message}}, {"top_k"})
    with pytest.raises(BadRequestError, match="max_completion_tokens"):
        session.ask(session.build_request(HI, LLAMA, max_tokens=9, extra={"top_k": 1}))
    assert session.ask(session.build_request(HI, LLAMA, max_tokens=9)).text == "Hi"
    assert [body["max_tokens"] for body in bodies] == [9, 9]
    session.close()


def test_a_new_name_that_is_refused_too_is_not_kept(elsewhere: Session) -> None:
    session, bodies = answering(elsewhere, REFUSAL, {"top_k"})
    with pytest.raises(BadRequestError):
        session.ask(session.build_request(HI, LLAMA, max_tokens=9, extra={"top_k": 1}))
    assert session.ask(session.build_request(HI, LLAMA, max_tokens=9)).text == "Hi"
    assert ["max_tokens" in body for body in bodies] == [True, False, True]
    session.close()


EXTRA_INPUT = {"type": "extra_forbidden", "msg": "Extra inputs are not permitted"}


@pytest.mark.parametrize(
    "refusal",
    [
        {"detail": [{**EXTRA_INPUT, "loc": ["body", "stream_options"]}]},
        {"message": {"detail": [{**EXTRA_INPUT, "loc": ["body", "stream_options"]}]}},
        {"error": {"message": "Unknown field: stream_options"}},
    ],
    ids=str,
)
def test_stream_options_are_left_out_after_the_server_refused_them(
    refusal: Any, elsewhere: Session
) -> None:
    session, bodies = answering(elsewhere, refusal, {"stream_options"})
    for _ in range(2):
        assert session.ask(session.build_request(HI, LLAMA)).text == "Hi"
    assert ["stream_options" in body for body in bodies] == [True, False, False]
    session.close()


@pytest.mark.parametrize(
    ("field", "refusal"),
    [
        ("max_tokens", REFUSAL),
        ("stream_options", {"error": {"message": "Unknown field: stream_options"}}),
    ],
)
def test_a_field_that_one_model_refuses_is_still_sent_to_others(
    field: str, refusal: Any, elsewhere: Session
) -> None:
    bodies: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        if bodies[-1]["model"] == "new" and field in bodies[-1]:
            return httpx.Response(400, json=refusal)
        return httpx.Response(200, json={"choices": [{"message": {"content": "Hi"}}]})

    session = Session(Cfai(), elsewhere.home, transport=httpx.MockTransport(answer))
    for model in ("new", "old", "new"):
        assert session.ask(session.build_request(HI, model, max_tokens=9)).text == "Hi"
    assert [(body["model"], field in body) for body in bodies] == [
        ("new", True),
        ("new", False),
        ("old", True),
        ("new", False),
    ]
    session.close()


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "xn--"])
def test_a_host_name_that_is_not_valid_is_an_error_with_a_next_step(
    host: str, home: Path, account: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cfai_magics.workers_ai.retry.FIRST_WAIT_SECONDS", 0.0)
    for variable in ("CLOUDFLARE_API_BASE_URL", "CFAI_BASE_URL"):
        monkeypatch.setenv(variable, f"https://{host}/v1")
        session = Session(Cfai(), home)
        with pytest.raises(InvalidOptionError, match=r"not a valid URL\.\nCheck the address"):
            session.ask(session.build_request(HI))
        session.close()


@pytest.mark.parametrize("content", [5, True, {"text": "a"}, ["a"], [5]], ids=str)
@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_a_message_with_another_content_is_refused(
    content: Any, role: str, elsewhere: Session, other: Standin
) -> None:
    with pytest.raises(InvalidOptionError, match="must be text or a list of parts"):
        elsewhere.ask(elsewhere.build_request([{"role": role, "content": content}]))
    assert other.requests == ()


@pytest.mark.parametrize("image", ["data:image/png;base64,AA==", {"url": "x"}, {}, None, 5])
def test_an_image_part_in_any_format_has_an_estimate(image: Any) -> None:
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": image}]
    request = Request(LLAMA, ({"role": "user", "content": parts},))
    minimum, maximum = prompt_token_bounds(request)
    assert 0 < minimum < maximum


def test_a_server_that_refuses_both_names_is_asked_twice(elsewhere: Session) -> None:
    requests: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(400, json=REFUSAL)

    session = Session(Cfai(), elsewhere.home, transport=httpx.MockTransport(refuse))
    with pytest.raises(BadRequestError, match="max_completion_tokens"):
        session.ask(session.build_request(HI, LLAMA, max_tokens=9))
    assert len(requests) == 2
    session.close()
