"""Map error responses to exceptions: Cloudflare envelopes, OpenAI errors and HTML pages."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any, NamedTuple

from ..errors import (
    AccountNotFoundError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    CapacityError,
    ContextLengthError,
    DailyQuotaError,
    GatewayLimitError,
    ModelNotFoundError,
    PaidPlanRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    WorkersAIError,
)
from ..i18n import _, mark

ERROR_BY_CODE: Mapping[int, type[WorkersAIError]] = {
    **dict.fromkeys((1000, 9109, 10000, 2009), AuthenticationError),
    **dict.fromkeys((5018, 3041, 3023, 5016), PermissionDeniedError),
    7003: AccountNotFoundError,
    **dict.fromkeys((7000, 5007, 5028, 3042, 2008), ModelNotFoundError),
    5035: PaidPlanRequiredError,
    **dict.fromkeys((4006, 3036), DailyQuotaError),
    2021: GatewayLimitError,
    3021: RateLimitError,
    3040: CapacityError,
    **dict.fromkeys((5021, 3010), ContextLengthError),
    **dict.fromkeys(
        (5006, 8001, 8006, 8007, 3030, 3006, 3003, 5004, 5024, 5019, 5005, 7001, 2001),
        BadRequestError,
    ),
    **dict.fromkeys((3007, 3008, 3046, 2014), APITimeoutError),
    **dict.fromkeys((3043, 8005), ServerError),
}
ERROR_BY_STATUS: Mapping[int, type[WorkersAIError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: BadRequestError,
    408: APITimeoutError,
    413: ContextLengthError,
    429: RateLimitError,
}
ERROR_BY_PATTERN = (
    (re.compile(r"\bspend(ing)? limit", re.IGNORECASE), GatewayLimitError),
    (
        re.compile(r"daily free allocation|free allocation of", re.IGNORECASE),
        DailyQuotaError,
    ),
    (re.compile(r"per min rate", re.IGNORECASE), RateLimitError),
    (re.compile(r"capacity temporarily exceeded", re.IGNORECASE), CapacityError),
    (
        re.compile(r"sequence too long|max context reached|context window", re.IGNORECASE),
        ContextLengthError,
    ),
    (re.compile(r"on the workers free plan", re.IGNORECASE), PaidPlanRequiredError),
    (re.compile(r"request timeout", re.IGNORECASE), APITimeoutError),
    (re.compile(r"no such model", re.IGNORECASE), ModelNotFoundError),
)
MESSAGE_BY_CODE = {
    7003: mark("Cloudflare does not recognize the account ID"),
    7000: mark("The model does not exist"),
}
# Hints that replace the default of the error class. The key is the error code if there is one;
# otherwise, it is the HTTP status.
HINT_BY_CODE: Mapping[int, str] = {
    **dict.fromkeys(
        (5018, 3041, 3023),
        mark("This account has no access to the model. Choose another model with -m."),
    ),
    5016: mark(
        "You must accept the model's license once per account. Read it on the model's page, then "
        'run WorkersAI(...).run(model, {"prompt": "agree"}).'
    ),
    **dict.fromkeys(
        (301, 302, 307, 308, 404),
        mark("Check CLOUDFLARE_API_BASE_URL: Workers AI does not answer at this address."),
    ),
    2001: mark(
        "The dashboard's AI Gateway page lists the account's gateways. %config Cfai.gateway "
        "shows the selected one, and --gateway off sends requests directly."
    ),
    2009: mark(
        "The gateway requires the AI Gateway - Run permission. Add it to the token on the "
        "dashboard's API Tokens page."
    ),
    3006: mark("Shorten the prompt."),
    8007: mark("Rephrase the prompt, or choose another model with -m."),
    5028: mark("The model is retired. %cfai models --refresh lists the current models."),
}
ERROR_PREFIX = re.compile(r"^(?:(?:AiError|Ai|Error):\s*)+")
REQUEST_ID = re.compile(r"\s*\(([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\)\s*$", re.IGNORECASE)
TITLE_TAG = re.compile(r"<title[^<>]*>([^<]*)</title>", re.IGNORECASE)
TAG = re.compile(r"<[^<>]*>")
NO_REASON = mark("Cloudflare gave no reason")
MAX_CAUSE_CHARS = 300
MAX_PAGE_CHARS = 2**16  # length of the part of an HTML page that is searched for its title
MIN_SERVER_ERROR_STATUS = 500
FORBIDDEN_STATUS = 403
AUTHENTICATION_CODE = 10000  # also sent with status 403 if a permission is missing


class _ErrorInfo(NamedTuple):
    code: int | None
    message: str
    request_id: str | None = None
    status: int | None = None


def error_from_response(status: int, headers: Mapping[str, str], content: bytes) -> WorkersAIError:
    """Return the exception for a response with an error status."""
    text = content.decode("utf-8", "replace")
    error_info = _parse_error_info(_parse_json_or_none(text)) or _ErrorInfo(
        None, _page_title(text)
    )
    return _build_error(error_info, status, headers)


def error_from_body(body: Any) -> WorkersAIError | None:
    """Return the exception for a stream frame or for a JSON body with status 200.

    Return None if the body contains no error.
    """
    error_info = _parse_error_info(body)
    return _build_error(error_info, error_info.status, {}) if error_info else None


def _parse_json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _page_title(text: str) -> str:
    """Return the title of an HTML page, or its text without tags if it has no title."""
    text = text[:MAX_PAGE_CHARS]
    match = TITLE_TAG.search(text)
    return unescape(match[1]) if match else TAG.sub(" ", text)


def _parse_error_info(value: Any) -> _ErrorInfo | None:
    """Return the error in a body of any known format; None for other bodies."""
    if not isinstance(value, dict):
        return None
    errors = value.get("errors")
    if isinstance(errors, list) and errors:
        return _parse_error_item(errors[0])
    if "internalCode" in value:
        message = str(value.get("description") or value.get("message") or "")
        inner_error = (
            _parse_error_info({"errors": value["error"]})
            if isinstance(value.get("error"), list)
            else None
        )
        return _ErrorInfo(
            _int_or_none(value["internalCode"]),
            inner_error.message if inner_error else message,
            value.get("requestId"),
            _int_or_none(value.get("httpCode")),
        )
    error = value.get("error")
    if isinstance(error, list) and error:
        return _parse_error_item(error[0])
    if error:
        return _parse_error_item(error)
    return _ErrorInfo(None, _(NO_REASON)) if value.get("success") is False else None


def _parse_error_item(item: Any) -> _ErrorInfo:
    if not isinstance(item, dict):
        return _ErrorInfo(None, str(item or ""))
    return _ErrorInfo(_int_or_none(item.get("code")), str(item.get("message") or ""))


def _int_or_none(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _build_error(
    error_info: _ErrorInfo, status: int | None, headers: Mapping[str, str]
) -> WorkersAIError:
    message, id_in_message = _clean_message(error_info.message)
    error_class = _select_error_class(error_info.code, status, message)
    known_message = MESSAGE_BY_CODE.get(error_info.code or 0)
    hint = HINT_BY_CODE.get(error_info.code or status or 0)
    return error_class(
        _(known_message) if known_message else message or _status_message(status),
        _(hint) if hint else "",
        code=error_info.code,
        status=status,
        request_id=headers.get("cf-ai-req-id")
        or error_info.request_id
        or id_in_message
        or headers.get("cf-ray"),
        retry_after=_parse_retry_after(headers.get("retry-after")),
    )


def _status_message(status: int | None) -> str:
    if not status:
        return _(NO_REASON)
    return _("The server returned HTTP {status}").format(status=status)


def _clean_message(message: str) -> tuple[str, str | None]:
    """Return the message without prefixes or nested JSON, and the request ID it contained."""
    message, request_id = _strip_prefix(message)
    nested_json = _parse_json_or_none(message)
    if isinstance(nested_json, dict):
        nested_info = _parse_error_info(nested_json)
        message, inner_id = _strip_prefix(
            nested_info.message if nested_info else _nested_message(nested_json) or message
        )
        request_id = request_id or inner_id
    return " ".join(message.split())[:MAX_CAUSE_CHARS], request_id


def _strip_prefix(message: str) -> tuple[str, str | None]:
    """Return the message without its prefix and request ID, and the request ID or None."""
    message = " ".join(message.split())  # long runs of spaces would make the search quadratic
    match = REQUEST_ID.search(message)
    stripped = ERROR_PREFIX.sub("", REQUEST_ID.sub("", message)).strip()
    return stripped, match[1] if match else None


def _nested_message(nested: Mapping[str, Any]) -> str:
    """Return the message in nested JSON, from a validator's `detail` list or from `message`."""
    details = nested.get("detail")
    first = details[0] if isinstance(details, list) and details else None
    return str((first.get("msg") if isinstance(first, dict) else nested.get("message")) or "")


def _select_error_class(
    code: int | None, status: int | None, message: str
) -> type[WorkersAIError]:
    if code == AUTHENTICATION_CODE and status == FORBIDDEN_STATUS:
        return PermissionDeniedError
    for pattern, error_class in ERROR_BY_PATTERN:
        if pattern.search(message):
            return error_class
    if code is not None and code in ERROR_BY_CODE:
        return ERROR_BY_CODE[code]
    if status is None or status >= MIN_SERVER_ERROR_STATUS:
        return ServerError
    return ERROR_BY_STATUS.get(status, BadRequestError)


def _parse_retry_after(value: str | None) -> float | None:
    """Return the seconds to wait from a Retry-After header, which is a number or a date.

    Return None if the header is missing or invalid.
    """
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
