"""Test completion of names in the notebook, and of files next to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from cfai_magics.types.messages import Answer
from tests.frontends.conftest import cfai_completions

NOTEBOOK = """
import PIL.Image, pydantic
from pydantic import BaseModel
def weather(town):
    '''Return the forecast.

    For a town.'''
def wind(town): ...
async def waits(): ...
class City(BaseModel):
    name: str
class Odd:
    __class__ = property(lambda self: 1 / 0)
    def __bool__(self): raise RuntimeError
    def __getattr__(self, name): raise RuntimeError(name)
odd, city_schema, number = Odd(), {"type": "object"}, 3
photo = PIL.Image.new("RGB", (1, 1))
"""
FILES = ("a plot.png", "plot.png", "city.json", "notes.txt", ".hidden.png", "data/x.JPG")


@pytest.fixture
def notebook(
    shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InteractiveShell]:
    folder = tmp_path / "lesson"
    (folder / "data").mkdir(parents=True)
    for name in FILES:
        (folder / name).touch()
    monkeypatch.chdir(folder)
    shell.run_line_magic("load_ext", "cfai_magics")
    shell.run_cell(NOTEBOOK).raise_error()
    yield shell
    shell.run_line_magic("unload_ext", "cfai_magics")


def offered(shell: InteractiveShell, line: str) -> dict[str, str]:
    ours = cfai_completions(shell, f"%%cfai {line}")
    return {each.text: each.type.replace("\N{NO-BREAK SPACE}", " ") for each in ours}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("--tools ", ["weather", "wind"]),
        ("--tools=we", ["weather"]),
        ("--tools weather,", ["weather,wind"]),
        ("--tools weather,w", ["weather,wind"]),
        ("--schema ", ["City", "city_schema", "city.json", "data/"]),
        ("--schema c", ["city_schema", "city.json"]),
        ("--image ", ["photo", "last", '"a plot.png"', "data/", "plot.png"]),
        ("--image p", ["photo", "plot.png"]),
        ("--image .h", [".hidden.png"]),
        ("--image data/", ["data/x.JPG"]),
        ("--image ./p", ["./plot.png"]),
        ("--image nowhere/", []),
        ("--image ~nobody-of-that-name/", []),
    ],
)
def test_what_an_option_takes_is_offered(
    notebook: InteractiveShell, line: str, wanted: list[str]
) -> None:
    assert list(offered(notebook, line)) == wanted


def test_beside_it_stands_what_it_is(notebook: InteractiveShell) -> None:
    assert offered(notebook, "--tools w") == {
        "weather": "Return the forecast.",
        "wind": "function",
    }
    assert offered(notebook, "--schema C") == {"City": "pydantic model"}
    assert offered(notebook, "--image p") == {"photo": "Image", "plot.png": "file"}


def test_an_answer_is_a_picture_where_it_holds_one(notebook: InteractiveShell) -> None:
    photo = notebook.user_ns["photo"]
    notebook.user_ns.update(drawn=Answer("m", parsed=photo), draft=Answer("m", "Yes."))
    assert offered(notebook, "--image dr") == {"drawn": "Answer"}
