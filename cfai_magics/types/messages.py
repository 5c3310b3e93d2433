"""Types for chat requests, stream deltas and answers."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..arguments import VALUE_CHECKS, check_argument_names, check_fields, collect_texts
from ..errors import InvalidOptionError
from ..i18n import _, mark
from .provenance import Provenance, output_metadata
from .tokens import Token, Tokens
from .usage import DayUsage, Usage, WithUsage

BLANK_LINE = re.compile(r"^[ \t]+$", re.MULTILINE)
Message = Mapping[str, Any]
Payload = Mapping[str, Any] | bytes  # for a native task: request fields or bytes
INSTRUCTION_ROLES = ("system", "developer")
UNFINISHED_REASONS = {"interrupted", "cut", "budget"}
# Fields that only arguments may set, because prices, budgets and courses depend on them.
ARGUMENT_BY_RESERVED_FIELD = {
    "model": "model=",
    "messages": mark("the prompt and system="),
    "stream": "stream=",
}
# Request fields that may be None; other values are checked by a rule in arguments.py.
OPTIONAL_FIELDS = ("max_tokens", "temperature", "top_p", "seed", "think")
FLOAT_FIELDS = ("temperature", "top_p")  # 0 and 0.0 are sent alike


@check_argument_names
@dataclass(frozen=True, slots=True)
class Request:
    """One chat request, with all fields that the answer depends on.

    `Session.build_request` creates a request with defaults from the settings. Fields that are
    None are not sent.

    Attributes:
        model: Full name of the model in the catalog.
        messages: Messages in OpenAI format, in order. `check_messages` normalizes the text of
            user messages.
        max_tokens: Maximum number of tokens in the answer, 1 or more.
        temperature: Sampling temperature, from 0 to 5.
        top_p: Probability mass for nucleus sampling, from 0 to 1.
        seed: Number that makes sampling repeatable, if the model supports it.
        stop: Stop sequences. The answer ends before the first one that occurs.
        think: Whether a reasoning model thinks before it answers; None for other models.
        stream: Whether to stream the answer.
        extra: Additional JSON fields for the request body, which override the other fields except
            the model, the messages and `stream`. The rules for the other fields apply to them too.
        requested_model: The model that the user named, if a local model replaces it, or "".

    Raises:
        InvalidOptionError: A field has a wrong type or is out of range.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    think: bool | None = None
    stream: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    requested_model: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "messages", check_messages(self.messages))
        if type(self.stop) is not tuple or self.stop:
            object.__setattr__(self, "stop", collect_stop_sequences(self.stop))
        for name in ("model", "stream", "extra"):
            value = VALUE_CHECKS[name](getattr(self, name), name, f"{name}=")
            object.__setattr__(self, name, value)
        for name in OPTIONAL_FIELDS:
            value = getattr(self, name)
            if value is not None:
                value = VALUE_CHECKS[name](value, name, f"{name}=")
                object.__setattr__(self, name, float(value) if name in FLOAT_FIELDS else value)
        if self.extra:
            check_fields(self.extra, "extra")
            object.__setattr__(self, "extra", dict(map(_with_float, self.extra.items())))
            if "stop" in self.extra and not collect_stop_sequences(self.extra["stop"]):
                extra = {name: value for name, value in self.extra.items() if name != "stop"}
                object.__setattr__(self, "extra", extra)
        for name, argument in ARGUMENT_BY_RESERVED_FIELD.items():
            if name in self.extra:
                raise InvalidOptionError(
                    _("extra can't set {field}").format(field=name),
                    _("Use {option}.").format(option=_(argument)),
                )


def _with_float(item: tuple[str, Any]) -> tuple[str, Any]:
    name, value = item
    return name, float(value) if name in FLOAT_FIELDS and value is not None else value


def require_request(value: Any) -> None:
    """Raise InvalidOptionError unless the value is a Request with text besides instructions."""
    if not isinstance(value, Request):
        raise InvalidOptionError(
            _("request is of type {type}, not a Request").format(type=type(value).__name__),
            _("Create one with Session.build_request."),
        )
    for message in value.messages:
        content = message.get("content")
        if message.get("role") in INSTRUCTION_ROLES:
            continue
        if message.get("tool_calls") or not (content is None or isinstance(content, str | list)):
            return
        if content.strip() if isinstance(content, str) else any(map(_has_content, content or ())):
            return
    raise InvalidOptionError(_("The prompt is empty"), _("Add a message with text from the user."))


def _has_content(part: Any) -> bool:
    """Return whether a part of a message is not a blank text."""
    text = part.get("text", "-") if isinstance(part, Mapping) else part
    return not isinstance(text, str) or bool(text.strip())


