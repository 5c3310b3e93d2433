"""Map error responses to exceptions: Cloudflare envelopes, OpenAI errors and HTML pages."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any, NamedTuple, TypeVar

from ..errors import (
    AccountNotFoundError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    BatchFailedError,
    CapacityError,
    CfaiError,
    ClassRuleError,
    ContextLengthError,
    DailyQuotaError,
    GatewayBlockedError,
    GatewayLimitError,
    InsufficientQuotaError,
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
    4030: ClassRuleError,
    2021: GatewayLimitError,
    **dict.fromkeys((2016, 2017, 2030), GatewayBlockedError),
    **dict.fromkeys((2003, 3021), RateLimitError),
    3040: CapacityError,
    **dict.fromkeys((5021, 3010), ContextLengthError),
    **dict.fromkeys(
        (5006, 8001, 8006, 8007, 3030, 3006, 3003, 5004, 5024, 5019, 5005, 7001, 2001),
        BadRequestError,
    ),
    **dict.fromkeys((3007, 3008, 3046, 2014), APITimeoutError),
    **dict.fromkeys((3043, 8005), ServerError),
}
# Limits that other servers pass on from Workers AI in Cloudflare's envelope.
PASSED_ON_CODES = (4006, 3036, 3021, 4030)
# Whose limit or rule refused a request, in the errors of a class server.
SCOPES = ("student", "class", "account")
# Codes and types of OpenAI-compatible servers, such as OpenAI, vLLM, llama.cpp and Ollama. Case
# and underscores are ignored: some servers send `NotFoundError` for `not_found_error`.
ERROR_BY_NAME: Mapping[str, type[WorkersAIError]] = {
    **dict.fromkeys(
        ("invalid_api_key", "incorrect_api_key", "authentication_error", "unauthorized"),
        AuthenticationError,
    ),
    **dict.fromkeys(
        ("permission_denied", "permission_denied_error", "permission_error", "forbidden"),
        PermissionDeniedError,
    ),
    **dict.fromkeys(
        (
            *("model_not_found", "model_not_exist", "model_not_available", "model_not_open"),
            *("deployment_not_found", "unknown_model", "invalid_model"),
        ),
        ModelNotFoundError,
    ),
    **dict.fromkeys(
        (
            *("context_length_exceeded", "context_window_exceeded", "exceed_context_size_error"),
            *("string_above_max_length", "request_too_large"),
        ),
        ContextLengthError,
    ),
    **dict.fromkeys(
        (
            *("insufficient_quota", "insufficient_balance", "insufficient_credits"),
            *("exceeded_current_quota_error", "billing_hard_limit_reached", "billing_not_active"),
            *("billing_error", "payment_required"),
        ),
        InsufficientQuotaError,
    ),
    **dict.fromkeys(
        (
            *("content_filter", "content_policy_violation", "responsible_ai_policy_violation"),
            *("content_filter_error", "data_inspection_failed"),
        ),
        BadRequestError,
    ),
    **dict.fromkeys(
        ("rate_limit_exceeded", "rate_limit_error", "rate_limit_reached_error"), RateLimitError
    ),
    **dict.fromkeys(
        ("overloaded_error", "engine_overloaded", "engine_overloaded_error", "server_overloaded"),
        CapacityError,
    ),
    **dict.fromkeys(("timeout", "timeout_error", "request_timeout"), APITimeoutError),
}
# Types that are also sent for more specific errors; they count only if there is no status.
FALLBACK_BY_NAME: Mapping[str, type[WorkersAIError]] = {
    "invalid_request_error": BadRequestError,
    "bad_request_error": BadRequestError,
    "not_found_error": ModelNotFoundError,
}
ERROR_BY_STATUS: Mapping[int, type[WorkersAIError]] = {
    401: AuthenticationError,
    402: InsufficientQuotaError,
    403: PermissionDeniedError,
    404: BadRequestError,
    408: APITimeoutError,
    413: ContextLengthError,
    429: RateLimitError,
}
# Messages of Cloudflare and its AI Gateway.
CLOUDFLARE_ERROR_BY_PATTERN = (
    (re.compile(r"\bspend(ing)? limit", re.IGNORECASE), GatewayLimitError),
    (
        re.compile(r"daily free allocation|free allocation of", re.IGNORECASE),
        DailyQuotaError,
    ),
    (re.compile(r"per min rate", re.IGNORECASE), RateLimitError),
    (re.compile(r"access denied by policy", re.IGNORECASE), GatewayBlockedError),
    (re.compile(r"on the workers free plan", re.IGNORECASE), PaidPlanRequiredError),
)
# The codes and messages of any server. The Chinese words are those of servers in China.
ERROR_BY_PATTERN = (
    (re.compile(r"capacity temporarily exceeded", re.IGNORECASE), CapacityError),
    (
        re.compile(
            r"sequence too long|max context reached|context window|context length|"
            r"available context size|range of input length|"
            r"\b(?:prompt|input|request) (?:is|are) too long|\+ `?max_new_tokens",
            re.IGNORECASE,
        ),
        ContextLengthError,
    ),
    (re.compile(r"request timeout", re.IGNORECASE), APITimeoutError),
    (
        re.compile(
            r"\b(?:incorrect|invalid|wrong|expired|missing) api[ -]?key|"
            r"\bapi[ -]?key (?:is )?(?:not valid|invalid|incorrect|expired|missing)",
            re.IGNORECASE,
        ),
        AuthenticationError,
    ),
    (
        re.compile(
            r"insufficient[ _](?:\w+[ _])?(?:quota|balance|credit|funds)|"
            r"\b(?:quota|balance|credits?) (?:is |are )?(?:insufficient|exhausted|used up)|"
            r"used up your\b.{0,40}\b(?:allocation|quota|credits?)|arrear|overdue|"
            r"余额不足|欠费",
            re.IGNORECASE,
        ),
        InsufficientQuotaError,
    ),
    (
        re.compile(
            r"no such model|(?:unknown|invalid) model\b|not a valid model|"
            r"no endpoints found for|not found the model|"
            r"\bmodels?\b(?:[^.]|\.(?!\s)){0,100}\b(?:not exist|not found)|模型不存在",
            re.IGNORECASE,
        ),
        ModelNotFoundError,
    ),
)
# A message with status 404 that names a model. "/models" is part of an address.
MODEL_WORD = re.compile(r"(?<![/\w])models?\b", re.IGNORECASE)
# Messages of servers that do not know the address; LM Studio sends them with status 200.
UNKNOWN_ADDRESS = re.compile(
    r"unexpected endpoint|(?:invalid|unknown) (?:request )?url|no route\b|route not found",
    re.IGNORECASE,
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
    407: mark("Check the proxy settings, such as HTTPS_PROXY: the proxy requires a password."),
    **dict.fromkeys((413, 3006), mark("Shorten the prompt, or send a smaller file.")),
    8007: mark("Rephrase the prompt, or choose another model with -m."),
    5028: mark("The model is retired. %cfai models --refresh lists the current models."),
}
HINT_BY_NAME = {
    name: HINT_BY_CODE[8007]
    for name, error_class in ERROR_BY_NAME.items()
    if error_class is BadRequestError
}
ERROR_PREFIX = re.compile(r"^(?:(?:AiError|Ai|Error):\s*)+")
REQUEST_ID = re.compile(r"\s*\(([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\)\s*$", re.IGNORECASE)
TITLE_TAG = re.compile(r"<title[^<>]*>([^<]*)</title>", re.IGNORECASE)
TAG = re.compile(r"<[^<>]*>")
NO_REASON = mark("The server gave no reason")
NO_MODEL_HINT = mark(
    "Try again later. If the error persists, check the server and proxy settings shown by %cfai "
    "status."
)
PAGE_HINT = mark(
    "A proxy, a firewall or a login page of the network may have answered. Check the network, the "
    "proxy settings and the server address shown by %cfai status."
)
PAGE_START = re.compile(rb"\s*<(?:!doctype|html|head|title|body)\b", re.IGNORECASE)
# The fields of an error that may contain its message, in order of precedence.
TEXT_FIELDS = (
    *("message", "msg", "detail", "description", "error_msg", "error_description", "reason"),
    *("error", "errors", "title"),
)
MAX_TEXT_DEPTH = 5
RESULT_FIELDS = ("choices", "response", "result", "data", "output")
SUCCESS_MESSAGES = ("", "ok", "success", "none")  # of an error object with code 0
NO_HEADERS: Mapping[str, str] = {}
ValueT = TypeVar("ValueT")
MAX_CAUSE_CHARS = 300
MAX_PAGE_CHARS = 2**16  # length of the part of an HTML page that is searched for its title
MIN_SERVER_ERROR_STATUS = 500
FORBIDDEN_STATUS, NOT_FOUND_STATUS = 403, 404
WRONG_ADDRESS_STATUSES = (*range(200, 400), NOT_FOUND_STATUS)  # also a page that is not an error
MEANINGFUL_PAGE_STATUSES = (408, 429)  # these keep their meaning if the body is a web page
MAX_TITLE_CHARS = 80
STATUSES = range(400, 600)
AUTHENTICATION_CODE = 10000  # also sent with status 403 if a permission is missing
SERVER_ERROR_CODE = 3043  # with a scope: Cloudflare does not accept the token of the class server


class _ErrorInfo(NamedTuple):
    code: int | None
    message: str
    request_id: str | None = None
    status: int | None = None
    names: tuple[str, ...] = ()  # the code and type of an OpenAI-compatible server
    scope: str = ""  # of an error of a class server


def error_from_response(
    status: int, headers: Mapping[str, str], content: bytes, *, is_cloudflare: bool = True
) -> WorkersAIError:
    """Return the exception for a response with an error status.

    `is_cloudflare` is False for other servers: Cloudflare's codes have no meaning there, except
    those of limits in Cloudflare's envelope.
    """
    text = content.decode("utf-8", "replace")
    body = _parse_json_or_none(text)
    is_known_page = status >= MIN_SERVER_ERROR_STATUS or status in MEANINGFUL_PAGE_STATUSES
    if body is None and not is_known_page and is_page(headers, content):
        return page_error(status, headers, content, _(HINT_BY_CODE.get(status, PAGE_HINT)))
    error_info = _find_error(body) or _ErrorInfo(None, page_title(text))
    is_cloudflare = is_cloudflare or _has_passed_on_limit(body)
    return _build_error(error_info, status, headers, is_cloudflare=is_cloudflare)


def error_from_body(
    body: Any, headers: Mapping[str, str] = NO_HEADERS, *, is_cloudflare: bool = True
) -> WorkersAIError | None:
    """Return the exception for a stream frame or for a JSON body with status 200.

    Return None if the body contains no error. `is_cloudflare` has the same meaning as in
    `error_from_response`.
    """
    error_info = _parse_error_info(body)
    if error_info is None:
        return None
    is_cloudflare = is_cloudflare or _has_passed_on_limit(body)
    return _build_error(error_info, error_info.status, headers, is_cloudflare=is_cloudflare)


def _has_passed_on_limit(body: Any) -> bool:
    """Return whether a body is Cloudflare's error for a limit of Workers AI or of a class."""
    if not isinstance(body, dict):
        return False
    if body.get("success") is not False:
        return body.get("internalCode") in PASSED_ON_CODES
    errors = body.get("errors")
    item = errors[0] if isinstance(errors, list) and errors else None
    return isinstance(item, dict) and (
        item.get("code") in PASSED_ON_CODES or item.get("scope") in SCOPES
    )


