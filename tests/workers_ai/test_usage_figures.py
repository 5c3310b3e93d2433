"""Impossible usage numbers are treated as unknown, whatever their source."""

from typing import Any

import pytest

from cfai_magics.errors import BadRequestError, PermissionDeniedError, ServerError
from cfai_magics.pricing.tokens import MinTokenCounter
from cfai_magics.types.results import TaskResult
from cfai_magics.types.usage import Usage
from cfai_magics.workers_ai.endpoints import parse_neurons_by_model
from cfai_magics.workers_ai.frame_decoder import parse_usage
from cfai_magics.workers_ai.task_requests import TaskRequest, work_units

INFINITY, NAN = float("inf"), float("nan")
IMPOSSIBLE_COUNTS = [
    2**63,
    10**400,
    10**12 + 1,
    -1,
    INFINITY,
    NAN,
    1e300,
    True,
    "12",
    [],
    {},
    None,
]


def short_id(value: object) -> str:
    """Return a short id for a number, with its length."""
    return f"{str(value)[:9]} of {len(str(value))}"


@pytest.mark.parametrize("value", IMPOSSIBLE_COUNTS, ids=short_id)
def test_impossible_token_counts_are_unknown(value: Any) -> None:
    usage = {
        "prompt_tokens": value,
        "completion_tokens": value,
        "prompt_tokens_details": {"cached_tokens": value},
    }
    assert parse_usage(usage, {}) == Usage()


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (7, 7), (7.0, 7), (10**12, 10**12)])
def test_token_counts_are_parsed_as_integers(value: Any, expected: int) -> None:
    usage = {"prompt_tokens": value, "completion_tokens": value}
    assert parse_usage(usage, {}) == Usage(expected, expected)


@pytest.mark.parametrize(
    "value", [2**63, 10**400, -1, -0.1, INFINITY, NAN, True, "0.5", []], ids=short_id
)
def test_impossible_neurons_are_unknown(value: Any) -> None:
    assert parse_usage({"prompt_tokens": 3, "neurons": value}, {}) == Usage(3)
    reply = {"data": {"viewer": {"accounts": [_account(value)]}}}
    with pytest.raises(ServerError, match="can't be parsed"):
        parse_neurons_by_model(reply)


def _account(value: Any) -> dict[str, Any]:
    group = {"dimensions": {"modelId": "m"}, "sum": {"totalNeurons": value}}
    return {"aiInferenceAdaptiveGroups": [group]}


def test_the_neurons_of_an_account_are_parsed() -> None:
    reply = {"data": {"viewer": {"accounts": [_account(2.5)]}}}
    assert parse_neurons_by_model(reply) == {"m": 2.5}


@pytest.mark.parametrize("header", ["nan", "inf", "-1", "1e400", "much"])
def test_an_invalid_neuron_header_is_ignored(header: str) -> None:
    assert parse_usage({"prompt_tokens": 3}, {"cf-ai-neurons": header}) == Usage(3)


@pytest.mark.parametrize("duration", [INFINITY, NAN, -1, 10**400, 1e300, True, "9"], ids=short_id)
def test_an_impossible_duration_counts_as_zero_seconds(duration: Any) -> None:
    reply = TaskResult({"transcription_info": {"duration": duration}})
    assert work_units(TaskRequest("@cf/openai/whisper", b"no sound"), reply).seconds == 0


@pytest.mark.parametrize(
    ("text", "minimum"),
    [
        ("", 0),
        ("word word word", 3),
        ("incomprehensibilities", 1),
        ("it's Ann\u2019s", 2),
        ("foo.bar(baz)", 4),
        ("=" * 60, 1),
        (" " * 50, 0),
        (" " * 256, 2),
        ("a" * 64, 2),
        ("\u79d1\u5b66\u6280\u672f", 2),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_the_counter_returns_the_minimum_tokens_of_a_text(
    text: str, minimum: int, size: int
) -> None:
    counter = MinTokenCounter()
    for at in range(0, len(text), size):
        counter.add(text[at : at + size])
    assert counter.count <= minimum if size < len(text) else counter.count == minimum


@pytest.mark.parametrize(
    "errors",
    [
        [{"message": "no", "extensions": {"code": "authz"}}],
        [{"message": "no", "extensions": "authz"}],
        [{"message": "not authorized for that account"}],
        ["not authorized"],
        "not authorized",
    ],
    ids=str,
)
def test_a_missing_analytics_permission_is_recognized_in_any_format(errors: Any) -> None:
    with pytest.raises(PermissionDeniedError, match="Account Analytics - Read"):
        parse_neurons_by_model({"data": None, "errors": errors})


@pytest.mark.parametrize("errors", [[None], [7], {"message": "no"}, [{"extensions": 7}]], ids=str)
def test_another_analytics_error_is_a_bad_request(errors: Any) -> None:
    with pytest.raises(BadRequestError, match="Analytics: "):
        parse_neurons_by_model({"data": None, "errors": errors})
