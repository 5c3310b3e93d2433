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
    GatewayLimitError,
    ModelNotFoundError,
    PaidPlanRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    WorkersAIError,
)
from cfai_magics.workers_ai.error_mapping import error_from_body, error_from_response
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
def test_an_html_page_or_empty_body_is_mapped_by_its_status(
    status: int, kind: type[WorkersAIError]
) -> None:
    page, empty = (map_fault(Fault(status, 0, "Oops", shape))[0] for shape in ("html", "empty"))
    assert type(page) is type(empty) is kind
    assert page.cause == f"api.cloudflare.com | {status}"
    assert empty.cause == f"The server returned HTTP {status}"
    assert (page.status, page.code) == (empty.status, empty.code) == (status, None)


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
    ],
    ids=["A", "B", "C", "no reason"],
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
    ],
    ids=repr,
)
def test_other_frames_are_not_errors(frame: Any) -> None:
    assert error_from_body(frame) is None
