"""Each recorded error response maps to one error class, with its codes and cause."""

import json
from typing import Any, Literal

import pytest

from cfai_magics.errors import (
    AccountNotFoundError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    CapacityError,
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
from cfai_magics.workers_ai.error_mapping import (
    error_from_body,
    error_from_response,
    is_wrong_address,
)
from tests.standin import Fault
from tests.standin.errors import RECORDED, fault_reply, gateway_body, is_front_door

CLASSES: dict[type[WorkersAIError], tuple[int, ...]] = {
    AuthenticationError: (1000, 2009, 9109, 10000),
    PermissionDeniedError: (3023, 3041, 5016, 5018),
    AccountNotFoundError: (7003,),
    ModelNotFoundError: (3042, 5007, 5028, 7000),
    PaidPlanRequiredError: (5035,),
    DailyQuotaError: (3036, 4006),
    RateLimitError: (3021,),
    GatewayLimitError: (2021,),
    CapacityError: (3040,),
    ContextLengthError: (3010, 3030, 5021),
    BadRequestError: (
        2001,
        3003,
        3006,
        5004,
        5005,
        5006,
        5019,
        5024,
        7001,
        8001,
        8006,
        8007,
    ),
    APITimeoutError: (3007, 3008, 3046),
    ServerError: (3043, 8005),
}
KINDS = {code: kind for kind, codes in CLASSES.items() for code in codes}
CAUSES = {
    7000: "The model does not exist",
    7003: "Cloudflare does not recognize the account ID",
}
REQUEST_ID = "0b3d7a52-6f1e-4c98-9a40-5d2c8e71f063"


def map_fault(fault: Fault) -> tuple[WorkersAIError, str | None]:
    """Return the error of a recorded response, and the request id in its header."""
    response = fault_reply(fault)
    assert isinstance(response.body, bytes)
    headers = {"cf-ray": "8a1b-FRA", **response.headers}
    error = error_from_response(response.status, headers, response.body)
    return error, response.headers.get("cf-ai-req-id")


def enveloped(message: str, code: int = 5006, **more: Any) -> bytes:
    item = {"message": message, "code": code}
    return json.dumps({"errors": [item], "success": False, **more}).encode()


def test_each_recorded_code_has_an_error_class() -> None:
    assert set(KINDS) == set(RECORDED)


@pytest.mark.parametrize("code", RECORDED)
@pytest.mark.parametrize("shape", ["A", "C", "D"])
def test_a_recorded_error_has_its_class_codes_and_cause(
    code: int, shape: Literal["A", "C", "D"]
) -> None:
    error, request_id = map_fault(Fault.of(code, shape))
    status, message = RECORDED[code]
    assert type(error) is KINDS[code]
    assert (error.status, error.code) == (status, code)
    assert error.cause == CAUSES.get(code, message)
    if not is_front_door(code):
        assert error.request_id == request_id


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (3021, RateLimitError),
        (3036, DailyQuotaError),
        (3040, CapacityError),
        (3043, ServerError),
        (3046, APITimeoutError),
        (4006, DailyQuotaError),
        (5006, BadRequestError),
        (5007, ModelNotFoundError),
        (5021, ContextLengthError),
        (5035, PaidPlanRequiredError),
        (10000, AuthenticationError),
    ],
)
def test_an_error_without_a_code_is_mapped_by_text_and_status(
    code: int, kind: type[WorkersAIError]
) -> None:
    error, request_id = map_fault(Fault.of(code, "B"))
    assert type(error) is kind
    assert (error.status, error.code, error.cause) == (RECORDED[code][0], None, RECORDED[code][1])
    assert error.request_id == (request_id or error.request_id)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, BadRequestError),
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, BadRequestError),
        (408, APITimeoutError),
        (413, ContextLengthError),
        (422, BadRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (530, ServerError),
    ],
)
def test_an_empty_body_is_mapped_by_its_status(status: int, kind: type[WorkersAIError]) -> None:
    error = map_fault(Fault(status, 0, "Oops", "empty"))[0]
    assert (type(error), error.status, error.code) == (kind, status, None)
    assert error.cause == f"The server returned HTTP {status}"


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (302, BadRequestError, "CLOUDFLARE_API_BASE_URL"),
        (401, BadRequestError, "A proxy, a firewall or a login page"),
        (403, BadRequestError, "A proxy, a firewall or a login page"),
        (404, BadRequestError, "CLOUDFLARE_API_BASE_URL"),
        (407, BadRequestError, "the proxy requires a password"),
        (413, BadRequestError, "send a smaller file"),
        (422, BadRequestError, "A proxy, a firewall or a login page"),
        (429, RateLimitError, "Wait a minute"),
        (500, ServerError, "Run the cell again"),
        (530, ServerError, "Run the cell again"),
    ],
)
def test_a_web_page_with_an_error_status_is_not_an_error_of_the_token(
    status: int, kind: type[WorkersAIError], hint: str
) -> None:
    error = map_fault(Fault(status, 0, "Oops", "html"))[0]
    assert (type(error), error.status, error.code) == (kind, status, None)
    assert f"api.cloudflare.com | {status}" in error.cause
    assert hint in error.hint


