"""Format the footer that shows an answer's model, tokens, neurons, time and notes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..i18n import _, mark, ngettext
from ..types.messages import Answer
from ..types.provenance import RecordingInfo
from ..types.usage import CostBasis, DayUsage, Usage
from .tables import (
    format_account_figure,
    format_cost,
    format_date,
    format_duration,
    format_neurons,
    format_rounded_neurons,
    format_seconds,
)

if TYPE_CHECKING:
    from ..types.answer_set import AnswerSet


# Notes that say why an answer ended early. The first note in each pair is used if part of the
# answer was received, and the second note is used if nothing was received.
FINISH_NOTES: Mapping[str, tuple[str, str]] = {
    "interrupted": (
        mark("Interrupted. The answer is incomplete."),
        mark("Interrupted before the answer started."),
    ),
    "cut": (
        mark("The response ended early. The answer is incomplete."),
        mark("The response ended before the answer started."),
    ),
    "budget": (
        mark("Stopped at the budget limit. The answer is incomplete."),
        mark("Stopped at the budget limit before the answer started."),
    ),
    "content_filter": (
        mark("Stopped by the model's content filter."),
        mark("Stopped by the model's content filter."),
    ),
    "error": (
        mark("The model reported an error. The answer is incomplete."),
        mark("The model reported an error before the answer started."),
    ),
}
TOTAL_COST_TEXTS: Mapping[CostBasis | None, str] = {
    "billed": mark("{neurons} neurons in total, billed"),
    "estimated": mark("{neurons} neurons in total, estimated"),
    "replayed": mark("{neurons} neurons in total (replayed)"),
    None: mark("{neurons} neurons in total"),
}


def format_usage_footer(answer: Answer, style: str) -> str:
    """Return the footer for an answer, with a usage line and one line per note.

    Args:
        answer: The answer, complete or partial.
        style: "full" or "short".
    """
    parts = (
        [
            _format_model(answer),
            _format_tokens(answer),
            _format_answer_cost(answer),
            _format_time(answer),
            *([answer.endpoint] if answer.endpoint else []),
            *_format_day_usage(answer.day_usage),
        ]
        if style == "full"
        else [_format_answer_cost(answer), format_seconds(answer.seconds)]
    )
    # The error below an interrupted answer says that it is incomplete.
    notes = answer.notes if answer.finish_reason == "interrupted" else format_footer_notes(answer)
    return "\n".join([" · ".join(parts), *notes])


def format_column_footer(answer: Answer) -> str:
    """Return the footer for one of several answers, with its tokens, neurons, times and speed."""
    tokens_per_second = answer.tokens_per_second
    first_token_seconds = answer.first_token_seconds
    is_single_response = answer.raw is not None
    is_local_recording = answer.is_local and answer.provenance.recording
    parts = [
        *([_format_model(answer)] if is_local_recording else []),
        _format_tokens(answer),
        _format_answer_cost(answer),
        *(
            [_("{time} to first").format(time=format_seconds(first_token_seconds))]
            if first_token_seconds is not None and not is_single_response
            else []
        ),
        _("{rate:,.0f} tokens/s").format(rate=tokens_per_second)
        if tokens_per_second
        else format_seconds(answer.seconds),
    ]
    return " · ".join(parts)


def format_step_footer(step_number: int, answer: Answer) -> str:
    """Return the footer for one step of an answer that involves tool calls."""
    parts = (_format_tokens(answer), _format_answer_cost(answer), format_seconds(answer.seconds))
    return _("Step {number}: {usage}").format(number=step_number, usage=" · ".join(parts))


def format_group_footer(
    answers: "AnswerSet", day_usage: DayUsage | None, notes: Sequence[str], style: str
) -> str:
    """Return the footer that several answers share.

    Args:
        answers: The answers, complete or partial.
        day_usage: The day's usage, or None to omit the day's usage from the footer.
        notes: The notes to show below the usage line.
        style: "full" or "short".
    """
    usage = answers.usage
    count = _format_answer_count(answers)
    is_local = answers[0].is_local and not answers[0].provenance.recording
    cost = _("no neurons") if is_local else _format_usage_cost(usage)
    endpoint_parts = [answers[0].endpoint] if answers[0].endpoint else []
    parts = (
        [
            count,
            _format_token_counts(usage),
            cost if is_local or usage.neurons is None else _format_total_cost(usage),
            format_seconds(answers.seconds),
            *endpoint_parts,
            *_format_day_usage(day_usage),
        ]
        if style == "full"
        else [count, cost, format_seconds(answers.seconds)]
    )
    return "\n".join([" · ".join(parts), *notes])


def _format_answer_count(answers: "AnswerSet") -> str:
    """Return text with the number of answers received.

    If all answers are in one column, include the number of distinct answers.
    """
    counts = list(answers.distinct_counts.values())
    received_count = sum(count for _distinct_count, count in counts)
    if received_count < len(answers):
        text = _("{count} of {total} answers").format(count=received_count, total=len(answers))
    else:
        text = ngettext("{count} answer", "{count} answers", received_count).format(
            count=received_count
        )
    if len(counts) == 1 and received_count > 1:
        return _("{answers}, {count} distinct").format(answers=text, count=counts[0][0])
    return text


def _format_model(answer: Answer) -> str:
    short_name = answer.model.rpartition("/")[2]
    if not answer.is_local:
        return short_name
    if answer.provenance.recording:
        return _("{model} (local)").format(model=short_name)
    return _("{model} on this machine").format(model=short_name)


def _format_tokens(answer: Answer) -> str:
    if answer.work_summary:
        return answer.work_summary
    is_incomplete = answer.finish_reason in FINISH_NOTES
    is_guess = is_incomplete and answer.usage.cost_basis == "estimated"
    return _format_token_counts(answer.usage, is_guess=is_guess)


def _format_token_counts(usage: Usage, *, is_guess: bool = False) -> str:
    tokens = _("{input:,}→{output:,} tokens").format(
        input=usage.prompt_tokens, output=usage.completion_tokens
    )
    if is_guess or usage.has_estimated_tokens:
        return _("about {tokens}").format(tokens=tokens)
    return tokens


def _format_answer_cost(answer: Answer) -> str:
    if answer.provenance.recording:
        return _format_recording(answer.provenance.recording)
    if answer.is_local:
        return _("no neurons")
    return _format_usage_cost(answer.usage)


def _format_usage_cost(usage: Usage) -> str:
    if usage.neurons is None:
        return _("neurons not reported")
    return format_cost(usage.neurons, usage.cost_basis)


def _format_total_cost(usage: Usage) -> str:
    return _(TOTAL_COST_TEXTS[usage.cost_basis]).format(
        neurons=format_neurons(usage.neurons or 0.0)
    )


def _format_recording(recording: RecordingInfo) -> str:
    """Return text with the recording date and the estimated cost of resending the request."""
    parts = [_("replayed, recorded {date}").format(date=format_date(recording.date))]
    if recording.neurons == 0:
        parts.append(_("free"))
    elif recording.neurons is not None:
        parts.append(
            _("≈ {neurons} neurons if sent again").format(
                neurons=format_rounded_neurons(recording.neurons)
            )
        )
    return " · ".join(parts)


def _format_time(answer: Answer) -> str:
    total_text = format_seconds(answer.seconds)
    first_token_seconds = answer.first_token_seconds
    if first_token_seconds is None:
        return total_text
    return _("{total} ({time} to first)").format(
        total=total_text, time=format_seconds(first_token_seconds)
    )


def _format_day_usage(day_usage: DayUsage | None) -> list[str]:
    """Return footer parts with today's neurons and the time until the daily reset."""
    if day_usage is None:
        return []
    used = format_neurons(day_usage.billed + day_usage.estimated)
    limit = f"{day_usage.limit:,.0f}"
    if day_usage.estimated:
        used = _("{neurons} ({estimated} estimated)").format(
            neurons=used, estimated=format_neurons(day_usage.estimated)
        )
    if day_usage.account:
        limit = _("{neurons} (account {account_neurons})").format(
            neurons=limit, account_neurons=format_account_figure(day_usage.account)
        )
    return [
        _("today {used} of {limit}, resets in {time}").format(
            used=used, limit=limit, time=format_duration(day_usage.seconds_left)
        )
    ]


