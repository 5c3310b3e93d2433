"""The Batch API: queue many requests of one model and poll for the results."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from . import admission, native
from .catalogue import Model
from .errors import Fault, Refusal, refusal
from .exchange import Exchange
from .reply import Reply, enveloped
from .script import Script

MAX_BYTES = 10_000_000
NO_LIMIT = 10**9


@dataclass(slots=True)
class Batch:
    """Queued requests; `polls` counts the polls before they are done."""

    model: Model
    requests: list[Mapping[str, Any]]
    polls: int = 0
    result: dict[str, Any] | None = None


async def queue_or_run(exchange: Exchange) -> Reply:
    """Answer /ai/run/{model}: a poll, a batch for the queue, or an ordinary call."""
    if set(exchange.body) == {"request_id"}:
        return await poll(exchange, exchange.body["request_id"])
    if exchange.received.query.get("queueRequest") == "true":
        return queue(exchange)
    return await native.run_named(exchange)


def queue(exchange: Exchange) -> Reply:
    """Add a batch to the queue."""
    model = admission.named(exchange, exchange.parts["model"])
    requests = exchange.body.get("requests")
    if not model.async_queue or not isinstance(requests, list):
        raise refusal(5006, "Bad input: Error: required properties at '/' are 'requests'")
    if len(exchange.received.body_bytes) >= MAX_BYTES:
        raise refusal(3006)
    identity = str(uuid4())
    exchange.cloud.batches[identity] = Batch(model, requests)
    return status("queued", identity, model)


async def poll(exchange: Exchange, identity: str) -> Reply:
    """Answer with the status of a batch, or with all answers when it is done."""
    batch = exchange.cloud.batches.get(identity)
    if batch is None:
        raise Refusal(Fault(404, 3042, "No such request"))
    if batch.polls < exchange.switches.batch_polls:
        batch.polls += 1
        return status("queued" if batch.polls == 1 else "running", identity, batch.model)
    if batch.result is None:
        batch.result = await completed(exchange, batch)
    return enveloped(batch.result)


async def completed(exchange: Exchange, batch: Batch) -> dict[str, Any]:
    """Return all answers; the queue has no limit of calls per minute."""
    unlimited = replace(exchange.switches, calls_per_minute=NO_LIMIT)
    inner = replace(exchange, script=Script(unlimited))
    answers = [await done(inner, batch.model, at, one) for at, one in enumerate(batch.requests)]
    # "Order not guaranteed": the answers are in reverse order.
    return {"responses": answers[::-1], "usage": summed(answers)}


def summed(answers: list[dict[str, Any]]) -> dict[str, float]:
    """Return the sum of the usage of all answers."""
    usage: dict[str, float] = {}
    for answer in answers:
        for name, amount in answer["result"].get("usage", {}).items():
            if isinstance(amount, int | float):
                usage[name] = usage.get(name, 0) + amount
    return usage


async def done(
    exchange: Exchange, model: Model, at: int, request: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the answer to one request of a batch, or its error."""
    inner = replace(exchange.received, json=dict(request), query={})
    reference = {"external_reference": request.get("external_reference")}
    try:
        reply = await native.run(replace(exchange, received=inner), model)
    except Refusal as raised:
        error = {"message": raised.fault.message, "code": raised.fault.code}
        return {"id": at, "result": {}, "success": False, "errors": [error], **reference}
    result = json.loads(reply.body)["result"] if isinstance(reply.body, bytes) else {}
    return {"id": at, "result": result, "success": True, **reference}


def status(name: str, identity: str, model: Model) -> Reply:
    """Return the status of a batch."""
    return enveloped({"status": name, "request_id": identity, "model": model.name})
