"""The results of tasks in the formats of several models. Other formats are errors."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from cfai_magics.errors import BadRequestError, ServerError
from cfai_magics.types.results import TaskResult
from cfai_magics.workers_ai.task_requests import (
    parse_description,
    parse_documents,
    parse_labels,
    parse_ranking,
    parse_transcript,
    parse_translation,
)


def rank(result: TaskResult) -> Any:
    return parse_ranking(result, ["a", "b"])


@pytest.mark.parametrize(
    ("parse", "result", "expected"),
    [
        (parse_transcript, {"text": " Hi "}, "Hi"),
        (parse_translation, {"translated_text": "a"}, "a"),
        (parse_translation, {"translations": ["a", "b"]}, "a\nb"),
        (parse_translation, {"translations": [{"text": "a"}, {"text": "b"}]}, "a\nb"),
        (parse_description, {"description": " A cat "}, "A cat"),
        (parse_description, {"response": "A cat"}, "A cat"),
        (parse_description, {"text": "A cat"}, "A cat"),
        (parse_description, "A cat", "A cat"),
        (parse_description, {"description": None, "usage": {}}, ""),
        (parse_description, {}, ""),
        (
            parse_labels,
            [{"label": "a", "score": "0.1"}, {"label": "b", "score": 0.9}],
            [{"label": "b", "score": 0.9}, {"label": "a", "score": 0.1}],
        ),
        (rank, {"response": [{"id": 1, "score": "2"}]}, [{"id": 1, "score": 2.0, "text": "b"}]),
    ],
)
def test_a_result_is_read(parse: Callable[[TaskResult], Any], result: Any, expected: Any) -> None:
    assert parse(TaskResult(result)) == expected


@pytest.mark.parametrize(
    ("parse", "result"),
    [
        (parse_transcript, {"text": None}),
        (parse_transcript, {"text": 5}),
        (parse_transcript, {"results": {"channels": []}}),
        (parse_translation, {"translations": 5}),
        (parse_translation, {"translations": [{"translation": "a"}]}),
        (parse_translation, {"translated_text": None}),
        (parse_description, {"description": {"text": "A cat"}}),
        (parse_description, {"labels": ["cat"]}),
        (parse_description, ["A cat"]),
        *((parse_labels, [{"label": "a", "score": score}]) for score in (None, "high", math.nan)),
        *((parse_labels, [{"label": "a", "score": score}]) for score in (True, 10**400, [])),
        *(
            (rank, {"response": [{"id": number, "score": 1}]})
            for number in (-1, 2, True, "0", 0.5)
        ),
        (rank, {"response": [{"id": 0, "score": None}]}),
    ],
)
def test_a_result_in_another_format_is_an_error(
    parse: Callable[[TaskResult], Any], result: Any
) -> None:
    with pytest.raises(ServerError, match="The response"):
        parse(TaskResult(result))


def test_a_document_without_text_is_reported_as_not_converted() -> None:
    rows = [
        {"name": "a.csv", "format": "markdown", "data": "A"},
        {"name": "b.csv", "format": "markdown", "data": None},
    ]
    texts, notes = parse_documents(TaskResult(rows))
    assert texts == {"a.csv": "A"}
    assert notes == ["b.csv was not converted: no reason given"]
    with pytest.raises(BadRequestError, match=r"b\.csv was not converted: no reason given"):
        parse_documents(TaskResult(rows[1:]))
