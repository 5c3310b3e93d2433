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
class Broken:
    __class__ = property(lambda self: 1 / 0)
    def __bool__(self): raise RuntimeError
    def __getattr__(self, name): raise RuntimeError(name)
broken, city_schema, number = Broken(), {"type": "object"}, 3
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


def completions_for(shell: InteractiveShell, line: str) -> dict[str, str]:
    completions = cfai_completions(shell, f"%%cfai {line}")
    return {each.text: each.type for each in completions}


@pytest.mark.parametrize(
    ("line", "expected"),
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
        ("--image no-such-folder/", []),
        ("--image ~no-such-user/", []),
    ],
)
def test_valid_names_and_files_of_an_option_are_completed(
    notebook: InteractiveShell, line: str, expected: list[str]
) -> None:
    assert list(completions_for(notebook, line)) == expected


def test_names_are_completed_with_their_kind_or_docstring(notebook: InteractiveShell) -> None:
    assert completions_for(notebook, "--tools w") == {
        "weather": "Return the forecast.",
        "wind": "function",
    }
    assert completions_for(notebook, "--schema C") == {"City": "pydantic model"}
    assert completions_for(notebook, "--image p") == {"photo": "Image", "plot.png": "file"}


def test_an_answer_with_an_image_is_completed_for_image(notebook: InteractiveShell) -> None:
    photo = notebook.user_ns["photo"]
    notebook.user_ns.update(drawn=Answer("m", parsed=photo), draft=Answer("m", "Yes."))
    assert completions_for(notebook, "--image dr") == {"drawn": "Answer"}
