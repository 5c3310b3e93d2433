"""Estimate the cost of a request whose answer has a typical length."""

from collections.abc import Sequence
from statistics import median

from ..types.messages import Request
from ..types.usage import Usage
from .prices import Rates, count_answers, get_max_tokens
from .tokens import estimate_image_tokens, estimate_prompt_tokens

# For models without recent answers. With this length, 29 of the 32 recorded chat answers in
# notebooks/*.jsonl (27 November 2026) would cost between half and twice the typical cost, at the
# list prices of the default model. No other multiple of 5 covers more of them. The answers come
# from a small local model, and most lessons ask for short answers.
TYPICAL_ANSWER_TOKENS = 35


def typical_answer_tokens(recent_answer_tokens: Sequence[int]) -> int:
    """Return the median length of a model's recent answers, or the default if there are none."""
    return round(median(recent_answer_tokens)) if recent_answer_tokens else TYPICAL_ANSWER_TOKENS


def estimate_typical_neurons(
    request: Request, rates: Rates, recent_answer_tokens: Sequence[int]
) -> float:
    """Return the cost of a request in neurons, if each answer has the typical length.

    The typical length is at most max_tokens.
    """
    messages = request.messages
    prompt_tokens = estimate_prompt_tokens(messages) + estimate_image_tokens(messages)
    answer_tokens = typical_answer_tokens(recent_answer_tokens)
    max_tokens = get_max_tokens(request)
    if max_tokens:
        answer_tokens = min(answer_tokens, max_tokens)
    completion_tokens = answer_tokens * count_answers(request.extra)
    return rates.price_usage(Usage(prompt_tokens, completion_tokens))
