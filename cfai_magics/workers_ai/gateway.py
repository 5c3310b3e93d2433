"""Route requests through an AI Gateway, with its metadata, headers and cache status."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import InvalidOptionError
from ..i18n import _

Metadata = Mapping[str, str | float | bool]
NAME_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
METADATA_NAME_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MAX_METADATA_ENTRIES = 5  # per request; limit set by AI Gateway
CACHE_STATUS_HEADER = "cf-aig-cache-status"
NO_GATEWAY = "off"  # option value that turns off the gateway from the settings
NO_METADATA: Metadata = {}


class Gateway(NamedTuple):
    """An AI Gateway: its name and the metadata for its logs and spend limits."""

    name: str
    metadata: Metadata = NO_METADATA

    @property
    def label(self) -> str:
        """The gateway's name as shown in the footer of an answer."""
        return _("gateway {name}").format(name=self.name)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that route a Workers AI request through this gateway, with the same host."""
        id_header = {"cf-aig-gateway-id": self.name}
        metadata_header = (
            {"cf-aig-metadata": json.dumps(dict(self.metadata))} if self.metadata else {}
        )
        return id_header | metadata_header


def with_gateway_headers(
    gateway: Gateway | None, request_kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the httpx arguments, with the gateway's headers added if a gateway is given.

    Raises:
        InvalidOptionError: `gateway` is not a valid Gateway.
    """
    if gateway is None:
        return dict(request_kwargs)
    headers = require_gateway(gateway).headers
    return {**request_kwargs, "headers": {**request_kwargs.get("headers", {}), **headers}}


def require_gateway(value: Any) -> Gateway:
    """Return the value as a Gateway. Raises InvalidOptionError if it is not a valid one."""
    if not isinstance(value, Gateway):
        raise InvalidOptionError(
            _("gateway is of type {type}, not a Gateway").format(type=type(value).__name__),
            _("Example: {example}").format(
                example='cfai_magics.workers_ai.gateway.Gateway("my-gateway").'
            ),
        )
    return Gateway(parse_gateway_name(value.name), parse_gateway_metadata(value.metadata))


def parse_gateway_name(value: Any) -> str:
    """Return the name of a gateway. Raises InvalidOptionError if it is not valid."""
    if not isinstance(value, str) or not NAME_PATTERN.fullmatch(value):
        raise InvalidOptionError(
            _("{value!r} is not a valid gateway name").format(value=value),
            _("Use up to 64 characters: letters, digits, - and _."),
        )
    return value


def parse_gateway_metadata(value: Any) -> dict[str, str | float | bool]:
    """Return the metadata of a gateway. Raises InvalidOptionError if it is not valid."""
    is_valid = isinstance(value, Mapping) and all(
        METADATA_NAME_PATTERN.fullmatch(str(name))
        and (isinstance(item, str | int) or (isinstance(item, float) and math.isfinite(item)))
        for name, item in value.items()
    )
    if not is_valid or len(value) > MAX_METADATA_ENTRIES:
        raise InvalidOptionError(
            _("The gateway metadata is not valid"),
            _(
                "Define at most {count} keys. Each value is a string, a number, true or false. "
                "Example: {example} below [metadata]."
            ).format(count=MAX_METADATA_ENTRIES, example='course = "Physics 1"'),
        )
    return dict(value)


def from_cache(headers: Mapping[str, str]) -> bool:
    """Return whether the gateway answered from its cache, in which case nothing is billed."""
    return headers.get(CACHE_STATUS_HEADER, "").upper() == "HIT"


def cache_note(headers: Mapping[str, str]) -> str:
    """Return the gateway's cache status as text for the footer; "" if the header is missing."""
    status = headers.get(CACHE_STATUS_HEADER, "")
    return _(", cache {status}").format(status=status.lower()) if status.isalpha() else ""
