"""Format the footer under an answer: model, tokens, neurons, time and notes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..types.messages import Answer
from ..types.provenance import RecordingInfo
from ..types.usage import DayUsage, Usage
from .tables import (
    format_account_figure,
    format_date,
    format_duration,
    format_neurons,
    format_rounded_neurons,
    format_seconds,
)

if TYPE_CHECKING:
    from ..types.answer_set import AnswerSet


FINISH_NOTES = {
    "interrupted": "Interrupted: {} had arrived.",
    "cut": "Cut off before its end: {} had arrived.",
    "budget": "Cut at the end of the budget: {} had arrived.",
    "content_filter": "Ended by the model's content filter.",
}


def format_usage_footer(answer: Answer, style: str) -> str:
    """Return the footer under an answer; `style` is "full" or "short". Notes are extra lines."""
    parts = (
        [
            _format_model(answer),
            _format_tokens(answer),
            _format_answer_cost(answer),
            _format_time(answer),
            *_format_endpoint_and_day(answer),
        ]
        if style == "full"
        else [_format_answer_cost(answer), format_seconds(answer.seconds)]
    )
    return "\n".join([" · ".join(parts), *format_footer_notes(answer)])


def format_column_footer(answer: Answer) -> str:
    """Return the footer under one of several answers: tokens, neurons, times, tokens/s."""
    tokens_per_second = answer.tokens_per_second
    first_token_seconds = answer.first_token_seconds
    is_single_response = answer.raw is not None
    is_local_recording = answer.is_local and answer.provenance.recording
    parts = [
        *([_format_model(answer)] if is_local_recording else []),
        _format_tokens(answer),
        _format_answer_cost(answer),
        *(
            [f"{format_seconds(first_token_seconds)} to first"]
            if first_token_seconds is not None and not is_single_response
            else []
        ),
        f"{tokens_per_second:,.0f} tokens/s"
        if tokens_per_second
        else format_seconds(answer.seconds),
    ]
    return " · ".join(parts)


def format_step_footer(step_number: int, answer: Answer) -> str:
    """Return the footer under one step of an answer with tool calls."""
    parts = (_format_tokens(answer), _format_answer_cost(answer), format_seconds(answer.seconds))
    return f"Step {step_number}: {' · '.join(parts)}"


def format_group_footer(
    answers: "AnswerSet", day_usage: DayUsage | None, notes: Sequence[str], style: str
) -> str:
    """Return the footer under several answers: their total usage and number of distinct texts."""
    usage = answers.usage
    received_count = sum(count for _, count in answers.distinct_counts.values())
    count = (
        f"{received_count} of {len(answers)} answers"
        if received_count < len(answers)
        else f"{received_count} answers"
    )
    if len(answers.distinct_counts) == 1 and received_count > 1:
        count += f", {next(iter(answers.distinct_counts.values()))[0]} distinct"
    is_local = answers[0].is_local and not answers[0].provenance.recording
    cost = "no neurons" if is_local else _format_usage_cost(usage)
    tokens = f"{usage.prompt_tokens:,}→{usage.completion_tokens:,} tokens"
    endpoint_parts = [answers[0].endpoint] if answers[0].endpoint else []
    parts = (
        [
            count,
            tokens,
            f"{cost} together",
            format_seconds(answers.seconds),
            *endpoint_parts,
            *_format_day_usage(day_usage),
        ]
        if style == "full"
        else [count, cost, format_seconds(answers.seconds)]
    )
    return "\n".join([" · ".join(parts), *notes])


def _format_model(answer: Answer) -> str:
    short_name = answer.model.rpartition("/")[2]
    if answer.is_local and answer.provenance.recording:
        return f"{short_name}, a local model"
    return f"{short_name} on this machine" if answer.is_local else short_name


def _format_tokens(answer: Answer) -> str:
    if answer.work_summary:
        return answer.work_summary
    usage = answer.usage
    prefix = (
        "about "
        if usage.cost_basis == "estimated" and answer.finish_reason in FINISH_NOTES
        else ""
    )
    return f"{prefix}{usage.prompt_tokens:,}→{usage.completion_tokens:,} tokens"


def _format_answer_cost(answer: Answer) -> str:
    if answer.provenance.recording:
        return _format_recording(answer.provenance.recording)
    if answer.is_local:
        return "no neurons"
    return _format_usage_cost(answer.usage)


def _format_usage_cost(usage: Usage) -> str:
    if usage.neurons is None:
        return "neurons not reported"
    return f"{format_neurons(usage.neurons)} neurons {usage.cost_basis}"


def _format_recording(recording: RecordingInfo) -> str:
    """Return the date of the recording and the estimated cost of a request in its place."""
    parts = ["replayed", f"recorded {format_date(recording.date)}"]
    if recording.neurons == 0:
        parts.append("would cost nothing")
    elif recording.neurons is not None:
        parts.append(f"would cost about {format_rounded_neurons(recording.neurons)}")
    return " · ".join(parts)


def _format_time(answer: Answer) -> str:
    total_text = format_seconds(answer.seconds)
    first_token_seconds = answer.first_token_seconds
    return (
        total_text
        if first_token_seconds is None
        else f"{total_text} ({format_seconds(first_token_seconds)} to first)"
    )


def _format_endpoint_and_day(answer: Answer) -> list[str]:
    return [*([answer.endpoint] if answer.endpoint else []), *_format_day_usage(answer.day_usage)]


def _format_day_usage(day_usage: DayUsage | None) -> list[str]:
    """Return the neurons used today, with the estimated part and the time to the reset."""
    if day_usage is None:
        return []
    estimated_note = (
        f" ({format_neurons(day_usage.estimated)} estimated)" if day_usage.estimated else ""
    )
    time_left = format_duration(day_usage.seconds_left)
    account_note = (
        f" (account {format_account_figure(day_usage.account)})" if day_usage.account else ""
    )
    day_text = (
        f"today {format_neurons(day_usage.spent)}{estimated_note} of {day_usage.limit:,.0f}"
        f"{account_note}, resets in {time_left}"
    )
    return [day_text]


def format_footer_notes(answer: Answer) -> list[str]:
    """Return notes for the reader: the answer's own, and why it is cut off, empty and so on."""
    received = "this is what" if answer.text or answer.reasoning else "nothing"
    finish_note = FINISH_NOTES.get(answer.finish_reason, "").format(received)
    notes = [*answer.notes, *([finish_note] if finish_note else [])]
    tokens_text = f"{answer.usage.completion_tokens:,} tokens"
    tool_names = ", ".join(call.name for call in answer.tool_calls)
    if answer.finish_reason == "length" and tool_names:
        notes.append(
            f"Cut at {tokens_text} by the limit, in a call of {tool_names}: raise --max-tokens."
        )
    elif answer.finish_reason == "length" and answer.text:
        notes.append(f"Cut at {tokens_text} by the limit: raise --max-tokens for the rest.")
    elif answer.finish_reason == "length":
        notes.append(
            f"All {tokens_text} went into thinking, which is billed, and none were left for the "
            "answer: raise --max-tokens, or ask without --think."
        )
    elif tool_names:
        notes.append(f"The model asks to call: {tool_names}.")
    elif answer.finish_reason == "tool_calls":
        notes.append("The model began a call that can't be read: it was not made.")
    elif not (answer.text or answer.finish_reason in FINISH_NOTES):
        billed_note = ", but the thinking above is billed" if answer.reasoning else ""
        notes.append(f"The answer is empty{billed_note}.")
    return notes
