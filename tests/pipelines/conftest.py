"""A lesson with a recording, and a function that runs commands as a teacher does."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from tests.pipelines.page import blocks, to_notebook
from tests.standin import Standin

START = "The notebook and its recording"
ANSWER = "Air scatters **blue** light."
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(cloudflare: Standin, tmp_path: Path) -> Run:
    """Return a function that runs commands in a folder, with an account and its token.

    So a request that a replay sends reaches the stand-in, which counts it.
    """
    environ = {
        **os.environ,
        **cloudflare.environ(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "jupyter"),
    }
    environ.pop("COVERAGE_PROCESS_START", None)

    def run(
        commands: str, folder: Path, *, setup: str = "", check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            ["bash", "-ec", setup + commands],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def replay() -> str:
    """Return the commands that set the record mode for all tools."""
    (commands,) = blocks(START, "sh")
    return commands


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """Return a folder with a notebook and cfai.toml, without a recording."""
    folder = tmp_path / "lesson"
    folder.mkdir()
    nbformat.write(to_notebook(blocks(START, "python")[0]), folder / "ps1.ipynb")
    (folder / "cfai.toml").write_text(blocks(START, "toml")[0], encoding="utf-8")
    return folder


@pytest.fixture
def recorded(lesson: Path, run: Run, cloudflare: Standin) -> Iterator[Path]:
    """Yield the folder with its recording. The test must not send a request."""
    cloudflare.switch(answer=ANSWER)
    run("jupyter execute ps1.ipynb", lesson)
    assert (lesson / "ps1.cfai.jsonl").is_file()
    sent = len(cloudflare.requests)
    assert sent == 1
    yield lesson
    assert len(cloudflare.requests) == sent
