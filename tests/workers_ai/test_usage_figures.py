"""Impossible usage numbers are treated as unknown, whatever their source."""

from typing import Any

import pytest

from cfai_magics.errors import ServerError
from cfai_magics.pricing.tokens import MinTokenCounter
from cfai_magics.types.results import TaskResult
from cfai_magics.types.usage import Usage
from cfai_magics.workers_ai.endpoints import parse_neurons_by_model
from cfai_magics.workers_ai.frame_decoder import parse_usage
from cfai_magics.workers_ai.task_requests import TaskRequest, work_units

INFINITY, NAN = float("inf"), float("nan")
NO_TOKENS = [2**63, 10**400, 10**12 + 1, -1, INFINITY, NAN, 1e300, True, "12", [], {}, None]


def shown(value: object) -> str:
    """Return a short id for a number, with its length."""
    return f"{str(value)[:9]} of {len(str(value))}"


@pytest.mark.parametrize("figure", NO_TOKENS, ids=shown)
def test_tokens_that_can_be_none_are_unknown(figure: Any) -> None:
    told = {
        "prompt_tokens": figure,
        "completion_tokens": figure,
        "prompt_tokens_details": {"cached_tokens": figure},
    }
    assert parse_usage(told, {}) == Usage()


@pytest.mark.parametrize(("figure", "read"), [(0, 0), (7, 7), (7.0, 7), (10**12, 10**12)])
def test_tokens_are_read_as_whole_numbers(figure: Any, read: int) -> None:
    told = {"prompt_tokens": figure, "completion_tokens": figure}
    assert parse_usage(told, {}) == Usage(read, read)


@pytest.mark.parametrize(
    "figure", [2**63, 10**400, -1, -0.1, INFINITY, NAN, True, "0.5", []], ids=shown
)
def test_neurons_that_can_be_none_are_unknown(figure: Any) -> None:
    assert parse_usage({"prompt_tokens": 3, "neurons": figure}, {}) == Usage(3)
    reply = {"data": {"viewer": {"accounts": [_account(figure)]}}}
    with pytest.raises(ServerError, match="can't be parsed"):
        parse_neurons_by_model(reply)


def _account(figure: Any) -> dict[str, Any]:
    group = {"dimensions": {"modelId": "m"}, "sum": {"totalNeurons": figure}}
    return {"aiInferenceAdaptiveGroups": [group]}


def test_the_neurons_of_an_account_are_read() -> None:
    reply = {"data": {"viewer": {"accounts": [_account(2.5)]}}}
    assert parse_neurons_by_model(reply) == {"m": 2.5}


@pytest.mark.parametrize("header", ["nan", "inf", "-1", "1e400", "much"])
def test_a_header_that_can_be_no_bill_is_unknown(header: str) -> None:
    assert parse_usage({"prompt_tokens": 3}, {"cf-ai-neurons": header}) == Usage(3)


@pytest.mark.parametrize("duration", [INFINITY, NAN, -1, 10**400, 1e300, True, "9"], ids=shown)
def test_a_duration_that_no_sound_has_is_unknown(duration: Any) -> None:
    reply = TaskResult({"transcription_info": {"duration": duration}})
    assert work_units(TaskRequest("@cf/openai/whisper", b"no sound"), reply).seconds == 0


@pytest.mark.parametrize(
    ("text", "fewest"),
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
def test_the_fewest_tokens_of_a_text(text: str, fewest: int, size: int) -> None:
    counted = MinTokenCounter()
    for at in range(0, len(text), size):
        counted.add(text[at : at + size])
    assert counted.count <= fewest if size < len(text) else counted.count == fewest