def is_page(headers: Mapping[str, str], content: bytes) -> bool:
    """Return whether the content of a response is a web page."""
    is_typed = "text/html" in headers.get("content-type", "") and bool(content.strip())
    return is_typed or PAGE_START.match(content) is not None


def page_error(
    status: int, headers: Mapping[str, str], content: bytes, hint: str
) -> BadRequestError:
    """Return the exception for a web page in place of an answer."""
    title = " ".join(page_title(content.decode("utf-8", "replace")).split())
    return BadRequestError(
        _("The address returns a web page ({title}) instead of an answer").format(
            title=title[:MAX_TITLE_CHARS]
        ),
        hint,
        status=status,
        request_id=headers.get("cf-ray"),
    )


@contextmanager
def without_model_hints() -> Iterator[None]:
    """Replace hints about the model and its options in errors of calls that use no model."""
    try:
        yield
    except (APITimeoutError, BadRequestError, CapacityError, ServerError) as error:
        if error.hint == _(type(error).default_hint) and type(error) is not BatchFailedError:
            error.hint = _(NO_MODEL_HINT)
        raise


def is_wrong_address(error: CfaiError) -> bool:
    """Return whether an error shows that the server does not know the address."""
    if not isinstance(error, BadRequestError):
        return False
    is_unknown = error.status is None and UNKNOWN_ADDRESS.search(error.cause)
    return bool(is_unknown) or error.status in WRONG_ADDRESS_STATUSES


