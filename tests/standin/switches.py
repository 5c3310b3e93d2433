"""Switches for tests; each default matches the newest recordings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from .dialects import DIALECTS, Dialect, ThoughtField
from .errors import Fault
from .reply import Canned

Answer = str | Sequence[str] | Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Switches:
    """How requests are answered; immutable. None means: as in the recording of the dialect.

    `answer`: a text, texts used in turn, or (in this process) a function of the last user message;
        the default quotes the start of that message, or matches the requested JSON schema.
    `thought`: reasoning, sent unless the request disables it.
    `tool_calls`: objects `{"name", "arguments"}`, sent if the request has tools, `tool_steps`
        times in a conversation.
    `finish_reason`: replaces the real one; "" omits it.
    `raw_stream`: pieces of the body that replace a streamed answer, until the request has tool
        results; with `raw_stream_breaks` the connection is closed after it.
    `canned`: a complete response to all requests whose path contains `error_path`.
    `flood`: name of an endless response (see `flood.flood`) for all requests whose path contains
        `error_path`; its status is `flood_status`.
    `json_for_stream`, `empty_json_for_stream`: answer a streaming request with JSON.
    `error`: answers all requests, or the first `errors_before_success`, or those whose path
        contains `error_path`. `error_in_stream_after`: it is sent after N tokens of the stream.
    `delay_before_headers`, `delay_before_first`: seconds before the headers, and between them and
        the first event. `tokens_per_second`: 0 is as fast as possible.
    `busy`: no capacity. `retired`: additional retired models. `batch_polls`: polls before a batch
        is done. `analytics_lag`: age in seconds at which calls appear in GraphQL.
    `gateways`: names of the AI Gateways. `gateway_caches`: they cache answers.
        `gateway_calls`: spend limit, in calls per metadata value.
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
    canned: Canned | None = None
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
        """The dialect with the changes of these switches."""
        dialect = DIALECTS[self.dialect]
        if self.omit_neurons_body is not None:
            dialect = replace(dialect, neurons=not self.omit_neurons_body)
        if self.omit_usage is not None:
            usage = "none" if self.omit_usage else dialect.usage_if_any
            dialect = replace(dialect, usage=usage)
        changes = {name: getattr(self, name) for name in ("padding", "thought_field")}
        changes["final_native_event"] = self.final_native_event
        return replace(
            dialect, **{name: value for name, value in changes.items() if value is not None}
        )

    def with_json(self, changes: Mapping[str, Any]) -> "Switches":
        """Return changed switches. Raises TypeError or ValueError for invalid changes."""
        unknown = set(changes) - {field.name for field in fields(self)}
        if unknown:
            message = f"no such switch: {', '.join(sorted(unknown))}"
            raise TypeError(message)
        return replace(self, **{name: from_json(name, value) for name, value in changes.items()})

    def as_json(self) -> dict[str, Any]:
        """Return the switches as JSON; an answer function becomes its repr."""
        return {field.name: to_json(getattr(self, field.name)) for field in fields(self)}


def from_json(name: str, value: Any) -> Any:
    """Return the value of one switch; an error may be a code or an object with Fault's fields."""
    if name == "error" and isinstance(value, int):
        return Fault.of(value)
    if name == "error" and isinstance(value, Mapping):
        return Fault(**value)
    return tuple(value) if isinstance(value, list) else value


def to_json(value: Any) -> Any:
    """Return the value of one switch as JSON."""
    if isinstance(value, Fault):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return repr(value) if callable(value) else value
