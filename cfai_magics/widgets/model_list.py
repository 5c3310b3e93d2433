"""Model section of the panel: a searchable list of models with prices and answers left."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ipywidgets import HTML, HBox, VBox

from ..errors import CfaiError
from ..markdown.escaping import escape_html
from ..pricing.catalog import matches
from ..pricing.prices import Rates
from ..session.session import Session
from ..types.usage import CHAT_TASK, Model, Usage
from .inputs import (
    CheckboxInput,
    DropdownInput,
    ListInput,
    TextInput,
    create_button,
    create_heading,
    format_note,
    set_options,
    show_errors_in,
)

COLUMN_GAP = "\N{NO-BREAK SPACE}" * 2
BREAKABLE_GAP = COLUMN_GAP + "\N{ZERO WIDTH SPACE}"  # where a long line may wrap
NO_VALUE = "\N{EN DASH}"
MIN_ROUNDED = 100
MODEL_COLUMNS = ("model", "in", "out", "window", "plan", "answers left", "")
ALL_TASKS = "all tasks"
FILTER_LABELS = {
    "free": "Free plan",
    "vision": "Vision",
    "tools": "Tools",
    "reasoning": "Reasoning",
}
LEGEND = "in, out: neurons per 1,000 tokens · answers left: like your last, in what is left today"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A row of the list: a model and an estimate of the answers left today, None if unknown."""

    model: Model
    answers_left: int | None = None

    def format_cells(self) -> tuple[str, ...]:
        """Return the texts of the row for MODEL_COLUMNS."""
        model = self.model
        return (
            model.short_name,
            *(_format_price(model.neurons_in), _format_price(model.neurons_out)),
            _format_context_window(model.context_window),
            "paid" if model.paid_plan_only else "free",
            _format_answer_count(self.answers_left),
            " ".join(_iter_labels(model)),
        )


def _format_answer_count(count: int | None) -> str:
    if count is None:
        return NO_VALUE
    return f"about {count:,}" if count else "none"


def _format_price(price: float | None) -> str:
    return NO_VALUE if price is None else f"{price:,.1f}"


def _format_context_window(tokens: int | None) -> str:
    if tokens is None:
        return NO_VALUE
    return f"{tokens / 1000:,.0f}k" if tokens < 1_000_000 else f"{tokens / 1e6:.1f}M"  # noqa: PLR2004


def _iter_labels(model: Model) -> Iterable[str]:
    yield from (name for name in ("vision", "tools", "reasoning") if getattr(model, name))
    if model.deprecation_date:
        yield f"retires {model.deprecation_date}"