def foreign(status: int, body: Any) -> WorkersAIError:
    """Return the error for a response of another server than Cloudflare."""
    return error_from_response(status, {}, json.dumps(body).encode(), is_cloudflare=False)


def openai_error(message: str, code: Any = None, kind: str = "") -> dict[str, Any]:
    return {"error": {"message": message, "code": code, "type": kind}}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, openai_error("models/x is not found for API version v1beta", 404)),
        (404, openai_error("No endpoints found for vendor/x.", 404)),
        (404, openai_error("model: claude-x", kind="not_found_error")),
        (404, openai_error("Not found the model x or Permission denied")),
        (404, openai_error("The account has not activated the model x.", "ModelNotOpen")),
        (400, openai_error("Model Not Exist", kind="invalid_request_error")),
        (400, openai_error("The model `x-1.5` does not exist")),
        (400, {"object": "error", "message": "Invalid model: x", "type": "invalid_model"}),
        (400, openai_error("Unknown model: x", "unknown_model")),
        (400, openai_error("vendor/x is not a valid model ID", 400)),
        (400, openai_error("模型不存在", "1211")),
    ],
    ids=str,
)
def test_an_unknown_model_of_another_server_is_recognized(status: int, body: Any) -> None:
    assert type(foreign(status, body)) is ModelNotFoundError


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"detail": "Not Found"}, BadRequestError),
        (404, openai_error("Invalid URL (POST /v1/models/x)"), BadRequestError),
        (400, openai_error("API key not valid. Please pass a valid API key."), "auth"),
        (400, {"code": "400", "error": "Incorrect API key provided: xa***"}, "auth"),
        (403, openai_error("quota", "insufficient_user_quota"), InsufficientQuotaError),
        (403, {"code": 30001, "message": "the account balance is insufficient"}, "quota"),
        (403, openai_error("no access", "AccountOverdueError"), InsufficientQuotaError),
        (429, openai_error("您的账户已欠费", "1113"), InsufficientQuotaError),
        (400, openai_error("Access denied", "Arrearage"), InsufficientQuotaError),
        (400, openai_error("Range of input length should be [1, 6000]"), ContextLengthError),
        (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 4096"}, "long"),
        (400, openai_error("prompt is too long: 5000 tokens > 4096"), ContextLengthError),
    ],
    ids=str,
)
def test_the_words_and_codes_of_other_servers_select_the_class(
    status: int, body: Any, kind: type[WorkersAIError] | str
) -> None:
    short: dict[Any, type[WorkersAIError]] = {
        "auth": AuthenticationError,
        "quota": InsufficientQuotaError,
        "long": ContextLengthError,
    }
    assert type(foreign(status, body)) is short.get(kind, kind)


@pytest.mark.parametrize(
    ("status", "body", "other_kind", "kind"),
    [
        (429, openai_error("slow down", 4006), RateLimitError, DailyQuotaError),
        (
            429,
            openai_error("You have used up your daily free allocation"),
            InsufficientQuotaError,
            DailyQuotaError,
        ),
        (400, openai_error("no", 1000), BadRequestError, AuthenticationError),
        (403, openai_error("Access denied by policy"), PermissionDeniedError, GatewayBlockedError),
        (429, openai_error("The spend limit is reached"), RateLimitError, GatewayLimitError),
        (500, openai_error("no", 3036), ServerError, DailyQuotaError),
    ],
    ids=str,
)
def test_codes_and_messages_of_cloudflare_count_only_for_cloudflare(
    status: int, body: Any, other_kind: type[WorkersAIError], kind: type[WorkersAIError]
) -> None:
    assert type(foreign(status, body)) is other_kind
    assert type(error_from_response(status, {}, json.dumps(body).encode())) is kind


