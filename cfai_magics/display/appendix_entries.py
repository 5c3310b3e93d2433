"""Build the entries of the appendix from the outputs of a notebook and its recording."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from ..i18n import _
from ..notebook import split_cell, to_valid_text
from ..prompt.template import parse_template
from ..replay.contents import Contents
from ..replay.interaction import Interaction
from ..replay.recorded_answers import (
    PromptPart,
    RecordedAnswers,
    has_same_text,
    iter_prompt_parts,
)
from ..terminal import sanitize_text
from ..types.usage import MAX_NEURONS, MAX_TOKENS
from .ai_appendix import AppendixEntry
from .footer import FINISH_NOTES
from .saved_answers import SavedAnswer, parse_number, parse_timestamp
from .tables import format_date

CHAT_TASK = "chat"
Redact = Callable[[str], str]


def build_entries(
    answers: Sequence[SavedAnswer],
    contents: Contents,
    redact: Redact,
    *,
    lists_unused: bool,
) -> list[AppendixEntry]:
    """Return an entry for each displayed answer, followed by those that are only recorded.

    Args:
        answers: The answers in the notebook's outputs.
        contents: The recording, which may be empty.
        redact: A function that removes secrets from a text.
        lists_unused: Whether to list recorded answers that no output shows.
    """
    recorded = RecordedAnswers(contents)
    builder = _EntryBuilder(redact)
    entries = [builder.from_output(answer, _take(recorded, answer)) for answer in answers]
    unused = recorded.unused if lists_unused else []
    unused.sort(key=lambda interaction: interaction.date)
    return [*entries, *map(builder.from_recording, unused)]


def _take(recorded: RecordedAnswers, answer: SavedAnswer) -> Interaction | None:
    fingerprint = to_valid_text(answer.metadata.get("request"))
    # The text of answers side by side contains all of them.
    return recorded.take(fingerprint, answer.cell, "" if answer.is_shared else answer.text)


class _EntryBuilder:
    def __init__(self, redact: Redact) -> None:
        self._redact = redact
        self._shared_cells: set[int] = set()

    def _clean(self, text: str) -> str:
        """Return the text without secrets, control characters and spaces at its end."""
        return self._redact(sanitize_text(text)).strip("\n").rstrip()

    def _clean_value(self, value: Any) -> str:
        return self._clean(to_valid_text(value))

    def from_recording(self, interaction: Interaction) -> AppendixEntry:
        """Return the entry of a recorded answer."""
        usage = interaction.usage
        is_local = bool(interaction.request.local_model)
        has_usage = bool(usage.prompt_tokens or usage.completion_tokens or usage.neurons)
        return AppendixEntry(
            cell=0,
            date=self._clean(interaction.date),
            model=self._clean(interaction.model),
            version=self._clean(interaction.version),
            parameters=self._clean_parameters(interaction.request.parameters),
            tokens_in=usage.prompt_tokens if has_usage else None,
            tokens_out=usage.completion_tokens if has_usage else None,
            neurons=0.0 if is_local else usage.neurons,
            cost_basis="local" if is_local else "billed" if usage.neurons is not None else "",
            finish_reason=self._clean(interaction.finish_reason),
            request_fingerprint=interaction.request.fingerprint,
            prompt=self._clean_prompt(iter_prompt_parts(interaction.request)),
            prompt_source="recording",
            answer=self._clean(interaction.text),
            answer_source="recording",
            notes=tuple(_list_recorded_notes(interaction)),
        )

    def from_output(self, answer: SavedAnswer, interaction: Interaction | None) -> AppendixEntry:
        """Return the entry of a displayed answer, with its prompt from the recording if any."""
        metadata = answer.metadata
        usage = metadata.get("usage")
        usage = usage if isinstance(usage, Mapping) else {}
        tokens_in, tokens_out = (
            parse_number(usage.get(name), MAX_TOKENS)
            for name in ("prompt_tokens", "completion_tokens")
        )
        is_replayed = isinstance(metadata.get("recorded"), Mapping)
        is_local = bool(metadata.get("local")) and not is_replayed
        text, source, notes = self._choose_text(answer, interaction)
        finish_reason = self._clean_value(metadata.get("finish"))
        prompt = (
            iter_prompt_parts(interaction.request)
            if interaction
            else iter([PromptPart("", answer.source)])
        )
        return AppendixEntry(
            cell=answer.cell,
            date=_format_time(parse_timestamp(metadata.get("date"))),
            model=self._clean_value(metadata.get("model")),
            version=self._clean_value(metadata.get("version")),
            parameters=self._clean_parameters(metadata.get("parameters")),
            tokens_in=None if tokens_in is None else int(tokens_in),
            tokens_out=None if tokens_out is None else int(tokens_out),
            neurons=0.0 if is_local else parse_number(usage.get("neurons"), MAX_NEURONS),
            cost_basis="local" if is_local else self._clean_value(metadata.get("basis")),
            finish_reason=finish_reason,
            request_fingerprint=self._clean_value(metadata.get("request")),
            prompt=self._clean_prompt(prompt),
            prompt_source="recording" if interaction else "cell",
            answer=self._clean(text),
            answer_source=source,
            media_hash=sha256(answer.media).hexdigest() if answer.media else "",
            notes=(
                *self._list_origin_notes(answer, interaction),
                *self._list_finish_notes(finish_reason, answer, has_text=bool(text)),
                *notes,
            ),
        )

    def _choose_text(
        self, answer: SavedAnswer, interaction: Interaction | None
    ) -> tuple[str, str, list[str]]:
        """Return the text of an answer, a key of ANSWER_SOURCES, and notes.

        The recording has the text as the model wrote it, before it was formatted for the output.
        """
        recorded_text = (
            interaction.text if interaction and interaction.request.task == CHAT_TASK else ""
        )
        if recorded_text and (
            answer.is_shared or not answer.text or has_same_text(recorded_text, answer.text)
        ):
            return recorded_text, "recording", []
        if recorded_text:
            note = _(
                "The output differs from the recorded answer. This is the text of the output."
            )
            return answer.text, "output", [note]
        if not answer.is_shared:
            return answer.text, "output", []
        if answer.cell in self._shared_cells:
            note = _("The text of this answer is in the first entry of this cell.")
            return "", "output", [note]
        self._shared_cells.add(answer.cell)
        note = _("The cell shows several answers side by side. The text has all of them.")
        return answer.text, "output", [note]

    def _clean_parameters(self, parameters: Any) -> dict[str, str | int | float | bool]:
        """Return the parameters with simple values; long values are hashes in the metadata."""
        items = parameters.items() if isinstance(parameters, Mapping) else ()
        return {
            self._clean_value(name): self._clean(to_valid_text(value))
            if isinstance(value, str)
            else value
            for name, value in items
            if isinstance(value, str | int | float)
        }

    def _clean_prompt(self, parts: Iterator[PromptPart]) -> tuple[PromptPart, ...]:
        return tuple(PromptPart(self._clean(name), self._clean(text)) for name, text in parts)

    def _list_origin_notes(
        self, answer: SavedAnswer, interaction: Interaction | None
    ) -> Iterator[str]:
        if not answer.metadata:
            yield _("The output has no metadata, so the model and the date are unknown.")
        recorded = answer.metadata.get("recorded")
        if isinstance(recorded, Mapping):
            date = self._clean_value(recorded.get("date"))
            yield _("Replayed from a recording of {date}.").format(date=format_date(date))
        if interaction is None:
            yield _(
                "The prompt is not recorded. The cell may have been edited since, and its text "
                "does not have the values of {{…}}, the system prompt or earlier turns."
            )
        elif _was_edited(answer.source, interaction):
            yield _(
                "The cell was edited after this answer: it no longer has the prompt that was sent."
            )

    def _list_finish_notes(
        self, finish_reason: str, answer: SavedAnswer, *, has_text: bool
    ) -> Iterator[str]:
        if finish_reason in FINISH_NOTES:
            with_text, without_text = FINISH_NOTES[finish_reason]
            yield _(with_text if has_text else without_text)
        elif finish_reason == "length":
            yield _("The answer reached its maximum length and is incomplete.")
        if answer.error:
            yield _("The cell ended with an error: {error}").format(
                error=self._clean(answer.error)
            )


def _list_recorded_notes(interaction: Interaction) -> Iterator[str]:
    if not interaction.text:
        yield _(
            "The recorded answer is not text: it is an image, audio, numbers or a function call."
        )
    yield _(
        "No output of the notebook shows this answer: the output was replaced, or the answer was "
        "used in Python or in a map."
    )


def _was_edited(source: str, interaction: Interaction) -> bool:
    """Return whether a `%%cfai` cell has text that is not in the recorded prompt."""
    cell = split_cell(source)
    if cell is None or interaction.request.task != CHAT_TASK:
        return False
    parts = iter_prompt_parts(interaction.request)
    prompt = _remove_spaces("".join(part.text for part in parts))
    position = 0
    for piece in parse_template(cell[1]).pieces:
        text = _remove_spaces(piece) if isinstance(piece, str) else ""
        start = prompt.find(text, position)
        if start < 0:
            return True
        position = start + len(text)
    return False


def _remove_spaces(text: str) -> str:
    return "".join(text.split())


def _format_time(timestamp: float) -> str:
    """Return the time in UTC, to the second, or "" if it is 0."""
    if not timestamp:
        return ""
    moment = datetime.fromtimestamp(timestamp, UTC)
    return moment.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
