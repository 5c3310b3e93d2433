"""Types for task results, embeddings and the provenance of answers."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InvalidOptionError, SetupError
from ..terminal import sanitize_line
from .usage import DayUsage, Usage, WithUsage

METADATA_MIME_TYPE = "application/vnd.cfai+json"


def to_data_frame(rows: Sequence[Any], columns: Sequence[str] | None = None) -> Any:
    """Return a DataFrame of dicts, or of tuples with `columns`; SetupError without pandas."""
    try:
        import pandas as pd
    except ImportError:
        raise SetupError("pandas is not installed", "pip install pandas, then again.") from None
    return pd.DataFrame(list(rows), columns=columns)


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """The recording that an answer was replayed from.

    `date` is the ISO date of the recording. `neurons` is about what a new call would cost: None if
    unknown, 0 for a local model. `model` answered the recorded call, and `is_local` says whether
    it was a local model. `version` is the package version at that time.
    """

    date: str
    neurons: float | None = None
    version: str = ""
    model: str = ""
    is_local: bool = False


def output_metadata(answer: Any) -> dict[str, Any]:
    """Return the notebook output metadata of an Answer, by its MIME type."""
    return {METADATA_MIME_TYPE: answer.provenance.to_metadata(answer)}


def group_metadata(answers: Iterable[Any]) -> dict[str, Any]:
    """Return the notebook output metadata of several Answers, without empty ones."""
    answers_metadata = [
        answer.provenance.to_metadata(answer)
        for answer in answers
        if answer.text or answer.reasoning
    ]
    return {METADATA_MIME_TYPE: {"answers": answers_metadata}}


def combine_provenance(provenances: Sequence["Provenance"]) -> "Provenance":
    """Return the provenance of an answer that took several calls: that of the last call.

    It is replayed only if all calls were. The recording then has the neurons of all calls.
    """
    last, recordings = (
        provenances[-1],
        [provenance.recording for provenance in provenances if provenance.recording],
    )
    if last.recording is None or len(recordings) < len(provenances):
        return replace(last, recording=None)
    known_neurons = [
        recording.neurons for recording in recordings if recording.neurons is not None
    ]
    neurons = sum(known_neurons) if len(known_neurons) == len(recordings) else None
    return replace(last, recording=replace(last.recording, neurons=neurons))


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an answer comes from: its request, its time, and the recording if it is replayed.

    Attributes:
        request_fingerprint: Hash of all fields that the answer depends on.
        parameters: The fields of the request, without the text of the question.
        asked_at: ISO time in UTC.
        version: Version of this package.
        recording: The recording that was replayed; None for an answer of a model.
    """

    request_fingerprint: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    asked_at: str = ""
    version: str = ""
    recording: RecordingInfo | None = None

    def to_metadata(self, answer: Any) -> dict[str, Any]:
        """Return the metadata of an Answer; it does not contain the question or the account."""
        usage = answer.usage
        metadata = {
            "model": answer.model,
            "local": answer.is_local,
            "parameters": dict(self.parameters),
            "request": self.request_fingerprint,
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "cached_tokens": usage.cached_tokens,
                "completion_tokens": usage.completion_tokens,
                "neurons": usage.neurons,
            },
            "basis": usage.cost_basis,
            "finish": answer.finish_reason,
            "date": self.asked_at,
            "version": self.version,
        }
        return metadata | ({"recorded": self._recording_metadata()} if self.recording else {})

    def _recording_metadata(self) -> dict[str, Any]:
        recording = self.recording
        return (
            {"date": recording.date, "neurons": recording.neurons, "version": recording.version}
            if recording
            else {}
        )


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

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
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
                "An array is one of numpy, which is not installed",
                "Run %pip install numpy, or take .vectors.",
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
