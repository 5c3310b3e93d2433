"""Provide the panel's usage section, with a gauge, a table of usage by model, and budgets."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from html import escape

from ipywidgets import HTML, HBox, VBox

from ..display.tables import (
    Table,
    format_account_figure,
    format_day_budget,
    format_duration,
    format_neurons,
)
from ..errors import MissingCredentialsError
from ..i18n import _, mark
from ..markdown.escaping import escape_html
from ..pricing.limits import limit_name, parse_neurons
from ..session.session import Session
from ..storage.ledger import CallContext
from ..storage.usage_queries import Total
from ..texts import format_percent
from ..types.usage import ActiveCall, DayUsage, Limit
from .inputs import Note, TextInput, create_button, create_heading, show_errors_in

AMBER_SHARE, RED_SHARE = 0.8, 1.0  # shares of the limit
LEVEL_LABELS = {"amber": mark("running low"), "red": mark("used up")}
CLOSED_LABEL = mark("quota used up at Cloudflare")
MODEL_TABLE_COLUMNS = (
    *(mark("model"), mark("calls"), mark("tokens in → out")),
    *(mark("billed"), mark("estimated"), mark("reserved")),
)


@dataclass(frozen=True, slots=True)
class GaugeState:
    """The day's usage and the active calls to show in the gauge."""

    day_usage: DayUsage
    active_calls: Sequence[ActiveCall] = ()

    @property
    def in_flight(self) -> float:
        """The estimated number of neurons that active calls have used so far."""
        return sum(call.usage.neurons or 0.0 for call in self.active_calls)

    @property
    def used(self) -> float:
        """The number of neurons used today, including the neurons used by active calls."""
        return self.day_usage.spent + self.in_flight

    @property
    def reserved(self) -> float:
        """The number of reserved neurons that active calls have not used yet."""
        return max(0.0, self.day_usage.reserved - self.in_flight)

    @property
    def share(self) -> float:
        """The share of the limit that is used, where 1.0 means the whole limit; 0 if unknown."""
        limit = self.day_usage.limit
        if limit is None:
            return 0.0
        return self.used / limit if limit > 0 else RED_SHARE

    @property
    def level(self) -> str:
        """The usage level: "green", "amber" or "red".

        The level is red if the limit or the daily quota is used up. Otherwise, the level is amber
        if at least 80% of the limit is used, and green if not.
        """
        if self.share >= RED_SHARE or self.day_usage.is_closed:
            return "red"
        return "amber" if self.share >= AMBER_SHARE else "green"


def render_gauge(state: GaugeState, now: datetime) -> str:
    """Return the gauge as HTML, with the neurons used, a bar, a legend and the reset time."""
    percent = "" if state.day_usage.limit is None else format_percent(state.share)
    return (
        f'<div class="cfai-gauge cfai-{state.level}">'
        f'<div class="cfai-figure"><span>{_render_used_text(state)}</span>'
        f' <span class="cfai-chip">{escape_html(_format_level(state, percent))}</span></div>'
        f"{_render_bar(state, percent)}{_render_legend(state)}"
        f'<div class="cfai-clock">{escape_html(format_reset_time(state.day_usage, now))}'
        f"{_render_account_figure(state.day_usage)}</div></div>"
    )


def _render_used_text(state: GaugeState) -> str:
    used = f'<span class="cfai-big">{format_neurons(state.used)}</span>'
    if state.day_usage.limit is None:
        return _("{used} neurons used today; your class budget is not known yet").format(used=used)
    return _("{used} of {limit} neurons used today").format(
        used=used, limit=escape_html(format_day_budget(state.day_usage))
    )


def _format_level(state: GaugeState, percent: str) -> str:
    label = LEVEL_LABELS.get(state.level, "")
    if state.day_usage.is_closed:
        label = CLOSED_LABEL
    return " · ".join(filter(None, (percent, label and _(label))))


