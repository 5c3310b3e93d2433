"""Format the footer that shows an answer's model, tokens, neurons, time and notes."""

from collections.abc import Mapping
from typing import NamedTuple

from ..i18n import _, mark, ngettext
from ..pricing.limits import WARNING_SHARE
from ..terminal import sanitize_text
from ..types.messages import Answer
from ..types.provenance import RecordingInfo
from ..types.usage import FREE_DAILY_NEURONS, DayUsage, Usage
from .tables import (
    MUTED_STYLE,
    MimeBundle,
    collapsed_html,
    format_account_figure,
    format_cost,
    format_date,
    format_day_budget,
    format_duration,
    format_neurons,
    format_rounded_neurons,
    format_seconds,
    muted_html,
)

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


class Footer(NamedTuple):
    """The footer of one answer or of several.

    `str()` returns the lines that a terminal shows, which do not include the details.

    Attributes:
        line: The usage line.
        notes: The lines below the usage line.
        details: Lines that a notebook shows when the user opens the usage line.
    """

    line: str
    notes: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join((self.line, *self.notes))

    def render(self) -> MimeBundle:
        """Return the footer as a MIME bundle, in the muted color and with closed details."""
        text = "\n".join((self.line, *self.notes))
        if self.details:
            details = collapsed_html(self.line, "\n".join(self.details))
            notes = muted_html("\n".join(self.notes)) if self.notes else ""
            html = f'<div style="{MUTED_STYLE}">{details}</div>{notes}'
        else:
            html = muted_html(text)
        return {"text/html": sanitize_text(html), "text/plain": sanitize_text(text)}


def format_usage_footer(answer: Answer, style: str) -> Footer:
    """Return the footer for an answer.

    Args:
        answer: The answer, complete or partial.
        style: "short", or "full" for a footer that shows the details openly.
    """
    parts = [format_model(answer), *list_usage(answer), *list_seconds(answer)]
    if answer.endpoint:
        parts.append(answer.endpoint)
    speed = list_speed(answer)
    day = [format_day_usage(answer.day_usage)] if answer.day_usage else []
    # The error below an interrupted answer says that it is incomplete.
    notes = answer.notes if answer.finish_reason == "interrupted" else format_footer_notes(answer)
    if style == "full":
        return Footer(" · ".join([*parts, *speed, *day]), (*answer.details, *notes))
    if answer.day_usage and is_near_limit(answer.day_usage):
        parts, day = [*parts, *day], []
    details = (*([" · ".join(speed)] if speed else []), *day, *answer.details)
    return Footer(" · ".join(parts), tuple(notes), details)


def list_usage(answer: Answer) -> list[str]:
    """Return footer parts with the tokens, or other work, and the neurons."""
    usage, recording = answer.usage, answer.provenance.recording
    is_guess = usage.cost_basis == "estimated" and answer.finish_reason in FINISH_NOTES
    work = answer.work_summary or format_token_counts(usage, is_guess=is_guess)
    return [work, *(_list_recording(recording) if recording else [_format_live_cost(answer)])]


def list_seconds(answer: Answer) -> list[str]:
    """Return a footer part with the seconds. It is left out if the answer was replayed."""
    return [] if answer.provenance.recording else [format_seconds(answer.seconds)]


def list_speed(answer: Answer) -> list[str]:
    """Return footer parts with the time to the first token and the tokens per second.

    A replayed answer has no parts, because its times say nothing about the model.
    """
    first_token_seconds = answer.first_token_seconds
    if first_token_seconds is None or answer.raw is not None or answer.provenance.recording:
        return []
    parts = [_("{time} to first token").format(time=format_seconds(first_token_seconds))]
    tokens_per_second = answer.tokens_per_second
    if tokens_per_second:
        parts.append(_("{rate:,.0f} tokens/s").format(rate=tokens_per_second))
    return parts


def format_step_footer(step_number: int, answer: Answer) -> str:
    """Return the footer for one step of an answer that involves tool calls."""
    return _("Step {number}: {usage}").format(
        number=step_number, usage=" · ".join([*list_usage(answer), *list_seconds(answer)])
    )


def format_model(answer: Answer) -> str:
    """Return the short name of the model, with a note if the model is local."""
    short_name = answer.model.rpartition("/")[2]
    if not answer.is_local:
        return short_name
    if answer.provenance.recording:
        return _("{model} (local)").format(model=short_name)
    return _("{model} on this machine").format(model=short_name)


def format_token_counts(usage: Usage, *, is_guess: bool = False) -> str:
    """Return the numbers of input and output tokens as text, marked if they are a guess."""
    tokens = _("{input:,}→{output:,} tokens").format(
        input=usage.prompt_tokens, output=usage.completion_tokens
    )
    if is_guess or usage.has_estimated_tokens:
        return _("about {tokens}").format(tokens=tokens)
    return tokens


def _format_live_cost(answer: Answer) -> str:
    if answer.is_local:
        return _("no neurons")
    if answer.usage.neurons is None:
        return _("neurons not reported")
    return format_cost(answer.usage.neurons, answer.usage.cost_basis)


def _list_recording(recording: RecordingInfo) -> list[str]:
    """Return footer parts with the recording date and the estimated cost of a new request."""
    parts = [_("replayed, recorded {date}").format(date=format_date(recording.date))]
    if recording.neurons == 0:
        parts.append(_("free"))
    elif recording.neurons is not None:
        parts.append(
            _("≈ {neurons} neurons if sent again").format(
                neurons=format_rounded_neurons(recording.neurons)
            )
        )
    return parts


def is_near_limit(day_usage: DayUsage) -> bool:
    """Return whether most of today's neurons are used, by this ledger or by the whole account."""
    if day_usage.limit is None:
        return day_usage.is_closed
    used = day_usage.billed + day_usage.estimated + day_usage.reserved + day_usage.elsewhere
    account_neurons = day_usage.account.neurons if day_usage.account else 0.0
    return (
        day_usage.is_closed
        or used >= WARNING_SHARE * day_usage.limit
        or account_neurons >= WARNING_SHARE * max(day_usage.limit, FREE_DAILY_NEURONS)
    )


def format_day_usage(day_usage: DayUsage) -> str:
    """Return text with today's neurons and the time until the daily reset."""
    used = format_neurons(day_usage.billed + day_usage.estimated + day_usage.elsewhere)
    limit = format_day_budget(day_usage)
    if day_usage.estimated:
        used = _("{neurons} ({estimated} estimated)").format(
            neurons=used, estimated=format_neurons(day_usage.estimated)
        )
    if day_usage.account:
        limit = _("{neurons} (account {account_neurons})").format(
            neurons=limit, account_neurons=format_account_figure(day_usage.account)
        )
    return _("today {used} of {limit}, resets in {time}").format(
        used=used, limit=limit, time=format_duration(day_usage.seconds_left)
    )


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