def format_footer_notes(answer: Answer) -> list[str]:
    """Return the notes on an answer.

    A note is added if the answer is incomplete, empty or a tool call.
    """
    finish_notes = FINISH_NOTES.get(answer.finish_reason)
    notes = list(answer.notes)
    if finish_notes:
        received_note, empty_note = finish_notes
        notes.append(_(received_note if answer.text or answer.reasoning else empty_note))
    if answer.finish_reason == "length":
        notes.append(_format_length_note(answer))
    elif answer.tool_calls:
        notes.append(
            _("Function calls requested by the model: {names}.").format(
                names=_list_functions(answer)
            )
        )
    elif answer.finish_reason == "tool_calls":
        notes.append(_("The model's function call is not valid, so it was not run."))
    elif not (answer.text or finish_notes):
        notes.append(
            _("The answer is empty. The thinking above is billed.")
            if answer.reasoning
            else _("The answer is empty.")
        )
    return notes


def _format_length_note(answer: Answer) -> str:
    """Return the note for an answer that was cut off at its token limit."""
    tokens = answer.usage.completion_tokens
    if answer.tool_calls:
        return ngettext(
            "Stopped at the limit of {count:,} token, in a call to {names}. Raise --max-tokens.",
            "Stopped at the limit of {count:,} tokens, in a call to {names}. Raise --max-tokens.",
            tokens,
        ).format(count=tokens, names=_list_functions(answer))
    if answer.text:
        return ngettext(
            "Stopped at the limit of {count:,} token. Raise --max-tokens for a longer answer.",
            "Stopped at the limit of {count:,} tokens. Raise --max-tokens for a longer answer.",
            tokens,
        ).format(count=tokens)
    return ngettext(
        "The limit of {count:,} token was used up by thinking, which is billed. "
        "Raise --max-tokens, or run without --think.",
        "The limit of {count:,} tokens was used up by thinking, which is billed. "
        "Raise --max-tokens, or run without --think.",
        tokens,
    ).format(count=tokens)


def _list_functions(answer: Answer) -> str:
    return ", ".join(call.name for call in answer.tool_calls)
