"""The native route /ai/run: all tasks in Cloudflare's format."""

import asyncio
from dataclasses import replace

from . import admission, chat
from .catalogue import Model
from .errors import Refusal, refusal
from .exchange import Exchange
from .job import Done, Job
from .ledger import Call
from .payload import payload
from .reply import HangUp, Reply, enveloped
from .tasks import TASKS


async def run_named(exchange: Exchange) -> Reply:
    """Answer POST /ai/run/{model}."""
    return await run(exchange, admission.named(exchange, exchange.parts["model"]))


async def run_in_body(exchange: Exchange) -> Reply:
    """Answer POST /ai/run, which names the model in the body and wraps the input."""
    body = exchange.body
    if not isinstance(body.get("input"), dict):
        raise refusal(5006, "Bad input: Error: required properties at '/' are 'model,input'")
    inner = replace(exchange, received=replace(exchange.received, json=body["input"]))
    return await run(inner, admission.named(inner, body.get("model")))


async def run(exchange: Exchange, model: Model) -> Reply:
    """Run the task of one model."""
    if model.task == chat.TASK:
        return await chat.run(exchange, model, exchange.body)
    task = TASKS.get(model.task)
    if task is None:
        raise no_task(model)
    job = Job(model, payload(exchange.received), exchange.script.say)
    admission.let_in(exchange, model)
    await asyncio.sleep(exchange.switches.delay_before_headers)
    if exchange.switches.drop_connection_after is not None:
        raise HangUp
    return billed(exchange, model, task(job))


def billed(exchange: Exchange, model: Model, done: Done) -> Reply:
    """Bill the work and return the result."""
    neurons = model.token_cost(done.prompt_tokens, done.completion_tokens) + model.cost(done.work)
    exchange.cloud.ledger.book(
        Call(model.name, done.prompt_tokens, done.completion_tokens, neurons)
    )
    headers = admission.headers(exchange, model, neurons)
    if done.content_type:
        return Reply(done.data, content_type=done.content_type, headers=headers)
    result = done.result
    if done.usage and not exchange.switches.omit_usage:
        result = {**result, "usage": usage(exchange, done, neurons)}
    return enveloped(result, headers)


def usage(exchange: Exchange, done: Done, neurons: float) -> dict[str, object]:
    """Return the usage object of a task that reports one."""
    found: dict[str, object] = {
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": done.completion_tokens,
        "total_tokens": done.prompt_tokens + done.completion_tokens,
    }
    return found if exchange.switches.omit_neurons_body else {**found, "neurons": neurons}


def no_task(model: Model) -> Refusal:
    """Return the error for a task that the stand-in does not support."""
    return refusal(5007, f"No such model {model.name} or task")
