"""Threads on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cfai_magics.prompt.conversation import Turn
from cfai_magics.store.threads import Threads


@pytest.fixture
def threads(home: Path) -> Iterator[Threads]:
    with Threads(home) as opened:
        yield opened


def asked(threads: Threads) -> list[tuple[int, str]]:
    return [(turn.position, turn.content) for turn in threads.turns("a")]


def test_a_cells_turn_is_replaced_in_its_place(threads: Threads) -> None:
    for question in ("one", "two", "three"):
        threads.keep("a", Turn(question, "answer", cell=question))
    kept = threads.keep("a", Turn("two again", "answer", cell="two"))
    assert (kept.position, kept.revision) == (2, 4)
    assert asked(threads) == [(1, "one"), (2, "two again"), (3, "three")]


def test_a_turn_of_no_cell_is_always_a_new_one(threads: Threads) -> None:
    threads.keep("a", Turn("go on", "answer"))
    threads.keep("a", Turn("go on", "answer"))
    assert asked(threads) == [(1, "go on"), (2, "go on")]


def test_saying_the_same_again_changes_nothing(threads: Threads) -> None:
    threads.keep("a", Turn("one", "answer", cell="1"))
    assert threads.keep("a", Turn("one", "answer", cell="1", model="m")).revision == 1
    assert threads.keep("a", Turn("one", "other", cell="1")).revision == 2


def test_all_of_a_turn_is_there_again(threads: Threads, home: Path) -> None:
    content = [{"type": "text", "text": 'ä "q"'}, {"type": "image_url", "image_url": {"url": "d"}}]
    kept = threads.keep("a", Turn(content, "b", "c", "m", "2026", 1, 2, 0.5, "billed"))
    with Threads(home) as later:
        assert later.turns("a") == (kept,)


def test_a_copy_goes_its_own_way(threads: Threads) -> None:
    for question in ("one", "two"):
        threads.keep("a", Turn(question, "answer", cell=question))
    assert threads.copy("a", "b", until=1) == 1
    threads.keep("b", Turn("other", "answer", cell="one"))
    assert asked(threads) == [(1, "one"), (2, "two")]
    assert [turn.content for turn in threads.turns("b")] == ["other"]


def test_the_list_begins_with_the_thread_used_last(threads: Threads) -> None:
    threads.keep("a", Turn("one", "x", asked_at="2026-01-01", neurons=1.5))
    threads.keep("b", Turn("one", "x", asked_at="2026-01-02"))
    threads.keep("b", Turn("two", "x", asked_at="2026-01-03"))
    found = [(each.name, each.turns, each.neurons) for each in threads.all()]
    assert found == [("b", 2, 0.0), ("a", 1, 1.5)]
    assert threads.delete("b") == 2
    assert [each.name for each in threads.all()] == ["a"]


def test_two_kernels_lose_nothing(threads: Threads, home: Path) -> None:
    with Threads(home) as other:
        for number in range(5):
            threads.keep("a", Turn(f"one {number}", "x", cell=f"one {number}"))
            other.keep("a", Turn(f"two {number}", "x", cell=f"two {number}"))
    assert len(asked(threads)) == 10
