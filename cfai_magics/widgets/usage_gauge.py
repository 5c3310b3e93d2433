"""Usage section of the panel: a gauge of today's neurons, usage by model, and budgets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ipywidgets import HTML, HBox, VBox

from ..display.tables import Table, format_account_figure, format_duration, format_neurons
from ..errors import MissingCredentialsError
from ..markdown.escaping import escape_html
from ..pricing.limits import limit_name, parse_neurons
from ..session.session import Session
from ..storage.ledger import CallContext
from ..storage.usage_queries import Total
from ..texts import format_percent
from ..types.usage import ActiveCall, DayUsage, Limit
from .inputs import TextInput, create_button, create_heading, format_note, show_errors_in

AMBER_SHARE, RED_SHARE = 0.8, 1.0  # share of the limit
LEVEL_LABELS = {"green": "enough left", "amber": "running low", "red": "used up"}


@dataclass(frozen=True, slots=True)
class GaugeState:
    """The state of the gauge: the day's usage and the active calls."""

    day_usage: DayUsage
    active_calls: Sequence[ActiveCall] = ()

    @property
    def in_flight(self) -> float:
        """The estimated neurons that active calls have used so far."""
        return sum(call.usage.neurons or 0.0 for call in self.active_calls)

    @property
    def used(self) -> float:
        """The neurons used today, including those of active calls."""
        return self.day_usage.spent + self.in_flight

    @property
    def reserved(self) -> float:
        """The neurons reserved for active calls, without those they have already used."""
        return max(0.0, self.day_usage.reserved - self.in_flight)

    @property
    def share(self) -> float:
        """The used share of the limit; 1 means all."""
        limit = self.day_usage.limit
        return self.used / limit if limit > 0 else RED_SHARE

    @property
    def level(self) -> str:
        """The level: green, amber from 80 %, or red if all is used or the day is closed."""
        if self.share >= RED_SHARE or self.day_usage.is_closed:
            return "red"
        return "amber" if self.share >= AMBER_SHARE else "green"


def render_gauge(state: GaugeState, now: datetime) -> str:
    """Return the gauge as HTML: number, bar, legend and time of the reset."""
    day_usage = state.day_usage
    label = "closed by Cloudflare" if day_usage.is_closed else LEVEL_LABELS[state.level]
    percent = format_percent(state.share)
    return (
        f'<div class="cfai-gauge cfai-{state.level}">'
        f'<div class="cfai-figure"><span class="cfai-big">{format_neurons(state.used)}</span>'
        f" <span>of {day_usage.limit:,.0f} neurons used today</span>"
        f' <span class="cfai-chip">{percent} · {label}</span></div>'
        f"{_render_bar(state, percent)}{_render_legend(state)}"
        f'<div class="cfai-clock">{escape_html(format_reset_time(day_usage, now))}'
        f"{_render_account_figure(day_usage)}</div></div>"
    )


def _render_account_figure(day_usage: DayUsage) -> str:
    """Return HTML with the neurons of Cloudflare's analytics, which include other programs."""
    if day_usage.account is None:
        return ""
    return (
        f"<br>Cloudflare's own figure: {format_account_figure(day_usage.account)}, "
        "with other programs' calls."
    )


def _list_bar_parts(state: GaugeState) -> tuple[tuple[str, str, float], ...]:
    """Return the parts of the bar as (CSS class suffix, name, neurons); they never overlap."""
    day_usage = state.day_usage
    return (
        ("billed", "billed", day_usage.billed),
        ("estimated", "estimated", day_usage.estimated),
        ("running", "answer coming, so far", state.in_flight),
        ("reserved", "reserved", state.reserved),
    )


def _render_bar(state: GaugeState, percent: str) -> str:
    parts = _list_bar_parts(state)
    total = max(state.day_usage.limit, sum(amount for _, _, amount in parts), 1e-9)
    spans = "".join(
        f'<span class="cfai-part cfai-{kind}" style="width: {100 * amount / total:.2f}%"></span>'
        for kind, _, amount in parts
    )
    limit = max(state.day_usage.limit, 0.0)
    return (
        f'<div class="cfai-bar" role="meter" aria-label="Neurons used today" aria-valuemin="0"'
        f' aria-valuemax="{limit:.0f}" aria-valuenow="{min(state.used, limit):.1f}"'
        f' aria-valuetext="{format_neurons(state.used)} of {limit:,.0f} neurons, {percent}">'
        f"{spans}</div>"
    )