def collect_stop_sequences(stop: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the stop sequences as a tuple; `stop` is one string or several.

    Empty strings are left out, because an answer cannot end at them.
    """
    return () if stop is None else tuple(filter(None, collect_texts(stop, "stop")))


def check_messages(value: Any) -> tuple[Message, ...]:
    r"""Return the messages as a tuple, with the text of user messages as it is sent.

    The text is the same for all entry points. Lines end with "\n". Whitespace is removed at the
    end and on blank lines, because IPython adds a newline to some cells, such as those that
    `%run` runs, and nbconvert empties blank lines.

    Raises:
        InvalidOptionError: A message is not a mapping, or its content is not text or parts.
    """
    messages = []
    for message in value if isinstance(value, Iterable) else (value,):
        if not isinstance(message, Mapping):
            raise InvalidOptionError(
                _("messages must be a list of dicts"),
                _("Example: {example}").format(example='[{"role": "user", "content": "…"}]'),
            )
        content: Any = message.get("content")
        is_list = isinstance(content, list | tuple)
        if not (content is None or isinstance(content, str) or is_list) or (
            is_list and not all(isinstance(part, Mapping) for part in content)
        ):
            raise InvalidOptionError(
                _("The content of a message must be text or a list of parts"),
                _("Example: {example}").format(example='[{"type": "text", "text": "…"}]'),
            )
        if message.get("role") == "user":
            if isinstance(content, str):
                content = _normalize_text(content).rstrip()
            elif isinstance(content, list):
                content = _normalize_parts(content)
            if content != message.get("content"):
                message = {**message, "content": content}  # noqa: PLW2901
        messages.append(message)
    return tuple(messages)


def _normalize_text(text: str) -> str:
    return BLANK_LINE.sub("", text.replace("\r\n", "\n"))


def _normalize_parts(parts: list[Any]) -> list[Any]:
    """Return the parts of a user message, with text normalized as in `check_messages`."""
    normalized = list(parts)
    is_last_text = True
    for index in reversed(range(len(parts))):
        part = parts[index]
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            text = _normalize_text(part["text"])
            normalized[index] = {**part, "text": text.rstrip() if is_last_text else text}
            is_last_text = False
    return normalized


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class TokensDelta:
    """The tokens of the answer's text in one response frame, with their probabilities."""

    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool call; `arguments` is text from the model, which may be invalid JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool call that was run, with the result that was sent to the model.

    `truncation` says how much of the result was sent; it is "" if all of it was sent.
    """

    name: str
    arguments: str
    result: str
    truncation: str = ""
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class FinishDelta:
    """The finish reason: stop, length, tool_calls, content_filter, error or unknown."""

    reason: str


Delta = TextDelta | ReasoningDelta | TokensDelta | ToolCall | Usage | FinishDelta


@dataclass(frozen=True, slots=True)
class Answer(WithUsage):
    """One answer, complete or partial.

    `str()` and f-strings use its text, and notebooks display it as Markdown.

    Attributes:
        model: Full name of the model that answered.
        text: The answer's text.
        reasoning: What a reasoning model wrote before the text.
        tool_calls: The tool calls that the model requested.
        tool_results: The tool calls that were run, with their results.
        finish_reason: stop, length, tool_calls, content_filter, error or unknown; or interrupted,
            cut or budget for a partial answer.
        usage: Tokens and neurons. `neurons` and `cost_basis` are also properties of the answer.
        seconds: Time from sending the request to the end of the answer, in seconds.
        first_token_seconds: Time to the first token, in seconds; None if no token was received.
        request_id: Cloudflare's request ID; None if the response had none.
        is_local: Whether a local model answered.
        endpoint: The AI Gateway and its cache status, or another server; "" for Workers AI.
        notes: Notes on the call for the user, one line each.
        details: Notes on what was sent, such as earlier turns, one line each.
        day_usage: The account's usage for the day, including this call; None if unknown.
        provenance: The request's hash, and the recording if the answer was replayed.
        raw: The JSON response if the call was not streamed; otherwise, None.
        parsed: The text, parsed for the output format: a JSON value, a DataFrame or code. For a
            native task, the output: an image, audio, a list or vectors.
        work_summary: The amount of work in a native task, with its unit.
        tokens: The tokens of the text with their probabilities, if `probs` requested them.
    """

    model: str
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_results: tuple[ToolResult, ...] = ()
    finish_reason: str = "unknown"
    usage: Usage = field(default=Usage())
    seconds: float = 0.0
    first_token_seconds: float | None = None
    request_id: str | None = None
    is_local: bool = False
    endpoint: str = ""
    notes: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    day_usage: DayUsage | None = None
    provenance: Provenance = field(default=Provenance(), repr=False)
    raw: Any = field(default=None, repr=False)
    parsed: Any = field(default=None, repr=False, compare=False)
    work_summary: str = ""
    tokens: Tokens = field(default=Tokens(), repr=False)

    @property
    def tokens_per_second(self) -> float | None:
        """Completion tokens per second after the first token.

        None if the answer was not streamed, or was replayed without the recorded delays.
        """
        recording = self.provenance.recording
        is_instant = recording is not None and recording.is_instant
        if self.first_token_seconds is None or self.raw is not None or is_instant:
            return None
        generation_seconds = self.seconds - self.first_token_seconds
        return (
            self.usage.completion_tokens / generation_seconds if generation_seconds > 0 else None
        )

    def json(self) -> Any:
        """Return the JSON value of the text, or of its first code block.

        Raises:
            ValueError: Neither the text nor its first code block is valid JSON.
        """
        import json

        try:
            return json.loads(self.text)
        except ValueError:
            if self.code is None:
                raise
        return json.loads(self.code)

    @property
    def code(self) -> str | None:
        """The first code block in the text; None if there is none."""
        from ..markdown.blocks import find_first_code_block

        code_block = find_first_code_block(self.text)
        return code_block.text if code_block else None

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        from ..markdown.blocks import strip_remote_content
        from ..media.generated import GeneratedMedia
        from ..terminal import sanitize_text

        bundle: dict[str, Any] = {
            "text/markdown": strip_remote_content(self.text),
            "text/plain": sanitize_text(self.text),
        }
        if isinstance(self.parsed, GeneratedMedia):
            bundle = self.parsed.mime_bundle
        return bundle, output_metadata(self)