def test_an_unknown_address_with_status_200_is_not_a_server_error() -> None:
    frame = {"error": "Unexpected endpoint or method. (POST /chat/completions)"}
    error = error_from_body(frame, is_cloudflare=False)
    assert type(error) is BadRequestError
    assert is_wrong_address(error)
    bad_option = error_from_body({"error": {"code": 400, "message": "no"}})
    assert bad_option is not None
    assert not is_wrong_address(bad_option)


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        (Fault.of(5016), '"prompt": "agree"'),
        (Fault.of(5018), "Choose another model"),
        (Fault.of(5028), "%cfai models --refresh"),
        (Fault.of(3006), "Shorten the prompt"),
        (Fault.of(8007), "Rephrase the prompt"),
        (Fault(404, 0, "Not found", "html"), "CLOUDFLARE_API_BASE_URL"),
    ],
    ids=str,
)
def test_an_error_suggests_a_suitable_next_step(fault: Fault, hint: str) -> None:
    assert hint in map_fault(fault)[0].hint


def test_the_first_of_several_errors_is_used() -> None:
    listed = [{"code": 7003, "message": "Could not route"}, {"code": 7000, "message": "No route"}]
    error = error_from_response(404, {}, json.dumps({"errors": listed}).encode())
    assert (type(error), error.code) == (AccountNotFoundError, 7003)


def test_status_403_is_a_permission_error_and_401_an_auth_error() -> None:
    body = enveloped("Authentication error", 10000)
    assert type(error_from_response(403, {}, body)) is PermissionDeniedError
    assert type(error_from_response(401, {}, body)) is AuthenticationError


def test_an_error_of_the_gateway_is_parsed() -> None:
    inner = [{"code": 2009, "message": "Unauthorized"}]
    body = {"success": False, "error": inner, "name": "AiGatewayError", "httpCode": 401}
    error = error_from_response(401, {}, json.dumps({**body, "internalCode": 2009}).encode())
    assert (type(error), error.code) == (AuthenticationError, 2009)
    assert error.cause == "Unauthorized"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"cf-ai-req-id": "first", "cf-ray": "last"}, "first"),
        ({"cf-ray": "last"}, REQUEST_ID),
        ({}, REQUEST_ID),
    ],
    ids=str,
)
def test_the_request_id_closest_to_the_model_is_used(
    headers: dict[str, str], expected: str
) -> None:
    assert (
        error_from_response(500, headers, enveloped(f"no ({REQUEST_ID})")).request_id == expected
    )
    gateway = json.dumps(gateway_body(Fault.of(3043), REQUEST_ID)).encode()
    assert error_from_response(500, headers, gateway).request_id == expected
    assert error_from_response(500, {"cf-ray": "last"}, b"").request_id == "last"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_accepts_seconds_and_dates(value: str | None, seconds: float | None) -> None:
    headers = {} if value is None else {"retry-after": value}
    assert error_from_response(429, headers, b"").retry_after == seconds


def test_a_future_date_in_retry_after_becomes_seconds() -> None:
    headers = {"retry-after": "Thu, 21 Oct 2999 07:28:00 GMT"}
    years = (error_from_response(429, headers, b"").retry_after or 0.0) / (365 * 24 * 3600)
    assert 100 < years < 1000


@pytest.mark.parametrize(
    ("frame", "kind", "code", "status"),
    [
        (
            {"errors": [{"code": 3043, "message": "no"}], "result": {}},
            ServerError,
            3043,
            None,
        ),
        ({"error": {"message": "AiError: Request timeout"}}, APITimeoutError, None, None),
        (gateway_body(Fault.of(4006), "id"), DailyQuotaError, 4006, 429),
        ({"success": False}, ServerError, None, None),
        ({"error": True, "message": "Model crashed"}, ServerError, None, None),
        ({"detail": "no"}, ServerError, None, None),
        (
            {"success": False, "code": 401, "message": "Invalid token"},
            AuthenticationError,
            None,
            401,
        ),
        (
            {"data": None, "success": False, "errors": [{"code": 3036}]},
            DailyQuotaError,
            3036,
            None,
        ),
        ({"code": 30001, "message": "balance", "data": None}, ServerError, 30001, None),
    ],
    ids=["A", "B", "C", "no reason", "error true", "detail", "top level", "with data", "foreign"],
)
def test_an_error_in_a_stream_frame_is_recognized(
    frame: Any, kind: type[WorkersAIError], code: int | None, status: int | None
) -> None:
    error = error_from_body(frame)
    assert error is not None
    assert (type(error), error.code, error.status) == (kind, code, status)


@pytest.mark.parametrize(
    "frame",
    [
        None,
        7,
        "error",
        [],
        {},
        {"error": None},
        {"errors": []},
        {"success": True},
        {"errors": "x"},
        {"error": {"code": 0, "message": "success"}, "data": [1]},
        {"code": 0, "message": "OK"},
        {"detail": "low", "choices": [{}]},
        {"code": 1, "message": "done", "result": {"a": 1}},
    ],
    ids=repr,
)
def test_other_frames_are_not_errors(frame: Any) -> None:
    assert error_from_body(frame) is None
