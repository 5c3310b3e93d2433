"""Turns every shape of refusal into one error: Cloudflare's envelopes, OpenAI's, HTML pages."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any, NamedTuple

from .. import errors
from ..errors import WorkersAIError

CLASSES: Mapping[int, type[WorkersAIError]] = {
    **dict.fromkeys((1000, 9109, 10000, 2009), errors.AuthenticationError),
    **dict.fromkeys((5018, 3041, 3023, 5016), errors.PermissionDenied),
    7003: errors.AccountNotFound,
    **dict.fromkeys((7000, 5007, 5028, 3042, 2008), errors.UnknownModel),
    5035: errors.PaidPlanOnly,
    **dict.fromkeys((4006, 3036), errors.AllowanceUsedUp),
    2021: errors.GatewayLimit,
    3021: errors.RateLimited,
    3040: errors.NoCapacity,
    **dict.fromkeys((5021, 3010), errors.ContextTooLong),
    **dict.fromkeys(
        (5006, 8001, 8006, 8007, 3030, 3006, 3003, 5004, 5024, 5019, 5005, 7001, 2001),
        errors.BadInput,
    ),
    **dict.fromkeys((3007, 3008, 3046, 2014), errors.RequestTimeout),
    **dict.fromkeys((3043, 8005), errors.ServerError),
}
STATUSES: Mapping[int, type[WorkersAIError]] = {
    401: errors.AuthenticationError,
    403: errors.PermissionDenied,
    404: errors.BadInput,
    408: errors.RequestTimeout,
    413: errors.ContextTooLong,
    429: errors.RateLimited,
}
TEXTS = (
    (re.compile(r"\bspend(ing)? limit", re.IGNORECASE), errors.GatewayLimit),
    (
        re.compile(r"daily free allocation|free allocation of", re.IGNORECASE),
        errors.AllowanceUsedUp,
    ),
    (re.compile(r"per min rate", re.IGNORECASE), errors.RateLimited),
    (re.compile(r"capacity temporarily exceeded", re.IGNORECASE), errors.NoCapacity),
    (
        re.compile(r"sequence too long|max context reached|context window", re.IGNORECASE),
        errors.ContextTooLong,
    ),
    (re.compile(r"on the workers free plan", re.IGNORECASE), errors.PaidPlanOnly),
    (re.compile(r"request timeout", re.IGNORECASE), errors.RequestTimeout),
    (re.compile(r"no such model", re.IGNORECASE), errors.UnknownModel),
)
PLAIN = {
    7003: "The account id in the address is not one that Cloudflare knows",
    7000: "There is no such model",
}
# Where the next step is another one than that of its class, by code, or status without one.
HINTS: Mapping[int, str] = {
    **dict.fromkeys(
        (5018, 3041, 3023),
        "Cloudflare has closed it to this account: choose another model with -m.",
    ),
    5016: (
        "The model asks for consent to its licence once an account: read it on the model's page, "
        'then send {"prompt": "agree"} to the model with WorkersAI(...).run(model, ...).'
    ),
    **dict.fromkeys(
        (301, 302, 307, 308, 404),
        "Check CLOUDFLARE_API_BASE_URL: there is no Workers AI at this address.",
    ),
    2001: (
        "The dashboard's AI Gateway page lists the gateways of the account; --gateway off goes "
        "directly, %config Cfai.gateway shows what is set."
    ),
    2009: (
        "The gateway asks for a token with the permission AI Gateway - Run: give it to the token "
        "on the dashboard's API Tokens page."
    ),
    3006: "Shorten the prompt.",
    8007: "Word the prompt differently, or choose another model with -m.",
    5028: "It is retired. %cfai models --refresh lists the models there are.",
}
PREFIX = re.compile(r"^(?:(?:AiError|Ai|Error):\s*)+")
REQUEST_ID = re.compile(r"\s*\(([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\)\s*$", re.IGNORECASE)
TITLE = re.compile(r"<title[^<>]*>([^<]*)</title>", re.IGNORECASE)
TAG = re.compile(r"<[^<>]*>")
NO_REASON = "Cloudflare gave no reason"
LONGEST = 300  # characters of a cause
LONGEST_PAGE = 2**16  # characters of a page in which its title is looked for
SERVER_SIDE = 500
FORBIDDEN = 403


class _Said(NamedTuple):
    code: int | None
    message: str
    request_id: str | None = None
    status: int | None = None


def refusal(status: int, headers: Mapping[str, str], content: bytes) -> WorkersAIError:
    """Return the error that a reply with an error status stands for."""
    text = content.decode("utf-8", "replace")
    said = _read(_json(text)) or _Said(None, _title(text))
    return _error(said, status, headers)


def refusal_in(frame: Any) -> WorkersAIError | None:
    """Return the error that a JSON value inside a stream, or under status 200, stands for."""
    said = _read(frame)
    return _error(said, said.status, {}) if said else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _title(text: str) -> str:
    """Return what an HTML page or a plain text says in one line."""
    text = text[:LONGEST_PAGE]
    title = TITLE.search(text)
    return unescape(title[1]) if title else TAG.sub(" ", text)


def _read(value: Any) -> _Said | None:
    """Return what a refusal says, whichever of the recorded shapes it has."""
    if not isinstance(value, dict):
        return None
    listed = value.get("errors")
    if isinstance(listed, list) and listed:
        return _item(listed[0])
    if "internalCode" in value:
        message = str(value.get("description") or value.get("message") or "")
        inner = _read({"errors": value["error"]}) if isinstance(value.get("error"), list) else None
        return _Said(
            _whole(value["internalCode"]),
            inner.message if inner else message,
            value.get("requestId"),
            _whole(value.get("httpCode")),
        )
    found = value.get("error")
    if isinstance(found, list) and found:
        return _item(found[0])
    if found:
        return _item(found)
    return _Said(None, NO_REASON) if value.get("success") is False else None


def _item(item: Any) -> _Said:
    if not isinstance(item, dict):
        return _Said(None, str(item or ""))
    return _Said(_whole(item.get("code")), str(item.get("message") or ""))


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _error(said: _Said, status: int | None, headers: Mapping[str, str]) -> WorkersAIError:
    message, in_message = _cleaned(said.message)
    kind = _kind(said.code, status, message)
    return kind(
        PLAIN.get(said.code or 0) or message or _reason(status),
        HINTS.get(said.code or status or 0, ""),
        code=said.code,
        status=status,
        request_id=headers.get("cf-ai-req-id")
        or said.request_id
        or in_message
        or headers.get("cf-ray"),
        retry_after=_seconds(headers.get("retry-after")),
    )


def _reason(status: int | None) -> str:
    return f"The server answered with HTTP {status}" if status else NO_REASON


def _cleaned(message: str) -> tuple[str, str | None]:
    """Return the message without its wrappings, and the request id that stood in it."""
    message, request_id = _bare(message)
    nested = _json(message)
    if isinstance(nested, dict):
        said = _read(nested)
        message, inner_id = _bare(said.message if said else _detail(nested) or message)
        request_id = request_id or inner_id
    return " ".join(message.split())[:LONGEST], request_id


def _bare(message: str) -> tuple[str, str | None]:
    """Return the message without prefix and request id, and the latter."""
    message = " ".join(message.split())  # long runs of spaces cost the search its square
    found = REQUEST_ID.search(message)
    bare = PREFIX.sub("", REQUEST_ID.sub("", message)).strip()
    return bare, found[1] if found else None


def _detail(nested: Mapping[str, Any]) -> str:
    """Return what JSON text in the place of a message tells: a validator's list, or a message."""
    listed = nested.get("detail")
    first = listed[0] if isinstance(listed, list) and listed else None
    return str((first.get("msg") if isinstance(first, dict) else nested.get("message")) or "")


def _kind(code: int | None, status: int | None, message: str) -> type[WorkersAIError]:
    if code == 10000 and status == FORBIDDEN:  # noqa: PLR2004 - Cloudflare's code
        return errors.PermissionDenied
    for pattern, kind in TEXTS:
        if pattern.search(message):
            return kind
    if code is not None and code in CLASSES:
        return CLASSES[code]
    if status is None or status >= SERVER_SIDE:
        return errors.ServerError
    return STATUSES.get(status, errors.BadInput)


def _seconds(value: str | None) -> float | None:
    """Return a Retry-After header in seconds from now."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
