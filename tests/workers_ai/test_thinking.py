"""Thoughts that stand inside the text are told apart, wherever the tags are cut."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfai_magics.values import Text, Thought
from cfai_magics.workers_ai.thinking import CLOSE, OPEN, ThinkTags


def told_apart(pieces: Iterable[str]) -> tuple[str, str]:
    """Return the thought and the text of all pieces, in which nothing is empty."""
    tags = ThinkTags()
    cut = [delta for piece in pieces for delta in tags.cut(piece)]
    cut += tags.rest()
    assert all(delta.text for delta in cut)
    assert list(tags.rest()) == []
    thoughts = "".join(delta.text for delta in cut if isinstance(delta, Thought))
    return thoughts, "".join(delta.text for delta in cut if isinstance(delta, Text))


def as_a_whole(text: str) -> tuple[str, str]:
    """Return the same of a text that is there as a whole."""
    if not text.lstrip().startswith(OPEN):
        return "", text
    thought, _, rest = text.lstrip().removeprefix(OPEN).partition(CLOSE)
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
def test_a_thought_ends_where_its_tag_does_however_it_is_cut(
    text: str, thought: str, rest: str
) -> None:
    assert told_apart([text]) == (thought, rest)
    assert told_apart(text) == (thought, rest)
    for at in range(len(text)):
        assert told_apart([text[:at], text[at:]]) == (thought, rest)


def test_what_cannot_become_a_tag_is_not_held_back() -> None:
    tags = ThinkTags()
    told = [list(tags.cut(piece)) for piece in ("<think>a", " <", "b", "</think>c", "<think>")]
    assert told == [
        [Thought("a")],
        [Thought(" ")],
        [Thought("<b")],
        [Text("c")],
        [Text("<think>")],
    ]


PIECES = (OPEN, CLOSE, "<", "</", "think", ">", "k>", "</think", " ", "\n", "word", "世")


@settings(deadline=None, derandomize=True, max_examples=400)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12))
def test_pieces_tell_what_the_whole_tells(pieces: list[str]) -> None:
    assert told_apart(pieces) == as_a_whole("".join(pieces))
