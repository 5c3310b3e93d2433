"""Provide the panel's model section, which has a searchable list of models with prices."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from ipywidgets import HBox, VBox

from ..display.tables import format_date
from ..errors import CfaiError
from ..i18n import _, mark, ngettext
from ..markdown.escaping import escape_html
from ..pricing.catalog import matches
from ..pricing.model_order import sort_models
from ..pricing.prices import Rates
from ..pricing.typical import typical_answer_tokens
from ..session.session import Session
from ..texts import pad_left, pad_right, text_width
from ..types.usage import CHAT_TASK, Model, Usage
from .inputs import (
    CheckboxInput,
    DropdownInput,
    ListInput,
    Note,
    TextInput,
    create_button,
    create_heading,
    set_options,
    show_errors_in,
)

COLUMN_GAP = "\N{NO-BREAK SPACE}" * 2 + "\N{ZERO WIDTH SPACE}"  # a long line can wrap here
NO_VALUE = "\N{EN DASH}"
MIN_ROUNDED = 100
MAX_RECENT_MODELS = 5
MODEL_COLUMNS = (
    *(mark("model"), mark("input"), mark("output"), mark("window"), mark("plan")),
    mark("answers left"),
)
ALL_TASKS = mark("all tasks")
FILTER_LABELS = {
    "free": mark("Free plan"),
    "vision": mark("Vision"),
    "tools": mark("Tools"),
    "reasoning": mark("Reasoning"),
}
CAPABILITY_LABELS = {
    "vision": mark("vision"),
    "tools": mark("tools"),
    "reasoning": mark("reasoning"),
}
SORT_LABELS = {
    "name": mark("name"),
    "price": mark("price, lowest first"),
    "window": mark("context window, largest first"),
}
LIST_NOTES = {  # keyed by catalog source
    "live": mark(
        "Showing {count} of {total} models. Prices in neurons per 1,000 tokens. List from {date}."
    ),
    "cached": mark(
        "Showing {count} of {total} models. Prices in neurons per 1,000 tokens. Saved list from "
        "{date}."
    ),
    "shipped": mark(
        "Showing {count} of {total} models. Prices in neurons per 1,000 tokens. Built-in list "
        "from {date}."
    ),
}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A row of the list.

    Attributes:
        model: The model.
        answers_left: The estimated number of answers left today, or None if it is unknown.
        is_recent: Whether the model answered one of the account's latest calls.
    """

    model: Model
    answers_left: int | None = None
    is_recent: bool = False

    def format_cells(self) -> tuple[str, ...]:
        """Return the text for each column in MODEL_COLUMNS, followed by the labels."""
        model = self.model
        return (
            model.short_name,
            *(_format_price(model.neurons_in), _format_price(model.neurons_out)),
            _format_context_window(model.context_window),
            _("paid") if model.paid_plan_only else _("free"),
            _format_answer_count(self.answers_left),
            " ".join(_iter_labels(self)),
        )


class LedgerFacts(NamedTuple):
    """What the ledger says about the account.

    Attributes:
        last_usage: The usage of the last answer, or None if there is none.
        neurons_left: The number of neurons left today.
        recent_models: The names of the models used last, latest first.
        recent_answer_tokens: The lengths in tokens of the recent answers of each model.
    """

    last_usage: Usage | None = None
    neurons_left: float = 0.0
    recent_models: tuple[str, ...] = ()
    recent_answer_tokens: Mapping[str, Sequence[int]] = MappingProxyType({})


def _format_answer_count(count: int | None) -> str:
    if count is None:
        return NO_VALUE
    return _("about {count:,}").format(count=count) if count else _("none")


def _format_price(price: float | None) -> str:
    return NO_VALUE if price is None else f"{price:,.1f}"


def _format_context_window(tokens: int | None) -> str:
    if tokens is None:
        return NO_VALUE
    return f"{tokens / 1000:,.0f}k" if tokens < 1_000_000 else f"{tokens / 1e6:.1f}M"  # noqa: PLR2004


def _iter_labels(row: ModelRow) -> Iterable[str]:
    if row.is_recent:
        yield _("recently used")
    yield from _iter_capabilities(row.model)
    if row.model.deprecation_date:
        yield _("retires {date}").format(date=row.model.deprecation_date)


def _iter_capabilities(model: Model) -> Iterable[str]:
    yield from (_(label) for name, label in CAPABILITY_LABELS.items() if getattr(model, name))