def _render_account_figure(day_usage: DayUsage) -> str:
    """Return HTML with the number of neurons that Cloudflare reports for the account.

    Cloudflare's figure includes usage by other programs. Returns "" if the figure is unknown.
    """
    if day_usage.account is None:
        return ""
    text = _("Cloudflare's figure for the whole account: {neurons}.").format(
        neurons=format_account_figure(day_usage.account)
    )
    return f"<br>{escape_html(text)}"


def _list_bar_parts(state: GaugeState) -> tuple[tuple[str, str, float], ...]:
    """Return the parts of the bar, in order, as (CSS class suffix, name, neurons) tuples."""
    day_usage = state.day_usage
    elsewhere = ("elsewhere", _("other devices or programs"), day_usage.elsewhere)
    return (
        *([elsewhere] if day_usage.elsewhere else []),
        ("billed", _("billed"), day_usage.billed),
        ("estimated", _("estimated"), day_usage.estimated),
        ("running", _("in progress"), state.in_flight),
        ("reserved", _("reserved"), state.reserved),
    )


def _render_bar(state: GaugeState, percent: str) -> str:
    """Return the bar as HTML, or "" if the limit is unknown."""
    if state.day_usage.limit is None:
        return ""
    parts = _list_bar_parts(state)
    total = max(state.day_usage.limit, sum(amount for *_names, amount in parts), 1e-9)
    spans = "".join(
        f'<span class="cfai-part cfai-{kind}" style="width: {100 * amount / total:.2f}%"></span>'
        for kind, _name, amount in parts
    )
    limit = max(state.day_usage.limit, 0.0)
    value_text = _("{used} of {limit} neurons, {percent}").format(
        used=format_neurons(state.used), limit=format_day_budget(state.day_usage), percent=percent
    )
    label = escape(_("Neurons used today"))
    return (
        f'<div class="cfai-bar" role="meter" aria-label="{label}"'
        f' aria-valuemin="0" aria-valuemax="{limit:.0f}"'
        f' aria-valuenow="{min(state.used, limit):.1f}"'
        f' aria-valuetext="{escape(value_text)}">{spans}</div>'
    )


def _render_legend(state: GaugeState) -> str:
    items = "".join(
        f'<li><span class="cfai-swatch cfai-{kind}"></span>{escape_html(name)} '
        f"<b>{format_neurons(amount)}</b></li>"
        for kind, name, amount in _list_bar_parts(state)
    )
    left_item = ""
    if state.day_usage.limit is not None:
        neurons_left = max(0.0, state.day_usage.limit - state.used - state.reserved)
        left_item = f"<li>{escape_html(_('left'))} <b>{format_neurons(neurons_left)}</b></li>"
    return f'<ul class="cfai-legend">{items}{left_item}</ul>'


def format_reset_time(day_usage: DayUsage, now: datetime) -> str:
    """Return a sentence with the time of the daily reset in UTC and local time."""
    reset_time = (now + timedelta(seconds=day_usage.seconds_left)).astimezone()
    duration = format_duration(day_usage.seconds_left)
    if not reset_time.utcoffset():
        return _("Resets at 00:00 UTC, in {duration}.").format(duration=duration)
    return _("Resets at 00:00 UTC ({time} {zone}, local time), in {duration}.").format(
        time=f"{reset_time:%H:%M}", zone=reset_time.tzname(), duration=duration
    )


def render_model_table(totals: Iterable[Total]) -> str:
    """Return an HTML table of usage by model, or "" if `totals` is empty."""
    rows = tuple(
        (
            total.name.rpartition("/")[2],
            *(f"{total.calls:,}", f"{total.tokens_in:,} → {total.tokens_out:,}"),
            *map(format_neurons, (total.billed, total.estimated, total.reserved)),
        )
        for total in totals
    )
    if not rows:
        return ""
    columns = tuple(map(_, MODEL_TABLE_COLUMNS))
    table_html = Table(columns, rows, number_columns=(1, 2, 3, 4, 5))._repr_html_()
    return f'<div class="cfai-scroll" tabindex="0">{table_html}</div>'


def _with_sums(day_usage: DayUsage, totals: Sequence[Total]) -> DayUsage:
    """Return the day's usage with the sums of the totals by model."""
    billed, estimated, reserved = (
        sum(getattr(total, basis) for total in totals)
        for basis in ("billed", "estimated", "reserved")
    )
    return replace(day_usage, billed=billed, estimated=estimated, reserved=reserved)


