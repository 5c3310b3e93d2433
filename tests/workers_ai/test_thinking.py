"""Reasoning in <think> tags is separated from the text, for any split of the tags."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfai_magics.types.messages import ReasoningDelta, TextDelta
from cfai_magics.workers_ai.frame_decoder import CLOSE_TAG, OPEN_TAG, ThinkTagParser


def parse_pieces(pieces: Iterable[str]) -> tuple[str, str]:
    """Return the reasoning and text of all pieces; no delta may be empty."""
    tags = ThinkTagParser()
    deltas = [delta for piece in pieces for delta in tags.feed(piece)]
    deltas += tags.flush()
    assert all(delta.text for delta in deltas)
    assert list(tags.flush()) == []
    thoughts = "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))
    return thoughts, "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def parse_complete(text: str) -> tuple[str, str]:
    """Return the same for a complete text."""
    if not text.lstrip().startswith(OPEN_TAG):
        return "", text
    thought, _, rest = text.lstrip().removeprefix(OPEN_TAG).partition(CLOSE_TAG)
    return thought, rest


@pytest.mark.parametrize(
    ("text", "thought", "rest"),
    [
        ("<think>\nHm.\n</think>\n\nYes.", "\nHm.\n", "\n\nYes."),
        (" \n<think>Hm</think>Yes", "Hm", "Yes"),
        ("<think></think>Yes", "", "Yes"),
        ("<think>Hm</think>", "Hm", ""),
        ("<think>cut off", "cut off", ""),
        ("<think>cut off</thi", "cut off</thi", ""),
        ("<think>a < b</b></think>c", "a < b</b>", "c"),
        ("<think>a<</think>b", "a<", "b"),
        ("Say <think>no</think>", "", "Say <think>no</think>"),
        ("<thinking>no</thinking>", "", "<thinking>no</thinking>"),
        ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
        ("<thi", "", "<thi"),
        (" \n ", "", " \n "),
        ("  indented", "", "  indented"),
        ("<", "", "<"),
    ],
    ids=repr,
)
def test_reasoning_ends_at_its_closing_tag_for_any_split(
    text: str, thought: str, rest: str
) -> None:
    assert parse_pieces([text]) == (thought, rest)
    assert parse_pieces(text) == (thought, rest)
    for at in range(len(text)):
        assert parse_pieces([text[:at], text[at:]]) == (thought, rest)


def test_text_that_cannot_become_a_tag_is_yielded_at_once() -> None:
    tags = ThinkTagParser()
    deltas = [list(tags.feed(piece)) for piece in ("<think>a", " <", "b", "</think>c", "<think>")]
    assert deltas == [
        [ReasoningDelta("a")],
        [ReasoningDelta(" ")],
        [ReasoningDelta("<b")],
        [TextDelta("c")],
        [TextDelta("<think>")],
    ]


PIECES = (OPEN_TAG, CLOSE_TAG, "<", "</", "think", ">", "k>", "</think", " ", "\n", "word", "世")


@settings(deadline=None, derandomize=True, max_examples=400)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12))
def test_split_text_gives_the_same_result_as_complete_text(pieces: list[str]) -> None:
    assert parse_pieces(pieces) == parse_complete("".join(pieces))
