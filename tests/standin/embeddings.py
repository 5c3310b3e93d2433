"""POST /ai/v1/embeddings: the vectors of the native route in OpenAI's format."""

import asyncio

from . import admission, tokens
from .errors import refusal
from .exchange import Exchange
from .ledger import Call
from .reply import Reply, plain
from .texts import embedded

TASK = "Text Embeddings"


async def openai_embeddings(exchange: Exchange) -> Reply:
    """Answer with one vector per text, in order; without `usage`, as recorded."""
    body = exchange.body
    model = admission.named(exchange, body.get("model"))
    if "rerank" in model.name:
        raise refusal(5006, "Bad input: Error: required properties at '/' are 'query,contexts'")
    if model.task != TASK:
        raise refusal(5007, f"No such model {model.name} or task")
    if "input" not in body:
        raise refusal(5006, "Bad input: Error: required properties at '/' are 'input'")
    texts = [body["input"]] if isinstance(body["input"], str) else list(body["input"])
    admission.let_in(exchange, model)
    await asyncio.sleep(exchange.switches.delay_before_headers)
    found = embedded(model, texts)
    prompt = sum(map(tokens.count, texts))
    neurons = model.token_cost(prompt, 0)
    exchange.cloud.ledger.book(Call(model.name, prompt, 0, neurons))
    data = [
        {"object": "embedding", "embedding": vector, "index": at}
        for at, vector in enumerate(found)
    ]
    answer: dict[str, object] = {"object": "list", "data": data, "model": model.name}
    if exchange.switches.embeddings_usage:
        answer["usage"] = {"prompt_tokens": prompt, "total_tokens": prompt}
    return plain(answer, headers=admission.headers(exchange, model, neurons))
