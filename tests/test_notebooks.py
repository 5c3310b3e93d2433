"""Every notebook runs with only its recording, and contains the outputs of such a run."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from cfai_magics.replay.cassette import Cassette
from cfai_magics.replay.interaction import Interaction
from cfai_magics.secret_patterns import contains_token
from notebooks.recorder.outputs import CHINESE_SUFFIX, replay, save_outputs, summarize_outputs
from tests.notebooks import NOTEBOOKS, code_cells, recording, unexpected

pytestmark = pytest.mark.slow

UPDATE = "Run `make lessons` to save the new outputs."

TRANSLATIONS = [path for path in NOTEBOOKS if path.stem.endswith(CHINESE_SUFFIX)]

NUMBER = re.compile(r"\d[\d,]*\d(?:\.\d+)?|\d(?:\.\d+)?")
LITERALS = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)", re.DOTALL)  # code and addresses
FIRST_QUESTION = re.compile(r"^%%cfai|\b(?:embed|create)\(", re.MULTILINE)
SCREEN_LINES = 28  # of text and code on a screen of 1,080 pixels
SMALL = 12  # smaller whole numbers count steps, words and questions
FACTS = {  # numbers that no cell shows, with their source
    "10,000": "free neurons per day, FREE_DAILY_NEURONS",
    "1,000": "the unit of prices",
    "300": "chat requests per minute, Cloudflare's limit",
    "93": "megabytes of the small model's download",
    "150": "kilobytes of an image that is sent unchanged",
    "4,000": "the width of an example",
    "3,000": "the height of an example",
    "15,444": "tokens of the example: 4,000 x 3,000 pixels / 777",
    "1,500": "estimated tokens of an image of unknown size",
    "0.66": "cosine of cat and bank, measured with SmolLM2",
    "0.89": "cosine of cat and kitten, measured with SmolLM2",
    "0.6": "an example of a threshold",
    "1.1": "neurons per 1,000 tokens of bge-m3 in the price list",
    "0.011": "US dollars per 1,000 neurons, Cloudflare's price",
}

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def records(path: Path, locks: Path) -> tuple[Interaction, ...]:
    contents = Cassette(recording(path), locks).contents()
    assert not contents.corruption_notes
    return tuple(contents.interactions)


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 9


def code_numbers(cell: nbformat.NotebookNode) -> Iterator[float]:
    """Yield the numbers in a code cell and in the plain text of its outputs."""
    outputs = [
        output.get("text", output.get("data", {}).get("text/plain", "")) for output in cell.outputs
    ]
    for text in (cell.source, *outputs):
        yield from map(to_float, NUMBER.findall(text))


def to_float(number: str) -> float:
    return float(number.replace(",", ""))


@each_notebook
def test_a_notebook_runs_offline_and_gives_its_saved_outputs(path: Path) -> None:
    replayed = replay(path)
    assert not unexpected(replayed)
    saved = nbformat.read(path, as_version=4)
    for saved_cell, cell in zip(code_cells(saved), code_cells(replayed), strict=True):
        assert summarize_outputs(saved_cell) == summarize_outputs(cell), UPDATE


@each_notebook
def test_a_notebook_contains_no_paths_or_tokens(path: Path, home: Path) -> None:
    for file in (path, recording(path)):
        text = file.read_text(encoding="utf-8")
        assert not contains_token(text)
        assert not [prefix for prefix in ("/home/", "/root/", "/tmp/", "C:\\\\") if prefix in text]
    assert all(record.request.local_model for record in records(path, home / "locks"))


@each_notebook
def test_numbers_in_the_text_are_in_a_cell_or_its_outputs(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    shown = {number for cell in cells if cell.cell_type == "code" for number in code_numbers(cell)}
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    unknown = []
    for number in NUMBER.findall(LITERALS.sub("", text)):
        decimals = len(number.partition(".")[2])
        value = to_float(number)
        is_shown = any(round(each, decimals) == value for each in shown)
        if not (is_shown or number in FACTS or (number.isdecimal() and value <= SMALL)):
            unknown.append(number)
    assert unknown == []


@each_notebook
def test_the_first_question_is_on_the_first_screen(path: Path) -> None:
    lines = 0
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and FIRST_QUESTION.search(cell.source):
            break
        lines += cell.source.count("\n") + 2  # with the space below a cell
    assert lines <= SCREEN_LINES


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.stem)
def test_a_translated_lesson_has_the_cells_and_questions_of_the_original(path: Path) -> None:
    original = path.with_name(path.name.replace(CHINESE_SUFFIX, ""))
    cells, original_cells = (nbformat.read(each, as_version=4).cells for each in (path, original))
    assert [(cell.id, cell.cell_type) for cell in cells] == [
        (cell.id, cell.cell_type) for cell in original_cells
    ]
    for cell, original_cell in zip(cells, original_cells, strict=True):
        source = cell.source if cell.cell_type == "code" else ""
        if source.startswith("%") and "--dry-run" not in source:
            assert source == original_cell.source
    links = (f"[English]({original.name})", f"[简体中文]({path.name})")
    assert links[0] in cells[0].source
    assert links[1] in original_cells[0].source


def test_a_replayed_answer_names_its_local_model() -> None:
    path = next(path for path in NOTEBOOKS if path.stem == "what-a-neuron-is")
    question = next(
        cell
        for cell in code_cells(nbformat.read(path, as_version=4))
        if "-o answer" in cell.source
    )
    _answer, footer = question.outputs
    assert "(local)" in footer["data"]["text/plain"]
    assert "replayed" in footer["data"]["text/plain"]


def test_outputs_that_differ_only_in_the_time_are_kept(tmp_path: Path) -> None:
    lesson = tmp_path / "lesson.ipynb"
    source = NOTEBOOKS[0].with_name("what-a-neuron-is.ipynb")
    shutil.copy(recording(source), recording(lesson))
    shutil.copy(source, lesson)
    assert not save_outputs(lesson)
    notebook = nbformat.read(lesson, as_version=4)
    question = next(cell for cell in code_cells(notebook) if "-o answer" in cell.source)
    question.outputs.pop()
    nbformat.write(notebook, lesson)
    assert save_outputs(lesson)
    assert len(code_cells(nbformat.read(lesson, as_version=4))[3].outputs) == 2