def format_rows(rows: Sequence[ModelRow]) -> tuple[str, tuple[str, ...]]:
    """Return the header line and one line per row, with aligned columns."""
    header_cells = (*map(_, MODEL_COLUMNS), "")  # the last column, with the labels, has no name
    table = [header_cells, *(row.format_cells() for row in rows)]
    widths = [max(map(text_width, column)) for column in zip(*table, strict=True)]
    header, *lines = (_format_line(cells, widths) for cells in table)
    return header, tuple(lines)


def _format_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        pad_left(cell, width) if 0 < column < 4 else pad_right(cell, width)  # noqa: PLR2004 - number columns
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    *others, labels = (cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in padded)
    return COLUMN_GAP.join((*others, labels.rstrip("\N{NO-BREAK SPACE}")))


def estimate_answers_left(
    rates: Rates | None, usage: Usage | None, neurons_left: float
) -> int | None:
    """Estimate how many more answers `neurons_left` will pay for.

    Args:
        rates: The model's prices, or None if they are unknown.
        usage: The typical usage of an answer, or None if it is unknown.
        neurons_left: The number of neurons left today.

    Returns:
        The estimated number of answers, or None if the price of an answer is zero or unknown.
    """
    neurons_per_answer = rates.price_usage(usage) if rates and usage else 0.0
    return (
        round_to_two_digits(max(0.0, neurons_left) / neurons_per_answer)
        if neurons_per_answer > 0
        else None
    )


def round_to_two_digits(number: float) -> int:
    """Truncate a number to an integer, then round large integers to two significant digits.

    Integers below 100 are not rounded.
    """
    truncated = int(number)
    return round(truncated, 2 - len(str(truncated))) if truncated >= MIN_ROUNDED else truncated


def render_detail(row: ModelRow) -> str:
    """Return HTML with details about a model, such as the prices, context window and plan."""
    model = row.model
    facts = [
        _("{input} neurons per 1,000 input tokens, {output} per 1,000 output tokens").format(
            input=_format_price(model.neurons_in), output=_format_price(model.neurons_out)
        ),
        *(
            _("{price:,.4g} neurons per {unit}").format(price=price, unit=unit)
            for unit, price in model.units.items()
        ),
        _("context window of {count:,} tokens").format(count=model.context_window)
        if model.context_window
        else "",
        ", ".join(_iter_capabilities(model)),
        _("paid plan only") if model.paid_plan_only else _("free plan"),
        _format_answers_left(row.answers_left),
        _("retires on {date}").format(date=model.deprecation_date)
        if model.deprecation_date
        else "",
        _("for {task}, not for {command} prompts").format(task=model.task, command="%%cfai")
        if model.task not in ("", CHAT_TASK)
        else "",
    ]
    text = " · ".join(filter(None, facts))
    title = _("Requests go to {model}").format(model=f"<b>{escape_html(model.name)}</b>")
    return f'<div class="cfai-detail" role="status">{title}<br>{escape_html(text)}</div>'


def _format_answers_left(count: int | None) -> str:
    """Return a phrase with the estimated number of answers left, or "" if `count` is None."""
    if count is None:
        return ""
    if not count:
        return _("not enough neurons left today for a question like your last one")
    return ngettext(
        "about {count:,} more question like your last one today",
        "about {count:,} more questions like your last one today",
        count,
    ).format(count=count)


