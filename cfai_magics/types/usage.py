"""Types for the usage of a call or day, budget limits and models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

CHAT_TASK = "Text Generation"  # Cloudflare's name for the task of chat models
MAX_NEURONS = 1e12  # 11 million US dollars; a larger number for one call is treated as unknown
FREE_DAILY_NEURONS = 10_000.0  # per day and account, on both the free and the paid plan
TASK_MAX_TOKENS = 256  # the default for the older models that native tasks use
MAX_TOKENS = 10**12  # so that sums stay within SQLite's 64-bit integers
CostBasis = Literal["billed", "estimated", "replayed", "local"]
Status = Literal["ok", "interrupted", "failed", "refused", "replayed"]
Scope = Literal["day", "session", "notebook", "cell", "free"]
LimitSource = Literal["user", "course", "class"]
DayLimitSource = Literal["free", "user", "course", "class"]
CLASS_PREFIX = "class-"  # in the ledger, the accounts of students of a class server start with it


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage for one call so far: tokens, and neurons with their cost basis.

    A neuron is Cloudflare's billing unit: 1,000 neurons cost USD 0.011, and each account has
    10,000 free neurons per UTC day (Workers AI pricing page, as of September 2026).

    Attributes:
        prompt_tokens: Tokens in the prompt, including cached tokens.
        completion_tokens: Tokens in the answer, including its reasoning.
        cached_tokens: Prompt tokens that Cloudflare read from its cache.
        neurons: Cost in neurons; None if unknown.
        cost_basis: Source of `neurons`: billed (reported by Cloudflare), estimated (from prices
            and tokens), replayed (from a recording, at no cost) or local (a model on this machine,
            at no cost). None if unknown.
        has_estimated_tokens: Whether tokens are estimated, because the server reported none.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    neurons: float | None = None
    cost_basis: CostBasis | None = None
    has_estimated_tokens: bool = False

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum of both usages. If either usage is estimated, the sum is estimated."""
        with_neurons = [usage for usage in (self, other) if usage.neurons is not None]
        cost_bases = {usage.cost_basis for usage in with_neurons}
        for free_basis in ("replayed", "local"):  # these calls add no cost
            if len(cost_bases) > 1:
                cost_bases.discard(free_basis)
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            sum(usage.neurons or 0.0 for usage in with_neurons) if with_neurons else None,
            (cost_bases.pop() if len(cost_bases) == 1 else "estimated") if with_neurons else None,
            self.has_estimated_tokens or other.has_estimated_tokens,
        )


class WithUsage:
    """Mixin that adds the properties `neurons` and `cost_basis` to a class with `usage`."""

    __slots__ = ()
    usage: Usage

    @property
    def neurons(self) -> float | None:
        """The cost in neurons; None if unknown. `cost_basis` says where the number comes from."""
        return self.usage.neurons

    @property
    def cost_basis(self) -> CostBasis | None:
        """The source of `neurons`: billed, estimated, replayed or local; None if unknown."""
        return self.usage.cost_basis


@dataclass(frozen=True, slots=True)
class Model:
    """One model, with its properties and prices from Cloudflare's catalog.

    Prices are as of the date of the `Catalog`. A price that is None is unknown.

    Attributes:
        name: Full name, such as @cf/google/gemma-4-26b-a4b-it.
        task: Cloudflare's name for the model's task, such as Text Generation.
        neurons_in: Neurons per 1,000 prompt tokens.
        neurons_out: Neurons per 1,000 answer tokens.
        neurons_cached: Neurons per 1,000 cached prompt tokens.
        context_window: Maximum number of tokens in the prompt and answer together.
        vision: Whether the model accepts images.
        tools: Whether the model can call functions.
        reasoning: Whether the model can think before it answers.
        reasoning_efforts: Values of the field reasoning_effort that the model accepts. If "none"
            is not among them, the model always thinks. Empty if the catalog lists none.
        paid_plan_only: Whether the model requires Cloudflare's paid plan.
        deprecation_date: ISO date on which the model will be retired; None if not announced.
        supports_batch_api: Whether the model supports the Batch API.
        units: Neurons per unit of other work, by unit name, such as "audio minute".
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
    reasoning_efforts: tuple[str, ...] = ()

    @property
    def always_thinks(self) -> bool:
        """Whether the model's reasoning cannot be switched off."""
        return bool(self.reasoning_efforts) and "none" not in self.reasoning_efforts

    @property
    def short_name(self) -> str:
        """The name without its author, as typed by users and shown in footers."""
        return self.name.rpartition("/")[2]


class Catalog(NamedTuple):
    """A list of models, with its ISO date and its source: live, cached or shipped."""

    models: tuple[Model, ...]
    date: str
    source: Literal["live", "cached", "shipped"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One budget.

    Attributes:
        scope: What the budget covers: a day, session, notebook or cell, or the free neurons per
            day.
        neurons: The limit in neurons.
        spent: The total of billed, estimated and reserved neurons.
        source: Who set the budget: the user, the course (cfai.toml) or the class server. The class
            server enforces its budget itself.
    """

    scope: Scope
    neurons: float
    spent: float = 0.0
    source: LimitSource = "user"

    @property
    def remaining(self) -> float:
        """The number of neurons left."""
        return self.neurons - self.spent


@dataclass(frozen=True, slots=True)
class AccountFigure:
    """The number of neurons that an account used today, as reported by Cloudflare.

    `reported_at` is a Unix timestamp in seconds.
    """

    neurons: float
    reported_at: float


@dataclass(frozen=True, slots=True)
class ClassFigure:
    """A student's daily budget in neurons, as reported by the class server.

    `spent` is the number of neurons that the class server counted today, 0 if it was last asked
    on an earlier day. `reported_at` is a Unix timestamp in seconds.
    """

    budget: float
    spent: float
    reported_at: float


@dataclass(frozen=True, slots=True)
class DayUsage:
    """One account's usage on one UTC day in neurons, according to this computer's ledger.

    `billed`, `estimated`, `reserved` and `elsewhere` do not overlap.

    Attributes:
        billed: Neurons that Cloudflare reported.
        estimated: Estimated neurons of calls for which Cloudflare reported none.
        reserved: Maximum cost of calls in progress.
        limit: The day's lowest budget, or the free neurons if no budget is set. None if the class
            server has not reported the student's budget yet.
        seconds_left: Seconds until 00:00 UTC.
        is_closed: Whether Cloudflare reported that the free neurons are used up.
        account: Cloudflare's own figure, if it was queried today; otherwise, None.
        limit_source: Who set `limit`, or "free" for the free neurons.
        is_class: Whether a class server answers, which has a budget for each student.
        class_figure: The class server's latest figure; None if it is unknown.
        elsewhere: Neurons that the class server counted, but that are not in this ledger, such as
            calls from another computer.
    """

    billed: float
    estimated: float
    reserved: float
    limit: float | None
    seconds_left: float
    is_closed: bool = False
    account: AccountFigure | None = None
    limit_source: DayLimitSource = "free"
    is_class: bool = False
    class_figure: ClassFigure | None = None
    elsewhere: float = 0.0

    @property
    def spent(self) -> float:
        """The sum of billed and estimated neurons, and of those used elsewhere."""
        return self.billed + self.estimated + self.elsewhere


class ActiveCall(NamedTuple):
    """A running call, with its model and its usage so far."""

    model: str
    usage: Usage = Usage()
