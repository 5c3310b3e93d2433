"""A question that is not recorded is told by what is other than in the nearest one."""

from typing import Any

import pytest

from cfai_magics.replay import Asked
from cfai_magics.replay.nearest import changed


def asked(*contents: str, system: str = "Be brief.", **fields: Any) -> Asked:
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": "user", "content": content} for content in contents]
    return Asked({"task": "chat", "model": "@cf/a/m", "messages": messages, **fields})


RECORDED = [
    asked("Why is the sky blue?", max_tokens=99),
    asked("Name three rivers.", max_tokens=99),
    Asked({"task": "embeddings", "model": "@cf/a/e", "texts": ["a", "b"]}),
]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (
            asked("Why is the sky red?", max_tokens=99),
            "message 2 (user) says “…s the sky red?” instead of “…s the sky blue?”",
        ),
        (
            asked("Name three rivers.", system="Be long.", max_tokens=99),
            "the system prompt says “Be long.” instead of “Be brief.”",
        ),
        (
            asked("Name three rivers.", max_tokens=99, model="@cf/b/n"),
            "model @cf/b/n instead of @cf/a/m",
        ),
        (asked("Name three rivers.", max_tokens=5), "parameter max_tokens 5 instead of 99"),
        (
            asked("Name three rivers.", max_tokens=99, temperature=0),
            "parameter temperature 0 instead of unset",
        ),
        (
            asked("Name three rivers.", "And lakes?", max_tokens=99),
            "message 3 (user) is new",
        ),
        (
            Asked({"task": "embeddings", "model": "@cf/a/e", "texts": ["a"]}),
            "text 2 is missing",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_part_that_changed_is_named(now: Asked, told: str) -> None:
    assert changed(now, RECORDED) == told


def test_other_kinds_of_questions_are_no_neighbours() -> None:
    assert changed(asked("Hi"), RECORDED[2:]) == ""
    assert changed(asked("Hi"), []) == ""


def test_long_texts_are_told_in_short() -> None:
    told = changed(asked("word " * 5_000 + "end"), [asked("word " * 5_000)])
    assert len(told) < 200
    assert "end" in told
