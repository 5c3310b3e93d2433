"""Convert requests, answers and errors from and to the JSON of OpenAI's API."""

import json
import struct
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import (
    APIConnectionError,
    APITimeoutError,
    BudgetCutoffError,
    BudgetExceededError,
    CfaiError,
    ClassRuleError,
    CoursePolicyError,
    DailyQuotaError,
    InvalidAccountIdError,
    InvalidOptionError,
    LocalModelError,
    MissingCredentialsError,
    ModelNotFoundError,
    NotRecordedError,
    PrivacyError,
    SetupError,
    StorageError,
)
from ..i18n import _
from ..pricing.prices import count_answers
from ..types.messages import (
    Answer,
    Delta,
    FinishDelta,
    ReasoningDelta,
    Request,
    TextDelta,
    ToolCall,
)
from ..types.usage import Usage
from ..workers_ai.endpoints import THINK_FIELD
from ..workers_ai.frame_decoder import find_first_choice, unwrap_envelope
from .call import Target

if TYPE_CHECKING:
    from ..types.results import Embeddings

MIN_ERROR_STATUS, INVALID_REQUEST, BAD_GATEWAY = 400, 400, 502
# HTTP status codes of errors that have none from a server.
STATUS_BY_ERROR: Mapping[type[CfaiError], int] = {
    MissingCredentialsError: 401,
    InvalidAccountIdError: 401,
    CoursePolicyError: 403,
    PrivacyError: 403,
    NotRecordedError: 404,
    ModelNotFoundError: 404,
    BudgetExceededError: 429,
    BudgetCutoffError: 429,
    DailyQuotaError: 429,
    ClassRuleError: 403,
    StorageError: 500,
    LocalModelError: 500,
    APIConnectionError: 503,
    APITimeoutError: 504,
}
# Fields of the body that are arguments of Request.
REQUEST_FIELDS = ("max_tokens", "temperature", "top_p", "seed", "stop")
HANDLED_FIELDS = frozenset({"model", "messages", "stream", "stream_options", *REQUEST_FIELDS})
EMBEDDING_FIELDS = frozenset({"model", "input", "encoding_format", "user"})
# Fields of a message that an answer contains, in any of the forms that servers send.
READ_FIELDS = frozenset(
    ("content", "reasoning", "reasoning_content", "refusal", "tool_calls", "function_call")
)
GATEWAY_HEADER_PREFIX = "cf-aig-"
STREAM_END = b"data: [DONE]\n\n"


def parse_body(content: bytes) -> dict[str, Any]:
    """Return the JSON object in the body of a request, which must name a model.

    Raises:
        InvalidOptionError: The body is not a JSON object, or has no model.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise InvalidOptionError(
            _("The body of the request is not a JSON object"), _("Nothing was sent.")
        )
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise InvalidOptionError(
            _("The request has no model"),
            _("Nothing was sent. Set the field {name}.").format(name="model"),
        )
    return body


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise InvalidOptionError if a header of AI Gateway is set: the session sends its own."""
    names = [name for name in headers if name.lower().startswith(GATEWAY_HEADER_PREFIX)]
    if names:
        raise InvalidOptionError(
            _("A recording does not send the header {names}").format(names=", ".join(names)),
            _("Nothing was sent. Remove it; {setting} selects a gateway.").format(
                setting="%config Cfai.gateway"
            ),
        )


def build_chat_request(body: Mapping[str, Any], target: Target) -> Request:
    """Return the Request with the same body, so that `%%cfai` and an SDK share recordings.

    The settings are not applied. `stream_options` is left out, because the usage is always
    requested.

    Raises:
        InvalidOptionError: A field is not valid, or can't be recorded in a stream.
    """
    is_streaming = body.get("stream") is True
    for name, is_set in (("n", count_answers(body) > 1), ("logprobs", body.get("logprobs"))):
        if is_streaming and is_set:
            raise InvalidOptionError(
                _("{name} can't be recorded in a stream").format(name=name),
                _("Nothing was sent. Use {option}.").format(option="stream=False"),
            )
    extra = {name: value for name, value in body.items() if name not in HANDLED_FIELDS}
    think = None
    template = extra.get(THINK_FIELD)
    if isinstance(template, dict) and [*template] == ["enable_thinking"]:
        think = extra.pop(THINK_FIELD)["enable_thinking"]
    return Request(
        target.model.name,
        body.get("messages"),  # type: ignore[arg-type]  # Request checks all fields
        think=think,
        stream=is_streaming,
        extra=extra,
        requested_model=target.requested_model,
        **{name: body[name] for name in REQUEST_FIELDS if body.get(name) is not None},
    )


def wants_usage(body: Mapping[str, Any]) -> bool:
    """Return whether a streamed answer must end with a chunk that has only the usage."""
    options = body.get("stream_options")
    return isinstance(options, Mapping) and options.get("include_usage") is True


class ResponseInfo(NamedTuple):
    """The fields that all chunks of a response share. `created` is in seconds since 1970."""

    fingerprint: str
    created: int
    model: str

    def fields(self, kind: str) -> dict[str, Any]:
        """Return the JSON fields for an object of this kind."""
        return {
            "id": f"chatcmpl-{self.fingerprint}",
            "object": kind,
            "created": self.created,
            "model": self.model,
        }


