"""The model on this machine, from the shell's commands and from a kernel."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from cfai_magics.cli import main
from cfai_magics.settings import kept_settings
from tests.kernels import running_kernel
from tests.standin import Standin

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"


@pytest.fixture
def fetched(home: Path, small_model: Path) -> Path:
    """A home where the small model has been fetched already."""
    (home / "models").mkdir(parents=True)
    (home / "models" / small_model.name).symlink_to(small_model)
    return home


def test_the_shell_remembers_local_until_it_is_off(
    fetched: Path, account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["local"]) == 0
    assert "SmolLM2-135M-Instruct on this machine" in capsys.readouterr().out
    assert kept_settings(fetched) == {"local": "small"}
    assert main(["ask", "Say yes.", "--max-tokens", "5"]) == 0
    said = capsys.readouterr()
    assert said.out.strip()
    assert "SmolLM2-135M-Instruct on this machine" in said.err
    assert "no neurons" in said.err
    assert main(["status"]) == 0
    assert "this machine (small)" in capsys.readouterr().out
    assert account.requests == ()
    assert main(["local", "off"]) == 0
    assert main(["ask", "Hi"]) == 0
    assert len(account.requests) == 1


def test_a_file_of_ones_own_answers(
    small_model: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Own-Model.Q4.gguf").symlink_to(small_model)
    monkeypatch.chdir(tmp_path)
    assert main(["local", "Own-Model.Q4.gguf"]) == 0
    assert kept_settings(home) == {"local": str(tmp_path / "Own-Model.Q4.gguf")}


def test_a_kernel_goes_local_and_back_and_leaves_no_process(
    fetched: Path, account: Standin
) -> None:
    with running_kernel(CFAI_HOME=str(fetched)) as kernel:
        kernel.run("%load_ext cfai_magics")
        assert "no account, no neurons" in kernel.run("%cfai local").text
        cell = kernel.run("%%cfai -o said --max-tokens 9\nHi")
        assert "SmolLM2-135M-Instruct on this machine · " in cell.text
        assert account.requests == ()
        pid = "get_ipython().magics_manager.registry['CfaiMagics'].session.route.server._process"
        kernel.run(f"process = {pid}")
        assert kernel.run("print(process.poll())").text == "None\n"
        assert "Workers AI again" in kernel.run("%cfai local off").text
        assert kernel.run("print(process.poll())").text == "0\n"
        kernel.run("%cfai local")
        kernel.run(f"process = {pid}")
        kernel.run("%unload_ext cfai_magics")
        assert kernel.run("print(process.poll())").text == "0\n"


def test_the_quickstart_runs_from_top_to_bottom_without_an_account(fetched: Path) -> None:
    notebook = nbformat.read(QUICKSTART, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs"
    assert fetched.exists()
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    asked = next(cell for cell in notebook.cells if cell.source.startswith("%%cfai"))
    answer, receipt = asked.outputs
    assert answer["data"]["text/markdown"].strip()
    assert "on this machine" in receipt["data"]["text/plain"]
    assert "error" not in json.dumps([cell.get("outputs") for cell in notebook.cells])