def _find_error(body: Any) -> _ErrorInfo | None:
    """Return the error in the body of an error response, which may also be a list."""
    if isinstance(body, list):
        body = body[0] if body else None
    error_info = _parse_error_info(body)
    if error_info is not None or not isinstance(body, dict):
        return error_info
    error_info = _parse_error_item(body)
    return error_info if error_info.message else None


def _parse_json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def page_title(text: str) -> str:
    """Return the title of an HTML page, or its text without tags if it has no title."""
    text = text[:MAX_PAGE_CHARS]
    match = TITLE_TAG.search(text)
    return unescape(match[1]) if match else TAG.sub(" ", text)


def _parse_error_info(value: Any) -> _ErrorInfo | None:
    """Return the error in a body of any known format; None for other bodies."""
    if not isinstance(value, dict):
        return None
    if "internalCode" in value:
        return _parse_internal_error(value)
    items = _find_error_items(value)
    if not items:
        return None
    error_info = _parse_error_item(items[0])
    if items[0] is value and not error_info.message:
        return error_info._replace(message=_(NO_REASON))
    return error_info


def _parse_internal_error(value: Mapping[str, Any]) -> _ErrorInfo:
    """Return the error in the format of the gateway and the binding."""
    error = value.get("error")
    message = find_error_text(error) if isinstance(error, list) else ""
    return _ErrorInfo(
        _int_or_none(value["internalCode"]),
        message or str(value.get("description") or value.get("message") or ""),
        value.get("requestId"),
        _int_or_none(value.get("httpCode")),
    )


