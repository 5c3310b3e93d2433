"""What a test can make go differently; every default is what the newest recordings show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from .dialects import DIALECTS, Dialect, ThoughtField
from .errors import Fault

Answer = str | Sequence[str] | Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Switches:
    """How calls are answered; replaced as a whole. None means: as the dialect's recording has it.

    `answer`: a text, texts used in turn, or (in this process) a function of the last user message;
        the default echoes the start of that message, or fits the JSON schema asked for.
    `thought`: sent unless the request turns thinking off.
    `tool_calls`: `{"name", "arguments"}` each, made where the request offers tools, `tool_steps`
        times in a conversation.
    `finish_reason`: in place of the real one; "" sends none.
    `raw_stream`: the body of a stream, piece by piece, in place of an answer's, until results of
        tools are sent; with `raw_stream_breaks` the connection breaks after it.
    `flood`: answers every request whose path holds `error_path` with a reply without an end, one
        of `flood.flood`, under `flood_status`.
    `json_for_stream`, `empty_json_for_stream`: JSON in answer to a request for a stream.
    `error`: answers every request, or the first `errors_before_success`, or those whose path holds
        `error_path`; with `error_in_stream_after` it comes in the stream, after so many tokens.
    `delay_before_headers`, `delay_before_first`: seconds before the head and, after it, before the
        first event. `tokens_per_second`: 0 is as fast as possible.
    `busy`: no capacity. `retired`: further models that are gone. `batch_polls`: how often a batch
        is asked for in vain. `analytics_lag`: hides the newest seconds from GraphQL.
    `gateways`: the AI Gateways by name. `gateway_caches`: they answer the same request by a copy.
        `gateway_calls`: how many calls a spend limit lets each set of metadata have.
    """

    answer: Answer | None = None
    thought: str = ""
    thought_field: ThoughtField | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    tool_steps: int = 1
    finish_reason: str | None = None
    cached_tokens: int = 0
    dialect: str = "gemma"
    omit_neurons_header: bool = False
    omit_neurons_body: bool | None = None
    omit_usage: bool | None = None
    embeddings_usage: bool = False
    final_native_event: bool | None = None
    padding: Literal["random", "constant", ""] | None = None
    done: bool = True
    raw_stream: Sequence[str] | None = None
    raw_stream_breaks: bool = False
    flood: str = ""
    flood_status: int = 200
    json_for_stream: bool = False
    empty_json_for_stream: bool = False
    error: Fault | None = None
    errors_before_success: int | None = None
    error_path: str = ""
    error_in_stream_after: int | None = None
    retry_after: str | None = None
    drop_connection_after: int | None = None
    delay_before_headers: float = 0.0
    delay_before_first: float = 0.0
    tokens_per_second: float = 0.0
    split_utf8: bool = False
    crlf: bool = False
    comments: bool = False
    junk_frames: bool = False
    busy: bool = False
    retired: Sequence[str] = ()
    batch_polls: int = 1
    daily_neurons: float = 10_000
    calls_per_minute: int | None = None
    analytics_lag: float = 0.0
    gateways: Sequence[str] = ("default",)
    gateway_caches: bool = False
    gateway_calls: int | None = None

    def __post_init__(self) -> None:
        if self.dialect not in DIALECTS:
            message = f"dialect {self.dialect!r}: there are {', '.join(DIALECTS)}"
            raise ValueError(message)

    @property
    def shape(self) -> Dialect:
        """The dialect with what these switches change of it."""
        dialect = DIALECTS[self.dialect]
        if self.omit_neurons_body is not None:
            dialect = replace(dialect, neurons=not self.omit_neurons_body)
        if self.omit_usage is not None:
            usage = "none" if self.omit_usage else dialect.usage_if_any
            dialect = replace(dialect, usage=usage)
        same = {name: getattr(self, name) for name in ("padding", "thought_field")}
        same["final_native_event"] = self.final_native_event
        return replace(dialect, **{name: got for name, got in same.items() if got is not None})

    def with_json(self, changes: Mapping[str, Any]) -> "Switches":
        """Return these switches with JSON's changes; TypeError or ValueError where they misfit."""
        unknown = set(changes) - {field.name for field in fields(self)}
        if unknown:
            message = f"no such switch: {', '.join(sorted(unknown))}"
            raise TypeError(message)
        return replace(self, **{name: from_json(name, value) for name, value in changes.items()})

    def as_json(self) -> dict[str, Any]:
        """Return the switches for other processes; an answer that is a function shows its name."""
        return {field.name: to_json(getattr(self, field.name)) for field in fields(self)}


def from_json(name: str, value: Any) -> Any:
    """Return one switch's value; an error may be a code or an object of Fault's fields."""
    if name == "error" and isinstance(value, int):
        return Fault.of(value)
    if name == "error" and isinstance(value, Mapping):
        return Fault(**value)
    return tuple(value) if isinstance(value, list) else value


def to_json(value: Any) -> Any:
    """Return one switch's value as JSON."""
    if isinstance(value, Fault):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return repr(value) if callable(value) else value
