"""Text generation on the OpenAI and the native route, streamed or complete."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from . import admission
from .ask import Ask, ask
from .catalogue import Model
from .chunks import Wording, events
from .completion import completion, native
from .dialects import Dialect
from .errors import refusal
from .exchange import Exchange
from .generation import Generation, generate
from .reply import HangUp, Reply, enveloped, plain
from .stream import streamed, verbatim

TASK = "Text Generation"


async def chat_completions(exchange: Exchange) -> Reply:
    """Answer POST /ai/v1/chat/completions."""
    if not exchange.body:
        raise refusal(3003)
    model = admission.named(exchange, exchange.body.get("model"))
    if model.task != TASK:
        raise refusal(5007, f"No such model {model.name} or task")
    dialect = exchange.switches.shape
    return await answer(exchange, model, exchange.body, dialect, wrapped=dialect.native)


async def run(exchange: Exchange, model: Model, body: Mapping[str, Any]) -> Reply:
    """Answer /ai/run for a text model; older models have the native format."""
    dialect = exchange.switches.shape
    if model.shape == "native" and not dialect.native:
        dialect = replace(exchange.switches, dialect="native").shape
    return await answer(exchange, model, body, dialect, wrapped=True)


async def answer(
    exchange: Exchange, model: Model, body: Mapping[str, Any], dialect: Dialect, *, wrapped: bool
) -> Reply:
    """Answer one request in this dialect; `wrapped` adds the envelope to complete answers."""
    request = ask(model, body)
    admission.let_in(exchange, model)
    generation = generate(request, exchange.switches, exchange.script.answer(request))
    wording = worded(exchange, model, dialect)
    await asyncio.sleep(exchange.switches.delay_before_headers)
    if request.stream and exchange.switches.empty_json_for_stream:
        return enveloped({}, admission.headers(exchange, model, 0.0))
    if (
        request.stream
        and exchange.switches.raw_stream is not None
        and not request.tool_steps_taken
    ):
        return raw_stream(exchange, wording, generation)
    if request.stream and not exchange.switches.json_for_stream:
        return stream(exchange, wording, generation)
    return await whole(exchange, wording, generation, request, wrapped=wrapped)


def worded(exchange: Exchange, model: Model, dialect: Dialect) -> Wording:
    """Return the dialect and ids of this answer; ids have the format of the recording."""
    now = exchange.cloud.clock()
    names = {
        "hex": secrets.token_hex(16),
        "chatcmpl": f"chatcmpl-{secrets.token_hex(16)}",
        "ms": f"id-{int(now * 1000)}",
    }
    return Wording(model, dialect, names[dialect.identity], int(now))


def stream(exchange: Exchange, wording: Wording, generation: Generation) -> Reply:
    """Return a streamed answer."""
    prompt, cached = generation.prompt_tokens, generation.cached_tokens
    call = exchange.cloud.ledger.open(wording.model, prompt, cached)
    words = events(wording, generation)
    body = streamed(words, exchange.switches, call, generation.completion_tokens)
    headers = admission.headers(exchange, wording.model)
    return Reply(body, content_type="text/event-stream", headers=headers)


def raw_stream(exchange: Exchange, wording: Wording, generation: Generation) -> Reply:
    """Return the stream of the `raw_stream` switch; the call is billed as usual."""
    prompt, cached = generation.prompt_tokens, generation.cached_tokens
    call = exchange.cloud.ledger.open(wording.model, prompt, cached)
    body = verbatim(exchange.switches, call, generation.completion_tokens)
    return Reply(body, content_type="text/event-stream")


async def whole(
    exchange: Exchange, wording: Wording, generation: Generation, request: Ask, *, wrapped: bool
) -> Reply:
    """Return a complete answer after the time that its tokens take."""
    await asyncio.sleep(exchange.switches.delay_before_first + seconds(exchange, generation))
    if exchange.switches.drop_connection_after is not None:
        raise HangUp
    prompt, cached = generation.prompt_tokens, generation.cached_tokens
    with exchange.cloud.ledger.open(wording.model, prompt, cached) as tab:
        tab.completion = generation.completion_tokens
    neurons = wording.model.token_cost(prompt, tab.completion, cached)
    headers = admission.headers(exchange, wording.model, neurons)
    result = worded_whole(wording, generation, request)
    return enveloped(result, headers) if wrapped else plain(result, headers=headers)


def worded_whole(wording: Wording, generation: Generation, request: Ask) -> dict[str, Any]:
    """Return the JSON of a complete answer."""
    if wording.dialect.native:
        return native(wording, generation, as_json=request.schema is not None)
    return completion(wording, generation)


def seconds(exchange: Exchange, generation: Generation) -> float:
    """Return the duration of the answer in seconds."""
    pace = exchange.switches.tokens_per_second
    return generation.completion_tokens / pace if pace else 0.0
