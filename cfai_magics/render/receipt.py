"""The line under an answer: what it took, and what the reader should know of it."""

from ..values import Answer
from .formats import counted, duration, neurons, seconds


def receipt(answer: Answer, style: str) -> str:
    """Return the line under an answer, full or short, with remarks on lines of their own."""
    parts = (
        [_model(answer), _tokens(answer), _neurons(answer), _time(answer), *_way(answer)]
        if style == "full"
        else [_neurons(answer), seconds(answer.seconds)]
    )
    return "\n".join([" · ".join(parts), *remarks(answer)])


def _model(answer: Answer) -> str:
    short = answer.model.rpartition("/")[2]
    return f"{short} on this machine" if answer.local else short


def _tokens(answer: Answer) -> str:
    usage = answer.usage
    mark = "about " if usage.basis == "estimated" and answer.finish in ENDINGS else ""
    return f"{mark}{usage.prompt_tokens:,}→{usage.completion_tokens:,} tokens"


def _neurons(answer: Answer) -> str:
    if answer.local:
        return "no neurons"
    if answer.neurons is None:
        return "neurons not reported"
    return f"{neurons(answer.neurons)} neurons {answer.basis}"


def _time(answer: Answer) -> str:
    total = seconds(answer.seconds)
    first = answer.first_token_seconds
    return total if first is None else f"{total} ({seconds(first)} to first)"


def _way(answer: Answer) -> list[str]:
    return [*([answer.via] if answer.via else []), *_today(answer)]


def _today(answer: Answer) -> list[str]:
    """Return where the day stands, and how much of that is only estimated."""
    day = answer.standing
    if day is None:
        return []
    part = f" ({neurons(day.estimated)} estimated)" if day.estimated else ""
    left = duration(day.seconds_left)
    told = f" (account {counted(day.account)})" if day.account else ""
    return [f"today {neurons(day.spent)}{part} of {day.limit:,.0f}{told}, resets in {left}"]


ENDINGS = {
    "interrupted": "Interrupted: {} had arrived.",
    "cut": "Cut off before its end: {} had arrived.",
    "budget": "Cut at the end of the budget: {} had arrived.",
    "content_filter": "Ended by the model's content filter.",
}


def remarks(answer: Answer) -> list[str]:
    """Return what the reader should know: cut, interrupted, empty, or from a small model."""
    arrived = "this is what" if answer.text or answer.thought else "nothing"
    ending = ENDINGS.get(answer.finish, "").format(arrived)
    found = [*answer.notes, *([ending] if ending else [])]
    tokens = f"{answer.usage.completion_tokens:,} tokens"
    if answer.finish == "length" and answer.text:
        found.append(f"Cut at {tokens} by the limit: raise --max-tokens for the rest.")
    elif answer.finish == "length":
        found.append(
            f"All {tokens} went into thinking, which is billed, and none were left for the "
            "answer: raise --max-tokens, or ask without --think."
        )
    elif not (answer.text or answer.tool_calls or answer.finish in ENDINGS):
        billed = ", but the thinking above is billed" if answer.thought else ""
        found.append(f"The answer is empty{billed}.")
    if answer.tool_calls:
        found.append(f"The model asks to call: {', '.join(c.name for c in answer.tool_calls)}.")
    return found
