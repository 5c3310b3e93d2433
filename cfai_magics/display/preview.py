"""Display what a request sends: before (`--dry-run`) and after (`--sent`)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from ..markdown.escaping import escape_html
from ..pricing.prices import Cost
from ..prompt.builder import PartCost, PromptReport
from ..terminal import sanitize_json, sanitize_text
from ..texts import format_percent, shorten_line
from .tables import (
    MimeBundle,
    Table,
    collapsed_html,
    expanded_html,
    format_neurons,
    format_range,
    muted_html,
)

PREVIEW_COLUMNS = ("part", "tokens", "share")
MAX_DATA_CHARS = 40  # shown of an image's data
MAX_WORD_CHARS = 200  # a longer text without spaces is encoded data
REPLAY_NOTE = "The answer is recorded: it would be replayed, and nothing would be sent or cost."
PROMPT_REPORT_COLUMNS = ("part", "what", "tokens", "neurons", "share of cost")
MAX_EXCERPT_CHARS = 48  # of a part's text in the table


@dataclass(frozen=True, slots=True)
class Preview:
    """Preview of a chat request: its JSON, the tokens of its parts and its estimated cost.

    `cost` is None if the price is unknown; `notes` are lines about the estimate.
    """

    request: Mapping[str, Any]
    part_costs: tuple[PartCost, ...]
    cost: Cost | None
    notes: tuple[str, ...] = ()

    @property
    def neurons_text(self) -> str:
        """The range of neurons that the call may cost."""
        if self.cost is None:
            return "neurons unknown: the model has no known price"
        return f"{format_range(self.cost.low, self.cost.high)} neurons estimated"

    @property
    def table(self) -> Table:
        """The tokens and their share by kind of part: system, history, variables, cell, …."""
        tokens_by_kind: dict[str, int] = {}
        for part_cost in self.part_costs:
            kind = part_cost.part.kind if part_cost.part else "answer"
            tokens_by_kind[kind] = tokens_by_kind.get(kind, 0) + part_cost.tokens
        total_tokens = sum(tokens_by_kind.values()) or 1
        rows = [
            (kind, f"{tokens:,}", format_percent(tokens / total_tokens))
            for kind, tokens in tokens_by_kind.items()
        ]
        note = "\n".join(
            [
                (
                    f"Nothing was sent. {self.neurons_text}, with at the most "
                    f"{self._max_tokens_text()}."
                ),
                *self.notes,
            ]
        )
        return Table(
            PREVIEW_COLUMNS, (*rows, ("all", f"{sum(tokens_by_kind.values()):,}", "")), note
        )

    def _max_tokens_text(self) -> str:
        return (
            f"{self.cost.max_tokens:,} tokens of answer" if self.cost else "what max_tokens says"
        )

    @property
    def request_json(self) -> str:
        """The request as text."""
        return sanitize_json(json.dumps(self.request, indent=2, ensure_ascii=False))

    def __str__(self) -> str:
        return f"{self.request_json}\n\n{self.table}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        request_html = expanded_html("The request, as JSON", self.request_json)
        return f"{request_html}{self.table._repr_html_()}"


@dataclass(frozen=True, slots=True)
class TaskPreview:
    """Preview of a native task: its JSON, its work in the billed unit and its prices."""

    request: Mapping[str, Any]
    amount_text: str
    price_text: str
    price_list: str = ""
    notes: tuple[str, ...] = ()

    @property
    def request_json(self) -> str:
        """The request as text."""
        return sanitize_json(json.dumps(self.request, indent=2, ensure_ascii=False))

    @property
    def cost_summary(self) -> str:
        """The estimated cost with the model's prices and notes."""
        lines = [f"Nothing was sent. {self.amount_text}: {self.price_text}."]
        lines += [f"Prices of the model: {self.price_list}."] if self.price_list else []
        return "\n".join([*lines, *self.notes])

    def __str__(self) -> str:
        return sanitize_text(f"{self.request_json}\n\n{self.cost_summary}")

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        request_html = expanded_html("The request, as JSON", self.request_json)
        return f"{request_html}{muted_html(self.cost_summary)}"


