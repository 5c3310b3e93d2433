"""Stand-in servers that report the usage of an answer in different ways."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from cfai_magics.types.messages import Message
from tests.frames import Body, end, text, tokens

# Neurons per token of the model that these servers simulate, from the price list.
PROMPT_RATE, ANSWER_RATE = 0.009091, 0.027273
PROMPT_TOKENS = 20
REPORTS = ("end", "never", "start", "cumulative", "cumulative tokens", "deltas")
LONG = " incomprehensibilities"  # one token of many characters
PLAIN = " word"
DEFAULT_LENGTH = 60  # tokens of an answer without max_tokens
EXCESS = 4  # times max_tokens, for a server that ignores max_tokens


@dataclass(frozen=True)
class Behavior:
    """How a server answers one call: each token is `token`, each frame has `size` tokens."""

    report: str
    token: str = PLAIN
    size: int = 1
    obeys: bool = True  # ends the answer at max_tokens

    def message(self) -> Message:
        """Return the prompt that lets the server behave like this."""
        return {"role": "user", "content": json.dumps(asdict(self))}

    def neurons(self, count: int) -> float:
        """Return the neurons that the server bills for this number of answer tokens."""
        return PROMPT_TOKENS * PROMPT_RATE + count * ANSWER_RATE


def answer(body: Body) -> Iterator[bytes]:
    """Answer as the last message specifies."""
    behavior = Behavior(**json.loads(body["messages"][-1]["content"]))
    limit = int(body["max_tokens"] or DEFAULT_LENGTH) * (1 if behavior.obeys else EXCESS)
    done = 0
    while done < limit:
        size = min(behavior.size, limit - done)
        done += size
        yield text(behavior.token * size, _running(behavior, done, size))
    last = tokens(PROMPT_TOKENS, done, behavior.neurons(done))
    yield end(None if behavior.report in {"never", "start"} else last)


def _running(behavior: Behavior, done: int, size: int) -> dict[str, Any] | None:
    """Return the usage reported with the frame that completes `done` tokens."""
    if behavior.report == "cumulative":
        return tokens(PROMPT_TOKENS, done, behavior.neurons(done))
    if behavior.report == "cumulative tokens":
        return tokens(PROMPT_TOKENS, done)
    is_first = done == size
    if behavior.report == "start" and is_first:
        return tokens(PROMPT_TOKENS, 0)
    if behavior.report == "deltas":
        prompt = PROMPT_TOKENS * PROMPT_RATE if is_first else 0.0
        return tokens(0, size, size * ANSWER_RATE + prompt)
    return None