class ModelSection:
    """A list of the models that match the filters.

    Selecting a model makes it the kernel's default model.
    """

    def __init__(self, session: Session, on_change: Callable[[], None]) -> None:
        self._session = session
        self._on_change = on_change
        self._ledger_facts = LedgerFacts()
        self._shown_state: tuple[object, ...] = ()
        self.search_input = TextInput(
            description=_("Search models"), placeholder=_("Search by name or task")
        )
        self.task_filter = DropdownInput(description=_("Task"))
        self.sort_menu = DropdownInput(
            description=_("Sort by"),
            options=tuple((_(label), key) for key, label in SORT_LABELS.items()),
        )
        self.filters = {
            name: CheckboxInput(description=_(label), indent=False)
            for name, label in FILTER_LABELS.items()
        }
        self.model_list = ListInput(rows=10).add_class("cfai-models")
        self.empty_note = Note(session.home)
        self.clear_button = create_button(_("Clear the filter"), self._clear_filter)
        self.detail = Note(session.home)
        self.message = Note(session.home)
        self.update_button = create_button(_("Update the list"), self._update_catalog)
        inputs = (self.search_input, self.task_filter, self.sort_menu, *self.filters.values())
        for widget in inputs:
            widget.on_edit = on_change
        self.model_list.on_edit = self._select_model
        set_options(self.task_filter, ((CHAT_TASK, CHAT_TASK),), CHAT_TASK)
        self.box = VBox(
            [
                create_heading(_("Model")),
                HBox([self.search_input, self.task_filter, self.sort_menu]).add_class("cfai-row"),
                HBox(list(self.filters.values())).add_class("cfai-row"),
                self.model_list,
                HBox([self.empty_note, self.clear_button]).add_class("cfai-head"),
                self.detail,
                HBox([self.update_button, self.message]).add_class("cfai-row"),
            ]
        )

    def refresh(self) -> None:
        """Update the list for the current filters, catalog and usage."""
        catalog = self._session.catalog()
        tasks = sorted({model.task for model in catalog.models if model.task})
        options = ((_(ALL_TASKS), ALL_TASKS), *((task, task) for task in tasks))
        set_options(self.task_filter, options, self.task_filter.value or ALL_TASKS)
        words = [*self.search_input.value.lower().split(), *self._get_selected_filters()]
        if not self._session.active_calls:  # during a call, the usage changes with each delta
            self._ledger_facts = self._read_ledger_facts()
        models = sort_models(
            (model for model in catalog.models if self._matches_search(model, words)),
            self.sort_menu.value,
            self._ledger_facts.recent_models,
        )
        if self._shown_state != (state := (models, self._ledger_facts)):
            self._shown_state = state
            self._show_rows([self._build_row(model) for model in models])
        self._show_selected_model()

    def _get_selected_filters(self) -> list[str]:
        return [name for name, checkbox in self.filters.items() if checkbox.value]

    def _matches_search(self, model: Model, words: Sequence[str]) -> bool:
        if self.task_filter.value not in (ALL_TASKS, model.task):
            return False
        return all(matches(model, word) for word in words)

    def _clear_filter(self) -> None:
        self.search_input.value = ""
        self.task_filter.value = ALL_TASKS
        for checkbox in self.filters.values():
            checkbox.value = False
        self._on_change()
        self.search_input.focus()  # the focused button is now hidden

    def _read_ledger_facts(self) -> LedgerFacts:
        history = self._session.accounting.ledger.history
        try:
            day_usage = self._session.day_usage()
            account = self._session.backend.billing_account()
            limit = day_usage.limit
            # The free neurons apply only to calls that Workers AI answers.
            has_limit = self._session.backend.is_cloudflare and limit is not None
            return LedgerFacts(
                history.last_answer_usage(account) if has_limit else None,
                (limit or 0.0) - day_usage.spent - day_usage.reserved,
                tuple(history.recent_models(account, MAX_RECENT_MODELS)),
                history.recent_answer_tokens(account),
            )
        except CfaiError:
            return LedgerFacts()

    def _build_row(self, model: Model) -> ModelRow:
        facts = self._ledger_facts
        answers_left = None
        if facts.last_usage is not None:
            answer_tokens = typical_answer_tokens(
                facts.recent_answer_tokens.get(model.name, ()), self._session.settings.max_tokens
            )
            usage = Usage(facts.last_usage.prompt_tokens, answer_tokens)
            rates = self._session.accounting.get_rates(model)
            answers_left = estimate_answers_left(rates, usage, facts.neurons_left)
        return ModelRow(model, answers_left, is_recent=model.name in facts.recent_models)

    def _show_rows(self, rows: Sequence[ModelRow]) -> None:
        header, labels = format_rows(rows)
        self.model_list.description = header
        options = tuple((label, row.model.name) for label, row in zip(labels, rows, strict=True))
        set_options(self.model_list, options, self.model_list.value)
        self.message.show(self._format_list_note(len(rows)))
        self.model_list.layout.display = None if rows else "none"
        self.clear_button.layout.display = "none" if rows else None
        self.empty_note.show("" if rows else _("No model matches the filter."))

    def _format_list_note(self, count: int) -> str:
        catalog = self._session.catalog()
        return _(LIST_NOTES[catalog.source]).format(
            count=count, total=len(catalog.models), date=format_date(catalog.date)
        )

    def _show_selected_model(self) -> None:
        with show_errors_in(self.detail):
            model = self._session.resolve_model(self._session.settings.model)
            set_options(self.model_list, self.model_list.options, model.name)
            self.detail.value = render_detail(self._build_row(model))

    def _select_model(self) -> None:
        if self.model_list.value:
            with show_errors_in(self.message):
                self._session.settings.model = self.model_list.value
            self._on_change()  # resets the selection if the course does not allow the model

    def _update_catalog(self) -> None:
        with show_errors_in(self.message):
            self.message.show(_("Loading the list from Cloudflare…"))
            self._shown_state = ()
            self._session.fetch_catalog()  # notifies observers, which refresh the panel
