"""Display a prompt before (`--dry-run`) or after (`--sent`) the request is sent."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from ..i18n import _, mark, ngettext
from ..markdown.escaping import escape_html
from ..pricing.prices import Estimate
from ..prompt.builder import PartCost, PartKind, PromptReport
from ..terminal import sanitize_json, sanitize_text
from ..texts import format_percent, shorten_line
from .tables import (
    MimeBundle,
    Table,
    collapsed_html,
    format_estimate,
    format_neurons,
    muted_html,
)

PREVIEW_COLUMNS = (mark("part"), mark("tokens"), mark("share"))
MAX_DATA_CHARS = 40  # the number of characters of encoded data to show
MAX_WORD_CHARS = 200  # longer text without spaces is treated as encoded data
REPLAY_NOTE = mark("Already recorded: the answer is replayed for free, and nothing is sent.")
PROMPT_REPORT_COLUMNS = (
    mark("part"),
    mark("content"),
    mark("tokens"),
    mark("neurons"),
    mark("share of cost"),
)
PART_LABELS: Mapping[PartKind, str] = {
    "system": mark("system"),
    "form": mark("format"),
    "history": mark("history"),
    "context": mark("cells above"),
    "cell": mark("cell"),
    "traceback": mark("traceback"),
    "variable": mark("variable"),
    "image": mark("image"),
    "template": mark("chat template"),
    "functions": mark("functions"),
    "call": mark("function call"),
}
MAX_EXCERPT_CHARS = 48  # the maximum length of a part's excerpt in the table


@dataclass(frozen=True, slots=True)
class Preview:
    """A preview of a chat request as JSON, with the tokens in each part and the estimated cost.

    Attributes:
        request: The request body.
        part_costs: The number of tokens in each part of the prompt.
        cost: The estimated cost, or None if the price is unknown.
        notes: Notes on the estimate.
    """

    request: Mapping[str, Any]
    part_costs: tuple[PartCost, ...]
    cost: Estimate | None
    notes: tuple[str, ...] = ()

    @property
    def neurons_text(self) -> str:
        """A sentence with the estimated cost and the maximum length of the answer."""
        if self.cost is None:
            return _("The cost is unknown, because the model has no known price.")
        cost = self.cost.bounded
        if not cost.high:
            return ngettext(
                "Estimated cost: no neurons (answer up to {count:,} token).",
                "Estimated cost: no neurons (answer up to {count:,} tokens).",
                cost.max_tokens,
            ).format(count=cost.max_tokens)
        return ngettext(
            "Estimated cost: {estimate} neurons (answer up to {count:,} token).",
            "Estimated cost: {estimate} neurons (answer up to {count:,} tokens).",
            cost.max_tokens,
        ).format(estimate=format_estimate(cost.typical, cost.high), count=cost.max_tokens)

    @property
    def table(self) -> Table:
        """A table with the number of tokens and share of the total for each kind of part."""
        tokens_by_kind: dict[str, int] = {}
        for part_cost in self.part_costs:
            kind = _format_kind(part_cost)
            tokens_by_kind[kind] = tokens_by_kind.get(kind, 0) + part_cost.tokens
        total_tokens = sum(tokens_by_kind.values()) or 1
        rows = [
            (kind, f"{tokens:,}", format_percent(tokens / total_tokens))
            for kind, tokens in tokens_by_kind.items()
        ]
        total_row = (_("total"), f"{sum(tokens_by_kind.values()):,}", "")
        first_line = _("Dry run: nothing was sent. {cost}").format(cost=self.neurons_text)
        note = "\n".join([first_line, *self.notes])
        return Table(
            tuple(map(_, PREVIEW_COLUMNS)), (*rows, total_row), note, number_columns=(1, 2)
        )

    @property
    def request_json(self) -> str:
        """The request body as indented JSON text."""
        return sanitize_json(json.dumps(self.request, indent=2, ensure_ascii=False))

    def __str__(self) -> str:
        return f"{self.request_json}\n\n{self.table}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        request_html = _collapsed_json(self.request_json)
        return f"{request_html}{self.table._repr_html_()}"


@dataclass(frozen=True, slots=True)
class TaskPreview:
    """A preview of a request for a native task as JSON, with the amount of work and the prices.

    Attributes:
        request: The request body.
        amount_text: The amount of work, in the unit used for the task.
        price_text: The estimated cost.
        price_list: The model's prices, or "" if they are unknown.
        notes: Notes on the estimate.
    """

    request: Mapping[str, Any]
    amount_text: str
    price_text: str
    price_list: str = ""
    notes: tuple[str, ...] = ()

    @property
    def request_json(self) -> str:
        """The request body as indented JSON text."""
        return sanitize_json(json.dumps(self.request, indent=2, ensure_ascii=False))

    @property
    def cost_summary(self) -> str:
        """The estimated cost, the model's prices and the notes, on separate lines."""
        lines = [
            _("Dry run: nothing was sent. {amount}: {cost}.").format(
                amount=self.amount_text, cost=self.price_text
            )
        ]
        if self.price_list:
            lines.append(_("Model prices: {prices}.").format(prices=self.price_list))
        return "\n".join([*lines, *self.notes])

    def __str__(self) -> str:
        return sanitize_text(f"{self.request_json}\n\n{self.cost_summary}")

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        request_html = _collapsed_json(self.request_json)
        return f"{request_html}{muted_html(self.cost_summary)}"


