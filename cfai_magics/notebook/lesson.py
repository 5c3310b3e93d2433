"""Reads a notebook file: which cells ask, what and how, and where its answers come from."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadOption, CfaiError
from ..values.provenance import MIME
from ..words import split_words

MAGIC = "%%cfai"


@dataclass(frozen=True, slots=True)
class AskingCell:
    """A cell that asks: its place among all cells, from 1 on, its options and its text.

    `options` is None where its line can't be read; `trouble` then says why.
    """

    number: int
    options: Namespace | None
    text: str
    trouble: str = ""


def asking_cells(path: Path, parser: ArgumentParser) -> list[AskingCell]:
    """Return the cells of a notebook that ask; BadOption where the file is no notebook."""
    return [
        _cell(number, source, parser)
        for number, source in _sources(path)
        if source.split(maxsplit=1)[:1] == [MAGIC]
    ]


def provenances(path: Path) -> list[dict[str, Any]]:
    """Return what the outputs of a notebook say of where they come from, in their order."""
    outputs = (o for cell in _cells(path) if isinstance(cell, dict) for o in _outputs(cell))
    found = (output.get("metadata") for output in outputs if isinstance(output, dict))
    told = (metadata.get(MIME) for metadata in found if isinstance(metadata, dict))
    return [each for one in told for each in _single(one) if isinstance(each, dict)]


def _single(told: Any) -> list[Any]:
    """Return what an output tells of its answers, one by one."""
    several = told.get("answers") if isinstance(told, dict) else None
    return several if isinstance(several, list) else [told]


def _outputs(cell: dict[str, Any]) -> list[Any]:
    listed = cell.get("outputs")
    return listed if isinstance(listed, list) else []


def _cell(number: int, source: str, parser: ArgumentParser) -> AskingCell:
    line, _, text = source.partition("\n")
    try:
        options = parser.parse_args(split_words(line.removeprefix(MAGIC)))
    except CfaiError as error:
        return AskingCell(number, None, text, error.cause)
    return AskingCell(number, options, text)


def _sources(path: Path) -> Iterator[tuple[int, str]]:
    for number, cell in enumerate(_cells(path), start=1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source") or ""
            yield number, source if isinstance(source, str) else "".join(map(str, source))


def _cells(path: Path) -> list[Any]:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        return list(notebook["cells"])
    except OSError as error:
        raise BadOption(f"{path} can't be read: {error.strerror}", "Check the path.") from None
    except (ValueError, KeyError, TypeError):
        raise BadOption(
            f"{path} is no notebook of the present format", "Open and save it in JupyterLab."
        ) from None
