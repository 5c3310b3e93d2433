"""Represent recorded calls, and serialize them as cassette lines."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, overload

from ..i18n import mark
from ..types.messages import ReasoningDelta, TextDelta
from ..types.usage import Usage
from ..workers_ai.frame_decoder import FrameDecoder, unwrap_envelope
from .fingerprint import RecordedRequest, canonical_json

RecordedResponse = Mapping[str, Any]
CAPTURE_EXTENSION = "cfai.take"  # request extension that holds the Capture
CONFLICT_MARKERS = (b"<<<<<<<", b"=======", b">>>>>>>")
SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
TOKEN_FIELDS = 3  # text, probability, alternatives
MAX_DELAY_MS = 86_400_000  # one day; longer delays are invalid
FORMAT = 2  # of lines with the probabilities of tokens; other lines have format 1, without a field
RESPONSE_KINDS = frozenset({"stream", "json", "vectors", "base64"})


class CorruptLineError(ValueError):
    """A cassette line is not a valid interaction.

    The message is translated when it is displayed.
    """


@dataclass(frozen=True, slots=True)
class Interaction:
    """A recorded call: a request and its responses.

    Attributes:
        request: The request in its canonical form.
        index: The position among recordings of the same request, starting at 0.
        date: The date of the call in ISO format.
        version: The version of the package that recorded the call.
        finish_reason: Why the model stopped generating text.
        usage: The usage reported for the call.
        responses: The responses in recorded form. Each response has a key from RESPONSE_KINDS, and
            an `ms` key with the time in milliseconds until the response was complete.
    """

    request: RecordedRequest
    index: int
    date: str
    version: str
    finish_reason: str
    usage: Usage
    responses: Sequence[RecordedResponse]

    @property
    def sort_key(self) -> tuple[str, int]:
        """The key for sorting interactions, which consists of the fingerprint and the index."""
        return self.request.fingerprint, self.index

    @property
    def model(self) -> str:
        """The model that answered."""
        return self.request.local_model or self.request.model

    @property
    def text(self) -> str:
        """The text of the answer, joined from all responses."""
        return "".join(self._iter_text("text"))

    @property
    def reasoning_and_text(self) -> tuple[str, str]:
        """The reasoning and the text of the answer, joined from all responses."""
        return "".join(self._iter_text("thought")), self.text

    def _iter_text(self, stream_key: str) -> Iterator[str]:
        for response in self.responses:
            if "stream" in response:
                yield from (text for _, text in response["stream"][stream_key])
            elif "json" in response:
                delta_type = TextDelta if stream_key == "text" else ReasoningDelta
                deltas = FrameDecoder().decode(unwrap_envelope(response["json"]))
                yield from (delta.text for delta in deltas if isinstance(delta, delta_type))

    @property
    def _has_tokens(self) -> bool:
        return any("tokens" in response.get("stream", ()) for response in self.responses)

    def to_line(self) -> bytes:
        """Serialize the interaction as a cassette line.

        Equal interactions produce the same bytes.
        """
        data = {
            "key": self.request.fingerprint,
            "nth": self.index,
            "date": self.date,
            "version": self.version,
            "model": self.model,
            "local": bool(self.request.local_model),
            "finish": self.finish_reason,
            "usage": _usage_to_json(self.usage),
            "request": _sort_keys(self.request.fields),
            **({"format": FORMAT} if self._has_tokens else {}),
            "replies": list(self.responses),
        }
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace") + b"\n"


def _usage_to_json(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "neurons": usage.neurons,
    }


def _sort_keys(value: Any) -> Any:
    """Return the value with all keys sorted, so that equal requests produce the same JSON."""
    if isinstance(value, Mapping):
        return {name: _sort_keys(value[name]) for name in sorted(value)}
    return [_sort_keys(item) for item in value] if isinstance(value, list) else value


class StoredResponses(Sequence[RecordedResponse]):
    """The responses stored in a cassette line. The line is parsed on each access.

    Most recordings are never played back. The parsed chunks of 10,000 answers would be a million
    objects in memory.
    """

    __slots__ = ("_line",)

    def __init__(self, line: bytes) -> None:
        self._line = line

    def _parse(self) -> list[RecordedResponse]:
        responses: list[RecordedResponse] = json.loads(self._line)["replies"]
        return responses

    @overload
    def __getitem__(self, index: int) -> RecordedResponse: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RecordedResponse]: ...
    def __getitem__(self, index: int | slice) -> RecordedResponse | Sequence[RecordedResponse]:
        return self._parse()[index]

    def __len__(self) -> int:
        return len(self._parse())

    def __iter__(self) -> Iterator[RecordedResponse]:
        return iter(self._parse())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._parse() == list(other)

    __hash__ = None  # type: ignore[assignment]  # unhashable, like a list

    def __repr__(self) -> str:
        return repr(self._parse())


def parse_line(line: bytes) -> Interaction:
    """Parse a cassette line.

    Raises:
        CorruptLineError: The line is not a valid interaction.
    """
    if line.startswith(CONFLICT_MARKERS):
        raise CorruptLineError(mark("unresolved git conflict"))
    try:
        data = json.loads(line)
        if SURROGATE_ESCAPE.search(line):
            canonical_json(data).encode()  # raises ValueError for an unpaired surrogate
    except (ValueError, RecursionError):
        raise CorruptLineError(mark("not valid JSON")) from None
    if isinstance(data, dict) and data.get("format", 1) not in (1, FORMAT):
        raise CorruptLineError(mark("recorded by a newer version of cfai-magics"))
    try:
        interaction = _parse_interaction(data, line)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise CorruptLineError(mark("incomplete recording")) from None
    if data["key"] != interaction.request.fingerprint:
        raise CorruptLineError(mark("edited: the request does not match its key"))
    return interaction


def _parse_interaction(data: Any, line: bytes) -> Interaction:
    usage = data["usage"]
    names = ("prompt_tokens", "completion_tokens", "cached_tokens")
    prompt_tokens, completion_tokens, cached_tokens = (int(usage[name]) for name in names)
    neurons = None if usage["neurons"] is None else float(usage["neurons"])
    responses = data["replies"]
    if not responses or not all(_is_valid_response(response) for response in responses):
        raise KeyError("replies")
    return Interaction(
        RecordedRequest(dict(data["request"])),
        int(data["nth"]),
        str(data["date"]),
        str(data["version"]),
        str(data["finish"]),
        Usage(
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            neurons,
            None if neurons is None else "billed",
        ),
        StoredResponses(line),
    )


def _is_valid_response(response: Any) -> bool:
    """Return whether a response has all fields that playback reads, with valid types."""
    (kind,) = RESPONSE_KINDS & response.keys()
    if kind == "stream":
        stream = response["stream"]
        chunks = [*stream["thought"], *stream["text"], (response["ms"], "")]
        if not all(len(token) == TOKEN_FIELDS for token in stream.get("tokens", ())):
            return False
        delays, texts = zip(*chunks, strict=True)
        return _are_valid_delays(delays) and set(map(type, texts)) == {str}
    if not _are_valid_delays((response["ms"],)):
        return False
    return kind != "base64" or isinstance(response["base64"] + response["type"], str)


def _are_valid_delays(delays: Sequence[Any]) -> bool:
    """Return whether all delays are numbers from 0 to MAX_DELAY_MS."""
    return (
        set(map(type, delays)) <= {int, float, bool}
        and 0 <= min(delays) <= max(delays) <= MAX_DELAY_MS
        and not isnan(sum(delays))  # min and max may ignore NaN
    )
