"""State of the stand-in: its account with tokens, the ledger of calls, and the log of requests.

Recorded: the rate limits per task (documentation of September 2026), the daily quota, and the
prefixes of tokens. Invented: the time at which a call is admitted and billed.
"""

import json
import secrets
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

from .behavior import Script, Switches
from .catalog import Catalog, Model
from .errors import Fault, Refusal, refusal

Clock = Callable[[], float]
Owner = Literal["user", "account"]
Plan = Literal["free", "paid"]
READ, EDIT, ANALYTICS = "Workers AI Read", "Workers AI Edit", "Account Analytics Read"
EVERYTHING = (READ, EDIT, ANALYTICS)
HEX_ID = 32
PAID_MODEL_CALLS = 20
CALLS_PER_MINUTE = MappingProxyType(
    {
        "Automatic Speech Recognition": 720,
        "Image Classification": 3000,
        "Image-to-Text": 720,
        "Object Detection": 3000,
        "Summarization": 1500,
        "Text Classification": 2000,
        "Text Embeddings": 3000,
        "Text Generation": 300,
        "Text-to-Image": 720,
        "Translation": 720,
    }
)


@dataclass(frozen=True, slots=True)
class Token:
    """Properties of a token; its text is the key in `Accounts`."""

    id: str
    owner: Owner
    permissions: frozenset[str]
    status: str