def _render_legend(state: GaugeState) -> str:
    items = "".join(
        f'<li><span class="cfai-swatch cfai-{kind}"></span>{name} '
        f"<b>{format_neurons(amount)}</b></li>"
        for kind, name, amount in _list_bar_parts(state)
    )
    neurons_left = max(0.0, state.day_usage.limit - state.used - state.reserved)
    return (
        f'<ul class="cfai-legend">{items}<li>left <b>{format_neurons(neurons_left)}</b></li></ul>'
    )


def format_reset_time(day_usage: DayUsage, now: datetime) -> str:
    """Return the time of the daily reset, in UTC and in local time."""
    reset_time = (now + timedelta(seconds=day_usage.seconds_left)).astimezone()
    local_time = (
        f"{reset_time:%H:%M} {reset_time.tzname()}, local time"
        if reset_time.utcoffset()
        else "local time too"
    )
    return f"Resets at 00:00 UTC ({local_time}), in {format_duration(day_usage.seconds_left)}."


def render_model_table(totals: Iterable[Total]) -> str:
    """Return an HTML table of each model's usage; "" if there is none."""
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
    columns = ("model", "calls", "tokens in → out", "billed", "estimated", "reserved")
    table_html = Table(columns, rows)._repr_html_()
    return f'<div class="cfai-scroll" tabindex="0">{table_html}</div>'


class UsageSection:
    """Shows today's usage, also during an answer, with a field for the day budget."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.gauge = HTML()
        self.model_table = HTML()
        self.budget_input = TextInput(
            description="Budget for today, all kernels (neurons)",
            placeholder="off (free allowance)",
            continuous_update=False,
        ).add_class("cfai-short")
        self.budget_input.on_edit = self._set_budget
        self.reopen_button = create_button("Open the day again", self._reopen_day)
        self.reopen_button.layout.display = "none"
        self.other_limits = HTML()
        self.message = HTML(format_note(""))
        self.box = VBox(
            [
                create_heading("Neurons today"),
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
            if session.settings.local:
                self.gauge.value = format_note(
                    "Answers come from this machine: they cost no neurons."
                )
            elif server := session.backend.server:
                text = f"Questions go to {server.name}: no day of an account is counted for it."
                self.gauge.value = format_note(text)
            elif account:
                day_usage = session.day_usage()
                self.gauge.value = render_gauge(
                    GaugeState(day_usage, session.active_calls), session.now()
                )
                self.reopen_button.layout.display = None if day_usage.is_closed else "none"
            else:
                self.gauge.value = format_note("Nothing is counted before there is an account.")
            self._show_limits(ledger.budgets.limits(CallContext(account, session.notebook)))
            self.model_table.value = render_model_table(
                ledger.history.totals("model", 1, account) if account else ()
            )

    def _get_billing_account(self) -> str:
        try:
            return self._session.backend.billing_account()
        except MissingCredentialsError:
            return ""

    def _show_limits(self, limits: list[Limit]) -> None:
        own_limits = [limit for limit in limits if not limit.from_course]
        day_limit = next((limit for limit in own_limits if limit.scope == "day"), None)
        self.budget_input.value = f"{day_limit.neurons:g}" if day_limit else ""
        lines = [
            f"{limit_name(limit).capitalize()}: {format_neurons(limit.spent)} of "
            f"{limit.neurons:,.0f} neurons used or reserved."
            for limit in limits
            if limit is not day_limit
        ]
        self.other_limits.value = format_note("\n".join(lines))

    def _set_budget(self) -> None:
        text = self.budget_input.value.strip()
        self.message.value = format_note("")
        with show_errors_in(self.message):
            neurons = None if text in ("", "off") else parse_neurons(text)
            self._session.accounting.ledger.budgets.set("day", neurons)
            self.message.value = format_note("The budget holds for all kernels.", "good")
        self._session.observers.notify()

    def _reopen_day(self) -> None:
        with show_errors_in(self.message):
            self._session.accounting.ledger.reopen_day(self._session.backend.billing_account())
        self._session.observers.notify()
