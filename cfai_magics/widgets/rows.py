"""One model a line of text, in columns: what is to be known before choosing it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..escaping import html_text
from ..neurons.pricing import Rates
from ..values import Model, Usage

CHAT = "Text Generation"
GAP = "\N{NO-BREAK SPACE}" * 2
BREAK = GAP + "\N{ZERO WIDTH SPACE}"  # where a line too long for the screen is broken
ONLY_ABOUT = 100
NONE = "\N{EN DASH}"
FIRST_ROUNDED = 100
HEAD = ("model", "in", "out", "window", "plan", "answers left", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One model, and about how many answers like the last it has left today, where known."""

    model: Model
    answers: int | None = None

    def cells(self) -> tuple[str, ...]:
        """Return its columns under HEAD."""
        model = self.model
        return (
            model.short,
            *(_price(model.neurons_in), _price(model.neurons_out)),
            _window(model.context_window),
            "paid" if model.paid_plan_only else "free",
            _about(self.answers),
            " ".join(_marks(model)),
        )


def _about(count: int | None) -> str:
    if count is None:
        return NONE
    return f"about {count:,}" if count else "none"


def _price(rate: float | None) -> str:
    return NONE if rate is None else f"{rate:,.1f}"


def _window(tokens: int | None) -> str:
    if tokens is None:
        return NONE
    return f"{tokens / 1000:,.0f}k" if tokens < 1_000_000 else f"{tokens / 1e6:.1f}M"  # noqa: PLR2004


def _marks(model: Model) -> Iterable[str]:
    yield from (name for name in ("vision", "tools", "reasoning") if getattr(model, name))
    if model.retires:
        yield f"retires {model.retires}"


def lines(rows: Sequence[Row]) -> tuple[str, tuple[str, ...]]:
    """Return the head and the rows as text whose columns stand below each other."""
    table = [HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    head, *texts = (_line(cells, widths) for cells in table)
    return head, tuple(texts)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.rjust(width) if 0 < place < 4 else cell.ljust(width)  # noqa: PLR2004 - the numbers
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    name, *figures, marks = (cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in padded)
    return BREAK.join((name, GAP.join(figures), marks.rstrip("\N{NO-BREAK SPACE}")))


def answers_left(rates: Rates | None, last: Usage | None, left: float) -> int | None:
    """Return about how many answers like the last fit into what is left; None if unknown."""
    price = rates.neurons(last) if rates and last else 0.0
    return rounded(max(0.0, left) / price) if price > 0 else None


def rounded(amount: float) -> int:
    """Return a number rounded to its first two digits: it is only about so many."""
    whole = int(amount)
    return round(whole, 2 - len(str(whole))) if whole >= FIRST_ROUNDED else whole


def detail(row: Row) -> str:
    """Return all that is known of a model as HTML."""
    model = row.model
    facts = [
        f"{_price(model.neurons_in)} neurons per 1,000 tokens in, {_price(model.neurons_out)} out",
        *(f"{price:,.4g} neurons per {unit}" for unit, price in model.units.items()),
        f"{model.context_window:,} tokens of context" if model.context_window else "",
        ", ".join(name for name in ("vision", "tools", "reasoning") if getattr(model, name)),
        "only on the paid plan" if model.paid_plan_only else "on the free plan",
        "" if row.answers is None else f"answers like your last left today: {_about(row.answers)}",
        f"retires on {model.retires}" if model.retires else "",
        f"a model for {model.task}: it answers no %%cfai question"
        if model.task not in ("", CHAT)
        else "",
    ]
    told = " · ".join(filter(None, facts))
    return (
        '<div class="cfai-detail" role="status">'
        f"Questions go to <b>{html_text(model.name)}</b><br>{html_text(told)}</div>"
    )
