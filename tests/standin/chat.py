"""Text generation: check a request, generate the answer, and send it on each route.

Recorded: the errors for invalid requests, the estimate that is checked against the context window,
the default of 256 tokens of older models. Documented: /ai/v1/responses. Inferred: the errors for
the parts of a message. Invented: the answers.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .behavior import HangUp, encode_event, stream_events, stream_raw
from .catalog import Model, no_such_model, resolve_model
from .dialects import (
    NATIVE_DEFAULT,
    OPENAI_DEFAULT,
    Dialect,
    Event,
    Formatter,
    Generation,
    ToolCall,
    count_tokens,
    format_response_events,
    split_tokens,
)
from .errors import Piece, Refusal, Reply, enveloped, plain, refusal
from .state import Exchange

TASK = "Text Generation"
# "max_tokens defaults to 256" for older models; newer models have no documented default.
DEFAULT_MAX_TOKENS = 256
IMAGE_TOKENS = 256


async def chat_completions(exchange: Exchange) -> Reply:
    """Answer POST /ai/v1/chat/completions."""
    if not exchange.body:
        raise refusal(3003)
    model = _resolve_chat_model(exchange, exchange.body)
    dialect = exchange.switches.adapt_dialect(exchange.switches.dialect or OPENAI_DEFAULT)
    return await _answer(exchange, model, exchange.body, dialect, wrapped=dialect.native)


async def run_chat(exchange: Exchange, model: Model, body: Mapping[str, Any]) -> Reply:
    """Answer /ai/run for a text model; older models have the native format."""
    newer = exchange.switches.dialect or NATIVE_DEFAULT
    dialect = exchange.switches.adapt_dialect("native" if model.shape == "native" else newer)
    return await _answer(exchange, model, body, dialect, wrapped=True)


async def responses(exchange: Exchange) -> Reply:
    """Answer POST /ai/v1/responses with a response object, or the events that build it."""
    body = _as_chat_body(exchange.body)
    model = _resolve_chat_model(exchange, body)
    request = parse_request(model, body)
    exchange.admit(model)
    await asyncio.sleep(exchange.switches.delay_before_headers)
    dialect = exchange.switches.adapt_dialect(exchange.switches.dialect or NATIVE_DEFAULT)
    generation = _generate(exchange, request, dialect)
    with exchange.cloud.ledger.open(model, generation.prompt_tokens) as call:
        call.completion = generation.completion_tokens
    response = Formatter(model, dialect, generation, exchange.cloud.clock()).format_response()
    if not request.stream:
        neurons = model.token_cost(generation.prompt_tokens, call.completion)
        return plain(response, headers=exchange.make_headers(model, neurons))
    pieces = _stream_response(format_response_events(response, generation))
    return Reply(pieces, 200, "text/event-stream", exchange.make_headers(model))


async def _stream_response(events: Iterable[Event]) -> AsyncGenerator[Piece, None]:
    """Yield the events of a response as named events."""
    for event in events:
        yield Piece(encode_event(event.data, event.name), event.name == "response.completed")


def _as_chat_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a /responses request as a chat body."""
    given = body.get("input")
    messages = (
        [{"role": "user", "content": given}] if isinstance(given, str) else list(given or [])
    )
    if body.get("instructions"):
        messages = [{"role": "system", "content": body["instructions"]}, *messages]
    same = {name: body[name] for name in ("model", "stream", "tools") if name in body}
    limit = {"max_tokens": body["max_output_tokens"]} if body.get("max_output_tokens") else {}
    return {**same, **limit, "messages": messages}


def _resolve_chat_model(exchange: Exchange, body: Mapping[str, Any]) -> Model:
    """Return the text model of a request. Raises Refusal if it has another task."""
    model = resolve_model(exchange, body.get("model"))
    if model.task != TASK:
        raise no_such_model(model.name)
    return model


