"""A question has the same request and fingerprint at every entry point."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbconvert import PythonExporter
from nbformat.v4 import new_code_cell, new_notebook

from cfai_magics.frontends import extension
from tests.standin import Standin

QUESTION = "What is a neuron?\n\n  One sentence."


@pytest.fixture
def loaded(shell: InteractiveShell, account: Standin) -> Iterator[InteractiveShell]:
    """Yield IPython with the extension and an account."""
    assert account.base_url
    extension.load(shell)
    yield shell
    extension.unload(shell)


def run_notebook(body: str, folder: Path) -> str:
    path = folder / "lesson.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(f"%%cfai\n{body}")]), path)
    return f"%run {path}"


def run_script(body: str, folder: Path) -> str:
    notebook = new_notebook(cells=[new_code_cell(f"%%cfai\n{body}")])
    path = folder / "lesson.py"
    path.write_text(PythonExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    return f"%run {path}"


def indented(body: str, _folder: Path) -> str:
    return "\n".join(f"  {line}" for line in f"%%cfai\n{body}".split("\n"))


Entry = Callable[[str, Path], str]  # body, folder → code
CELLS: dict[str, Entry] = {
    "a cell": lambda body, _: f"%%cfai\n{body}",
    "lines at the end": lambda body, _: f"%%cfai\n{body}\n \n\n",
    "Windows line ends": lambda body, _: f"%%cfai\n{body}".replace("\n", "\r\n"),
    "empty lines above": lambda body, _: f"\n\n%%cfai\n{body}",
    "an indented cell": indented,
    "%%time": lambda body, _: f"%%time\n%%cfai\n{body}",
    "%%capture": lambda body, _: f"%%capture\n%%cfai\n{body}",
    "%%timeit": lambda body, _: f"%%timeit -n1 -r1\n%%cfai\n{body}",
    "run_cell_magic": lambda body, _: f"get_ipython().run_cell_magic('cfai', '', {body!r})",
    "run_cell": lambda body, _: f"get_ipython().run_cell({f'%%cfai{chr(10)}{body}'!r})",
    "a function": lambda body, _: (
        f"def f():\n    get_ipython().run_cell_magic('cfai', '', {body!r})\nf()"
    ),
    "an expression": lambda body, _: f"q = {body!r}\n%cfai ask {{{{q}}}}",
    "%run lesson.ipynb": run_notebook,
    "an exported script": run_script,
}


def ask_in(shell: InteractiveShell, code: str) -> None:
    shell.run_cell(code, store_history=True).raise_error()


@pytest.mark.parametrize("entry", CELLS.values(), ids=CELLS)
def test_every_kind_of_cell_sends_the_same_body(
    loaded: InteractiveShell, account: Standin, tmp_path: Path, entry: Entry
) -> None:
    ask_in(loaded, entry(QUESTION, tmp_path))
    (request,) = account.requests
    assert request.json["messages"] == [{"role": "user", "content": QUESTION}]


@pytest.mark.parametrize("recorded", ["a cell", "%%time", "%run lesson.ipynb"])
def test_an_answer_recorded_in_one_kind_of_cell_replays_in_every_other(
    loaded: InteractiveShell, account: Standin, tmp_path: Path, recorded: str
) -> None:
    cassette = tmp_path / "lesson.cfai.jsonl"
    ask_in(loaded, f"%cfai replay auto {cassette}")
    ask_in(loaded, CELLS[recorded](QUESTION, tmp_path))
    ask_in(loaded, f"%cfai replay only {cassette} --instant")
    for entry in CELLS.values():
        del loaded.user_ns["_cfai"]
        ask_in(loaded, entry(QUESTION, tmp_path))
        assert loaded.user_ns["_cfai"].cost_basis == "replayed"
    assert len(account.requests) == 1


def test_a_cell_that_runs_again_from_the_history_replays(
    loaded: InteractiveShell, account: Standin, tmp_path: Path
) -> None:
    ask_in(loaded, f"%cfai replay auto {tmp_path / 'lesson.cfai.jsonl'}")
    ask_in(loaded, f"%%cfai\n{QUESTION}")
    ask_in(loaded, "%rerun 2")
    (request,) = account.requests
    assert request.json["messages"][-1]["content"] == QUESTION
    assert len({line["key"] for line in lines(tmp_path)}) == 1


def lines(folder: Path) -> list[dict[str, object]]:
    content = (folder / "lesson.cfai.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.parametrize("value", ["str()", "chr(32)"])
def test_a_prompt_whose_values_are_empty_is_not_sent(
    loaded: InteractiveShell, account: Standin, value: str
) -> None:
    result = loaded.run_cell(f"get_ipython().run_cell_magic('cfai', '', '{{{{{value}}}}}')")
    assert str(result.error_in_exec) == (
        "The prompt is empty. The values of its expressions contain no text."
    )
    assert account.requests == ()
