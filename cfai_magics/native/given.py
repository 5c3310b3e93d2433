"""Owns what a cell gives a native task: its text, its lists of texts, the files that it names."""

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..asking.attachments import Wanted, attached, enclosed, held
from ..asking.door import Door
from ..errors import BadOption
from ..media.images import Image
from ..prompt.parts import Evaluate, question
from ..prompt.spelling import Limits, is_missing, spelled
from ..prompt.template import Field, evaluated, read

NO_FIELDS = {"stream": "--no-stream", "model": "-m", "messages": "-s"}


def parameters(options: Namespace) -> dict[str, Any]:
    """Return the fields that -p adds to a request; BadOption for what is none."""
    return dict(map(_parameter, options.param or ()))


def _parameter(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise BadOption(f"-p {text} is not K=V", "Write for example -p top_k=40.")
    if key in NO_FIELDS:
        raise BadOption(f"-p {key} is not taken", f"Use {NO_FIELDS[key]}.")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


@dataclass(frozen=True, slots=True)
class Given:
    """What a cell with --task gives; `fields` are those of -p."""

    door: Door
    prompt: str
    options: Namespace
    fields: Mapping[str, Any]

    @property
    def _evaluate(self) -> Evaluate | None:
        here = self.door.workspace
        return here.evaluate if here and not self.options.raw else None

    @property
    def _limits(self) -> Limits:
        settings = self.door.session.settings
        return Limits(settings.table_rows, settings.value_characters)

    @property
    def text(self) -> str:
        """The cell's text, its {{…}} filled."""
        asked = question(self.prompt, self._evaluate, self._limits)
        if any(part.image for part in asked.parts):
            raise BadOption("This task takes a text, and no image in {{…}}", "Use --image.")
        return "".join(part.text for part in asked.parts).strip()

    @property
    def texts(self) -> tuple[str, ...]:
        """A text a line; a {{list}} on a line of its own gives one an element."""
        found = [""]
        for piece in self._pieces():
            if not isinstance(piece, Field):
                first, *lines = piece.split("\n")
                found[-1] += first
                found += lines
                continue
            value = self._value(piece)
            several = elements(value)
            if several is None or found[-1].strip():
                found[-1] += spelled(value, self._limits).text
            else:
                found[-1:] = [*_each(piece.expression, several), ""]
        return tuple(text.strip() for text in found if text.strip())

    def _pieces(self) -> tuple[str | Field, ...]:
        return read(self.prompt).pieces if self._evaluate else (self.prompt,)

    def _value(self, field: Field) -> Any:
        if self._evaluate is None:
            return field.typed
        return evaluated(field, self._evaluate, lambda value: value)

    @property
    def images(self) -> tuple[Image, ...]:
        """The images that --image names."""
        here = self.door.workspace
        return tuple(attached(word, here) for word in self.options.image or ())

    def files(self, wanted: Wanted) -> tuple[tuple[str, bytes], ...]:
        """Return name and bytes of what each line names: a file, an address, a variable."""
        found = tuple(self._files(wanted))
        if not found:
            raise BadOption(f"{wanted.title}: nothing is named", wanted.hint)
        return found

    def _files(self, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
        for line in filter(str.strip, self.prompt.splitlines()):
            pieces = read(line.strip()).pieces
            if len(pieces) == 1 and isinstance(pieces[0], Field):
                yield held(pieces[0].expression, self._value(pieces[0]), wanted)
            else:
                yield enclosed(line.strip(), self.door.workspace, wanted)


def _each(name: str, items: Sequence[Any]) -> Iterator[str]:
    """Yield each item as text; BadOption for one without a value, which has no text to send."""
    for place, item in enumerate(items):
        if is_missing(item):
            raise BadOption(f"{name}: item {place} has no value", "Leave it out.")
        yield str(item)


def elements(value: Any) -> Sequence[Any] | None:
    """Return the elements of a list, a set, a one-dimensional array or a series; None else."""
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    shape = getattr(value, "shape", None)  # numpy, pandas, polars
    if isinstance(shape, tuple) and len(shape) == 1 and hasattr(value, "tolist"):
        return list(value.tolist())
    return list(value.to_list()) if hasattr(value, "to_list") and shape else None
