"""The values that travel between the floors: frozen, comparable, without input or output."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .markdown import first_code, without_remote_content
from .media import Media
from .provenance import Origin, metadata_of

Basis = Literal["billed", "estimated", "replayed"]
Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One chat request, as far as it decides the answer.

    `model` is a full catalogue name; `messages` are OpenAI messages in order. A field that is None
    is not sent. `extra` holds further fields of the body, as JSON values, and wins over the rest.
    `instead_of` is the model that was asked for where one on this machine answers in its place.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    think: bool | None = None
    stream: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one whole call used so far: tokens, and neurons with the origin of that figure.

    `cached_tokens` is a part of `prompt_tokens`. `neurons` is None where no figure is known.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    neurons: float | None = None
    basis: Basis | None = None

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum; where one of two figures is no bill, neither is their sum."""
        known = [each for each in (self, other) if each.neurons is not None]
        bases = {each.basis for each in known}
        if len(bases) > 1:
            bases.discard("replayed")  # of which nothing was asked
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            sum(each.neurons or 0.0 for each in known) if known else None,
            (bases.pop() if len(bases) == 1 else "estimated") if known else None,
        )


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of the model's reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One whole call of a tool; `arguments` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Called:
    """A function that was called for a model, and what was sent back as its result.

    `kept` tells how much of the result that is, where it is not all.
    """

    name: str
    arguments: str
    result: str
    kept: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """Why the answer ended: stop, length, tool_calls, content_filter, error or unknown."""

    reason: str


Delta = Text | Thought | ToolCall | Usage | Finish


Status = Literal["ok", "interrupted", "failed", "refused", "replayed"]
Scope = Literal["day", "session", "notebook", "cell", "free"]


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget as it stands, in neurons; `spent` is billed, estimated and reserved together.

    `of_course` is True where the course's file sets it.
    """

    scope: Scope
    neurons: float
    spent: float = 0.0
    of_course: bool = False

    @property
    def room(self) -> float:
        """What is left of it."""
        return self.neurons - self.spent


@dataclass(frozen=True, slots=True)
class AccountFigure:
    """The neurons that Cloudflare said an account used today, told so many seconds after 1970."""

    neurons: float
    told: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a UTC day stands for one account, in neurons: the three never overlap.

    `limit` is the day's budget, or where none is set the free allowance. `closed` is True when
    Cloudflare said that the allowance is used up. `seconds_left` is the time until 00:00 UTC.
    `account` is what Cloudflare itself counted, where it was asked today.
    """

    billed: float
    estimated: float
    reserved: float
    limit: float
    seconds_left: float
    closed: bool = False
    account: AccountFigure | None = None

    @property
    def spent(self) -> float:
        """What is billed and estimated together."""
        return self.billed + self.estimated


@dataclass(frozen=True, slots=True)
class Running:
    """A call while it runs: the model it asks, and what it has used so far."""

    model: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, whole or as far as it came.

    `finish` is the Finish reason, or "interrupted", "cut" or "budget" when it did not reach its
    end. `seconds` and `first_token_seconds` are measured here, from sending the request; the
    second is None when no token came. `local` is True when a model on this machine answered.
    `notes` are lines about this call for its reader, and `standing` is where the day stood after
    it. `via` names the gateway and its cache's part, or the other server. `raw` is the JSON as it
    was sent, when the call was not streamed. `parsed` is what the form asked for makes of the
    text: a JSON value, a DataFrame, code; of a native task it is what that made: an image, a
    sound, a list, vectors. `work` is then how much it was, in its own unit. `called` are the
    functions that were called for it. `origin` says which request this answers, and from which
    recording if it is replayed.
    """

    model: str
    text: str = ""
    thought: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    called: tuple[Called, ...] = ()
    finish: str = "unknown"
    usage: Usage = Usage()
    seconds: float = 0.0
    first_token_seconds: float | None = None
    request_id: str | None = None
    local: bool = False
    via: str = ""
    notes: tuple[str, ...] = ()
    standing: Standing | None = None
    origin: Origin = field(default=Origin(), repr=False)
    raw: Any = field(default=None, repr=False)
    parsed: Any = field(default=None, repr=False, compare=False)
    work: str = ""

    @property
    def neurons(self) -> float | None:
        """Neurons of this call, or None where no figure is known; `basis` says where from."""
        return self.usage.neurons

    @property
    def basis(self) -> Basis | None:
        """Origin of `neurons`: billed, estimated or replayed."""
        return self.usage.basis

    @property
    def tokens_per_second(self) -> float | None:
        """The pace from the first token on; None where the answer came all at once."""
        if self.first_token_seconds is None or self.raw is not None:
            return None
        coming = self.seconds - self.first_token_seconds
        return self.usage.completion_tokens / coming if coming > 0 else None

    def json(self) -> Any:
        """Return the answer's text, or its first code block, as JSON; ValueError if it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            if self.code is None:
                raise
        return json.loads(self.code)

    @property
    def code(self) -> str | None:
        """The first code block of the text; None where there is none."""
        found = first_code(self.text)
        return found.text if found else None

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        shown: dict[str, Any] = {
            "text/markdown": without_remote_content(self.text),
            "text/plain": self.text,
        }
        if isinstance(self.parsed, Media):
            shown = self.parsed._repr_mimebundle_()
        return shown, metadata_of(self)


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalogue. Prices are neurons per 1,000 tokens; None where unknown.

    `units` are the prices of what is not tokens, in neurons by unit: see `units.py`. A model that
    `queues` takes batches.
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
    retires: str | None = None
    queues: bool = False
    units: Mapping[str, float] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """The name without its author: what people type and footers show."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A list of models with its date (ISO) and its source: live, cached or shipped."""

    models: tuple[Model, ...]
    date: str
    source: Literal["live", "cached", "shipped"]
