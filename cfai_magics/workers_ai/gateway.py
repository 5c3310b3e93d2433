"""An AI Gateway of the account: its name, what it counts by, the headers that lead through it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import BadOption

Metadata = Mapping[str, str | float | bool]
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
METADATA_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MOST_METADATA = 5  # entries a request, says AI Gateway
DIRECT = "off"  # what stands for no gateway where the settings name one


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway by its name; spend limits and logs can go by its metadata."""

    name: str
    metadata: Metadata = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """What the line under an answer calls it."""
        return f"gateway {self.name}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that send a call of Workers AI through it; the host stays the same."""
        named = {"cf-aig-gateway-id": self.name}
        told = {"cf-aig-metadata": json.dumps(dict(self.metadata))} if self.metadata else {}
        return named | told


def through(gateway: Gateway | None, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is sent with the headers that lead through the gateway, where there is one."""
    headers = gateway.headers if gateway else {}
    return {**sent, "headers": {**sent.get("headers", {}), **headers}}


def gateway_name(value: Any) -> str:
    """Return the name of a gateway; BadOption where it can be none."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise BadOption(
            f"{value!r} is no gateway's name", "It has up to 64 letters, digits, - and _."
        )
    return value


def gateway_metadata(value: Any) -> dict[str, str | float | bool]:
    """Return the metadata of a gateway; BadOption where it takes none such."""
    fits = isinstance(value, Mapping) and all(
        METADATA_NAME.fullmatch(str(name)) and isinstance(item, str | int | float)
        for name, item in value.items()
    )
    if not fits or len(value) > MOST_METADATA:
        raise BadOption(
            f"metadata is not {MOST_METADATA} names at most with texts, numbers or true and false",
            'Write for example course = "Physics 1" below [metadata].',
        )
    return dict(value)


def from_cache(headers: Mapping[str, str]) -> bool:
    """Whether the gateway answered from its cache, so that Workers AI billed nothing."""
    return headers.get("cf-aig-cache-status", "").upper() == "HIT"


def told_by(headers: Mapping[str, str]) -> str:
    """Return what the reply's headers tell of the gateway's cache, to be shown."""
    status = headers.get("cf-aig-cache-status", "")
    return f", cache {status.lower()}" if status.isalpha() else ""
