"""POST /ai/v1/responses as documented; there is no public recording."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any

from . import admission, chat, sse
from .ask import ask
from .chunks import Wording
from .errors import refusal
from .exchange import Exchange
from .generation import Generation, generate
from .reply import Piece, Reply, plain


async def responses(exchange: Exchange) -> Reply:
    """Answer with a response object, or with the events that build it."""
    body = as_chat(exchange.body)
    model = admission.named(exchange, body.get("model"))
    if model.task != chat.TASK:
        raise refusal(5007, f"No such model {model.name} or task")
    request = ask(model, body)
    admission.let_in(exchange, model)
    await asyncio.sleep(exchange.switches.delay_before_headers)
    generation = generate(request, exchange.switches, exchange.script.answer(request))
    wording = chat.worded(exchange, model, exchange.switches.shape)
    with exchange.cloud.ledger.open(model, generation.prompt_tokens) as tab:
        tab.completion = generation.completion_tokens
    response = worded(wording, generation)
    if not request.stream:
        neurons = model.token_cost(generation.prompt_tokens, tab.completion)
        return plain(response, headers=admission.headers(exchange, model, neurons))
    pieces = streamed(response, generation)
    return Reply(pieces, 200, "text/event-stream", admission.headers(exchange, model))


def as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request as a chat request."""
    given = body.get("input")
    messages = (
        [{"role": "user", "content": given}] if isinstance(given, str) else list(given or [])
    )
    if body.get("instructions"):
        messages = [{"role": "system", "content": body["instructions"]}, *messages]
    named = {name: body[name] for name in ("model", "stream", "tools") if name in body}
    limit = {"max_tokens": body["max_output_tokens"]} if body.get("max_output_tokens") else {}
    return {**named, **limit, "messages": messages}


def worded(wording: Wording, generation: Generation) -> dict[str, Any]:
    """Return the complete response object."""
    usage = {
        "input_tokens": generation.prompt_tokens,
        "output_tokens": generation.completion_tokens,
        "total_tokens": generation.prompt_tokens + generation.completion_tokens,
    }
    return {
        "id": f"resp_{wording.id}",
        "object": "response",
        "created_at": wording.created,
        "model": wording.model.name,
        "status": "completed" if generation.ended else "incomplete",
        "output": list(output(generation)),
        "output_text": "".join(generation.text),
        "usage": usage,
    }


def output(generation: Generation) -> Iterator[dict[str, Any]]:
    """Yield the parts of the output: reasoning, tool calls, message."""
    if generation.thought:
        thought = {"type": "reasoning_text", "text": "".join(generation.thought)}
        yield {"type": "reasoning", "summary": [], "content": [thought]}
    for call in generation.calls:
        named = {"call_id": call.id, "name": call.name, "arguments": "".join(call.pieces)}
        yield {"type": "function_call", **named}
    if generation.text:
        text = {"type": "output_text", "text": "".join(generation.text), "annotations": []}
        yield {"type": "message", "role": "assistant", "status": "completed", "content": [text]}


async def streamed(
    response: Mapping[str, Any], generation: Generation
) -> AsyncGenerator[Piece, None]:
    """Yield the events of a response: text in pieces, everything else at the end."""
    started = {**response, "status": "in_progress", "output": [], "output_text": "", "usage": None}
    yield event("response.created", response=started)
    for piece in message_events(generation):
        yield piece
    done = event("response.completed", response=response)
    yield Piece(done.data, last=True)


def message_events(generation: Generation) -> Iterator[Piece]:
    """Yield the events of the message."""
    place = {"output_index": 0, "content_index": 0, "item_id": "msg_0"}
    item = {"id": "msg_0", "type": "message", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    yield event("response.output_item.added", output_index=0, item=item)
    yield event("response.content_part.added", part=part, **place)
    for piece in generation.text:
        yield event("response.output_text.delta", delta=piece, **place)
    whole = {
        **item,
        "status": "completed",
        "content": [{**part, "text": "".join(generation.text)}],
    }
    yield event("response.output_item.done", output_index=0, item=whole)


def event(kind: str, **more: Any) -> Piece:
    """Return one named event."""
    return Piece(f"event: {kind}\n".encode() + sse.frame({"type": kind, **more}))
