"""Test the selection of turns of a thread."""

import pytest

from cfai_magics.prompt.history import Turn, fit_window, stale_turns, turns_before


def turns(*revisions: int) -> tuple[Turn, ...]:
    return tuple(
        Turn(f"q{n}", f"a{n}", cell=f"cell {n}", position=n, revision=revision)
        for n, revision in enumerate(revisions, 1)
    )


def positions(selected: tuple[Turn, ...]) -> list[int]:
    return [turn.position for turn in selected]


@pytest.mark.parametrize(
    ("cell", "earlier"),
    [("cell 1", []), ("cell 3", [1, 2]), ("another", [1, 2, 3]), ("", [1, 2, 3])],
)
def test_the_history_of_a_cell_is_the_turns_before_its_own(cell: str, earlier: list[int]) -> None:
    assert positions(turns_before(turns(1, 2, 3), cell)) == earlier


@pytest.mark.parametrize(
    ("revisions", "stale"),
    [
        ((1, 2, 3), []),
        ((4, 2, 3), [2, 3]),
        ((1, 4, 3), [3]),
        ((4, 5, 3), [3]),
        ((4, 5, 6), []),
        ((), []),
    ],
    ids=str,
)
def test_turns_older_than_an_earlier_turn_are_stale(
    revisions: tuple[int, ...], stale: list[int]
) -> None:
    assert positions(stale_turns(turns(*revisions))) == stale


@pytest.mark.parametrize(
    ("room", "expected"), [(100, [1, 2, 3]), (6, [1, 2, 3]), (5, [2, 3]), (1, [])]
)
def test_the_newest_turns_that_fit_are_sent(room: int, expected: list[int]) -> None:
    assert positions(fit_window(turns(1, 2, 3), room, len)) == expected


def test_a_title_is_the_start_of_the_prompt() -> None:
    picture = [{"type": "image_url", "image_url": {"url": "data:"}}, {"type": "text", "text": "a"}]
    assert Turn(picture, "").title == "[image]a"
    assert Turn("Why is\nthe sky " + "blue " * 20, "").title.startswith("Why is the sky blue")
    assert len(Turn("word " * 20, "").title) == 40
