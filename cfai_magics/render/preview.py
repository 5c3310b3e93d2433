"""What a question would send and cost, shown without sending it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..neurons.pricing import Cost
from ..prompt.costing import Share
from ..terminal import safe_json, safe_text
from .formats import Table, between, muted, unfolded

COLUMNS = ("part", "tokens", "share")
IMAGE_SHOWN = 40  # characters of an image's data
LONGEST_WORD = 200  # characters without a space: more are no language
RECORDED = "The answer is recorded: it would be replayed, and nothing would be sent or cost."


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be sent: the JSON as `request`, the tokens of its parts, neurons low to high.

    `cost` is None where no price is known; `notes` are lines about the estimate.
    """

    request: Mapping[str, Any]
    shares: tuple[Share, ...]
    cost: Cost | None
    notes: tuple[str, ...] = ()

    @property
    def neurons(self) -> str:
        """From the least to the most that the call may cost."""
        if self.cost is None:
            return "neurons unknown: the model has no known price"
        return f"{between(self.cost.low, self.cost.high)} neurons estimated"

    @property
    def table(self) -> Table:
        """The tokens of system, history, variables, cell and so on, with their share."""
        kinds: dict[str, int] = {}
        for share in self.shares:
            kind = share.part.kind if share.part else "answer"
            kinds[kind] = kinds.get(kind, 0) + share.tokens
        whole = sum(kinds.values()) or 1
        rows = [
            (kind, f"{n:,}", f"{n / whole:.0%}".replace("%", " %")) for kind, n in kinds.items()
        ]
        note = "\n".join(
            [f"Nothing was sent. {self.neurons}, with at the most {self._most()}.", *self.notes]
        )
        return Table(COLUMNS, (*rows, ("all", f"{sum(kinds.values()):,}", "")), note)

    def _most(self) -> str:
        return (
            f"{self.cost.max_tokens:,} tokens of answer" if self.cost else "what max_tokens says"
        )

    @property
    def json(self) -> str:
        """The request as text."""
        return safe_json(json.dumps(self.request, indent=2, ensure_ascii=False))

    def __str__(self) -> str:
        return f"{self.json}\n\n{self.table}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        box = unfolded("The request, as JSON", self.json)
        return f"{box}{self.table._repr_html_()}"


@dataclass(frozen=True, slots=True)
class TaskPreview:
    """What a native task would send and cost: the JSON, the amount in its own unit, its prices."""

    request: Mapping[str, Any]
    amount: str
    price: str
    prices: str = ""
    notes: tuple[str, ...] = ()

    @property
    def json(self) -> str:
        """The request as text."""
        return safe_json(json.dumps(self.request, indent=2, ensure_ascii=False))

    @property
    def told(self) -> str:
        """What it would cost, by which prices."""
        lines = [f"Nothing was sent. {self.amount}: {self.price}."]
        lines += [f"Prices of the model: {self.prices}."] if self.prices else []
        return "\n".join([*lines, *self.notes])

    def __str__(self) -> str:
        return safe_text(f"{self.json}\n\n{self.told}")

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        box = unfolded("The request, as JSON", self.json)
        return f"{box}{muted(self.told)}"


def shown(value: Any, hide: Callable[[str], str]) -> Any:
    """Return a JSON value as it may be shown: images shortened, secrets hidden by `hide`."""
    if isinstance(value, str) and len(value) > IMAGE_SHOWN and is_data(value):
        return f"{value[:IMAGE_SHOWN]}… ({len(value):,} characters)"
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {key: shown(each, hide) for key, each in value.items()}
    if isinstance(value, list) and len(value) > IMAGE_SHOWN and isinstance(value[0], int):
        return f"{len(value):,} bytes"
    if isinstance(value, list | tuple):
        return [shown(each, hide) for each in value]
    return value


def is_data(text: str) -> bool:
    """Whether a text is an image's or sound's data: an address that holds it, or bare base64."""
    return text.startswith("data:") or (len(text) > LONGEST_WORD and " " not in text)
