"""Estimate the cost of a request whose answer has a typical length."""

from collections.abc import Sequence
from dataclasses import astuple
from statistics import median

from ..types.messages import Request
from ..types.usage import Usage
from .prices import Cost, Estimate, Rates, count_answers, get_max_tokens
from .tokens import estimate_prompt_tokens

# For models without recent answers: a quarter of max_tokens, at most 100 tokens. At the list
# prices of the default model, 55 of the 57 recorded chat answers in notebooks/*.cfai.jsonl
# (28 November 2026) then cost between half and twice the typical cost. The other two answers are
# texts in images, for which no tokens were reported. A third of max_tokens, or a maximum of 75 to
# 120 tokens, gives the same result. The answers come from a small local model.
DEFAULT_SHARE = 4
MAX_DEFAULT_ANSWER_TOKENS = 100


def typical_answer_tokens(recent_answer_tokens: Sequence[int], max_tokens: int) -> int:
    """Return the median length of a model's recent answers, or the default if there are none.

    Args:
        recent_answer_tokens: The lengths of the answers.
        max_tokens: The maximum length of an answer, or 0 if there is none.
    """
    if recent_answer_tokens:
        tokens = round(median(recent_answer_tokens))
    else:
        tokens = -(-max_tokens // DEFAULT_SHARE) or MAX_DEFAULT_ANSWER_TOKENS
        tokens = min(tokens, MAX_DEFAULT_ANSWER_TOKENS)
    return min(tokens, max_tokens or tokens)


def make_estimate(
    request: Request, cost: Cost, rates: Rates, recent_answer_tokens: Sequence[int]
) -> Estimate:
    """Return the estimated cost of a request, both typical and maximum.

    Args:
        request: The request.
        cost: The cost of the request.
        rates: The list prices, or calibrated prices.
        recent_answer_tokens: The lengths of the model's recent answers.
    """
    answer_tokens = typical_answer_tokens(recent_answer_tokens, get_max_tokens(request))
    usage = Usage(estimate_prompt_tokens(request), answer_tokens * count_answers(request.extra))
    typical = rates.price_usage(usage)
    if cost.bounded.max_tokens:  # otherwise, the length of the answer has no limit
        typical = min(typical, cost.bounded.high)
    return Estimate(*astuple(cost), typical=typical)
