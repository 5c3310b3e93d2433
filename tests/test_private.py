"""With `private = true`, only the local model and recorded answers are allowed."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import cfai_magics
from cfai_magics.api import get_process_session
from cfai_magics.chat.cell_estimate import estimate_cell
from cfai_magics.commands import run
from cfai_magics.course import read_course
from cfai_magics.errors import CoursePolicyError, InvalidOptionError, PrivacyError
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.session.session import Session
from cfai_magics.settings import load_settings, update_settings_file
from cfai_magics.types.messages import Message
from cfai_magics.widgets.panel import open_panel
from tests.canaries import class_key
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

HI: list[Message] = [{"role": "user", "content": "Hi"}]
PRIVATE = "private = true"
LOCKED = 'private = true\nlocked = ["private"]'
Begin = Callable[[str], Session]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    created = tmp_path / "course"
    created.mkdir()
    monkeypatch.chdir(created)
    return created


@pytest.fixture
def begin(account: Standin, home: Path, folder: Path) -> Iterator[Begin]:
    """Yield a function that starts a session in a course."""
    sessions: list[Session] = []

    def session(text: str) -> Session:
        (folder / "cfai.toml").write_text(text)
        sessions.append(Session(load_settings(home, None, folder), home))
        return sessions[-1]

    yield session
    for each in sessions:
        each.close()


CALLS: dict[str, Callable[[], object]] = {
    "ask": lambda: cfai_magics.ask("Hi"),
    "model": lambda: cfai_magics.ask("Hi", model="llama-3.2-3b-instruct"),
    "gateway": lambda: cfai_magics.ask("Hi", gateway="logs"),
    "embed": lambda: cfai_magics.embed(["Hi"]),
    "run": lambda: cfai_magics.run("m2m100-1.2b", {"text": "Hi", "target_lang": "de"}),
    "map": lambda: cfai_magics.map("{text}", ["Hi"]),
    "batch": lambda: cfai_magics.map("{text}", ["Hi"], model="qwen3-30b-a3b-fp8", queue=True),
}


@pytest.fixture
def private_course(account: Standin, folder: Path) -> Iterator[Standin]:
    """Let the functions of the package run in a private course."""
    (folder / "cfai.toml").write_text(LOCKED)
    get_process_session.cache_clear()
    yield account
    get_process_session().close()
    get_process_session.cache_clear()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_function_sends_a_request(private_course: Standin, call: Callable[[], object]) -> None:
    with pytest.raises(PrivacyError, match="only the local model and recorded answers") as caught:
        call()
    assert "Nothing was sent. Use %cfai local, or ask a recorded question." in str(caught.value)
    assert "%config" not in str(caught.value)
    assert private_course.requests == ()


@pytest.mark.parametrize(
    "words",
    [
        ["ask", "Hi"],
        ["ask", "-m", "llama-3.2-3b-instruct", "Hi"],
        ["ask", "--gateway", "logs", "Hi"],
        ["ask", "-n", "2", "Hi"],
        ["ask", "--schema", "schema.json", "Hi"],
        ["ask", "--task", "translate", "--from", "en", "--to", "de", "Hi"],
        ["ask", "--task", "embed", "Hi"],
    ],
    ids=" ".join,
)
def test_no_command_sends_a_request(
    begin: Begin, account: Standin, folder: Path, words: list[str]
) -> None:
    (folder / "schema.json").write_text('{"type": "object"}')
    frontend = create_shell_frontend(begin(LOCKED))
    with pytest.raises(PrivacyError, match=r"cfai\.toml allows only the local model"):
        run(words[0], words[1:], frontend, "cfai")
    assert account.requests == ()


@pytest.mark.parametrize("source", ["a server", "a class server"])
def test_other_servers_receive_no_request(
    begin: Begin, account: Standin, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    key = class_key()
    if source == "a server":
        monkeypatch.setenv("CFAI_BASE_URL", f"{account.base_url}/v1")
    else:
        monkeypatch.setenv("CFAI_CLASS_SERVER", account.base_url)
        monkeypatch.setenv("CFAI_API_KEY", key)
    session = begin(LOCKED)
    with pytest.raises(PrivacyError):
        session.ask(session.build_request(HI))
    status = str(run("status", [], bare_frontend(session, print=print), "%cfai"))
    assert "recordings; %cfai local starts a model on this machine" in status
    assert re.search(r"private +True", status)
    assert account.requests == ()


def test_account_commands_send_no_request(begin: Begin, account: Standin) -> None:
    session = begin(LOCKED)
    with pytest.raises(PrivacyError):
        session.fetch_account_usage()
    with pytest.raises(PrivacyError):
        session.fetch_catalog()
    assert "is not available" in str(run("models", ["--refresh"], bare_frontend(session), "%cfai"))
    doctor = str(run("doctor", [], bare_frontend(session, print=print), "%cfai"))
    assert "recordings, because private is on" in doctor
    assert "not checked, because private is on" in doctor
    assert account.requests == ()


def test_recorded_answers_are_replayed(begin: Begin, account: Standin, folder: Path) -> None:
    recording = 'recording = "auto:answers.cfai.jsonl"\n'
    session = begin(recording)
    answer = session.ask(session.build_request(HI))
    sent = len(account.requests)
    private_session = begin(recording + LOCKED)
    replayed = private_session.ask(private_session.build_request(HI))
    assert replayed.text == answer.text
    assert replayed.provenance.recording is not None
    with pytest.raises(PrivacyError, match="is not recorded"):
        private_session.ask(
            private_session.build_request([{"role": "user", "content": "Another question"}])
        )
    with pytest.raises(PrivacyError):
        run("verify", [], bare_frontend(private_session, print=print), "%cfai")
    assert len(account.requests) == sent


def test_sdk_requests_are_not_sent(private_course: Standin, folder: Path) -> None:
    url = f"{private_course.base_url}/v1/models"
    with cfai_magics.recording(folder / "sdk.cfai.jsonl") as recording:
        client = recording.client()
        answers = [
            client.post(
                f"{recording.base_url}/chat/completions",
                json={"model": "llama-3.2-3b-instruct", "messages": HI},
            ),
            client.get(url),
        ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert all("only the local model" in answer.text for answer in answers)
    assert private_course.requests == ()


def test_a_locked_setting_cannot_be_changed(begin: Begin) -> None:
    session = begin(LOCKED)
    with pytest.raises(CoursePolicyError, match="sets private to True and locks it"):
        session.settings.private = False
    assert session.settings.private is True


def test_an_unlocked_setting_can_be_changed(begin: Begin, account: Standin) -> None:
    session = begin(PRIVATE)
    with pytest.raises(PrivacyError, match=r"%config Cfai\.private = False allows all requests"):
        session.ask(session.build_request(HI))
    session.settings.private = False
    assert session.ask(session.build_request(HI)).text
    session.settings.private = True
    sent = len(account.requests)
    with pytest.raises(PrivacyError):
        session.ask(session.build_request(HI))
    assert len(account.requests) == sent


def test_the_users_own_setting_applies_in_all_courses(
    begin: Begin, account: Standin, home: Path
) -> None:
    update_settings_file(home, {"private": True})
    session = begin("max_tokens = 9")
    with pytest.raises(PrivacyError, match="The setting private allows only"):
        session.ask(session.build_request(HI))
    assert account.requests == ()


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('private = "yes"', "private is not true or false"),
        ("private = 1", "private is not true or false"),
        ("private = false", "private must be true"),
        ('warn_personal_data = "no"', "warn_personal_data is not true or false"),
        ('locked = ["private"]', "does not set it"),
    ],
)
def test_invalid_values_are_rejected(folder: Path, text: str, cause: str) -> None:
    path = folder / "cfai.toml"
    path.write_text(text)
    with pytest.raises(InvalidOptionError, match=cause):
        read_course(path)


def test_views_show_that_only_recorded_answers_are_allowed(
    begin: Begin, account: Standin, folder: Path
) -> None:
    session = begin(LOCKED)
    assert "no neurons: only recorded answers are allowed" in str(open_panel(session))
    assert "Only recorded answers are allowed" in str(
        run("budget", [], bare_frontend(session), "%cfai")
    )
    estimate = estimate_cell(session, "%%cfai\nHi")
    assert estimate is not None
    assert estimate.high == 0
    path = str(folder / "lesson.ipynb")
    nbformat.write(new_notebook(cells=[new_code_cell("%%cfai\nHi")]), path)
    plan = str(run("plan", [path], bare_frontend(session), "%cfai"))
    assert "The request would be refused. cfai.toml allows only the local model" in plan
    for options in ([], ["-n", "2"], ["--task", "classify"]):
        words = ["--dry-run", *options, "Hi"]
        preview = str(run("ask", words, create_shell_frontend(session), "cfai"))
        assert "The request would be refused. cfai.toml allows only the local model" in preview
    assert account.requests == ()


@pytest.mark.slow
def test_the_local_model_answers(begin: Begin, home: Path, small_model: Path) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / small_model.name).symlink_to(small_model)
    session = begin('private = true\nlocal = "small"\nlocked = ["private"]')
    assert session.ask(session.build_request(HI, max_tokens=5)).is_local
