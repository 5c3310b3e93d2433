"""Calls of a student through a class server: all kinds of calls, errors, budgets and secrets."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from openai import OpenAI

import cfai_magics as cfai
from cfai_magics.api import get_process_session
from cfai_magics.commands import run
from cfai_magics.errors import (
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    CfaiError,
    ClassRuleError,
    DailyQuotaError,
    InvalidOptionError,
    RateLimitError,
)
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.types.messages import Message
from cfai_magics.workers_ai.client import WorkersAI
from tests.canaries import class_key
from tests.class_server import MODEL, ClassServer
from tests.standin import Reply, Standin

HI: list[Message] = [{"role": "user", "content": "Hi"}]
M2M100 = "@cf/meta/m2m100-1.2b"


@pytest.fixture(autouse=True)
def variables(server: ClassServer, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the class server and the key of a new student in the environment."""
    monkeypatch.setenv("CFAI_CLASS_SERVER", server.url)
    monkeypatch.setenv("CFAI_API_KEY", key)


@pytest.fixture
def session(home: Path) -> Iterator[Session]:
    """A session with the class server."""
    session = Session(Cfai(), home)
    yield session
    session.close()


@pytest.fixture
def class_process() -> Iterator[None]:
    """Start a new process-wide session with the class server, as `cfai_magics.map` uses it."""
    get_process_session.cache_clear()
    yield
    get_process_session().close()
    get_process_session.cache_clear()


def ask(session: Session, model: str = MODEL, *, stream: bool = True) -> str:
    return session.ask(session.build_request(HI, model, stream=stream)).text


@pytest.mark.parametrize("stream", [True, False])
def test_a_question_is_billed_to_the_student(
    session: Session, server: ClassServer, cloudflare: Standin, key: str, *, stream: bool
) -> None:
    request = session.build_request(HI, MODEL, stream=stream)
    answer = session.ask(request)
    assert "Hi" in answer.text
    assert (answer.cost_basis, answer.endpoint) == ("billed", "")
    assert server.settled(key)["spent"] == pytest.approx(answer.neurons, abs=0.01)
    assert cloudflare.requests[0].token == cloudflare.token


def test_the_reported_budget_is_the_limit_of_the_day(
    session: Session, server: ClassServer, name: str, key: str
) -> None:
    ask(session)
    server.settled(key)
    server.admin("PATCH", f"students/{name}", {"budget": 70})
    server.chat(key)  # from another computer
    elsewhere = server.settled(key)["spent"]
    ask(session)
    day_usage = session.day_usage()
    assert (day_usage.limit, day_usage.limit_source) == (70, "class")
    assert day_usage.class_figure is not None
    assert day_usage.class_figure.spent == pytest.approx(elsewhere, abs=0.01)
    assert day_usage.spent == pytest.approx(server.settled(key)["spent"], abs=0.01)


def test_embeddings_and_tasks_are_billed_to_the_student(
    session: Session, server: ClassServer, cloudflare: Standin, key: str
) -> None:
    assert len(session.embed(["one", "two"]).vectors) == 2
    result = session.run(M2M100, {"text": "Hi", "target_lang": "fr"})
    assert result.result == {"translated_text": "[fr] Hi"}
    assert [request.path.rpartition("/ai")[2] for request in cloudflare.requests] == [
        "/v1/embeddings",
        f"/run/{M2M100}",
    ]
    assert server.settled(key)["spent"] == pytest.approx(session.day_usage().spent, abs=0.01)


def test_a_map_is_answered(
    class_process: None, server: ClassServer, cloudflare: Standin, key: str
) -> None:
    answers = list(cfai.map("Repeat {text}", ["a", "b", "c"], model=MODEL, confirm=False))
    assert ["Repeat b" in str(answer) for answer in answers] == [False, True, False]
    assert len(cloudflare.requests) == 3
    assert server.settled(key)["spent"] > 0