def _collapsed_json(text: str) -> str:
    """Return a closed <details> element with JSON, in the colors of JupyterLab's editor."""
    from pygments.lexers import JsonLexer  # IPython requires pygments
    from pygments.token import Keyword, Name, Number, String

    names = {Name: "property", String: "string", Number: "number", Keyword: "keyword"}
    code = ""
    for token_type, value in JsonLexer(ensurenl=False).get_tokens(text):
        name = next((names[kind] for kind in names if token_type in kind), "")
        piece = escape(value, quote=False)
        color = f"var(--jp-mirror-editor-{name}-color)"
        code += f'<span style="color:{color}">{piece}</span>' if name else piece
    title = escape_html(_("Request (JSON)"))
    return (
        f"<details><summary>{title}</summary>"
        f'<pre style="white-space:pre-wrap">{code}</pre></details>'
    )


def redact_for_display(value: Any, redact_text: Callable[[str], str]) -> Any:
    """Return a copy of a JSON value that is safe to display.

    Encoded data is shortened, and all other strings are passed to `redact_text`.
    """
    if isinstance(value, str) and len(value) > MAX_DATA_CHARS and is_encoded_data(value):
        return _("{start}… ({count:,} characters)").format(
            start=value[:MAX_DATA_CHARS], count=len(value)
        )
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {key: redact_for_display(item, redact_text) for key, item in value.items()}
    if isinstance(value, list) and len(value) > MAX_DATA_CHARS and isinstance(value[0], int):
        return _("{count:,} bytes").format(count=len(value))
    if isinstance(value, list | tuple):
        return [redact_for_display(element, redact_text) for element in value]
    return value


def is_encoded_data(text: str) -> bool:
    """Return whether the text looks like encoded image or audio data (a data URL or base64)."""
    return text.startswith("data:") or (len(text) > MAX_WORD_CHARS and " " not in text)


@dataclass(frozen=True, slots=True)
class PromptInspector:
    """A report on a sent prompt.

    If `include_part_texts` is true, `str()` includes the text of each part.
    """

    report: PromptReport
    include_part_texts: bool = True

    @property
    def table(self) -> Table:
        """A table with the tokens, neurons and share of the cost for each part of the prompt."""
        rows = tuple(_format_row(part_cost, self.report) for part_cost in self.report.part_costs)
        return Table(
            tuple(map(_, PROMPT_REPORT_COLUMNS)), rows, self._note(), number_columns=(2, 3, 4)
        )

    def _note(self) -> str:
        if self.report.answer.cost_basis == "billed":
            return _(
                "Tokens and neurons per part are estimates: the billed totals are split by text "
                "length."
            )
        return _("Tokens and neurons per part are estimates from the text length, not billed.")

    @property
    def summary(self) -> str:
        """The line that is shown when the report is collapsed."""
        count = sum(part_cost.part is not None for part_cost in self.report.part_costs)
        parts = ngettext("{count} part", "{count} parts", count).format(count=count)
        token_count = self.report.answer.usage.prompt_tokens
        tokens = ngettext("{count:,} token", "{count:,} tokens", token_count).format(
            count=token_count
        )
        return _("Sent prompt: {parts}, {tokens}").format(parts=parts, tokens=tokens)

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
    """Return a MIME bundle for a sent prompt, as collapsed HTML and as a plain-text table."""
    inspector = PromptInspector(report, include_part_texts=False)
    return {"text/html": inspector._repr_html_(), "text/plain": str(inspector)}


def _format_row(part_cost: PartCost, report: PromptReport) -> tuple[str, ...]:
    neurons = "" if part_cost.neurons is None else format_neurons(part_cost.neurons)
    fraction = report.fraction(part_cost)
    percent = "" if fraction is None else format_percent(fraction)
    kind, content = _format_kind(part_cost), _describe_part(part_cost)
    return kind, content, f"{part_cost.tokens:,}", neurons, percent


def _format_kind(part_cost: PartCost) -> str:
    return _(PART_LABELS[part_cost.part.kind]) if part_cost.part else _("answer")


def _describe_part(part_cost: PartCost) -> str:
    if part_cost.part is None:
        return ""
    if part_cost.part.image:
        return f"{part_cost.part.name} {part_cost.part.image.size_text}".strip()
    excerpt = shorten_line(part_cost.part.text, MAX_EXCERPT_CHARS)
    return f"{part_cost.part.name}: {excerpt}" if part_cost.part.name else excerpt


def _format_part_title(part_cost: PartCost) -> str:
    name = part_cost.part.name if part_cost.part else ""
    return f"{_format_kind(part_cost)} {name}".strip()


def _get_part_text(part_cost: PartCost) -> str:
    if part_cost.part is None:
        return ""
    return part_cost.part.image.size_text if part_cost.part.image else part_cost.part.text


def _render_part(part_cost: PartCost) -> str:
    """Return a part as collapsed HTML. An image is shown exactly as it was sent."""
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