def _find_error_items(value: Mapping[str, Any]) -> list[Any]:
    """Return the errors in a body; the body itself if its own fields describe the error."""
    errors, error = value.get("errors"), value.get("error")
    if isinstance(errors, list) and errors:
        return errors
    if error and error is not True:
        items = error if isinstance(error, list) else [error]
        return [] if _is_success(items[0]) else items
    is_marked = error is True or value.get("success") is False or value.get("object") == "error"
    has_fields = (
        value.get("detail")
        or (errors and isinstance(errors, dict))
        or ("code" in value and "message" in value)
    )
    has_result = any(value.get(name) for name in RESULT_FIELDS)
    if is_marked or (has_fields and not has_result and not _is_success(value)):
        return [value]
    return []


def _is_success(item: Any) -> bool:
    """Return whether an error object reports success, with code 0 and without a reason."""
    return (
        isinstance(item, dict)
        and item.get("code") in (0, "0", 200, "200")
        and find_error_text(item).lower().strip(".") in SUCCESS_MESSAGES
    )


def _parse_error_item(item: Any) -> _ErrorInfo:
    message = find_error_text(item)
    if not isinstance(item, dict):
        return _ErrorInfo(None, message)
    code = _int_or_none(item.get("code"))
    if "spent" in item and "limit" in item:  # the spend limit of a gateway
        message = _("{cause}: {spent} of {limit} used").format(
            cause=message, spent=item["spent"], limit=item["limit"]
        )
    names = tuple(item[key] for key in ("code", "type") if isinstance(item.get(key), str))
    if code in STATUSES:
        return _ErrorInfo(None, message, status=code, names=names)
    scope = next((scope for scope in SCOPES if scope == item.get("scope")), "")
    return _ErrorInfo(code, message, names=names, scope=scope)


def find_error_text(value: Any, depth: int = 0) -> str:
    """Return the message in an error, which may be nested; "" if there is none.

    FastAPI's errors name the field that they refer to, such as stream_options.
    """
    if depth > MAX_TEXT_DEPTH or value is None or isinstance(value, bool):
        return ""
    if isinstance(value, list):
        return next(filter(None, (find_error_text(item, depth + 1) for item in value)), "")
    if not isinstance(value, dict):
        return str(value)
    if isinstance(value.get("errors"), dict):  # messages by field
        value = {**value, "errors": _texts_by_field(value["errors"], depth + 2)}
    texts = (find_error_text(value.get(name), depth + 1) for name in TEXT_FIELDS)
    text = next(filter(None, texts), "")
    location = value.get("loc")
    parts = [str(part) for part in location if part != "body"] if type(location) is list else []
    return f"{'.'.join(parts)}: {text}" if parts and text else text


