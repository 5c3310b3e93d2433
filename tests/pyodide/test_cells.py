"""Test cells in IPython inside Pyodide: columns, maps, the panel and the refusals."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

import cfai_magics
from cfai_magics import api
from tests.pyodide.conftest import ANSWER, Control


@pytest.fixture
def loaded(
    shell: InteractiveShell,
    control: Control,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[InteractiveShell]:
    """Yield a shell with the extension; loading it prints nothing."""
    monkeypatch.chdir(tmp_path)
    shell.run_line_magic("load_ext", "cfai_magics")
    assert tuple(capsys.readouterr()) == ("", "")
    yield shell
    shell.run_line_magic("unload_ext", "cfai_magics")


def run_cell(shell: InteractiveShell, source: str) -> None:
    shell.run_cell(source).raise_error()


def test_several_answers_arrive_one_after_the_other(
    loaded: InteractiveShell, control: Control
) -> None:
    run_cell(loaded, "%%cfai -n 3 -o three\nName a river.")
    answers = loaded.user_ns["three"]
    assert [answer.text for answer in answers] == [ANSWER] * 3
    assert api.get_current_session().day_usage().billed == pytest.approx(answers.neurons)
    assert len(control("GET", "requests")) == 3


def test_two_models_and_temperatures_are_compared(loaded: InteractiveShell) -> None:
    models = "-m gemma-4-26b-a4b-it -m llama-3.2-3b-instruct -t 0,1"
    run_cell(loaded, f"%%cfai {models} -o four\nName a river.")
    assert [answer.text for answer in loaded.user_ns["four"]] == [ANSWER] * 4


def test_a_map_answers_all_rows(loaded: InteractiveShell, control: Control) -> None:
    result = cfai_magics.map("Is it {text}?", ["fine", "awful", "fine"], max_tokens=20)
    assert [row["answer"] for row in result] == [ANSWER] * 3
    assert len(control("GET", "requests")) == 2


def test_the_panel_opens_and_follows_an_answer(loaded: InteractiveShell) -> None:
    run_cell(loaded, "%cfai panel")
    run_cell(loaded, "%%cfai\nName a river.")
    assert loaded.user_ns["_cfai"].text == ANSWER


def test_an_answer_is_recorded_and_replayed(loaded: InteractiveShell, control: Control) -> None:
    run_cell(loaded, "%cfai replay auto lesson.cfai.jsonl")
    for _ in range(2):
        run_cell(loaded, "%%cfai\nName a river.")
    assert len(control("GET", "requests")) == 1


def test_the_only_recording_in_the_folder_is_replayed_with_one_notice(
    loaded: InteractiveShell, control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    run_cell(loaded, "%cfai replay auto lesson.cfai.jsonl")
    run_cell(loaded, "%%cfai\nName a river.")
    loaded.run_line_magic("unload_ext", "cfai_magics")
    loaded.run_line_magic("load_ext", "cfai_magics")
    capsys.readouterr()
    for _ in range(2):
        run_cell(loaded, "%%cfai\nName a river.")
    assert len(control("GET", "requests")) == 1
    notice = "Answers come from lesson.cfai.jsonl, the only recording in this folder."
    assert capsys.readouterr().out.count(notice) == 1


def test_status_shows_how_requests_are_sent(loaded: InteractiveShell) -> None:
    rows = {row[0]: row[1] for row in loaded.run_line_magic("cfai", "status").rows}
    assert rows["requests"] == "fetch; answers are streamed"
    assert rows["interrupt"] == "a running cell can't be interrupted; an answer ends after 60 s"


@pytest.mark.parametrize("command", ["local", "local serve", "demo"])
def test_commands_that_need_a_process_are_refused(loaded: InteractiveShell, command: str) -> None:
    with pytest.raises(cfai_magics.CfaiError, match="can't run in a browser"):
        loaded.run_line_magic("cfai", command)


@pytest.mark.parametrize("command", ["doctor", "usage", "budget", "models", "help", "thread"])
def test_other_commands_work(loaded: InteractiveShell, command: str) -> None:
    run_cell(loaded, f"%cfai {command}")
