"""Test the local model from the shell and from a kernel."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from cfai_magics.cli import main
from cfai_magics.settings import read_settings_file, update_settings_file
from tests.kernels import running_kernel
from tests.standin import Standin

pytestmark = pytest.mark.slow

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
PROMPT_CELL = "%%cfai\nName the four seasons of the year."


@pytest.fixture
def home_with_model(home: Path, small_model: Path) -> Path:
    """A home folder with the small model already downloaded."""
    (home / "models").mkdir(parents=True)
    (home / "models" / small_model.name).symlink_to(small_model)
    return home


def test_the_shell_uses_the_local_model_until_it_is_turned_off(
    home_with_model: Path, account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["local"]) == 0
    assert "SmolLM2-135M-Instruct on this machine" in capsys.readouterr().out
    assert read_settings_file(home_with_model) == {"local": "small"}
    assert main(["ask", "Say yes.", "--max-tokens", "5"]) == 0
    output = capsys.readouterr()
    assert output.out.strip()
    assert "SmolLM2-135M-Instruct on this machine" in output.err
    assert "no neurons" in output.err
    assert main(["status"]) == 0
    assert "this machine (small)" in capsys.readouterr().out
    assert account.requests == ()
    assert main(["local", "off"]) == 0
    assert main(["ask", "Hi"]) == 0
    assert len(account.requests) == 1


def test_a_custom_model_file_can_be_selected(
    small_model: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Own-Model.Q4.gguf").symlink_to(small_model)
    monkeypatch.chdir(tmp_path)
    assert main(["local", "Own-Model.Q4.gguf"]) == 0
    assert read_settings_file(home) == {"local": str(tmp_path / "Own-Model.Q4.gguf")}


def test_a_kernel_switches_to_local_and_back_and_leaves_no_process(
    home_with_model: Path, account: Standin
) -> None:
    with running_kernel(CFAI_HOME=str(home_with_model)) as kernel:
        kernel.run("%load_ext cfai_magics")
        assert "no account, no neurons" in kernel.run("%cfai local").text
        cell = kernel.run("%%cfai -o answer --max-tokens 9\nHi")
        assert "SmolLM2-135M-Instruct on this machine · " in cell.text
        assert account.requests == ()
        kernel.run("from cfai_magics.api import get_current_session")
        kernel.run("process = get_current_session().backend.local_server.process")
        assert kernel.run("print(process.poll())").text == "None\n"
        assert "Now using Workers AI again" in kernel.run("%cfai local off").text
        assert kernel.run("print(process.poll())").text == "0\n"
        kernel.run("%cfai local")
        kernel.run("process = get_current_session().backend.local_server.process")
        kernel.run("%unload_ext cfai_magics")
        assert kernel.run("print(process.poll())").text == "0\n"


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """A notebook with its recording, without the model and without a network."""
    copy = tmp_path / QUICKSTART.name
    for path in (QUICKSTART, QUICKSTART.with_suffix(".cfai.jsonl")):
        shutil.copyfile(path, tmp_path / path.name)
    return copy


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the package index unreachable for pip."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "1")


@pytest.mark.usefixtures("no_index")
def test_without_a_network_the_recording_is_suggested_and_works(lesson: Path, home: Path) -> None:
    with running_kernel(JPY_SESSION_NAME=str(lesson), CFAI_REPLAY_INSTANT="1") as kernel:
        kernel.run("%load_ext cfai_magics")
        (message,) = kernel.run("%cfai local").traceback
        assert "the package index could not be reached" in message
        assert message.endswith("Or use only the recorded answers: %cfai replay only.")
        kernel.run("%cfai replay only")
        assert kernel.run("%cfai local").text == (
            "No model was downloaded or started, because all answers here are replayed from the "
            "recording (%cfai replay)."
        )
        assert "replayed" in kernel.run(PROMPT_CELL).text
        kernel.run("%cfai replay off")
        assert kernel.run("%cfai local").ename == "LocalModelError"
    assert list((home / "models").iterdir()) == []


@pytest.mark.usefixtures("no_index")
def test_without_a_recording_replay_is_not_suggested(lesson: Path) -> None:
    lesson.with_suffix(".cfai.jsonl").unlink()
    with running_kernel(JPY_SESSION_NAME=str(lesson)) as kernel:
        kernel.run("%load_ext cfai_magics")
        (message,) = kernel.run("%cfai local").traceback
    assert "Check the network" in message
    assert "replay" not in message


def test_a_saved_local_choice_downloads_nothing_in_replay_only_mode(
    lesson: Path, home: Path
) -> None:
    update_settings_file(home, {"local": "small"})
    only = f"only:{lesson.with_suffix('.cfai.jsonl')}"
    with running_kernel(CFAI_REPLAY=only, CFAI_REPLAY_INSTANT="1") as kernel:
        kernel.run("%load_ext cfai_magics")
        assert "replayed" in kernel.run(PROMPT_CELL).text
        assert kernel.run("%%cfai\nWhat else?").ename == "NotRecordedError"
    assert not (home / "models").exists()


def test_recorded_answers_can_be_verified_in_replay_only_mode(
    home_with_model: Path, tmp_path: Path
) -> None:
    update_settings_file(home_with_model, {"local": "small"})
    path = tmp_path / "short.cfai.jsonl"
    with running_kernel(CFAI_REPLAY=f"auto:{path}") as kernel:
        kernel.run("%load_ext cfai_magics")
        kernel.run("%%cfai --max-tokens 5\nHi")
    with running_kernel(CFAI_REPLAY=f"only:{path}") as kernel:
        kernel.run("%load_ext cfai_magics")
        assert "Repeating 1 of 1 recorded prompt on this machine." in (
            kernel.run("%cfai verify").text
        )


def test_local_off_notes_that_recorded_answers_are_replayed(
    lesson: Path, home_with_model: Path
) -> None:
    with running_kernel(CFAI_HOME=str(home_with_model), JPY_SESSION_NAME=str(lesson)) as kernel:
        kernel.run("%load_ext cfai_magics")
        kernel.run("%cfai local")
        assert "replayed until %cfai replay off" in kernel.run("%cfai local off").text


def test_the_quickstart_runs_from_top_to_bottom_without_an_account(home_with_model: Path) -> None:
    notebook = nbformat.read(QUICKSTART, as_version=4)
    assert home_with_model.exists()
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    prompt_cell = next(cell for cell in notebook.cells if cell.source.startswith("%%cfai"))
    answer, footer = prompt_cell.outputs
    assert answer["data"]["text/markdown"].strip()
    assert "on this machine" in footer["data"]["text/plain"]
    assert "error" not in json.dumps([cell.get("outputs") for cell in notebook.cells])


def test_the_local_model_returns_probabilities(home_with_model: Path) -> None:
    with running_kernel(CFAI_HOME=str(home_with_model)) as kernel:
        kernel.run("%load_ext cfai_magics\n%cfai local")
        cell = kernel.run("%%cfai --probs 5 --max-tokens 6 -t 0 -o answer\nName a color.")
        assert 'class="cfai-tokens"' in cell.mime("text/html")[0]
        same = "''.join(token.text for token in answer.tokens) == answer.text"
        assert kernel.run(f"print({same})").text == "True\n"
        counts = kernel.run("print({len(token.alternatives) for token in answer.tokens})").text
        assert counts == "{5}\n"
        best = "token.text == token.alternatives[0].text for token in answer.tokens"
        assert kernel.run(f"print(all({best}))").text == "True\n"
