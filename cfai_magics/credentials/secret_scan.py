"""Looks through a notebook file for secrets that must not be shared with it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadOption
from ..secret import Secret
from .secret_forms import token_in


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret in a notebook: where it stands, and what it is. The secret itself is not in it."""

    place: str
    what: str


def findings(path: Path, known: Sequence[tuple[str, Secret]] = ()) -> list[Finding]:
    """Return the secrets in a notebook: the known ones, each with its name, and all of their form.

    Raises BadOption where the file is no notebook.
    """
    found: dict[Finding, None] = {}
    for place, text in _texts(_notebook(path)):
        what = next((name for name, secret in known if secret.is_in(text)), "")
        if what or token_in(text):
            found[Finding(place, what or "what looks like an API token")] = None
    return list(found)


def _notebook(path: Path) -> dict[str, Any]:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadOption(f"{path} can't be read: {error.strerror}", "Check the path.") from None
    except (ValueError, RecursionError):
        notebook = None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise BadOption(f"{path} is no notebook of the present format", "Check the path.")
    return notebook


def _texts(notebook: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield all texts of a notebook, each with where it stands."""
    for number, cell in enumerate(notebook["cells"], start=1):
        cell = cell if isinstance(cell, dict) else {"source": cell}  # noqa: PLW2901 - made whole
        for part, value in cell.items():
            place = f"cell {number}" if part == "source" else f"cell {number}, {part}"
            yield from ((place, text) for text in _strings(value))
    others = {part: value for part, value in notebook.items() if part != "cells"}
    yield from (("the notebook's metadata", text) for text in _strings(others))


def _strings(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value; a list of lines is one text, as notebooks keep it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        yield "".join(value)
    elif isinstance(value, list):
        yield from (text for item in value for text in _strings(item))
    elif isinstance(value, dict):
        yield from value
        yield from (text for item in value.values() for text in _strings(item))
