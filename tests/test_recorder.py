"""Test the recorder: lessons are recorded from the models that tags name, in a real kernel."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from cfai_magics.errors import InvalidOptionError
from cfai_magics.replay.cassette import Cassette
from cfai_magics.replay.interaction import Interaction
from notebooks.recorder.model_server import ModelServer, decode_images, group_into_lines
from notebooks.recorder.record import record

pytestmark = pytest.mark.slow


class Eyes:
    """A fake vision model that answers with the number of bytes of each image."""

    name, vision, path = "eyes", True, "/v1/chat/completions"

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        text = " ".join(str(len(data)) for data in decode_images(request["messages"]))
        key = "delta" if request.get("stream") else "message"
        return {"choices": [{"index": 0, key: {"content": text}, "finish_reason": "stop"}]}


class Vectors:
    """A fake embedding model: the vector of a text is its length."""

    name, vision, path = "vectors", False, "/v1/embeddings"

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        data = [{"index": n, "embedding": [len(text)]} for n, text in enumerate(request["input"])]
        return {"data": data, "usage": {"prompt_tokens": 7}}


MODELS = {"eyes": Eyes, "vectors": Vectors}
SEEN = "%%cfai --image dot.png -o seen\nWhat is this?"
KNOWN = "from cfai_magics import embed; assert embed(['four']).vectors == ((4.0,),)"
SMALL = "%%cfai -t 0 --max-tokens 4\nHello"


@pytest.fixture
def folder(tmp_path: Path, home: Path, small_model: Path) -> Path:
    """A folder with an image; the small model is in its home folder."""
    (home / "models").mkdir(parents=True)
    (home / "models" / small_model.name).symlink_to(small_model)
    Image.new("L", (9, 9)).save(tmp_path / "dot.png")
    return tmp_path


def lesson(folder: Path, *cells: tuple[str, str]) -> Path:
    path = folder / "lesson.ipynb"
    made = [
        new_code_cell(code, metadata={"tags": [f"answered-by:{name}"] if name else []})
        for name, code in (("", "%load_ext cfai_magics"), *cells)
    ]
    nbformat.write(new_notebook(cells=made), path)
    return path


def records(path: Path, folder: Path) -> list[Interaction]:
    contents = Cassette(path, folder / "locks").contents()
    assert not contents.corruption_notes
    return list(contents.interactions)


def test_each_cell_is_answered_by_the_model_in_its_tag(folder: Path) -> None:
    path = lesson(folder, ("eyes", SEEN), ("", SMALL), ("vectors", KNOWN))
    before = path.read_bytes()
    found = {
        each.request.local_model: each for each in records(record(path, models=MODELS), folder)
    }
    assert set(found) == {"eyes", "vectors", "SmolLM2-135M-Instruct"}
    assert found["eyes"].request.model == "@cf/google/gemma-4-26b-a4b-it"
    assert "".join(found["eyes"].reasoning_and_text) == str((folder / "dot.png").stat().st_size)
    assert found["vectors"].request.model == "@cf/baai/bge-m3"
    assert found["vectors"].usage.prompt_tokens == 7
    assert path.read_bytes() == before


def test_recorded_answers_are_kept_unless_all_are_recorded_again(folder: Path) -> None:
    made = record(lesson(folder, ("eyes", SEEN)), models=MODELS)
    (first,) = records(made, folder)
    Image.new("L", (90, 9)).save(folder / "dot.png")
    assert len(records(record(made.with_name("lesson.ipynb"), models=MODELS), folder)) == 2
    (only,) = records(
        record(made.with_name("lesson.ipynb"), record_all=True, models=MODELS), folder
    )
    assert only.request.fingerprint != first.request.fingerprint


def test_a_failing_cell_leaves_the_recording_unchanged(folder: Path) -> None:
    made = record(lesson(folder, ("eyes", SEEN)), models=MODELS)
    before = made.read_bytes()
    failing = lesson(folder, ("eyes", SEEN.replace("this", "that")), ("vectors", SMALL))
    with pytest.raises(CellExecutionError, match="vectors only supports /v1/embeddings"):
        record(failing, models=MODELS)
    assert made.read_bytes() == before


def test_the_small_model_rejects_images(folder: Path) -> None:
    path = lesson(folder, ("", SEEN))
    with pytest.raises(CellExecutionError, match=r"SmolLM2-135M-Instruct can.t"):
        record(path, models=MODELS)


def test_an_unknown_model_is_an_error_before_any_cell_runs(folder: Path) -> None:
    path = lesson(folder, ("ears", SEEN))
    with pytest.raises(InvalidOptionError, match=r"(?s)unknown model: ears.*eyes, vectors"):
        record(path, models=MODELS)
    assert sorted(each.name for each in folder.iterdir()) == ["dot.png", "home", "lesson.ipynb"]


def test_the_server_rejects_a_wrong_key() -> None:
    with ModelServer(Eyes()) as server:
        address = f"{server.base_url}/chat/completions"
        reply = httpx.post(address, json={"messages": []}, headers={"Authorization": "Bearer x"})
    assert reply.status_code == 401


def box(left: float, top: float, height: float = 20) -> list[list[float]]:
    right, bottom = left + 50, top + height
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def test_texts_at_the_same_height_are_joined_into_a_line() -> None:
    pieces = [
        (box(200, 104), "Room"),
        (box(10, 10, 40), "Title"),
        (box(10, 100), "Time"),
        (box(10, 130), "09:00"),
        (box(200, 127), "C12"),
    ]
    assert group_into_lines(pieces) == ["Title", "Time Room", "09:00 C12"]
    assert group_into_lines([]) == []
