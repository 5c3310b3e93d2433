"""Test `--context above` in a real kernel, in a terminal and in a shell."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cfai_magics import ask
from cfai_magics.cli import main
from cfai_magics.errors import InvalidOptionError
from cfai_magics.prompt.cell_context import INTRODUCTION
from tests.canaries import class_key, token
from tests.kernels import Kernel, running_kernel
from tests.standin import Standin

pytestmark = pytest.mark.slow

QUESTION = "%%cfai --context above\nWhat is x?"
TEXT_MODEL = "llama-3.2-1b-instruct"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lesson.ipynb"


@pytest.fixture
def kernel(account: Standin, path: Path) -> Iterator[Kernel]:
    account.switch(answer="It is a number.")
    with running_kernel(JPY_SESSION_NAME=str(path)) as started:
        started.run("%load_ext cfai_magics")
        yield started


def sent(account: Standin) -> Any:
    return account.requests[-1].json["messages"][-1]["content"]


def cells_sent(account: Standin) -> list[str]:
    """Return the cells above in the last request, each without its tags."""
    content = sent(account)
    text = content if isinstance(content, str) else "".join(p.get("text", "") for p in content)
    assert text.startswith(f"{INTRODUCTION}<cell>\n")
    cells = text.removeprefix(INTRODUCTION).removeprefix("<cell>\n").split("\n</cell>\n\n<cell>\n")
    last, end, _question = cells[-1].rpartition("\n</cell>\n\n")
    assert end
    return [*cells[:-1], last]


def output(source: str, *texts: str) -> str:
    return source + "".join(f"\n<output>\n{text}\n</output>" for text in texts)


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("print('printed', 1)", ["printed 1"]),
        ("import sys; print('warning', file=sys.stderr)", ["warning"]),
        ("print('a'); display('b'); print('c'); 'd'", ["a", "'b'", "c", "'d'"]),
        ("'not shown';", []),
        ("for i in range(3): print(f'\\r{i}', end='')", ["2"]),
        ("!echo from a program", ["from a program"]),
        ("from IPython.display import Markdown; Markdown('*m*')", ["*m*"]),
        ("from IPython.display import HTML; HTML('<b>h</b>')", []),
        ("h = display('old', display_id=True); h.update('new')", ["'new'"]),
        ("%%capture\nprint('captured'); display('captured')", []),
        ("import io, contextlib as c\nwith c.redirect_stdout(io.StringIO()): print('away')", []),
        ("import asyncio\nawait asyncio.sleep(0)\nprint('awaited')", ["awaited"]),
    ],
    ids=lambda value: value.split("(")[0][:30] if isinstance(value, str) else None,
)
def test_the_source_is_sent_with_the_texts_that_it_showed(
    kernel: Kernel, account: Standin, source: str, texts: list[str]
) -> None:
    kernel.run(source)
    assert kernel.run(QUESTION).ename == ""
    assert cells_sent(account) == [output(source, *texts)]
    assert sent(account).endswith("</cell>\n\nWhat is x?")


def test_a_traceback_is_sent_without_numbers_of_cells(kernel: Kernel, account: Standin) -> None:
    kernel.run("def f():\n    return 1 / 0")
    kernel.run("f()")
    kernel.run(QUESTION)
    failed = cells_sent(account)[1]
    assert failed.startswith(
        'f()\n<output>\nTraceback (most recent call last):\n  File "a cell", '
    )
    assert failed.endswith("ZeroDivisionError: division by zero\n</output>")
    assert "In[" not in failed
    assert "\x1b" not in failed


def test_an_answer_is_sent_without_its_footer(kernel: Kernel, account: Standin) -> None:
    account.switch(answer="Blue *scatters*.")
    kernel.run("%%cfai\nWhy is the sky blue?")
    kernel.run("%%cfai -n 2\nWhy?")
    kernel.run("from cfai_magics import ask\nask('Why, really?')")
    kernel.run(QUESTION)
    assert cells_sent(account) == [
        output("%%cfai\nWhy is the sky blue?", "Blue *scatters*."),
        output("%%cfai -n 2\nWhy?", "Blue *scatters*.\n\nBlue *scatters*."),
        output("from cfai_magics import ask\nask('Why, really?')", "Blue *scatters*."),
    ]


def test_commands_and_questions_without_an_answer_are_left_out(
    kernel: Kernel, account: Standin
) -> None:
    kernel.run("x = 1")
    kernel.run("%cfai status")
    kernel.run("# setup\n%config Cfai.footer = 'short'\n%cfai use gemma-4-26b-a4b-it")
    kernel.run("%%cfai --dry-run\nHi")
    kernel.run("%%cfai --no-such-option\nHi")
    kernel.run("\n")
    kernel.run(QUESTION)
    assert cells_sent(account) == ["x = 1"]


PLOT = "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);"


def test_images_are_sent_to_models_that_can_see_them(kernel: Kernel, account: Standin) -> None:
    kernel.run(PLOT)
    kernel.run(QUESTION)
    kinds = [part["type"] for part in sent(account)]
    assert kinds == ["text", "text", "image_url", "text"]
    assert sent(account)[2]["image_url"]["url"].startswith("data:image/png;base64,")
    cell = kernel.run(f"%%cfai --context above -m {TEXT_MODEL}\nWhat is x?")
    assert cells_sent(account)[0] == PLOT
    assert isinstance(sent(account), str)
    assert "An image in the cells above was not sent: the model can't see images." in cell.text
    kernel.run(f"%%cfai --context above -m {TEXT_MODEL} -m gemma-4-26b-a4b-it\nWhat is x?")
    assert all(
        isinstance(request.json["messages"][-1]["content"], str)
        for request in account.requests[-2:]
    )


def test_a_cell_that_runs_again_keeps_its_place(kernel: Kernel, account: Standin) -> None:
    kernel.run("x = 1", "a")
    kernel.run("y = 2", "b")
    kernel.run(QUESTION, "question")
    kernel.run("z = 3", "c")
    kernel.run("x = 10", "a")
    kernel.run(QUESTION, "question")
    assert cells_sent(account) == ["x = 10", "y = 2"]
    kernel.run(QUESTION, "new")
    assert cells_sent(account) == ["x = 10", "y = 2", output(QUESTION, "It is a number."), "z = 3"]


def test_the_saved_notebook_has_the_order_of_the_cells(
    kernel: Kernel, account: Standin, path: Path
) -> None:
    cells = [
        new_code_cell("x = 1", id="a"),
        new_markdown_cell("Text", id="text"),
        new_code_cell("y = 2", id="b"),
        new_code_cell(QUESTION, id="question"),
        new_code_cell("z = 3", id="c"),
    ]
    nbformat.write(new_notebook(cells=cells), path)
    for cell in (cells[4], cells[2], cells[0], cells[3]):
        kernel.run(cell.source, cell.id)
    assert cells_sent(account) == ["x = 1", "y = 2"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"cells": [1, {"id": 5}, {"id": []}]}'])
def test_a_notebook_that_is_not_valid_is_ignored(
    kernel: Kernel, account: Standin, path: Path, content: str
) -> None:
    path.write_text(content)
    kernel.run("x = 1", "a")
    assert kernel.run(QUESTION, "question").ename == ""
    assert cells_sent(account) == ["x = 1"]


def test_the_answer_has_the_number_of_cells_and_their_cost(
    kernel: Kernel, account: Standin
) -> None:
    kernel.run("x = 1")
    kernel.run("x + 1")
    html = kernel.run(QUESTION).html
    assert "2 cells above sent: about " in html
    assert "neurons." in html
    cell = kernel.run("%%cfai --context above:45\nWhat is x?")
    assert "1 cell above sent: about " in cell.html
    assert "The oldest 2 cells above were not sent: the limit is 45 tokens" in cell.text


@pytest.mark.parametrize("make_token", [token, class_key])
def test_a_dry_run_and_sent_show_the_cells_with_their_cost(
    kernel: Kernel, account: Standin, make_token: Callable[[], str]
) -> None:
    secret = make_token()
    kernel.run(f"print('{secret}')")
    cell = kernel.run("%%cfai --context above --dry-run\nWhat is x?")
    assert account.requests == ()
    assert secret not in repr(cell.outputs)
    request, _, table = cell.text.partition("\n\n")
    assert json.loads(request)["messages"][0]["content"].startswith(INTRODUCTION)
    assert "cells above  " in table
    assert "Secrets in the cells above were replaced before sending." in table
    kernel.run(QUESTION)
    assert secret not in account.requests[-1].body_bytes.decode()
    sent_table = kernel.run("%cfai sent").text
    assert "cells above  In[2]: <cell> print('[secret]') <output> " in sent_table


def test_nothing_is_sent_without_cells_or_if_the_newest_does_not_fit(
    kernel: Kernel, account: Standin
) -> None:
    cell = kernel.run(QUESTION)
    assert cell.ename == "InvalidOptionError"
    assert "no cell above has run in this kernel" in cell.traceback[-1]
    kernel.run("print('long ' * 500)")
    cell = kernel.run("%%cfai --context above:100\nWhat is x?")
    assert "In[3] has about 656 tokens, and the limit is 100." in cell.traceback[-1]
    assert account.requests == ()
    limit = cell.traceback[-1].partition("--context above:")[2].split()[0]
    assert kernel.run(f"%%cfai --context above:{limit}\nWhat is x?").ename == ""


@pytest.mark.parametrize(
    "value", ["below", "above:", "above:0", "above:-1", "above:x", "above:1.5"]
)
def test_another_value_is_an_error(kernel: Kernel, account: Standin, value: str) -> None:
    kernel.run("x = 1")
    cell = kernel.run(f"%%cfai --context {value}\nWhat is x?")
    assert (
        f"'{value}' is not above or above:N, where N is a number of tokens" in cell.traceback[-1]
    )
    assert account.requests == ()


def test_a_thread_does_not_keep_the_cells_above(kernel: Kernel, account: Standin) -> None:
    kernel.run("x = 1", "a")
    kernel.run("%%cfai --context above -c\nWhat is x?", "b")
    kernel.run("%%cfai -c\nAnd twice that?", "c")
    contents = [message["content"] for message in account.requests[-1].json["messages"]]
    assert contents == ["What is x?", "It is a number.", "And twice that?"]


def test_cells_that_a_cell_runs_belong_to_it(kernel: Kernel, account: Standin, path: Path) -> None:
    nbformat.write(new_notebook(cells=[new_code_cell("print(1)")]), path)
    kernel.run("%run lesson.ipynb")
    kernel.run("get_ipython().run_cell('print(2)');")
    kernel.run(QUESTION)
    assert cells_sent(account) == [
        output("%run lesson.ipynb", "1"),
        output("get_ipython().run_cell('print(2)');", "2"),
    ]


LESSON = (
    "%load_ext cfai_magics",
    "%cfai replay only",
    "x = [object(), 1]\nx",
    "def f(): return 1 / 0",
    "import sys; print('careful', file=sys.stderr)",
    PLOT,
    "%%cfai\nWhy?",
    QUESTION,
)


def test_a_recording_is_replayed_in_another_front_end(
    kernel: Kernel, account: Standin, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [new_code_cell(source) for source in LESSON]
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Lesson"), *cells]), path)
    kernel.run("%cfai replay auto")
    for cell in cells[2:]:
        kernel.run(cell.source, cell.id)
    kernel.run("%cfai replay off")
    notebook = nbformat.read(path, as_version=4)
    cells[1].source = "%cfai replay only"
    for name in account.environ():
        monkeypatch.delenv(name)
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    NotebookClient(notebook, timeout=120).execute()
    answer, footer = notebook.cells[-1].outputs
    assert answer.data["text/markdown"] == "It is a number."
    assert "replayed" in footer.data["text/plain"]


def test_a_changed_output_asks_again(kernel: Kernel, account: Standin, path: Path) -> None:
    nbformat.write(new_notebook(), path)
    kernel.run("%cfai replay auto")
    kernel.run("print(1)", "a")
    kernel.run(QUESTION, "b")
    kernel.run(QUESTION, "b")
    assert len(account.requests) == 1
    kernel.run("print(2)", "a")
    kernel.run(QUESTION, "b")
    assert len(account.requests) == 2


def test_a_shell_has_no_cells(account: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--context", "above", "Hi"]) != 0
    message = "--context works only in a notebook or in IPython.\nLeave out --context."
    assert message in capsys.readouterr().err
    assert account.requests == ()


def test_python_has_no_cells(own_session: None, account: Standin) -> None:
    with pytest.raises(InvalidOptionError, match=r"ask\(\) does not accept the argument context"):
        ask("Hi", context="above")  # type: ignore[call-arg]
    assert account.requests == ()
