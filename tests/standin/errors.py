"""Responses in Cloudflare's format: the envelope, and errors as recorded.

`RECORDED` has the statuses and messages of Cloudflare's documentation and of recorded errors. The
HTML page is invented: there is no recording of one.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from uuid import uuid4

Shape = Literal["A", "B", "C", "D", "html", "empty"]


class Piece(NamedTuple):
    """A part of a streamed body; `last` sends the end of the body in the same write."""

    data: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A response; a streamed body is sent as one chunk per piece."""

    body: bytes | AsyncGenerator[Piece, None]
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def dump_json(value: Any) -> bytes:
    """Return JSON in Cloudflare's format: compact, without escaped characters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def plain(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return JSON without an envelope."""
    return Reply(dump_json(value), status, headers=headers or {})


def enveloped(
    result: Any,
    headers: Mapping[str, str] | None = None,
    messages: tuple[Any, ...] = (),
    **more: Any,
) -> Reply:
    """Return a result in the envelope of api.cloudflare.com."""
    body = {"result": result, "success": True, "errors": [], "messages": list(messages), **more}
    return plain(body, headers=headers)


@dataclass(frozen=True, slots=True)
class Fault:
    """An error response.

    Shapes: "A" envelope of the API, "B" OpenAI's format as in vLLM, "C" format of the gateway and
    the binding, "D" envelope with JSON text as message, "html" error page, "empty" empty body.
    """

    status: int = 500
    code: int = 3043
    message: str = "Internal server error"
    shape: Shape = "A"

    @classmethod
    def of(cls, code: int, shape: Shape = "A", message: str = "") -> "Fault":
        """Return the recorded error of this code. Raises KeyError if the code is unknown."""
        status, text = RECORDED[code]
        return cls(status, code, message or text, shape)


class Refusal(Exception):
    """Raised by a route to answer with an error response."""

    def __init__(self, fault: Fault, *also: tuple[int, str]) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.also = also


def refusal(code: int, message: str = "") -> Refusal:
    """Return the recorded error of this code, with `message` if it is given."""
    return Refusal(Fault.of(code, message=message))


def fault_reply(
    fault: Fault, *also: tuple[int, str], headers: Mapping[str, str] | None = None
) -> Reply:
    """Return the response for a fault; only errors of Workers AI have a request id."""
    request_id = str(uuid4())
    named = {} if is_front_door(fault.code) else {"cf-ai-req-id": request_id}
    sent = {**named, **(headers or {})}
    if fault.shape == "html":
        page = HTML_PAGE.format(status=fault.status, message=fault.message)
        return Reply(page.encode(), fault.status, "text/html; charset=UTF-8", sent)
    if fault.shape == "empty":
        return Reply(b"", fault.status, "text/plain", sent)
    return plain(error_body(fault, request_id, *also), fault.status, sent)


def error_body(fault: Fault, request_id: str, *also: tuple[int, str]) -> dict[str, Any]:
    """Return the JSON of a fault; `also` are additional errors of the front door."""
    if fault.shape == "B":
        error = {"code": "invalid_prompt", "message": error_message(fault, request_id)}
        return {"error": error}
    if fault.shape == "C":
        return gateway_body(fault, request_id)
    if fault.shape == "D":
        nested = {"detail": [{"type": "invalid", "loc": ["body"], "msg": fault.message}]}
        fault = replace(fault, message=dump_json(nested).decode())
    if is_front_door(fault.code):
        listed = [(fault.code, fault.message), *also]
        errors = [{"code": code, "message": message} for code, message in listed]
        return {"result": None, "success": False, "errors": errors, "messages": []}
    errors = [{"message": error_message(fault, request_id), "code": fault.code}]
    return {"errors": errors, "success": False, "result": {}, "messages": []}


def gateway_body(fault: Fault, request_id: str) -> dict[str, Any]:
    """Return shape C."""
    return {
        "name": "AiError",
        "internalCode": fault.code,
        "httpCode": fault.status,
        "message": f"{fault.code}: {fault.message}",
        "description": fault.message,
        "requestId": request_id,
    }


def spend_limit_body(bucket: str, spent: float, limit: float) -> dict[str, Any]:
    """Return the recorded error of a gateway whose spend limit is used up."""
    figures = {"bucket": bucket, "spent": spent, "limit": limit}
    return {"success": False, "error": {"message": "Spending limit exceeded", **figures}}


def error_message(fault: Fault, request_id: str) -> str:
    """Return the message with Workers AI's prefix, twice for a model failure."""
    prefix = "AiError: AiError: " if 3040 < fault.code < 3050 else "AiError: "
    return f"{prefix}{fault.message} ({request_id})"


def is_front_door(code: int) -> bool:
    """Return True for codes that api.cloudflare.com sends before Workers AI is reached."""
    return code in {1000, 9109, 10000} or 6000 <= code < 8000


HTML_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>api.cloudflare.com | {status}</title></head>\n"
    "<body><h1>Error {status}</h1><p>{message}</p></body></html>\n"
)
USED_UP = (
    "you have used up your daily free allocation of 10,000 neurons, please upgrade to "
    "Cloudflare's Workers Paid plan if you would like to continue usage."
)
RECORDED = MappingProxyType(
    {
        1000: (401, "Invalid API Token"),
        2001: (400, "Please configure AI Gateway in the Cloudflare dashboard"),
        2009: (401, "Unauthorized"),
        2021: (402, "No credits left"),
        3003: (400, "Missing headers or body"),
        3006: (413, "Request too large"),
        3007: (408, "Request timeout"),
        3008: (408, "Request was aborted"),
        3010: (413, "The estimated number of input and maximum output tokens is too large."),
        3021: (429, "rate limiting: inference request per min rate reached"),
        3023: (403, "Service unavailable for account"),
        3030: (400, "Sequence too long"),
        3036: (429, USED_UP[0].upper() + USED_UP[1:].replace(", please", ". Please")),
        3040: (429, "Capacity temporarily exceeded, please try again."),
        3041: (403, "The account is not allowed to access this model"),
        3042: (404, "Invalid model ID"),
        3043: (500, "Internal server error"),
        3046: (408, "Request timeout"),
        4006: (429, USED_UP),
        5004: (400, "Invalid data, base64 encoding is invalid"),
        5005: (405, "The model does not support LoRa inference"),
        5006: (400, "Bad input"),
        5007: (400, "No such model or task"),
        5016: (
            403,
            "Model Agreement: Prior to using this model, you must submit the prompt 'agree'.",
        ),
        5018: (403, "The account is not allowed to access this model"),
        5019: (405, "Request trying to use deprecated SDK version"),
        5021: (413, "The estimated number of input and maximum output tokens is too large."),
        5024: (400, "JSON Mode couldn't be met"),
        5028: (400, "Model has been deprecated"),
        5035: (403, "Model is not available on the Workers Free plan"),
        7000: (400, "No route for that URI"),
        7001: (405, "Method not supported for requested URI."),
        7003: (404, "Could not route, perhaps your object identifier is invalid?"),
        8001: (400, "Invalid input"),
        8005: (500, "Internal server error"),
        8006: (400, "Invalid tool call"),
        8007: (400, "Input prompt contains NSFW content"),
        9109: (401, "Invalid access token"),
        10000: (401, "Authentication error"),
    }
)