def redact_for_display(value: Any, redact_text: Callable[[str], str]) -> Any:
    """Return a JSON value for display: data shortened, texts redacted with `redact_text`."""
    if isinstance(value, str) and len(value) > MAX_DATA_CHARS and is_encoded_data(value):
        return f"{value[:MAX_DATA_CHARS]}… ({len(value):,} characters)"
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {key: redact_for_display(item, redact_text) for key, item in value.items()}
    if isinstance(value, list) and len(value) > MAX_DATA_CHARS and isinstance(value[0], int):
        return f"{len(value):,} bytes"
    if isinstance(value, list | tuple):
        return [redact_for_display(element, redact_text) for element in value]
    return value


def is_encoded_data(text: str) -> bool:
    """Whether a text is encoded data of an image or sound: a data URL or base64."""
    return text.startswith("data:") or (len(text) > MAX_WORD_CHARS and " " not in text)


@dataclass(frozen=True, slots=True)
class PromptInspector:
    """Report of a sent prompt; `include_part_texts` adds the texts of its parts to str()."""

    report: PromptReport
    include_part_texts: bool = True

    @property
    def table(self) -> Table:
        """The parts with their tokens, neurons and share of the cost."""
        rows = tuple(_format_row(part_cost, self.report) for part_cost in self.report.part_costs)
        return Table(PROMPT_REPORT_COLUMNS, rows, self._note())

    def _note(self) -> str:
        cost_source = (
            "from the bill" if self.report.answer.cost_basis == "billed" else "without a bill"
        )
        return (
            f"Tokens and neurons of the parts are estimated {cost_source}, by the length of "
            "the texts."
        )

    @property
    def summary(self) -> str:
        """The summary line of the collapsed output."""
        count = sum(part_cost.part is not None for part_cost in self.report.part_costs)
        part_count = "1 part" if count == 1 else f"{count} parts"
        tokens = self.report.answer.usage.prompt_tokens
        return f"What was sent: {part_count}, {tokens:,} tokens"

    def __str__(self) -> str:
        part_texts = [
            f"--- {_format_part_title(part_cost)}\n{_get_part_text(part_cost)}"
            for part_cost in self.report.part_costs
            if part_cost.part
        ]
        return sanitize_text(
            "\n\n".join([str(self.table), *(part_texts if self.include_part_texts else [])])
        )

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        parts_html = "".join(map(_render_part, self.report.part_costs))
        table_html = self.table._repr_html_()
        return (
            f"<details><summary>{escape_html(self.summary)}</summary>{table_html}{parts_html}"
            "</details>"
        )


def build_prompt_bundle(report: PromptReport) -> MimeBundle:
    """Return the MIME bundle of a sent prompt: collapsed HTML, and the table as text."""
    inspector = PromptInspector(report, include_part_texts=False)
    return {"text/html": inspector._repr_html_(), "text/plain": str(inspector)}


def _format_row(part_cost: PartCost, report: PromptReport) -> tuple[str, ...]:
    kind = part_cost.part.kind if part_cost.part else "answer"
    neurons = "" if part_cost.neurons is None else format_neurons(part_cost.neurons)
    fraction = report.fraction(part_cost)
    percent = "" if fraction is None else format_percent(fraction)
    return kind, _describe_part(part_cost), f"{part_cost.tokens:,}", neurons, percent


def _describe_part(part_cost: PartCost) -> str:
    if part_cost.part is None:
        return ""
    if part_cost.part.image:
        return f"{part_cost.part.name} {part_cost.part.image.size_text}".strip()
    excerpt = shorten_line(part_cost.part.text, MAX_EXCERPT_CHARS)
    return f"{part_cost.part.name}: {excerpt}" if part_cost.part.name else excerpt


def _format_part_title(part_cost: PartCost) -> str:
    return f"{part_cost.part.kind} {part_cost.part.name}".strip() if part_cost.part else "answer"


def _get_part_text(part_cost: PartCost) -> str:
    if part_cost.part is None:
        return ""
    return part_cost.part.image.size_text if part_cost.part.image else part_cost.part.text


def _render_part(part_cost: PartCost) -> str:
    """Return one part as collapsed HTML; an image is shown as it was sent."""
    if part_cost.part is None:
        return ""
    if part_cost.part.image is None:
        return collapsed_html(_format_part_title(part_cost), part_cost.part.text)
    image_html = (
        f'<img src="{escape(part_cost.part.image.data_url)}" alt="{escape(part_cost.part.name)}">'
    )
    return (
        f"<details><summary>{escape_html(_format_part_title(part_cost))}</summary>{image_html}"
        "</details>"
    )
