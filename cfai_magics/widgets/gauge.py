"""The neurons of today as HTML: how many, of how many, how sure, and when they begin anew."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..escaping import html_text
from ..render.formats import Table, counted, duration, neurons
from ..store.history import Total
from ..values import Running, Standing

AMBER, RED = 0.8, 1.0  # of the limit
WORDS = {"green": "enough left", "amber": "running low", "red": "used up"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What the gauge shows: today's standing with the calls that run just now."""

    standing: Standing
    running: Sequence[Running] = ()

    @property
    def so_far(self) -> float:
        """What the running calls have used, as an estimate."""
        return sum(each.usage.neurons or 0.0 for each in self.running)

    @property
    def used(self) -> float:
        """What is used of today's neurons at this moment."""
        return self.standing.spent + self.so_far

    @property
    def reserved(self) -> float:
        """What is held back for the running calls beyond what they have used."""
        return max(0.0, self.standing.reserved - self.so_far)

    @property
    def share(self) -> float:
        """How much of the limit is used; 1 is all."""
        limit = self.standing.limit
        return self.used / limit if limit > 0 else RED

    @property
    def level(self) -> str:
        """Green, amber from 80 %, or red when all is used."""
        if self.share >= RED or self.standing.closed:
            return "red"
        return "amber" if self.share >= AMBER else "green"


def gauge(reading: Reading, now: datetime) -> str:
    """Return the figure, the bar with its legend, and the reset clock."""
    day = reading.standing
    words = "closed by Cloudflare" if day.closed else WORDS[reading.level]
    percent = f"{reading.share:.0%}".replace("%", " %")
    return (
        f'<div class="cfai-gauge cfai-{reading.level}">'
        f'<div class="cfai-figure"><span class="cfai-big">{neurons(reading.used)}</span>'
        f" <span>of {day.limit:,.0f} neurons used today</span>"
        f' <span class="cfai-chip">{percent} · {words}</span></div>'
        f"{_bar(reading, percent)}{_legend(reading)}"
        f'<div class="cfai-clock">{html_text(reset_clock(day, now))}{_account(day)}</div></div>'
    )


def _account(day: Standing) -> str:
    """Return what Cloudflare itself counted, other programs' calls too, where it was asked."""
    if day.account is None:
        return ""
    return f"<br>Cloudflare's own figure: {counted(day.account)}, with other programs' calls."


def _parts(reading: Reading) -> tuple[tuple[str, str, float], ...]:
    """Return the parts of the bar: class, name, neurons. They never overlap."""
    day = reading.standing
    return (
        ("billed", "billed", day.billed),
        ("estimated", "estimated", day.estimated),
        ("running", "answer coming, so far", reading.so_far),
        ("reserved", "reserved", reading.reserved),
    )


def _bar(reading: Reading, percent: str) -> str:
    parts = _parts(reading)
    whole = max(reading.standing.limit, sum(amount for _, _, amount in parts), 1e-9)
    spans = "".join(
        f'<span class="cfai-part cfai-{kind}" style="width: {100 * amount / whole:.2f}%"></span>'
        for kind, _, amount in parts
    )
    limit = max(reading.standing.limit, 0.0)
    return (
        f'<div class="cfai-bar" role="meter" aria-label="Neurons used today" aria-valuemin="0"'
        f' aria-valuemax="{limit:.0f}" aria-valuenow="{min(reading.used, limit):.1f}"'
        f' aria-valuetext="{neurons(reading.used)} of {limit:,.0f} neurons, {percent}">'
        f"{spans}</div>"
    )


def _legend(reading: Reading) -> str:
    items = "".join(
        f'<li><span class="cfai-swatch cfai-{kind}"></span>{name} <b>{neurons(amount)}</b></li>'
        for kind, name, amount in _parts(reading)
    )
    left = max(0.0, reading.standing.limit - reading.used - reading.reserved)
    return f'<ul class="cfai-legend">{items}<li>left <b>{neurons(left)}</b></li></ul>'


def reset_clock(day: Standing, now: datetime) -> str:
    """Return when the day ends, in UTC and in this machine's local time."""
    reset = (now + timedelta(seconds=day.seconds_left)).astimezone()
    here = f"{reset:%H:%M} {reset.tzname()}, local time" if reset.utcoffset() else "local time too"
    return f"Resets at 00:00 UTC ({here}), in {duration(day.seconds_left)}."


def by_model(totals: Iterable[Total]) -> str:
    """Return the table of what each model used today."""
    rows = tuple(
        (
            total.name.rpartition("/")[2],
            *(f"{total.calls:,}", f"{total.tokens_in:,} → {total.tokens_out:,}"),
            *map(neurons, (total.billed, total.estimated, total.reserved)),
        )
        for total in totals
    )
    if not rows:
        return ""
    columns = ("model", "calls", "tokens in → out", "billed", "estimated", "reserved")
    table = Table(columns, rows)._repr_html_()
    return f'<div class="cfai-scroll" tabindex="0">{table}</div>'
