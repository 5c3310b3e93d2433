"""One request with the state of the server that answers it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .accounts import Accounts
from .catalogue import Catalogue
from .ledger import Clock, Ledger
from .log import Log
from .received import Received
from .script import Script
from .switches import Switches


@dataclass(slots=True)
class GatewayRecords:
    """State of the account's gateways: cached answers, and calls by metadata."""

    copies: dict[tuple[str, bytes], Any] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Cloud:
    """State shared by all requests; only `script` is replaced."""

    accounts: Accounts
    catalogue: Catalogue
    ledger: Ledger
    log: Log
    clock: Clock
    script: Script
    batches: dict[str, Any] = field(default_factory=dict)
    gateway: GatewayRecords = field(default_factory=GatewayRecords)


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
