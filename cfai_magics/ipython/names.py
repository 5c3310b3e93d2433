"""Owns which names and files of a notebook Tab offers for an option, by their types alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import iscoroutinefunction
from pathlib import Path
from types import FunctionType
from typing import Any

Names = Mapping[str, Any]
Found = Iterator[tuple[str, str]]  # what to put where the cursor is, and what is shown beside it

SCHEMAS = (".json",)
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


def functions(names: Names, word: str) -> Found:
    """Return the functions, after those that stand before the last comma."""
    before, comma, _ = word.rpartition(",")
    for name, value in names.items():
        if type(value) is FunctionType and not iscoroutinefunction(value):
            told = str(value.__doc__ or "function").strip().partition("\n")[0]
            if name not in before.split(","):
                yield f"{before}{comma}{name}", told


def schemas(names: Names, word: str) -> Found:
    """Return what may hold a JSON Schema: pydantic models, dicts and JSON files."""
    for name, value in names.items():
        if issubclass(type(value), dict):
            yield name, "dict"
        elif issubclass(type(value), type) and _is_model(value):
            yield name, "pydantic model"
    yield from _files(word, SCHEMAS)


def _is_model(kind: type) -> bool:
    return hasattr(kind, "model_json_schema") and kind.__module__.partition(".")[0] != "pydantic"


def pictures(names: Names, word: str) -> Found:
    """Return what --image takes: variables with a picture, the last one shown, image files."""
    from ..media.images import is_picture
    from ..values import Answer

    for name, value in names.items():
        if is_picture(value.parsed if type(value) is Answer else value):
            yield name, type(value).__name__
    yield "last", "the figure shown last"
    yield from _files(word, IMAGES)


def _files(word: str, endings: Iterable[str]) -> Found:
    """Return the files with such an ending, and folders, where the word begins to lead to."""
    typed, slash, start = word.rpartition("/")
    try:
        entries = sorted(Path(f"{typed}{slash}" or ".").expanduser().iterdir())
    except (OSError, RuntimeError):  # RuntimeError: nobody of that name has a home
        return
    for path in entries:
        is_folder = path.is_dir()
        if path.name.startswith(".") > start.startswith("."):
            continue
        if is_folder or path.suffix.lower() in endings:
            text = f"{typed}{slash}{path.name}{'/' * is_folder}"
            yield f'"{text}"' if " " in text else text, "folder" if is_folder else "file"


BY_FLAG: Mapping[str, Callable[[Names, str], Found]] = {
    "--tools": functions,
    "--schema": schemas,
    "--image": pictures,
}