def _without_running(
    totals: Iterable[Total], active_calls: Iterable[ActiveCall]
) -> Iterator[Total]:
    """Yield the totals by model without the reserved neurons that active calls have used."""
    running: dict[str, float] = defaultdict(float)
    for call in active_calls:
        running[call.model] += call.usage.neurons or 0.0
    for total in totals:
        yield replace(total, reserved=max(0.0, total.reserved - running[total.name]))


class UsageSection:
    """A section that shows today's usage, and has a field for the day's budget.

    The usage is updated while an answer is streamed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.gauge = Note(session.home)
        self.model_table = HTML()
        self.budget_input = TextInput(
            description=_("Budget for today, all kernels (neurons)"),
            placeholder=_("no budget set"),
            continuous_update=False,
        ).add_class("cfai-short")
        self.budget_input.on_edit = self._set_budget
        self.reopen_button = create_button(_("Try again today"), self._reopen_day)
        self.reopen_button.layout.display = "none"
        self.other_limits = Note(session.home)
        self.message = Note(session.home)
        self.box = VBox(
            [
                create_heading(_("Neurons today")),
                self.gauge,
                self.model_table,
                HBox([self.budget_input, self.reopen_button]).add_class("cfai-row"),
                self.other_limits,
                self.message,
            ]
        )

    def refresh(self) -> None:
        """Update the gauge, the model table and the budgets."""
        session, ledger = self._session, self._session.accounting.ledger
        with show_errors_in(self.gauge):
            account = self._get_billing_account()
            # The gauge and the table show the same figures, also while an answer is streamed.
            active_calls = session.active_calls
            totals = ledger.history.totals("model", 1, account) if account else []
            day_usage = None
            if free_note := session.backend.free_note:
                self.gauge.show(free_note)
            elif account:
                day_usage = _with_sums(session.day_usage(), totals)
                self.gauge.value = render_gauge(GaugeState(day_usage, active_calls), session.now())
                self.reopen_button.layout.display = None if day_usage.is_closed else "none"
            else:
                self.gauge.show(_("Add an account to see your usage."))
            self._show_limits(self._list_limits(account, day_usage))
            self.model_table.value = render_model_table(_without_running(totals, active_calls))

    def _list_limits(self, account: str, day_usage: DayUsage | None) -> list[Limit]:
        """Return the budgets. That of the class is included if the gauge shows a lower one."""
        context = CallContext(account, self._session.notebook)
        if day_usage is None or day_usage.limit_source in ("free", "class"):
            return self._session.accounting.ledger.budgets.limits(context)
        return self._session.accounting.limits(day_usage, context)

    def _get_billing_account(self) -> str:
        try:
            return self._session.backend.billing_account()
        except MissingCredentialsError:
            return ""

    def _show_limits(self, limits: list[Limit]) -> None:
        own_limits = [limit for limit in limits if limit.source == "user"]
        day_limit = next((limit for limit in own_limits if limit.scope == "day"), None)
        self.budget_input.value = f"{day_limit.neurons:g}" if day_limit else ""
        lines = [
            _("{name}: {used} of {limit:,.0f} neurons used or reserved.").format(
                name=limit_name(limit).capitalize(),
                used=format_neurons(limit.spent),
                limit=limit.neurons,
            )
            for limit in limits
            if limit is not day_limit
        ]
        self.other_limits.show("\n".join(lines))

    def _set_budget(self) -> None:
        text = self.budget_input.value.strip()
        self.message.show("")
        with show_errors_in(self.message):
            neurons = None if text in ("", "off") else parse_neurons(text)
            self._session.accounting.ledger.budgets.set("day", neurons)
            self.message.show(_("Saved for all kernels."), "good")
        self._session.observers.notify()

    def _reopen_day(self) -> None:
        with show_errors_in(self.message):
            self._session.accounting.ledger.reopen_day(self._session.backend.billing_account())
        self._session.observers.notify()