async def _answer(
    exchange: Exchange, model: Model, body: Mapping[str, Any], dialect: Dialect, *, wrapped: bool
) -> Reply:
    """Answer one request in this dialect; `wrapped` adds the envelope to complete answers."""
    switches, ledger = exchange.switches, exchange.cloud.ledger
    request = parse_request(model, body)
    exchange.admit(model)
    generation = _generate(exchange, request, dialect)
    prompt, cached = generation.prompt_tokens, generation.cached_tokens
    total = generation.completion_tokens
    formatter = Formatter(model, dialect, generation, exchange.cloud.clock())
    await asyncio.sleep(switches.delay_before_headers)
    if request.stream and switches.empty_json_for_stream:
        return enveloped({}, exchange.make_headers(model, 0.0))
    if request.stream and switches.raw_stream is not None and not request.tool_steps_taken:
        pieces = stream_raw(switches, ledger.open(model, prompt, cached), total)
        return Reply(pieces, content_type="text/event-stream")
    if request.stream and not switches.json_for_stream:
        call, events = ledger.open(model, prompt, cached), formatter.format_events()
        pieces = stream_events(events, switches, call, total)
        headers = exchange.make_headers(model)
        return Reply(pieces, content_type="text/event-stream", headers=headers)
    pace = switches.tokens_per_second
    await asyncio.sleep(switches.delay_before_first + (total / pace if pace else 0.0))
    if switches.drop_connection_after is not None:
        raise HangUp
    with ledger.open(model, prompt, cached) as billed:
        billed.completion = total
    headers = exchange.make_headers(model, model.token_cost(prompt, total, cached))
    result = formatter.format_whole(as_json=request.schema is not None)
    return enveloped(result, headers) if wrapped else plain(result, headers=headers)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A parsed request; `estimate` is the prompt size used by the context window check."""

    model: Model
    last_user_text: str
    prompt_tokens: int
    estimate: int
    max_tokens: int | None
    stream: bool
    thinks: bool
    tools: bool
    tool_steps_taken: int
    stop: tuple[str, ...]
    schema: Mapping[str, Any] | None
    alternatives: int | None


def parse_request(model: Model, body: Any) -> ChatRequest:
    """Parse a body. Raises Refusal if Workers AI would reject it."""
    messages = _check_messages(model, body)
    texts = [text for message in messages for text in _get_texts(message)]
    images = [url for message in messages for url in _get_images(message)]
    tools = json.dumps(body["tools"]) if body.get("tools") else ""
    characters = sum(map(len, texts)) + len(tools)
    user_texts = [" ".join(_get_texts(one)) for one in messages if one.get("role") == "user"]
    stop = body.get("stop") or ()
    request = ChatRequest(
        model=model,
        last_user_text=user_texts[-1] if user_texts else "",
        prompt_tokens=max(1, count_tokens("." * characters)) + IMAGE_TOKENS * len(images),
        estimate=count_tokens("." * (characters + sum(map(len, images)))),
        max_tokens=_get_max_tokens(model, body),
        stream=bool(body.get("stream")),
        thinks=_thinks(model, body),
        tools=bool(tools),
        tool_steps_taken=sum(1 for message in messages if message.get("tool_calls")),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        schema=_get_schema(body),
        alternatives=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
    )
    _check_window(request)
    return request


def _check_messages(model: Model, body: Any) -> list[dict[str, Any]]:
    """Return the messages; a `prompt` becomes one user message."""
    if not isinstance(body, Mapping):
        raise refusal(3003)
    messages = body.get("messages")
    if not messages and isinstance(body.get("prompt"), str):
        return [{"role": "user", "content": body["prompt"]}]
    if not isinstance(messages, list) or not messages:
        missing = "required properties at '/' are 'messages'"
        raise _bad_input("required properties at '/' are 'prompt'", missing)
    for index, message in enumerate(messages):
        _check_message(model, index, message)
    if body.get("tools") and not model.tools:
        raise refusal(5006, f"Bad input: Error: {model.name} does not support tools")
    if body.get("tool_choice") == "any":
        raise refusal(8001)
    return messages


def _check_message(model: Model, index: int, message: Any) -> None:
    """Raise Refusal for a message that does not match the model's schema."""
    if not isinstance(message, Mapping) or "role" not in message:
        raise _bad_input(f"required properties at '/messages/{index}' are 'role,content'")
    content = message.get("content")
    if content is None and not message.get("tool_calls"):
        raise refusal(8001)
    if isinstance(content, list) and model.shape == "native" and not model.vision:
        wrong = _mismatch(f"/messages/{index}/content", content, "string")
        raise _bad_input("required properties at '/' are 'prompt'", wrong)
    for place, part in enumerate(content if isinstance(content, list) else []):
        _check_part(f"/messages/{index}/content/{place}", part)


def _check_part(path: str, part: Any) -> None:
    """Raise Refusal for a part of a message that does not match the model's schema."""
    if not isinstance(part, Mapping):
        raise _bad_input(_mismatch(path, part, "object"))
    if part.get("type") != "image_url":
        return
    image = part.get("image_url")
    if not isinstance(image, Mapping):
        raise _bad_input(_mismatch(f"{path}/image_url", image, "object"))
    if not isinstance(image.get("url"), str):
        raise _bad_input(_mismatch(f"{path}/image_url/url", image.get("url"), "string"))


def _mismatch(path: str, value: Any, expected: str) -> str:
    """Return the reason that a value has another JSON type than the schema."""
    return f"Type mismatch of '{path}', '{_json_type(value)}' not in '{expected}'"


def _json_type(value: Any) -> str:
    types = {str: "string", bool: "boolean", type(None): "null", list: "array", dict: "object"}
    return types.get(type(value), "number")


def _bad_input(*reasons: str) -> Refusal:
    """Return the error for a body that matches none of the model's schemas."""
    joined = ", ".join(reasons)
    return refusal(5006, f"Bad input: Error: oneOf at '/' not met, 0 matches: {joined}")


