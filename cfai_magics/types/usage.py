"""Types for the usage of a call and a day, budget limits, and models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

CHAT_TASK = "Text Generation"  # Cloudflare's name of the task of chat models
MAX_NEURONS = 1e12  # ten million dollars; a larger number for one call is treated as unknown
TASK_MAX_TOKENS = 256  # the default of the older models, which native tasks use
MAX_TOKENS = 10**12  # so that sums stay within SQLite's 64 bits
CostBasis = Literal["billed", "estimated", "replayed"]
Status = Literal["ok", "interrupted", "failed", "refused", "replayed"]
Scope = Literal["day", "session", "notebook", "cell", "free"]


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of one call so far: tokens, and neurons with their cost basis.

    A neuron is Cloudflare's unit of billing: 1,000 neurons cost 0.011 USD, and an account has
    10,000 free neurons per UTC day (Cloudflare's page on Workers AI pricing, read September 2026).

    Attributes:
        prompt_tokens: Tokens of the prompt, with those from the cache.
        completion_tokens: Tokens of the answer, with those of its reasoning.
        cached_tokens: Tokens of the prompt that Cloudflare had in its cache.
        neurons: Cost in neurons; None if unknown.
        cost_basis: Where `neurons` comes from: billed (reported by Cloudflare), estimated (from
            prices and tokens) or replayed (a recording: 0 neurons); None if unknown.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    neurons: float | None = None
    cost_basis: CostBasis | None = None

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum of both usages; billed plus estimated neurons are estimated."""
        with_neurons = [usage for usage in (self, other) if usage.neurons is not None]
        cost_bases = {usage.cost_basis for usage in with_neurons}
        if len(cost_bases) > 1:
            cost_bases.discard("replayed")  # a replayed call adds no cost
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            sum(usage.neurons or 0.0 for usage in with_neurons) if with_neurons else None,
            (cost_bases.pop() if len(cost_bases) == 1 else "estimated") if with_neurons else None,
        )


class WithUsage:
    """Mixin for a class with `usage`: adds the properties `neurons` and `cost_basis`."""

    __slots__ = ()
    usage: Usage

    @property
    def neurons(self) -> float | None:
        """Neurons of this call; None if unknown. `cost_basis` says where the number is from."""
        return self.usage.neurons

    @property
    def cost_basis(self) -> CostBasis | None:
        """Source of `neurons`: billed, estimated or replayed."""
        return self.usage.cost_basis


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalog, with its properties from Cloudflare's catalog.

    The prices are from Cloudflare's catalog on the date of the `Catalog`; None is unknown.

    Attributes:
        name: Full name, such as @cf/google/gemma-4-26b-a4b-it.
        task: Cloudflare's name of its task, such as Text Generation.
        neurons_in: Neurons per 1,000 tokens of the prompt.
        neurons_out: Neurons per 1,000 tokens of the answer.
        neurons_cached: Neurons per 1,000 tokens of the prompt from the cache.
        context_window: Maximum number of tokens of prompt and answer together.
        vision: Whether it takes images.
        tools: Whether it calls functions.
        reasoning: Whether it can think before it answers.
        paid_plan_only: Whether it needs Cloudflare's paid plan.
        deprecation_date: ISO date on which it is retired; None if none is announced.
        supports_batch_api: Whether it accepts batches.
        units: Neurons per unit of other work, by names such as "audio minute".
    """

    name: str
    task: str = ""
    neurons_in: float | None = None
    neurons_out: float | None = None
    neurons_cached: float | None = None
    context_window: int | None = None
    vision: bool = False
    tools: bool = False
    reasoning: bool = False
    paid_plan_only: bool = False
    deprecation_date: str | None = None
    supports_batch_api: bool = False
    units: Mapping[str, float] = field(default_factory=dict)

    @property
    def short_name(self) -> str:
        """The name without its author, as users type it and footers show it."""
        return self.name.rpartition("/")[2]


class Catalog(NamedTuple):
    """A list of models with its date (ISO) and its source: live, cached or shipped."""

    models: tuple[Model, ...]
    date: str
    source: Literal["live", "cached", "shipped"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One budget.

    Attributes:
        scope: What it limits: a day, session, notebook or cell, or the free neurons of a day.
        neurons: The limit in neurons.
        spent: Billed, estimated and reserved neurons together.
        from_course: Whether cfai.toml sets it.
    """

    scope: Scope
    neurons: float
    spent: float = 0.0
    from_course: bool = False

    @property
    def remaining(self) -> float:
        """The neurons that are left."""
        return self.neurons - self.spent


@dataclass(frozen=True, slots=True)
class AccountFigure:
    """The neurons that an account used today, as Cloudflare reported them.

    `reported_at` is a Unix time in seconds.
    """

    neurons: float
    reported_at: float


@dataclass(frozen=True, slots=True)
class DayUsage:
    """The usage of one account on one UTC day, in neurons, as this computer's ledger has it.

    `billed`, `estimated` and `reserved` do not overlap.

    Attributes:
        billed: Neurons that Cloudflare reported.
        estimated: Neurons of calls without a report.
        reserved: Maximum cost of the calls in progress.
        limit: The day's budget, or the free neurons if none is set.
        seconds_left: Seconds until 00:00 UTC.
        is_closed: Whether Cloudflare reported that the free neurons are used up.
        account: Cloudflare's own number, if it was queried today.
    """

    billed: float
    estimated: float
    reserved: float
    limit: float
    seconds_left: float
    is_closed: bool = False
    account: AccountFigure | None = None

    @property
    def spent(self) -> float:
        """The sum of billed and estimated neurons."""
        return self.billed + self.estimated


class ActiveCall(NamedTuple):
    """A running call: its model, and its usage so far."""

    model: str
    usage: Usage = Usage()
