"""Types for task results and embeddings."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InvalidOptionError, SetupError
from ..i18n import _
from ..terminal import sanitize_line
from .provenance import Provenance, output_metadata
from .usage import DayUsage, Usage, WithUsage


def to_data_frame(rows: Sequence[Any], columns: Sequence[str] | None = None) -> Any:
    """Return a DataFrame of dicts, or of tuples with `columns`; SetupError without pandas."""
    try:
        import pandas as pd
    except ImportError:
        raise SetupError(
            _("pandas is not installed"), _("Run %pip install pandas, then try again.")
        ) from None
    return pd.DataFrame(list(rows), columns=columns)


@dataclass(frozen=True, slots=True)
class TaskResult(WithUsage):
    """The reply to a native task: JSON, or bytes with their content type.

    Attributes:
        result: The JSON value; None if the reply is bytes.
        content: The bytes; None if the reply is JSON.
        content_type: MIME type of the reply.
        usage: Tokens and neurons; `neurons` and `cost_basis` are its fields too.
        notes: As in Answer, and so are `day_usage` and `provenance`.
    """

    result: Any = None
    content: bytes | None = None
    content_type: str = ""
    usage: Usage = field(default_factory=Usage)
    notes: tuple[str, ...] = ()
    day_usage: DayUsage | None = None
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True, repr=False)
class Embeddings(WithUsage):
    """n embedding vectors of d numbers, in the order of their texts.

    It is a sequence of vectors, and numpy accepts it in place of an array.

    Attributes:
        model: Full name of the model.
        vectors: n tuples of d floats.
        usage: Tokens and neurons of all requests; `neurons` and `cost_basis` are its fields too.
        texts: The n texts.
        notes: As in Answer, and so are `day_usage`, `provenance` and `is_local`.
    """

    model: str
    vectors: tuple[tuple[float, ...], ...]
    usage: Usage = field(default_factory=Usage)
    texts: tuple[str, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    day_usage: DayUsage | None = field(default=None, compare=False)
    provenance: Provenance = field(default_factory=Provenance, compare=False)
    is_local: bool = field(default=False, compare=False)

    @property
    def finish_reason(self) -> str:
        """Always "stop": embeddings are complete or raise an error."""
        return "stop"

    def _repr_mimebundle_(self, **_kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/plain": repr(self)}, output_metadata(self)

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[tuple[float, ...]]:
        return iter(self.vectors)

    def __getitem__(self, index: int) -> tuple[float, ...]:
        return self.vectors[index]

    def __repr__(self) -> str:
        rows, columns = self.shape
        description = f"{rows:,} vector{'' if rows == 1 else 's'} of {columns:,} numbers"
        model = sanitize_line(self.model.rpartition("/")[2])
        return f"<Embeddings: {description} by {model}; .array has them>"

    @property
    def shape(self) -> tuple[int, int]:
        """The number n of vectors, and their dimension d: (n, d)."""
        return len(self.vectors), len(self.vectors[0]) if self.vectors else 0

    @property
    def array(self) -> Any:
        """The vectors as a numpy array of dtype float64 and shape (n, d), one row per text.

        Raises InvalidOptionError if numpy is not installed.
        """
        return self.__array__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:  # noqa: FBT001 - as numpy calls it
        try:
            import numpy as np
        except ImportError:
            raise InvalidOptionError(
                _("numpy is not installed"), _("Run %pip install numpy, or use .vectors.")
            ) from None
        return np.array(self.vectors, dtype=dtype or float).reshape(self.shape)

    def similarities(self) -> tuple[tuple[float, ...], ...]:
        """Return the cosine similarities of all pairs of vectors: n rows of n floats.

        They are from -1 (opposite) to 1 (same direction). A vector of zeros has similarity 0.
        """
        lengths = [math.hypot(*vector) or 1.0 for vector in self.vectors]
        units = [
            [number / length for number in vector]
            for vector, length in zip(self.vectors, lengths, strict=True)
        ]
        return tuple(tuple(_dot_product(one, other) for other in units) for one in units)


def _dot_product(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