def _get_texts(message: Mapping[str, Any]) -> list[str]:
    """Return the texts of a message, including its tool calls."""
    content = message.get("content") or ""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [str(part.get("text", "")) for part in parts if part.get("type") == "text"]
    calls = message.get("tool_calls")
    return [*texts, json.dumps(calls)] if calls else texts


def _get_images(message: Mapping[str, Any]) -> list[str]:
    """Return the URLs of a message's images, including data URLs."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]


def _get_max_tokens(model: Model, body: Mapping[str, Any]) -> int | None:
    """Return the maximum tokens of the answer; None if neither body nor model sets it."""
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if limit is None:
        return DEFAULT_MAX_TOKENS if model.shape == "native" else None
    if not isinstance(limit, int) or limit < 1:
        raise refusal(8001)
    return limit


def _thinks(model: Model, body: Mapping[str, Any]) -> bool:
    """Return True unless the request disables reasoning and the model supports that."""
    enabled = (body.get("chat_template_kwargs") or {}).get("enable_thinking", True)
    return model.reasoning == "always" or bool(enabled)


def _get_schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the requested JSON schema: bare, in OpenAI's wrapper, or any object."""
    response_format = body.get("response_format") or {}
    if response_format.get("type") == "json_object":
        return {"type": "object"}
    given = response_format.get("json_schema")
    return given.get("schema", given) if isinstance(given, Mapping) else None


def _check_window(request: ChatRequest) -> None:
    """Raise Refusal if prompt plus maximum answer exceed the context window."""
    total = request.estimate + (request.max_tokens or DEFAULT_MAX_TOKENS)
    if request.model.window and total > request.model.window:
        raise refusal(
            5021,
            f"The estimated number of input and maximum output tokens ({total}) exceeded this "
            f"model context window limit ({request.model.window}).",
        )


def _generate(exchange: Exchange, request: ChatRequest, dialect: Dialect) -> Generation:
    """Return the answer, cut at max_tokens; reasoning comes first and counts."""
    switches = exchange.switches
    answer = exchange.script.next_answer(request.last_user_text, _default_answer(request))
    for stop in request.stop:
        answer = answer.partition(stop)[0]
    thought_text = switches.thought if request.thinks else ""
    if thought_text and dialect.thought_field == "think_tag":
        thought_text, answer = "", f"<think>\n{thought_text}\n</think>\n\n{answer}"
    calls = _get_tool_calls(exchange, request)
    thought, text = split_tokens(thought_text), () if calls else split_tokens(answer)
    limit = len(thought) + len(text) + 1 if request.max_tokens is None else request.max_tokens
    ended = bool(calls) or len(thought) + len(text) < limit
    finish = "tool_calls" if calls else "stop" if ended else "length"
    return Generation(
        prompt_tokens=request.prompt_tokens,
        cached_tokens=min(switches.cached_tokens, request.prompt_tokens),
        thought=thought[:limit],
        text=text[: max(0, limit - len(thought))],
        calls=calls,
        finish=finish if switches.finish_reason is None else switches.finish_reason or None,
        ended=ended,
        alternatives=request.alternatives if switches.logprobs else None,
    )


def _get_tool_calls(exchange: Exchange, request: ChatRequest) -> tuple[ToolCall, ...]:
    """Return the tool calls; empty without tools or after `tool_steps` steps."""
    step = request.tool_steps_taken
    if not request.tools or step >= exchange.switches.tool_steps:
        return ()
    calls = enumerate(exchange.switches.tool_calls)
    return tuple(_make_tool_call(call, f"chatcmpl-tool-{step}{index}") for index, call in calls)


def _make_tool_call(call: Mapping[str, Any], default_id: str) -> ToolCall:
    """Return one tool call; `arguments` may be JSON text or a value."""
    given = call.get("arguments", {})
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return ToolCall(str(call.get("id", default_id)), str(call["name"]), given, split_tokens(text))


def _default_answer(request: ChatRequest) -> str:
    """Return a short Markdown answer that quotes the question, or JSON for a schema."""
    if request.schema is not None:
        return json.dumps(_fill(request.schema, request.last_user_text), ensure_ascii=False)
    question = " ".join(request.last_user_text.split())[:60]
    return f"You asked: *{question}*\n\n- This is the **stand-in**.\n- It answers with `Markdown`."


def _fill(schema: Mapping[str, Any], text: str) -> Any:
    """Return a value for a JSON schema: types, enums, properties, minItems and maxLength."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _fill(one, text) for name, one in properties.items()} or {"answer": text}
    if kind == "array":
        item = _fill(schema.get("items", {"type": "string"}), text)
        return [item] * max(1, schema.get("minItems", 1))
    text = text[: schema.get("maxLength", len(text))]
    return {"string": text, "integer": 1, "number": 0.5, "boolean": True}.get(str(kind))