def test_the_magic_repeats_questions_and_runs_tasks(
    cloudflare: Standin,
    shell: InteractiveShell,
    key: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shell.run_line_magic("load_ext", "cfai_magics")
    shell.run_cell_magic("cfai", f"-n 3 -m {MODEL}", "Hello")
    shell.run_cell_magic("cfai", f"-m {MODEL} -m qwen3-30b-a3b-fp8", "Hello")
    shell.run_cell_magic("cfai", "--task translate --from en --to fr", "Hello")
    shell.run_cell_magic("cfai", "--dry-run", "Hello")
    shell.run_line_magic("unload_ext", "cfai_magics")
    output = capsys.readouterr().out
    assert "[fr] Hello" in output
    assert len(cloudflare.requests) == 6
    assert key not in output


def test_models_lists_those_of_the_class(
    session: Session, server: ClassServer, name: str, home: Path
) -> None:
    server.admin("PATCH", f"students/{name}", {"models": [MODEL, M2M100]})
    table = str(run("models", [], create_shell_frontend(session), "cfai"))
    assert "Showing 2 of 2 models. List from today." in table
    assert "80,000" in table
    assert [model.name for model in session.catalog().models] == [MODEL, M2M100]
    assert not (home / "catalogue.json").exists()
    server.admin("PATCH", f"students/{name}", {"models": [MODEL]})
    assert "1 of 1 models" in str(run("models", [], create_shell_frontend(session), "cfai"))


def test_a_model_that_only_the_class_server_knows_is_listed(
    session: Session, cloudflare: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [{"id": "@cf/new/model"}, {"id": MODEL}, {"id": None}, 5]
    body = json.dumps({"object": "list", "data": models}).encode()
    cloudflare.switch(canned=Reply(body), error_path="/v1/models")
    monkeypatch.setenv("CFAI_CLASS_SERVER", cloudflare.base_url)
    new, known = session.fetch_catalog().models
    assert (new.name, new.neurons_in) == ("@cf/new/model", None)
    assert known.neurons_in


def test_an_sdk_client_is_answered_in_a_recording(
    class_process: None, server: ClassServer, cloudflare: Standin, key: str, tmp_path: Path
) -> None:
    for mode in ("auto", "only"):
        with cfai.recording(tmp_path / "lesson.cfai.jsonl", mode=mode) as lesson:
            for base_url in (lesson.base_url, f"{server.url}/v1"):
                client = OpenAI(
                    base_url=base_url, api_key=lesson.api_key, http_client=lesson.client()
                )
                reply = client.chat.completions.create(model=MODEL, messages=HI)
                assert "Hi" in reply.choices[0].message.content
                client.embeddings.create(model="@cf/baai/bge-m3", input="a")
    assert len(cloudflare.requests) == 4
    assert key not in (tmp_path / "lesson.cfai.jsonl").read_text()


def test_the_bare_client_uses_a_class_server(
    server: ClassServer, cloudflare: Standin, key: str
) -> None:
    with WorkersAI.class_server(server.url, key) as client:
        assert client.run(M2M100, {"text": "Hi", "target_lang": "fr"}).result
        assert MODEL in {model.name for model in client.list_models()}
        for call in (
            client.check_token,
            lambda: client.fetch_neurons_by_model(datetime.now(UTC)),
            lambda: client.to_markdown([("a.pdf", b"a", "application/pdf")]),
            lambda: client.batches,
        ):
            with pytest.raises(InvalidOptionError, match="The class server does not offer"):
                call()
        assert key not in repr(client)
    assert len(cloudflare.requests) == 1


def test_what_a_class_server_lacks_is_refused_before_it_is_sent(
    session: Session, class_process: None, cloudflare: Standin
) -> None:
    with pytest.raises(InvalidOptionError, match="does not offer the Batch API"):
        cfai.map("{text}", ["a"], model="@cf/meta/llama-3.3-70b-instruct-fp8-fast", queue=True)
    with pytest.raises(InvalidOptionError, match="does not offer the usage of the account"):
        session.fetch_account_usage()
    with pytest.raises(InvalidOptionError, match="does not offer the conversion of documents"):
        session.to_markdown([("a.pdf", b"a", "application/pdf")])
    with pytest.raises(InvalidOptionError, match="Gateway default can't be used"):
        session.ask(session.build_request(HI), gateway="default")
    assert cloudflare.requests == ()
    assert session.day_usage().spent == session.day_usage().reserved == 0


def hours(offset: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=offset)).strftime("%H:%M")


REFUSALS: dict[str, tuple[dict[str, object], type[CfaiError], str]] = {
    "paused": ({"paused": True}, ClassRuleError, "paused your key.*\nAsk your teacher to resume"),
    "hours": ({"window": {"from": "02", "to": "04"}}, ClassRuleError, "works from .*\nContinue"),
    "model": ({"models": [M2M100]}, ClassRuleError, "does not use the model.*\nUse a model that"),
    "expired": ({"expires": "2026-01-01T00:00:00Z"}, AuthenticationError, "expired.*\nAsk your"),
    "used up": (
        {"budget": 0},
        DailyQuotaError,
        "Your share is 0 neurons.*\nContinue then, or ask",
    ),
    "too small": ({"budget": 1}, ClassRuleError, "can cost .*\nShorten the prompt"),
}


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("call", ["stream", "whole", "embed"])
def test_a_refusal_has_the_words_of_the_class_server_and_is_not_repeated(
    session: Session, server: ClassServer, cloudflare: Standin, name: str, kind: str, call: str
) -> None:
    settings, error, message = REFUSALS[kind]
    if kind == "hours":
        settings = {"window": {"from": hours(2), "to": hours(4)}}
    if call == "embed" and kind in ("model", "too small"):
        pytest.skip("the model and the cost are those of a chat")
    server.admin("PATCH", f"students/{name}", settings)
    retries: list[object] = []

    def send() -> object:
        if call == "embed":
            return session.embed(["a"], on_retry=lambda *what: retries.append(what))
        request = session.build_request(HI * 20, MODEL, stream=call == "stream")
        return session.ask(request, on_retry=lambda *what: retries.append(what))

    with pytest.raises(error, match=message) as caught:
        send()
    assert caught.value.scope in ("student", "class")
    assert "budget reopen" not in str(caught.value)
    assert retries == []
    assert cloudflare.requests == ()


def test_a_revoked_key_is_reported(session: Session, server: ClassServer, name: str) -> None:
    server.admin("DELETE", f"students/{name}")
    with pytest.raises(AuthenticationError, match="Your key was revoked"):
        ask(session)


def test_a_key_of_another_class_is_reported(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFAI_API_KEY", class_key())
    with pytest.raises(AuthenticationError, match="not valid for this class"):
        ask(session)


def test_a_raised_budget_applies_to_the_next_call(
    session: Session, server: ClassServer, cloudflare: Standin, name: str
) -> None:
    server.admin("PATCH", f"students/{name}", {"budget": 0})
    with pytest.raises(DailyQuotaError):
        ask(session)
    server.admin("PATCH", f"students/{name}", {"budget": 300})
    assert ask(session)
    assert not session.day_usage().is_closed


def test_the_used_up_account_is_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Standin() as cloudflare, ClassServer(cloudflare) as server:
        cloudflare.switch(daily_neurons=0)
        monkeypatch.setenv("CFAI_CLASS_SERVER", server.url)
        monkeypatch.setenv("CFAI_API_KEY", server.add_student("Ada"))
        session = Session(Cfai(), home)
        for _ in range(2):
            with pytest.raises(DailyQuotaError, match=r"that the class shares .*\nContinue then"):
                ask(session)
        assert len(cloudflare.requests) == 1
        session.close()


def test_a_lower_budget_of_the_user_is_enforced_before_the_call(
    session: Session, cloudflare: Standin
) -> None:
    session.accounting.ledger.budgets.set("day", 0.01)
    with pytest.raises(BudgetExceededError):
        ask(session)
    assert cloudflare.requests == ()


class StopWaitingError(Exception):
    """Raised by the tests instead of waiting."""


def test_a_limit_per_minute_is_waited_for_with_the_seconds(
    session: Session, server: ClassServer, name: str
) -> None:
    server.admin("PATCH", f"students/{name}", {"requests_per_minute": 1})
    ask(session)
    waits: list[tuple[CfaiError, float, int]] = []

    def on_retry(*wait: tuple[CfaiError, float, int]) -> None:
        waits.append(wait)
        raise StopWaitingError

    with pytest.raises(StopWaitingError):
        session.ask(session.build_request(HI, MODEL), on_retry=on_retry)
    ((error, seconds, attempt),) = waits
    assert isinstance(error, RateLimitError)
    assert (error.scope, attempt) == ("student", 2)
    assert 40 < seconds <= 60


def test_a_call_is_repeated_after_a_limit_per_minute(
    session: Session,
    cloudflare: Standin,
    shell: InteractiveShell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = "The account that the class shares allows 300 requests per minute. Waiting for it."
    error = {"code": 3021, "message": message, "scope": "account"}
    body = json.dumps({"success": False, "errors": [error]}).encode()
    cloudflare.switch(canned=Reply(body, 429, headers={"retry-after": "3"}))
    monkeypatch.setenv("CFAI_CLASS_SERVER", cloudflare.base_url)

    def on_retry(*_wait: object) -> None:
        answer = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
        cloudflare.switch(canned=Reply(json.dumps(answer).encode()))

    answer = session.ask(session.build_request(HI, MODEL, stream=False), on_retry=on_retry)
    assert answer.text == "Hi"
    assert len(cloudflare.requests) == 2


@pytest.mark.parametrize("call", ["ask", "embed", "run", "models", "status"])
def test_a_redirect_to_another_host_gets_no_key(
    session: Session, cloudflare: Standin, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Standin() as other:
        location = {"location": f"{other.base_url}/v1/chat/completions"}
        cloudflare.switch(canned=Reply(b"", 307, headers=location))
        monkeypatch.setenv("CFAI_CLASS_SERVER", cloudflare.base_url)
        server = session.backend.class_server
        assert server
        calls = {
            "ask": lambda: ask(session),
            "embed": lambda: session.embed(["a"]),
            "run": lambda: session.run(M2M100, {"text": "Hi", "target_lang": "fr"}),
            "models": session.fetch_catalog,
            "status": lambda: session.backend.fetch_class_status(
                session.backend.class_credentials(server)
            ),
        }
        with pytest.raises(BadRequestError, match="Check the address in CFAI_CLASS_SERVER"):
            calls[call]()
        assert other.requests == ()


HEADERS = {
    "missing": {},
    "half": {"cfai-budget": "300"},
    "text": {"cfai-budget": "many", "cfai-spent": "0"},
    "negative": {"cfai-budget": "-1", "cfai-spent": "0"},
    "infinite": {"cfai-budget": "inf", "cfai-spent": "nan"},
    "huge": {"cfai-budget": "9" * 400, "cfai-spent": "1e300"},
}


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_without_valid_figures_are_ignored(
    session: Session, cloudflare: Standin, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    body = json.dumps(answer).encode()
    cloudflare.switch(canned=Reply(body, headers=HEADERS[kind]))
    monkeypatch.setenv("CFAI_CLASS_SERVER", cloudflare.base_url)
    assert ask(session, stream=False) == "Hi"
    day_usage = session.day_usage()
    assert (day_usage.is_class, day_usage.limit, day_usage.class_figure) == (True, None, None)


def test_two_students_have_separate_ledgers(
    session: Session, server: ClassServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(session)
    first = session.backend.billing_account()
    monkeypatch.setenv("CFAI_API_KEY", server.add_student(f"{name}'s friend"))
    assert session.day_usage().spent == 0
    ask(session)
    assert session.backend.billing_account() != first


def test_no_file_output_or_log_has_the_key(
    key: str,
    tmp_path: Path,
    shell: InteractiveShell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.chdir(tmp_path)
    shell.run_line_magic("load_ext", "cfai_magics")
    shell.run_line_magic("xmode", "Verbose")
    shell.run_line_magic("cfai", "replay auto lesson.cfai.jsonl")
    shell.run_cell_magic("cfai", f"-m {MODEL} -c", "Hello")
    for command in ("status", "doctor", "usage", "budget", "sent", "models", "panel", "report"):
        shell.run_cell(f"%cfai {command}")
    shell.run_cell("%%cfai -m nothing-like-this\nHello")
    shell.run_cell("raise ValueError(get_ipython().magics_manager)")
    shell.run_line_magic("unload_ext", "cfai_magics")
    captured = capsys.readouterr()
    assert "Hello" in captured.out
    for text in (captured.out, captured.err, caplog.text):
        assert key not in text
    paths = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"ledger.sqlite", "lesson.cfai.jsonl"} <= {path.name for path in paths}
    assert all(key.encode() not in path.read_bytes() for path in paths)