class Accounts:
    """One account with new random tokens."""

    def __init__(self, plan: Plan) -> None:
        self.account_id = secrets.token_hex(HEX_ID // 2)
        self.plan = plan
        self.licenses: set[str] = set()
        self._tokens: dict[str, Token] = {}
        self.token = self.issue(EVERYTHING)
        self.account_token = self.issue(EVERYTHING, "account")
        self.read_only_token = self.issue((READ,))

    def issue(
        self,
        permissions: Iterable[str],
        owner: Owner = "user",
        status: str = "active",
        text: str = "",
    ) -> str:
        """Create a token with this text, or a random text with the prefix of its owner type."""
        text = text or ("cfut_" if owner == "user" else "cfat_") + secrets.token_hex(24)
        identity = secrets.token_hex(HEX_ID // 2)
        self._tokens[text] = Token(identity, owner, frozenset(permissions), status)
        return text

    def get_active(self, text: str) -> Token:
        """Return an active token. Raises Refusal if it is unknown or inactive."""
        token = self._tokens.get(text)
        if token is None or token.status != "active":
            raise refusal(10000)
        return token

    def check_permission(self, text: str, account_id: str, permission: str) -> None:
        """Raise Refusal if the token lacks this permission on this account."""
        token = self.get_active(text)
        if account_id != self.account_id:
            raise refusal(10000)
        if permission not in token.permissions:
            raise Refusal(Fault(403, 10000, "Authentication error"))

    def verify(self, text: str, owner: Owner) -> Token:
        """Return the token if its owner type matches: users and accounts have separate routes."""
        token = self._tokens.get(text)
        if token is None or token.owner != owner:
            raise refusal(1000)
        return token


class Call(NamedTuple):
    """One billed call."""

    model: str
    prompt_tokens: int
    completion_tokens: int
    neurons: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A call with its time, in seconds since 1970."""

    at: float
    call: Call


class OpenCall:
    """A call that is billed once, with its tokens at that time."""

    def __init__(self, ledger: "Ledger", model: Model, prompt: int, cached: int) -> None:
        self._ledger = ledger
        self._model = model
        self._prompt = prompt
        self._cached = cached
        self._settled = False
        self.completion = 0

    def settle(self) -> None:
        """Bill the call; later calls do nothing."""
        if self._settled:
            return
        self._settled = True
        neurons = self._model.token_cost(self._prompt, self.completion, self._cached)
        self._ledger.book(Call(self._model.name, self._prompt, self.completion, neurons))


class Ledger:
    """Calls of the account; written by the server thread, read by any thread."""

    def __init__(self, clock: Clock, plan: Plan) -> None:
        self._clock = clock
        self._plan = plan
        self._entries: list[Entry] = []
        self._days: defaultdict[date, float] = defaultdict(float)
        self._admitted: dict[str, deque[float]] = defaultdict(deque)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All calls so far, in order."""
        return tuple(self._entries)

    def billed(self) -> float:
        """Return the neurons of this UTC day."""
        return self._days.get(utc_day(self._clock()), 0.0)

    def book(self, call: Call) -> None:
        """Add a call."""
        now = self._clock()
        self._days[utc_day(now)] += call.neurons
        self._entries.append(Entry(now, call))

    @contextmanager
    def open(self, model: Model, prompt: int, cached: int = 0) -> Iterator[OpenCall]:
        """Open a call that is billed when it ends, also after an error."""
        call = OpenCall(self, model, prompt, cached)
        try:
            yield call
        finally:
            call.settle()

    def admit(self, model: Model, switches: Switches) -> None:
        """Count one call. Raises Refusal if the daily quota or the rate limit is reached."""
        if self._plan == "free" and self.billed() >= switches.daily_neurons:
            raise refusal(4006)
        paid = model.access == "paid"
        times = self._admitted[model.name if paid else model.task]
        now = self._clock()
        while times and times[0] <= now - 60:
            times.popleft()
        limit = PAID_MODEL_CALLS if paid else CALLS_PER_MINUTE.get(model.task)
        if switches.calls_per_minute is not None:
            limit = switches.calls_per_minute
        if limit is not None and len(times) >= limit:
            raise refusal(3021)
        times.append(now)


def utc_day(at: float) -> date:
    """Return the UTC date of a time."""
    return datetime.fromtimestamp(at, UTC).date()


@dataclass(frozen=True, slots=True)
class Received:
    """A request; `headers` has lower-case names, `json` is None if the body is not JSON."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body_bytes: bytes = b""
    json: Any = None

    @classmethod
    def parse(
        cls, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> "Received":
        """Return a request from its parts."""
        address = urlsplit(target)
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        return cls(method, unquote(address.path), query, headers, body, _parse_body(body))

    @property
    def token(self) -> str:
        """The bearer token, or ""."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @property
    def content_type(self) -> str:
        """The body's content type without its parameters, lower-case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def as_json(self) -> dict[str, Any]:
        """Return the request as JSON for other processes."""
        return {
            "method": self.method,
            "path": self.path,
            "query": dict(self.query),
            "headers": dict(self.headers),
            "body": self.body_bytes.decode("utf-8", "replace"),
            "json": self.json,
        }


def _parse_body(body: bytes) -> Any:
    """Return the parsed JSON body for any content type (curl -d sends form data), or None."""
    if body[:1] not in (b"{", b"["):
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


class Log:
    """Log of requests, client disconnects and exceptions of the stand-in.

    The server thread writes it; other threads read it and wait for changes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[Received] = []
        self._disconnects = 0
        self.crashes: list[Exception] = []

    @property
    def requests(self) -> tuple[Received, ...]:
        """All requests since the last clear, in order of arrival."""
        with self._changed:
            return tuple(self._requests)

    @property
    def disconnects(self) -> int:
        """Number of clients that disconnected before the end of their answer."""
        with self._changed:
            return self._disconnects

    def add_request(self, request: Received) -> None:
        """Add a request."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def add_disconnect(self) -> None:
        """Count a client that disconnected before the end."""
        with self._changed:
            self._disconnects += 1
            self._changed.notify_all()

    def clear(self) -> None:
        """Remove all requests and disconnects."""
        with self._changed:
            self._requests.clear()
            self._disconnects = 0

    def wait_for(self, happened: Callable[[], bool], timeout: float) -> bool:
        """Wait until `happened` returns True; return False after the timeout."""
        with self._changed:
            return self._changed.wait_for(happened, timeout)


@dataclass(slots=True)
class GatewayRecords:
    """State of the account's gateways: cached answers, and calls by metadata."""

    copies: dict[tuple[str, bytes], Any] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Cloud:
    """State shared by all requests; only `script` is replaced."""

    accounts: Accounts
    catalog: Catalog
    ledger: Ledger
    log: Log
    clock: Clock
    script: Script
    batches: dict[str, Any] = field(default_factory=dict)
    gateway: GatewayRecords = field(default_factory=GatewayRecords)

    def today(self) -> date:
        """Return the UTC date of the clock."""
        return utc_day(self.clock())


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with the switches at its arrival, and the parts of its path."""

    cloud: Cloud
    script: Script
    received: Received
    parts: Mapping[str, str]

    @property
    def switches(self) -> Switches:
        """The switches of this request."""
        return self.script.switches

    @property
    def body(self) -> dict[str, Any]:
        """The body as a JSON object; empty if the body is not an object."""
        return self.received.json if isinstance(self.received.json, dict) else {}

    def admit(self, model: Model) -> None:
        """Count one call of this model. Raises Refusal if it is busy or a limit is reached."""
        if self.switches.busy:
            raise refusal(3040)
        self.cloud.ledger.admit(model, self.switches)

    def make_headers(self, model: Model, neurons: float | None = None) -> dict[str, str]:
        """Return the headers of each answer; `neurons` is None for a stream."""
        headers = {"cf-ai-req-id": str(uuid4())}
        # phoenix-1.0 is the one model recorded without the header.
        omitted = self.switches.omit_neurons_header or model.name.endswith("/phoenix-1.0")
        if neurons is not None and not omitted:
            headers["cf-ai-neurons"] = f"{neurons:.2f}"
        return headers