def completion_body(answer: Answer, info: ResponseInfo) -> dict[str, Any]:
    """Return the chat completion for an answer: the server's, if it sent one.

    Its first message has the same text, reasoning and tool calls as in a stream.
    """
    body = unwrap_envelope(answer.raw)
    if isinstance(body, dict) and isinstance(body.get("choices"), list) and body["choices"]:
        body = {**body, "choices": _with_answer(body["choices"], answer)}
    else:
        body = {"choices": [_choice(answer)], "usage": _usage_fields(answer.usage)}
    usage = body.get("usage")
    if isinstance(usage, dict):
        body = {**body, "usage": _with_total(usage)}
    return {**info.fields("chat.completion"), **body}


def _with_answer(choices: list[Any], answer: Answer) -> list[Any]:
    """Return the server's choices, with the answer in the choice that it was read from."""
    first = find_first_choice(choices)
    message = first.get("message")
    kept = {
        name: value
        for name, value in (message if isinstance(message, dict) else {}).items()
        if name not in READ_FIELDS
    }
    merged = {**first, **_choice(answer)}
    merged["message"] = {**kept, **merged["message"]}
    return [merged if choice is first else choice for choice in choices]


def _choice(answer: Answer) -> dict[str, Any]:
    content = None if answer.tool_calls and not answer.text else answer.text
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        message["tool_calls"] = [_tool_call_fields(call) for call in answer.tool_calls]
    return {"index": 0, "message": message, "finish_reason": _finish_reason(answer.finish_reason)}


def _tool_call_fields(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _finish_reason(reason: str) -> str | None:
    return None if reason == "unknown" else reason


def _usage_fields(usage: Usage) -> dict[str, Any] | None:
    """Return the usage that a server reported, or None if it reported none."""
    if not usage.prompt_tokens and not usage.completion_tokens and usage.neurons is None:
        return None
    fields: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }
    if usage.cached_tokens:
        fields["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    if usage.neurons is not None and usage.cost_basis == "billed":
        fields["neurons"] = usage.neurons
    return _with_total(fields)


def _with_total(usage: Mapping[str, Any]) -> dict[str, Any]:
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    total = sum(count for count in counts if isinstance(count, int))
    return {"total_tokens": total, **usage}


class ChunkBuilder:
    """Builds the server-sent events of one streamed answer from its deltas.

    The finish reason and the usage come last, after the answer has been recorded, because a
    client may stop reading at the finish reason.
    """

    def __init__(self, info: ResponseInfo, *, has_usage_chunk: bool) -> None:
        self._fields = info.fields("chat.completion.chunk")
        self._has_usage_chunk = has_usage_chunk
        self._role: dict[str, str] = {"role": "assistant"}  # only in the first chunk
        self._tool_calls = 0
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None

    def add(self, delta: Delta) -> bytes:
        """Return the event for a delta, or b"" if the event comes last."""
        if isinstance(delta, TextDelta):
            return self._chunk({"content": delta.text})
        if isinstance(delta, ReasoningDelta):
            return self._chunk({"reasoning_content": delta.text})
        if isinstance(delta, ToolCall):
            index, self._tool_calls = self._tool_calls, self._tool_calls + 1
            return self._chunk({"tool_calls": [{"index": index, **_tool_call_fields(delta)}]})
        if isinstance(delta, FinishDelta):
            self._finish_reason = _finish_reason(delta.reason)
        elif isinstance(delta, Usage):
            self._usage = _usage_fields(delta)
        return b""

    def finish(self) -> Iterator[bytes]:
        """Yield the last events."""
        usage = {} if self._has_usage_chunk or not self._usage else {"usage": self._usage}
        yield self._chunk({}, self._finish_reason, **usage)
        if self._has_usage_chunk:
            yield event({**self._fields, "choices": [], "usage": self._usage})
        yield STREAM_END

    def _chunk(
        self, delta: Mapping[str, Any], finish_reason: str | None = None, **fields: Any
    ) -> bytes:
        role, self._role = self._role, {}
        choice = {"index": 0, "delta": {**role, **delta}, "finish_reason": finish_reason}
        return event({**self._fields, "choices": [choice], **fields})


def event(data: Mapping[str, Any]) -> bytes:
    """Return a server-sent event with JSON data."""
    return f"data: {json.dumps(data)}\n\n".encode()


def parse_embedding_texts(body: Mapping[str, Any]) -> Any:
    """Return the texts of an embeddings request.

    Raises:
        InvalidOptionError: The request has a field that is not recorded.
    """
    unknown = [name for name, value in body.items() if value is not None]
    names = [name for name in unknown if name not in EMBEDDING_FIELDS]
    if names:
        raise InvalidOptionError(
            _("Recorded embeddings have no field {names}").format(names=", ".join(names)),
            _("Nothing was sent. Remove the field."),
        )
    return body.get("input")


def embeddings_response(
    embeddings: "Embeddings", model: str, *, is_base64: bool
) -> dict[str, Any]:
    """Return the list of vectors, as numbers or as Base64-encoded 32-bit floats."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _pack(vector) if is_base64 else list(vector),
        }
        for index, vector in enumerate(embeddings.vectors)
    ]
    tokens = embeddings.usage.prompt_tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _pack(vector: Iterable[float]) -> str:
    numbers = list(vector)
    return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def error_status(error: CfaiError) -> int:
    """Return the server's HTTP status code for an error, or one that fits."""
    if error.status is not None and error.status >= MIN_ERROR_STATUS:
        return error.status
    default = INVALID_REQUEST if isinstance(error, SetupError) else BAD_GATEWAY
    return STATUS_BY_ERROR.get(type(error), default)


def error_body(error: CfaiError) -> dict[str, Any]:
    """Return the error in OpenAI's format; its message has the cause and the next step."""
    fields = {
        "message": error.format_line(),
        "type": type(error).__name__,
        "code": error.code,
    }
    return {"error": fields}
