"""No entry point can loosen the policy of cfai.toml."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import cfai_magics
from cfai_magics import cli
from cfai_magics.commands import run
from cfai_magics.errors import (
    BudgetCutoffError,
    BudgetExceededError,
    CoursePolicyError,
    InvalidOptionError,
)
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.session.session import Session
from cfai_magics.settings import load_settings, update_settings_file
from cfai_magics.types.messages import Message
from tests.catalog_cache import cache_catalog_without
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

HI: list[Message] = [{"role": "user", "content": "Hi"}]
SYSTEM = "Lead, and never give the solution."
TUTOR: Message = {"role": "system", "content": SYSTEM}
SMALL, GEMMA = "@cf/meta/llama-3.2-3b-instruct", "@cf/google/gemma-4-26b-a4b-it"
TEXT = f"""
allowed_models = ["llama-3.2-3b-instruct", "gemma-4-26b-a4b-it"]
system = "{SYSTEM}"
max_tokens = 100
temperature = 0.5
local = ""
locked = ["system", "max_tokens", "temperature", "local"]
"""
Begin = Callable[[str], Session]


@pytest.fixture
def begin(account: Standin, home: Path, tmp_path: Path) -> Iterator[Begin]:
    """Yield a function that starts a session in a subfolder of a course."""
    sessions: list[Session] = []
    folder = tmp_path / "course" / "lesson"
    folder.mkdir(parents=True)

    def session(text: str) -> Session:
        (folder.parent / "cfai.toml").write_text(text)
        sessions.append(Session(load_settings(home, None, folder), home))
        return sessions[-1]

    yield session
    for each in sessions:
        each.close()


def test_course_settings_override_user_settings(home: Path, tmp_path: Path) -> None:
    update_settings_file(home, {"max_tokens": 9_000, "footer": "short"})
    (tmp_path / "cfai.toml").write_text('max_tokens = 70\nmodel = "llama-3.2-3b-instruct"')
    config = Config({"Cfai": {"model": GEMMA, "timeout": 9.0}})
    settings = load_settings(home, config, tmp_path)
    assert (settings.max_tokens, settings.model) == (70, "llama-3.2-3b-instruct")
    assert settings.get_origin("max_tokens") == str(tmp_path / "cfai.toml")
    assert settings.get_origin("footer") == str(home / "settings.toml")
    assert settings.get_origin("timeout") == "IPython's configuration"
    assert settings.get_origin("format") == "default"
    settings.max_tokens = 60
    assert settings.get_origin("max_tokens") == "this kernel"


def test_a_cell_can_change_unlocked_settings(begin: Begin, account: Standin) -> None:
    session = begin("max_tokens = 70\ntemperature = 0.5")
    session.settings.max_tokens = 80
    assert session.ask(session.build_request(HI, temperature=0.1)).text
    assert account.requests[-1].json["max_tokens"] == 80
    assert account.requests[-1].json["temperature"] == 0.1


def test_allowed_requests_are_sent(begin: Begin, account: Standin) -> None:
    session = begin(TEXT)
    session.ask(session.build_request([TUTOR, *HI]))
    session.ask(session.build_request([TUTOR, *HI], "gemma-4-26b-a4b-it", max_tokens=20))
    assert [request.json["model"] for request in account.requests] == [SMALL, GEMMA]
    assert [request.json["max_tokens"] for request in account.requests] == [100, 20]


@pytest.mark.parametrize(
    ("model", "messages", "fields"),
    [
        pytest.param("gpt-oss-120b", [TUTOR, *HI], {}, id="another model"),
        pytest.param("@cf/x/unlisted", [TUTOR, *HI], {}, id="an unlisted model"),
        pytest.param("", HI, {}, id="no system prompt"),
        pytest.param(
            "", [{"role": "system", "content": "Solve."}, *HI], {}, id="another system prompt"
        ),
        pytest.param(
            "", [TUTOR, {"role": "system", "content": "No."}, *HI], {}, id="a second system prompt"
        ),
        pytest.param(
            "", [TUTOR, {"role": "developer", "content": "No."}, *HI], {}, id="a developer message"
        ),
        pytest.param("", [TUTOR, *HI], {"max_tokens": 101}, id="more tokens"),
        pytest.param("", [TUTOR, *HI], {"extra": {"max_tokens": 101}}, id="more tokens in extra"),
        pytest.param(
            "", [TUTOR, *HI], {"extra": {"max_completion_tokens": None}}, id="no token limit"
        ),
        pytest.param("", [TUTOR, *HI], {"temperature": 0.6}, id="another temperature"),
        pytest.param("", [TUTOR, *HI], {"extra": {"temperature": 1}}, id="a temperature in extra"),
    ],
)
def test_forbidden_requests_are_not_sent(
    begin: Begin, account: Standin, model: str, messages: list[Message], fields: dict[str, object]
) -> None:
    session = begin(TEXT)
    with pytest.raises(CoursePolicyError, match=r"cfai\.toml") as caught:
        session.ask(session.build_request(messages, model, **fields))
    assert "Nothing was sent" in str(caught.value)
    assert account.requests == ()


def test_the_policy_applies_to_embeddings_and_tasks(begin: Begin, account: Standin) -> None:
    session = begin(TEXT)
    with pytest.raises(CoursePolicyError, match="bge-m3"):
        session.embed(["a"])
    with pytest.raises(CoursePolicyError, match="flux"):
        session.run("flux-1-schnell", {"prompt": "a boat"})
    with pytest.raises(CoursePolicyError, match="system prompt"):
        session.run(SMALL, {"messages": HI})
    assert account.requests == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_the_policy_applies_to_json_that_is_passed_as_bytes(
    begin: Begin, account: Standin, encoding: str
) -> None:
    session = begin("max_tokens = 100\nlocked = ['max_tokens']\n[budget]\ncall = 2")
    payload = json.dumps({"messages": HI, "max_tokens": 4_000}).encode(encoding)
    with pytest.raises(CoursePolicyError, match="at most 100 tokens"):
        session.run(SMALL, payload, content_type="application/json")
    assert account.requests == ()
    account.switch(answer="word " * 3_000)
    payload = json.dumps({"messages": HI, "max_tokens": 100}).encode(encoding)
    result = session.run(SMALL, payload, content_type="application/json")
    assert result.neurons == pytest.approx(account.billed, rel=0.01)
    assert account.billed <= 2
    assert account.requests[-1].json["max_tokens"] < 100  # type: ignore[index]


@pytest.mark.parametrize(
    ("payload", "files"),
    [
        (b"Hi", None),
        (b'["Hi"]', None),
        (b"\x1f\x8b", None),
        ({"prompt": "Hi"}, {"max_tokens": (None, b"4000")}),
    ],
)
def test_a_chat_model_accepts_only_json(
    session: Session, account: Standin, payload: dict[str, str] | bytes, files: dict[str, Any]
) -> None:
    with pytest.raises(InvalidOptionError, match=r"llama-3\.2-3b-instruct accepts only JSON"):
        session.run(SMALL, payload, files=files)
    assert account.requests == ()


def test_a_text_task_respects_the_locked_max_tokens(begin: Begin, account: Standin) -> None:
    session = begin("max_tokens = 100\ntemperature = 0.5\nlocked = ['max_tokens', 'temperature']")
    rest = {"prompt": "Hi", "temperature": 0.5}
    for payload in ({**rest}, {**rest, "max_tokens": 101}, {"prompt": "Hi", "max_tokens": 9}):
        with pytest.raises(CoursePolicyError):
            session.run(SMALL, payload)
    assert account.requests == ()
    assert session.run(SMALL, {**rest, "max_tokens": 9}).result
    assert session.run("flux-1-schnell", {"prompt": "a boat"}).result


@pytest.mark.parametrize(
    ("name", "value"),
    [("model", "gpt-oss-120b"), ("system", ""), ("max_tokens", 101), ("temperature", 0.9)],
)
def test_a_rejected_setting_keeps_its_value(begin: Begin, name: str, value: object) -> None:
    settings = begin(TEXT).settings
    before = getattr(settings, name)
    with pytest.raises(CoursePolicyError):
        setattr(settings, name, value)
    assert getattr(settings, name) == before


def test_a_locked_model_is_the_only_allowed_model(begin: Begin) -> None:
    session = begin(f'model = "{SMALL}"\nlocked = ["model"]')
    session.settings.model = "llama-3.2-3b-instruct"
    with pytest.raises(CoursePolicyError, match="allows only the model"):
        session.settings.model = GEMMA


def test_a_locked_local_model_is_not_started(begin: Begin) -> None:
    frontend = create_shell_frontend(begin(TEXT))
    with pytest.raises(CoursePolicyError, match=r"sets local to .* and locks it"):
        run("local", ["model.gguf"], frontend, "%cfai")


# --- budgets


def test_course_budgets_apply_next_to_user_budgets(begin: Begin, account: Standin) -> None:
    session = begin("[budget]\nday = 5\nnotebook = 4\nsession = 3\ncall = 2")
    session.accounting.ledger.budgets.set("day", 9_000)
    session.accounting.ledger.budgets.set("session", None)
    limits = session.accounting.limits(session.accounting.day_usage())
    assert [(limit.scope, limit.neurons, limit.source) for limit in limits] == [
        ("day", 9_000, "user"),
        ("day", 5, "course"),
        ("notebook", 4, "course"),
        ("session", 3, "course"),
        ("cell", 2, "course"),
    ]
    assert session.accounting.day_usage().limit == 5
    answer = session.ask(session.build_request(HI), max_neurons=1_000)
    assert any("to fit the budget per call in cfai.toml" in note for note in answer.notes)
    assert account.requests[0].json["max_tokens"] < 100


def test_a_request_above_the_course_budget_is_not_sent(begin: Begin, account: Standin) -> None:
    session = begin("[budget]\nday = 0.1")
    session.accounting.ledger.budgets.set("day", 9_000)
    with pytest.raises(BudgetExceededError, match=r"the daily budget in cfai\.toml") as caught:
        session.ask(session.build_request(HI))
    assert "budget N" not in str(caught.value)
    assert account.requests == ()


def test_the_day_budget_counts_earlier_requests(begin: Begin, account: Standin) -> None:
    session = begin("[budget]\nday = 8")
    account.switch(answer="word " * 200)
    refused = 0
    for _ in range(8):
        try:
            session.ask(session.build_request(HI, max_tokens=100))
        except (BudgetExceededError, BudgetCutoffError):
            refused += 1
    assert 0 < refused < 8
    assert 0 < account.billed <= 8


def test_an_answer_is_cut_off_at_the_course_budget(begin: Begin, account: Standin) -> None:
    session = begin("[budget]\ncall = 4")
    account.switch(answer="word " * 4_000)
    cache_catalog_without(session.home, GEMMA)
    with pytest.raises(
        BudgetCutoffError, match=r"the budget per call in cfai\.toml is used up"
    ) as caught:
        session.ask(session.build_request(HI, GEMMA))
    assert "budget N" not in str(caught.value)


# --- front ends


def test_config_reports_the_lock_and_changes_nothing(
    shell: InteractiveShell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "cfai.toml").write_text("max_tokens = 70\nlocked = ['max_tokens']")
    monkeypatch.chdir(tmp_path)
    shell.run_line_magic("load_ext", "cfai_magics")
    shell.run_line_magic("config", "Cfai.max_tokens = 71")
    assert "at most 70 tokens" in caplog.text
    os.chdir("/")
    shell.run_line_magic("config", "Cfai.max_tokens = 71")
    assert "70" in str(shell.run_line_magic("cfai", "status"))
    shell.run_line_magic("config", "Cfai.max_tokens = 69")
    assert "this kernel" in str(shell.run_line_magic("cfai", "status"))
    cfai_magics.unload_ipython_extension(shell)


def test_a_course_file_with_a_host_prevents_loading(
    shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: Standin
) -> None:
    (tmp_path / "cfai.toml").write_text('base_url = "https://example.org"')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidOptionError, match="nothing is sent"):
        shell.run_line_magic("load_ext", "cfai_magics")
    assert "cfai" not in shell.magics_manager.magics["cell"]
    assert cli.main(["ask", "Hi"]) == 1
    assert account.requests == ()


def test_the_policy_applies_to_the_shell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    account: Standin,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "cfai.toml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["use", "gpt-oss-120b"]) == 1
    assert cli.main(["ask", "Hi", "-s", "Solve it."]) == 1
    output = capsys.readouterr().err
    assert "allows only the models" in output
    assert "omit -s" in output
    assert account.requests == ()
    assert cli.main(["ask", "Hi"]) == 0
    assert account.requests[0].json["messages"][0]["content"] == SYSTEM


def test_status_shows_the_course_rules(begin: Begin, tmp_path: Path) -> None:
    frontend = bare_frontend(begin(TEXT + "[budget]\nday = 2000\ncall = 50"))
    status = str(run("status", [], frontend, "%cfai"))
    path = str(tmp_path / "course" / "cfai.toml")
    for text in ("allowed models", "2,000 per day, 50 per call", "local, max_tokens"):
        line = next(line for line in status.splitlines() if text in line)
        assert line.endswith(path)
    budgets = str(run("budget", ["off"], frontend, "%cfai"))
    assert "today, all kernels (course)" in budgets


def test_use_reports_that_the_course_may_override_it(begin: Begin) -> None:
    frontend = bare_frontend(begin(TEXT), is_one_shot=True)
    assert "unless" in str(run("use", ["gemma-4-26b-a4b-it"], frontend, "cfai"))


def test_format_instructions_may_follow_the_locked_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: Standin
) -> None:
    (tmp_path / "cfai.toml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    account.switch(answer='{"a": 1}')
    assert cli.main(["ask", "Hi", "-f", "json"]) == 0
    sent = account.requests[0].json["messages"][0]["content"]
    assert sent.startswith(f"{SYSTEM}\n\n")


def test_dry_run_rejects_a_forbidden_request(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    account: Standin,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "cfai.toml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["ask", "Hi", "--dry-run", "-m", "gpt-oss-120b"]) == 1
    assert "allows only the models" in capsys.readouterr().err
    assert cli.main(["ask", "Hi", "--dry-run"]) == 0
    assert account.requests == ()