def format_rows(rows: Sequence[ModelRow]) -> tuple[str, tuple[str, ...]]:
    """Return the header and the rows as texts with aligned columns."""
    table = [MODEL_COLUMNS, *(row.format_cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    header, *lines = (_format_line(cells, widths) for cells in table)
    return header, tuple(lines)


def _format_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.rjust(width) if 0 < column < 4 else cell.ljust(width)  # noqa: PLR2004 - the numbers
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    name, *numbers, labels = (cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in padded)
    return BREAKABLE_GAP.join(
        (name, COLUMN_GAP.join(numbers), labels.rstrip("\N{NO-BREAK SPACE}"))
    )


def estimate_answers_left(
    rates: Rates | None, last_usage: Usage | None, neurons_left: float
) -> int | None:
    """Return about how many answers like the last fit in `neurons_left`; None if unknown."""
    neurons_per_answer = rates.price_usage(last_usage) if rates and last_usage else 0.0
    return (
        round_to_two_digits(max(0.0, neurons_left) / neurons_per_answer)
        if neurons_per_answer > 0
        else None
    )


def round_to_two_digits(number: float) -> int:
    """Return a number truncated to an int and rounded to two significant digits from 100 on."""
    truncated = int(number)
    return round(truncated, 2 - len(str(truncated))) if truncated >= MIN_ROUNDED else truncated


def render_detail(row: ModelRow) -> str:
    """Return the details of a model as HTML: prices, context window, plan and so on."""
    model = row.model
    facts = [
        (
            f"{_format_price(model.neurons_in)} neurons per 1,000 tokens in, "
            f"{_format_price(model.neurons_out)} out"
        ),
        *(f"{price:,.4g} neurons per {unit}" for unit, price in model.units.items()),
        f"{model.context_window:,} tokens of context" if model.context_window else "",
        ", ".join(name for name in ("vision", "tools", "reasoning") if getattr(model, name)),
        "only on the paid plan" if model.paid_plan_only else "on the free plan",
        ""
        if row.answers_left is None
        else f"answers like your last left today: {_format_answer_count(row.answers_left)}",
        f"retires on {model.deprecation_date}" if model.deprecation_date else "",
        f"a model for {model.task}: it answers no %%cfai question"
        if model.task not in ("", CHAT_TASK)
        else "",
    ]
    text = " · ".join(filter(None, facts))
    return (
        '<div class="cfai-detail" role="status">'
        f"Questions go to <b>{escape_html(model.name)}</b><br>{escape_html(text)}</div>"
    )


class ModelSection:
    """Lists the models that match the filters; selecting one makes it this kernel's default."""

    def __init__(self, session: Session, on_change: Callable[[], None]) -> None:
        self._session = session
        self._on_change = on_change
        self._last_usage_and_neurons_left: tuple[Usage | None, float] = (None, 0.0)
        self._shown_state: tuple[object, ...] = ()
        self.search_input = TextInput(
            description="Search models", placeholder="words of name or task"
        )
        self.task_filter = DropdownInput(description="Task")
        self.filters = {
            name: CheckboxInput(description=label, indent=False)
            for name, label in FILTER_LABELS.items()
        }
        self.model_list = ListInput(rows=10).add_class("cfai-models")
        self.detail = HTML()
        self.message = HTML(format_note(""))
        self.update_button = create_button("Update the list", self._update_catalog)
        for widget in (self.search_input, self.task_filter, *self.filters.values()):
            widget.on_edit = on_change
        self.model_list.on_edit = self._select_model
        set_options(self.task_filter, (CHAT_TASK,), CHAT_TASK)
        self.box = VBox(
            [
                create_heading("Model"),
                HBox([self.search_input, self.task_filter]).add_class("cfai-row"),
                HBox(list(self.filters.values())).add_class("cfai-row"),
                self.model_list,
                self.detail,
                HBox([self.update_button, self.message]).add_class("cfai-row"),
            ]
        )

    def refresh(self) -> None:
        """Update the list for the current filters, catalog and usage."""
        catalog = self._session.catalog()
        tasks = sorted({model.task for model in catalog.models if model.task})
        set_options(self.task_filter, (ALL_TASKS, *tasks), self.task_filter.value or ALL_TASKS)
        words = [*self.search_input.value.lower().split(), *self._get_selected_filters()]
        models = [model for model in catalog.models if self._matches_search(model, words)]
        if not self._session.active_calls:  # during a call, it would change with each delta
            self._last_usage_and_neurons_left = self._read_last_usage_and_neurons_left()
        if self._shown_state != (state := (models, self._last_usage_and_neurons_left)):
            self._shown_state = state
            self._show_rows([self._build_row(model) for model in models])
        self._show_selected_model()

    def _get_selected_filters(self) -> list[str]:
        return [name for name, checkbox in self.filters.items() if checkbox.value]

    def _matches_search(self, model: Model, words: Sequence[str]) -> bool:
        if self.task_filter.value not in (ALL_TASKS, model.task):
            return False
        return all(matches(model, word) for word in words)

    def _read_last_usage_and_neurons_left(self) -> tuple[Usage | None, float]:
        """Return the usage of the last answer and the neurons left today."""
        try:
            day_usage = self._session.day_usage()
            last_usage = self._session.accounting.ledger.history.last_answer_usage(
                self._session.backend.billing_account()
            )
        except CfaiError:
            return None, 0.0
        return last_usage, day_usage.limit - day_usage.spent - day_usage.reserved

    def _build_row(self, model: Model) -> ModelRow:
        last_usage, neurons_left = self._last_usage_and_neurons_left
        if last_usage is None:
            return ModelRow(model)
        return ModelRow(
            model,
            estimate_answers_left(
                self._session.accounting.get_rates(model), last_usage, neurons_left
            ),
        )

    def _show_rows(self, rows: Sequence[ModelRow]) -> None:
        header, labels = format_rows(rows)
        self.model_list.description = header
        options = tuple((label, row.model.name) for label, row in zip(labels, rows, strict=True))
        set_options(self.model_list, options, self.model_list.value)
        count_text = f"{len(rows)} of {len(self._session.catalog().models)} models. {LEGEND}."
        self.message.value = format_note(f"{count_text} {self._describe_catalog_source()}")

    def _describe_catalog_source(self) -> str:
        catalog = self._session.catalog()
        source_label = {"live": "", "cached": "kept ", "shipped": "shipped "}[catalog.source]
        return f"The {source_label}list is of {catalog.date}."

    def _show_selected_model(self) -> None:
        with show_errors_in(self.detail):
            model = self._session.resolve_model(self._session.settings.model)
            set_options(self.model_list, self.model_list.options, model.name)
            self.detail.value = render_detail(self._build_row(model))

    def _select_model(self) -> None:
        if self.model_list.value:
            with show_errors_in(self.message):
                self._session.settings.model = self.model_list.value
            self._on_change()  # resets the selection if the course rejected it

    def _update_catalog(self) -> None:
        with show_errors_in(self.message):
            self.message.value = format_note("Asking Cloudflare for the list…")
            self._shown_state = ()
            self._session.fetch_catalog()  # notifies the observers, which refresh the panel
