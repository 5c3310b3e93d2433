"""Owns what native tasks give: a reply in its raw form, and vectors, which are an array too."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import BadOption
from ..terminal import safe_line
from . import Standing, Usage
from .provenance import Origin, metadata_of
from .usage import Used


@dataclass(frozen=True, slots=True)
class RawResult(Used):
    """What a native task answered: JSON's `result`, or bytes with their content type.

    Exactly one of `result` and `content` is set. `notes`, `standing` and `origin` are as those of
    Answer.
    """

    result: Any = None
    content: bytes | None = None
    content_type: str = ""
    usage: Usage = field(default_factory=Usage)
    notes: tuple[str, ...] = ()
    standing: Standing | None = None
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True, slots=True, repr=False)
class Embeddings(Used):
    """Vectors in the order of the texts they were asked for.

    numpy takes it wherever it takes an array, and `array` is one. `notes` are lines about the
    call for its reader, `standing` is where the day stood after it; `origin` and `local` are as
    those of Answer.
    """

    model: str
    vectors: tuple[tuple[float, ...], ...]
    usage: Usage = field(default_factory=Usage)
    texts: tuple[str, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    standing: Standing | None = field(default=None, compare=False)
    origin: Origin = field(default_factory=Origin, compare=False)
    local: bool = field(default=False, compare=False)

    @property
    def finish(self) -> str:
        """Why it ended: vectors come whole or not at all."""
        return "stop"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/plain": repr(self)}, metadata_of(self)

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[tuple[float, ...]]:
        return iter(self.vectors)

    def __getitem__(self, place: int) -> tuple[float, ...]:
        return self.vectors[place]

    def __repr__(self) -> str:
        rows, columns = self.shape
        of = f"{rows:,} vector{'' if rows == 1 else 's'} of {columns:,} numbers"
        return f"<Embeddings: {of} by {safe_line(self.model.rpartition('/')[2])}; .array has them>"

    @property
    def shape(self) -> tuple[int, int]:
        """How many vectors of how many numbers."""
        return len(self.vectors), len(self.vectors[0]) if self.vectors else 0

    @property
    def array(self) -> Any:
        """The vectors as a numpy array, a row a text; BadOption where numpy is not installed."""
        return self.__array__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:  # noqa: FBT001 - numpy's
        try:
            import numpy as np
        except ImportError:
            raise BadOption(
                "An array is one of numpy, which is not installed",
                "Run %pip install numpy, or take .vectors.",
            ) from None
        return np.array(self.vectors, dtype=dtype or float).reshape(self.shape)

    def similarities(self) -> tuple[tuple[float, ...], ...]:
        """Return how near each is to each, as the cosine of their angle: 1 is the same way."""
        lengths = [math.hypot(*vector) or 1.0 for vector in self.vectors]
        units = [
            [number / length for number in vector]
            for vector, length in zip(self.vectors, lengths, strict=True)
        ]
        return tuple(tuple(_product(one, other) for other in units) for one in units)


def _product(one: list[float], other: list[float]) -> float:
    return sum(left * right for left, right in zip(one, other, strict=True))
