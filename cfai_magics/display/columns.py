"""Lay out several answers: in columns, with identical answers and shared facts shown once."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..i18n import _, mark, ngettext
from ..types.answer_set import (
    AnswerSet,
    ColumnKey,
    Variant,
    column_titles,
    repetition_titles,
    variant_titles,
)
from ..types.messages import Answer
from ..types.usage import CostBasis, DayUsage
from .footer import (
    Footer,
    format_day_usage,
    format_footer_notes,
    format_model,
    format_token_counts,
    is_near_limit,
    list_seconds,
    list_speed,
    list_usage,
)
from .tables import format_neurons, format_seconds

TOTAL_COST_TEXTS: dict[CostBasis | None, str] = {
    "billed": mark("{neurons} neurons in total, billed"),
    "estimated": mark("{neurons} neurons in total, estimated"),
    "replayed": mark("{neurons} neurons in total (replayed)"),
    "local": mark("no neurons"),
    None: mark("{neurons} neurons in total"),
}


class Block(NamedTuple):
    """Identical answers of one column, which are shown once.

    Attributes:
        indexes: The indexes of the answers.
        label: The repetition number of a single answer, or the number of identical answers.
        notes: The lines below the answer: its facts, notes and error.
    """

    indexes: tuple[int, ...]
    label: str
    notes: tuple[str, ...] = ()


class Column(NamedTuple):
    """One column of answers.

    Attributes:
        title: The model and temperature, unless all columns share them.
        label: The label of the only block, or the number of distinct answers.
        notes: The lines that all blocks of the column share, if there are several.
        blocks: The answers.
    """

    title: str
    label: str
    notes: tuple[str, ...]
    blocks: tuple[Block, ...]


def layout_pending(variants: Sequence[Variant]) -> list[Column]:
    """Return columns in which each answer is shown, because not all answers have ended."""
    groups: dict[ColumnKey, list[Block]] = {}
    for index, label in enumerate(repetition_titles(variants)):
        groups.setdefault(variants[index].column, []).append(Block((index,), label))
    if len(groups) == 1:
        return [_widen_block("", block) for group in groups.values() for block in group]
    titles = column_titles(variants)
    return [Column(titles[group[0].indexes[0]], "", (), tuple(group)) for group in groups.values()]


def layout_columns(answers: AnswerSet, footer_style: str) -> list[Column]:
    """Return one column for each combination of model and temperature.

    If there is only one combination, each distinct answer has its own column.
    """
    groups = _group_identical(answers)
    if len(groups) == 1:
        return [_widen_block("", block) for block in layout_blocks(answers, footer_style)]
    titles = column_titles(answers.variants)
    return [
        _build_column(titles[group[0][0]], answers, group, footer_style)
        if len(group) > 1
        else _widen_block(titles[group[0][0]], _build_block(answers, group[0], footer_style))
        for group in groups.values()
    ]


def layout_blocks(answers: AnswerSet, footer_style: str) -> list[Block]:
    """Return the blocks of all columns, each with all its facts and notes."""
    return [
        _build_block(answers, indexes, footer_style)
        for group in _group_identical(answers).values()
        for indexes in group
    ]


def format_block_notes(
    answers: Sequence[Answer],
    error: str,
    footer_style: str,
    titles: Sequence[str] = ("",),
    shared: Collection[str] = (),
) -> tuple[str, ...]:
    """Return the lines below identical answers.

    Args:
        answers: The identical answers, or one answer.
        error: The reason why the request failed, or "" if it did not fail.
        footer_style: "short", "full" or "off". A full footer has one line for each answer.
        titles: The title of each answer; "" if there is only one.
        shared: The facts and notes that the heading of the column shows.
    """
    errors = (error,) if error else ()
    if footer_style == "off" or (error and not answers[0].text):
        return errors
    if footer_style == "full":
        usage_lines = [
            _with_title(title, [*_list_facts(answer), *list_seconds(answer), *list_speed(answer)])
            for title, answer in zip(titles, answers, strict=True)
        ]
    else:
        facts = _find_shared(list(map(_list_facts, answers)))
        own_facts = [fact for fact in facts if fact not in shared]
        if len(answers) == 1 and not shared:
            own_facts += list_seconds(answers[0])
        usage_lines = [_join_facts(own_facts, len(answers))] if own_facts else []
    notes = (note for answer in answers for note in format_footer_notes(answer))
    return (
        *usage_lines,
        *(note for note in dict.fromkeys(notes) if note not in shared),
        *errors,
    )


def format_group_footer(
    answers: AnswerSet, day_usage: DayUsage | None, notes: Sequence[str], style: str
) -> Footer:
    """Return the footer that several answers share.

    Args:
        answers: The answers, complete or partial.
        day_usage: The day's usage, or None to omit the day's usage from the footer.
        notes: The notes to show below the usage line.
        style: "short", or "full" for a footer that shows the details openly.
    """
    is_replayed = all(answer.provenance.recording for answer in answers)
    has_one_model = len({answer.model for answer in answers}) == 1
    parts = [
        *([format_model(answers[0])] if has_one_model else []),
        _format_answer_count(answers),
        format_token_counts(answers.usage),
        _format_total_cost(answers),
        *([] if is_replayed else [format_seconds(answers.seconds)]),
        *([answers[0].endpoint] if answers[0].endpoint else []),
    ]
    day = [format_day_usage(day_usage)] if day_usage else []
    if style == "full":
        return Footer(" · ".join([*parts, *day]), tuple(notes))
    if day_usage and is_near_limit(day_usage):
        parts, day = [*parts, *day], []
    return Footer(" · ".join(parts), tuple(notes), (*_list_speeds(answers), *day))


def _group_identical(answers: AnswerSet) -> dict[ColumnKey, list[list[int]]]:
    """Return the indexes of identical answers, grouped by column."""
    groups: dict[ColumnKey, dict[int, list[int]]] = {}
    for index, first_index in enumerate(answers.duplicates):
        column = groups.setdefault(answers.variants[index].column, {})
        column.setdefault(first_index, []).append(index)
    return {key: list(column.values()) for key, column in groups.items()}


def _widen_block(title: str, block: Block) -> Column:
    """Return a column with one block, which has its label in the heading of the column."""
    return Column(title, block.label, (), (block._replace(label=""),))


def _build_column(
    title: str, answers: AnswerSet, group: Sequence[Sequence[int]], footer_style: str
) -> Column:
    """Return a column with several blocks."""
    indexes = [index for block_indexes in group for index in block_indexes]
    received = [answers[index] for index in indexes if not answers.errors[index]]
    facts: list[str] = []
    notes: list[str] = []
    if footer_style == "short" and len(received) > 1:
        facts = _find_shared(list(map(_list_facts, received)))
        notes = _find_shared(list(map(format_footer_notes, received)))
    blocks = (
        _build_block(answers, block_indexes, footer_style, {*facts, *notes})
        for block_indexes in group
    )
    facts_line = [_join_facts(facts, len(received))] if facts else []
    label = _format_distinct_count(answers, answers.variants[indexes[0]].column)
    return Column(title, label, (*facts_line, *notes), tuple(blocks))


def _build_block(
    answers: AnswerSet,
    indexes: Sequence[int],
    footer_style: str,
    shared: Collection[str] = (),
) -> Block:
    titles = repetition_titles(answers.variants)
    is_single = len(indexes) == 1
    notes = format_block_notes(
        [answers[index] for index in indexes],
        answers.errors[indexes[0]],
        footer_style,
        [""] if is_single else [titles[index] for index in indexes],
        shared,
    )
    label = titles[indexes[0]] if is_single else _format_count(answers, indexes)
    return Block(tuple(indexes), label, notes)


def _format_count(answers: AnswerSet, indexes: Sequence[int]) -> str:
    """Return the number of identical answers, with their numbers if the column has others."""
    variants = [answers.variants[index] for index in indexes]
    column = variants[0].column
    if len(indexes) == sum(variant.column == column for variant in answers.variants):
        return f"×{len(indexes)}"
    numbers = ", ".join(str(variant.repetition) for variant in variants)
    return _("×{count} ({numbers})").format(count=len(indexes), numbers=numbers)


def _format_distinct_count(answers: AnswerSet, key: ColumnKey) -> str:
    distinct_count, received_count = answers.distinct_counts[key]
    if received_count <= 1:
        return ""
    return ngettext(
        "{count} distinct answer in {total}",
        "{count} distinct answers in {total}",
        distinct_count,
    ).format(count=distinct_count, total=received_count)


def _list_facts(answer: Answer) -> list[str]:
    """Return the usage of an answer, and its model if a local model is replayed."""
    is_local_recording = answer.is_local and answer.provenance.recording
    return [*([format_model(answer)] if is_local_recording else []), *list_usage(answer)]


def _find_shared(lists: Sequence[Sequence[str]]) -> list[str]:
    """Return the items that all lists have, in the order of the first list."""
    return [item for item in lists[0] if all(item in items for items in lists)]


def _join_facts(facts: Sequence[str], answer_count: int) -> str:
    line = " · ".join(facts)
    return _("each {facts}").format(facts=line) if answer_count > 1 else line


def _with_title(title: str, parts: Sequence[str]) -> str:
    line = " · ".join(parts)
    return _("{title}: {status}").format(title=title, status=line) if title else line


def _list_speeds(answers: AnswerSet) -> list[str]:
    """Return a line with the speed of each streamed answer."""
    titles = variant_titles(answers.variants)
    return [
        _with_title(title, speed)
        for title, answer in zip(titles, answers, strict=True)
        if (speed := list_speed(answer))
    ]


def _format_answer_count(answers: AnswerSet) -> str:
    """Return text with the number of answers received.

    If all answers have the same model and temperature, include the number of distinct answers.
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


def _format_total_cost(answers: AnswerSet) -> str:
    usage = answers.usage
    if answers[0].is_local and not answers[0].provenance.recording:
        return _("no neurons")
    if usage.neurons is None:
        return _("neurons not reported")
    return _(TOTAL_COST_TEXTS[usage.cost_basis]).format(neurons=format_neurons(usage.neurons))
