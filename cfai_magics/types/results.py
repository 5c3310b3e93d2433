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
    """Return a pandas DataFrame of rows given as dicts, or as tuples with `columns`.

    Raises:
        SetupError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise SetupError(
            _("pandas is not installed"), _("Run %pip install pandas, then try again.")
        ) from None
    return pd.DataFrame(list(rows), columns=columns)


@dataclass(frozen=True, slots=True)
class TaskResult(WithUsage):
    """The result of a native task: a JSON value, or bytes with their content type.

    Attributes:
        result: The JSON value; None if the response is bytes.
        content: The bytes; None if the response is JSON.
        content_type: MIME type of the response.
        usage: Tokens and neurons. `neurons` and `cost_basis` are also properties of the result.
        notes: Same as in Answer.
        day_usage: Same as in Answer.
        provenance: Same as in Answer.
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
    """A sequence of n embedding vectors of d numbers each, in the order of `texts`.

    numpy functions accept it in place of an array.

    Attributes:
        model: Full name of the model.
        vectors: n tuples of d floats.
        usage: Tokens and neurons of all requests. `neurons` and `cost_basis` are also properties
            of the embeddings.
        texts: The n strings that were embedded.
        notes: Same as in Answer.
        day_usage: Same as in Answer.
        provenance: Same as in Answer.
        is_local: Same as in Answer.
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
        """Always "stop", because an incomplete result raises an error instead."""
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
        """The number of vectors n and their dimension d, as the tuple (n, d)."""
        return len(self.vectors), len(self.vectors[0]) if self.vectors else 0

    @property
    def array(self) -> Any:
        """The vectors as a numpy array of dtype float64 and shape (n, d), one row per text.

        Raises:
            InvalidOptionError: numpy is not installed.
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
        """Return the cosine similarity for each pair of vectors, as n rows of n floats.

        Values range from -1 (opposite) to 1 (same direction). A zero vector has a similarity of 0
        to every vector.
        """
        lengths = [math.hypot(*vector) or 1.0 for vector in self.vectors]
        units = [
            [number / length for number in vector]
            for vector, length in zip(self.vectors, lengths, strict=True)
        ]
        return tuple(tuple(_dot_product(one, other) for other in units) for one in units)


def _dot_product(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
