"""The line under an answer: what it took, and what the reader should know of it."""

from collections.abc import Sequence

from ..values import Answer, Standing, Usage
from ..values.answers import Answers
from ..values.provenance import Recorded
from .formats import about, counted, day, duration, neurons, seconds


def receipt(answer: Answer, style: str) -> str:
    """Return the line under an answer, full or short, with remarks on lines of their own."""
    parts = (
        [_model(answer), _tokens(answer), _neurons(answer), _time(answer), *_way(answer)]
        if style == "full"
        else [_neurons(answer), seconds(answer.seconds)]
    )
    return "\n".join([" · ".join(parts), *remarks(answer)])


def figures(answer: Answer) -> str:
    """Return the row under one of several answers: tokens, neurons, time to first, pace."""
    pace = answer.tokens_per_second
    first = answer.first_token_seconds
    came_whole = answer.raw is not None
    of_local_model = answer.local and answer.origin.recorded
    parts = [
        *([_model(answer)] if of_local_model else []),
        _tokens(answer),
        _neurons(answer),
        *([f"{seconds(first)} to first"] if first is not None and not came_whole else []),
        f"{pace:,.0f} tokens/s" if pace else seconds(answer.seconds),
    ]
    return " · ".join(parts)


def step_told(number: int, answer: Answer) -> str:
    """Return the line under one step of an answer whose model calls functions."""
    parts = (_tokens(answer), _neurons(answer), seconds(answer.seconds))
    return f"Step {number}: {' · '.join(parts)}"


def receipt_of_all(
    answers: Answers, standing: Standing | None, notes: Sequence[str], style: str
) -> str:
    """Return the line under several answers: what they took together, and how many are alike."""
    usage = answers.usage
    came = sum(count for _, count in answers.distinct.values())
    count = f"{came} of {len(answers)} answers" if came < len(answers) else f"{came} answers"
    if len(answers.distinct) == 1 and came > 1:
        count += f", {next(iter(answers.distinct.values()))[0]} distinct"
    on_this_machine = answers[0].local and not answers[0].origin.recorded
    cost = "no neurons" if on_this_machine else _cost(usage)
    tokens = f"{usage.prompt_tokens:,}→{usage.completion_tokens:,} tokens"
    via = [answers[0].via] if answers[0].via else []
    parts = (
        [count, tokens, f"{cost} together", seconds(answers.seconds), *via, *_day(standing)]
        if style == "full"
        else [count, cost, seconds(answers.seconds)]
    )
    return "\n".join([" · ".join(parts), *notes])


def _model(answer: Answer) -> str:
    short = answer.model.rpartition("/")[2]
    if answer.local and answer.origin.recorded:
        return f"{short}, a local model"
    return f"{short} on this machine" if answer.local else short


def _tokens(answer: Answer) -> str:
    if answer.work:
        return answer.work
    usage = answer.usage
    mark = "about " if usage.basis == "estimated" and answer.finish in ENDINGS else ""
    return f"{mark}{usage.prompt_tokens:,}→{usage.completion_tokens:,} tokens"


def _neurons(answer: Answer) -> str:
    if answer.origin.recorded:
        return _recorded(answer.origin.recorded)
    if answer.local:
        return "no neurons"
    return _cost(answer.usage)


def _cost(usage: Usage) -> str:
    if usage.neurons is None:
        return "neurons not reported"
    return f"{neurons(usage.neurons)} neurons {usage.basis}"


def _recorded(recorded: Recorded) -> str:
    """Return the day of the recording, and what asking would cost in its place."""
    told = ["replayed", f"recorded {day(recorded.date)}"]
    if recorded.neurons == 0:
        told.append("would cost nothing")
    elif recorded.neurons is not None:
        told.append(f"would cost about {about(recorded.neurons)}")
    return " · ".join(told)


def _time(answer: Answer) -> str:
    total = seconds(answer.seconds)
    first = answer.first_token_seconds
    return total if first is None else f"{total} ({seconds(first)} to first)"


def _way(answer: Answer) -> list[str]:
    return [*([answer.via] if answer.via else []), *_day(answer.standing)]


def _day(day: Standing | None) -> list[str]:
    """Return where the day stands, and how much of that is only estimated."""
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
    names = ", ".join(call.name for call in answer.tool_calls)
    if answer.finish == "length" and names:
        found.append(f"Cut at {tokens} by the limit, in a call of {names}: raise --max-tokens.")
    elif answer.finish == "length" and answer.text:
        found.append(f"Cut at {tokens} by the limit: raise --max-tokens for the rest.")
    elif answer.finish == "length":
        found.append(
            f"All {tokens} went into thinking, which is billed, and none were left for the "
            "answer: raise --max-tokens, or ask without --think."
        )
    elif names:
        found.append(f"The model asks to call: {names}.")
    elif answer.finish == "tool_calls":
        found.append("The model began a call that can't be read: it was not made.")
    elif not (answer.text or answer.finish in ENDINGS):
        billed = ", but the thinking above is billed" if answer.thought else ""
        found.append(f"The answer is empty{billed}.")
    return found
