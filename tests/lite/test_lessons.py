"""A site has each lesson in its own folder, with the files that it needs."""

import json
from pathlib import Path

import pytest

from cfai_magics.errors import InvalidOptionError
from cfai_magics.lite.lessons import copy_lessons, read_lessons


def write_notebook(path: Path, *cells: str, markdown: str = "") -> Path:
    sources = [("markdown", markdown), *(("code", cell) for cell in cells)]
    content = {"cells": [{"cell_type": kind, "source": [source]} for kind, source in sources]}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_lesson_is_copied_with_its_recording_and_the_files_it_names(tmp_path: Path) -> None:
    lesson = write_notebook(
        tmp_path / "cats.ipynb", "%%cfai --image cat.png\nName it", markdown="See table.csv"
    )
    for name in ("cats.cfai.jsonl", "dogs.cfai.jsonl", "cat.png", "dog.png", "table.csv"):
        (tmp_path / name).write_text(name)
    copy_lessons(read_lessons([lesson]), tmp_path / "files")
    assert names(tmp_path / "files" / "cats") == [
        *("cat.png", "cats.cfai.jsonl", "cats.ipynb", "table.csv")
    ]


def test_the_course_file_of_a_parent_folder_and_its_recording_are_copied(tmp_path: Path) -> None:
    (tmp_path / "cfai.toml").write_text('recording = "only"\n')
    (tmp_path / "week1").mkdir()
    lesson = write_notebook(tmp_path / "week1" / "cats.ipynb", "%%cfai\nHello")
    copy_lessons(read_lessons([lesson]), tmp_path / "files")
    assert names(tmp_path / "files") == ["cats/cats.ipynb", "cats/cfai.toml"]


def test_imports_are_found_in_code_cells_only(tmp_path: Path) -> None:
    cells = ("import numpy as np\nfrom pandas import DataFrame", "%%cfai\nimport openai is code")
    lesson = write_notebook(tmp_path / "a.ipynb", *cells, markdown="from torch")
    assert read_lessons([lesson])[0].modules == {"numpy", "pandas"}


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"cells": [{}]}', '{"cells": 1}'])
def test_a_damaged_notebook_is_rejected(tmp_path: Path, content: str) -> None:
    path = tmp_path / "lesson.ipynb"
    path.write_text(content)
    with pytest.raises(InvalidOptionError, match="not a notebook"):
        read_lessons([path])


@pytest.mark.parametrize("name", ["missing.ipynb", "cfai.toml", "."])
def test_other_paths_are_rejected(tmp_path: Path, name: str) -> None:
    (tmp_path / "cfai.toml").touch()
    with pytest.raises(InvalidOptionError, match="not a notebook"):
        read_lessons([tmp_path / name])


def test_two_lessons_with_one_name_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    paths = [tmp_path / "a.ipynb", tmp_path / "b" / "a.ipynb"]
    with pytest.raises(InvalidOptionError, match="Two lessons have the name"):
        read_lessons([write_notebook(path) for path in paths])


def test_an_invalid_course_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "cfai.toml").write_text('server = "https://example.org"\n')
    with pytest.raises(InvalidOptionError, match="server is not allowed"):
        read_lessons([write_notebook(tmp_path / "a.ipynb")])