def _texts_by_field(errors: Mapping[str, Any], depth: int) -> list[str]:
    texts = {name: find_error_text(item, depth) for name, item in errors.items()}
    return [f"{name}: {text}" for name, text in texts.items() if text]


def _int_or_none(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _build_error(
    error_info: _ErrorInfo,
    status: int | None,
    headers: Mapping[str, str],
    *,
    is_cloudflare: bool,
) -> WorkersAIError:
    message, id_in_message = _clean_message(error_info.message)
    if error_info.scope and is_cloudflare:
        return _build_class_error(error_info, message, status, headers)
    error_class = _select_error_class(error_info, status, message, is_cloudflare=is_cloudflare)
    known_code = error_info.code or 0 if is_cloudflare else 0
    known_message = MESSAGE_BY_CODE.get(known_code)
    hint = _find_by_name(HINTS_OF_NAMES, error_info.names) or HINT_BY_CODE.get(
        known_code or status or 0
    )
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


def _build_class_error(
    error_info: _ErrorInfo, message: str, status: int | None, headers: Mapping[str, str]
) -> WorkersAIError:
    """Return the error of a class server. The last sentence of its message is the next step."""
    code = error_info.code or 0
    if code == SERVER_ERROR_CODE:
        error_class: type[WorkersAIError] = PermissionDeniedError  # retrying would not help
    else:
        error_class = ERROR_BY_CODE.get(code) or _class_by_status(error_info, status, message)
    cause, separator, next_step = message.rpartition(". ")
    error = error_class(
        (cause if separator else message) or _status_message(status),
        next_step if separator else "",
        code=error_info.code,
        status=status,
        request_id=headers.get("cf-ray"),
        retry_after=_parse_retry_after(headers.get("retry-after")),
    )
    error.scope = error_info.scope
    return error


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
            (nested_info.message if nested_info else find_error_text(nested_json)) or message
        )
        request_id = request_id or inner_id
    return " ".join(message.split())[:MAX_CAUSE_CHARS], request_id


def _strip_prefix(message: str) -> tuple[str, str | None]:
    """Return the message without its prefix and request ID, and the request ID or None."""
    message = " ".join(message.split())  # long runs of spaces would make the search quadratic
    match = REQUEST_ID.search(message)
    stripped = ERROR_PREFIX.sub("", REQUEST_ID.sub("", message)).strip()
    return stripped, match[1] if match else None


def _normalize(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


ERRORS_OF_NAMES = {_normalize(name): value for name, value in ERROR_BY_NAME.items()}
FALLBACKS_OF_NAMES = {_normalize(name): value for name, value in FALLBACK_BY_NAME.items()}
HINTS_OF_NAMES = {_normalize(name): value for name, value in HINT_BY_NAME.items()}


def _find_by_name(table: Mapping[str, ValueT], names: Iterable[str]) -> ValueT | None:
    """Return the table's value for the first of these names that it contains."""
    values = (table.get(_normalize(name)) for name in names)
    return next((value for value in values if value is not None), None)


def _select_error_class(
    error_info: _ErrorInfo, status: int | None, message: str, *, is_cloudflare: bool
) -> type[WorkersAIError]:
    code = error_info.code
    named = _find_by_name(ERRORS_OF_NAMES, error_info.names)
    if named is not None:
        return named
    if is_cloudflare and code == AUTHENTICATION_CODE and status == FORBIDDEN_STATUS:
        return PermissionDeniedError
    text = " ".join((*error_info.names, message))
    patterns = (*(CLOUDFLARE_ERROR_BY_PATTERN if is_cloudflare else ()), *ERROR_BY_PATTERN)
    classes = (error_class for pattern, error_class in patterns if pattern.search(text))
    known = next(classes, None) or (ERROR_BY_CODE.get(code or 0) if is_cloudflare else None)
    return known or _class_by_status(error_info, status, message)


def _class_by_status(
    error_info: _ErrorInfo, status: int | None, message: str
) -> type[WorkersAIError]:
    if status is None:
        if UNKNOWN_ADDRESS.search(message):
            return BadRequestError
        return _find_by_name(FALLBACKS_OF_NAMES, error_info.names) or ServerError
    if status == NOT_FOUND_STATUS and MODEL_WORD.search(message):
        return ModelNotFoundError
    default = ServerError if status >= MIN_SERVER_ERROR_STATUS else BadRequestError
    return ERROR_BY_STATUS.get(status, default)


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
