"""Conversations (threads) are stored on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cfai_magics.prompt.history import Turn
from cfai_magics.storage.conversations import ConversationStore


@pytest.fixture
def threads(home: Path) -> Iterator[ConversationStore]:
    with ConversationStore(home) as opened:
        yield opened


def asked(threads: ConversationStore) -> list[tuple[int, str]]:
    return [(turn.position, turn.content) for turn in threads.load_turns("a")]


def test_a_cells_turn_is_replaced_in_its_place(threads: ConversationStore) -> None:
    for question in ("one", "two", "three"):
        threads.save("a", Turn(question, "answer", cell=question))
    kept = threads.save("a", Turn("two again", "answer", cell="two"))
    assert (kept.position, kept.revision) == (2, 4)
    assert asked(threads) == [(1, "one"), (2, "two again"), (3, "three")]


def test_a_turn_of_no_cell_is_always_a_new_one(threads: ConversationStore) -> None:
    threads.save("a", Turn("go on", "answer"))
    threads.save("a", Turn("go on", "answer"))
    assert asked(threads) == [(1, "go on"), (2, "go on")]


def test_saying_the_same_again_changes_nothing(threads: ConversationStore) -> None:
    threads.save("a", Turn("one", "answer", cell="1"))
    assert threads.save("a", Turn("one", "answer", cell="1", model="m")).revision == 1
    assert threads.save("a", Turn("one", "other", cell="1")).revision == 2


def test_all_of_a_turn_is_there_again(threads: ConversationStore, home: Path) -> None:
    content = [{"type": "text", "text": 'ä "q"'}, {"type": "image_url", "image_url": {"url": "d"}}]
    kept = threads.save("a", Turn(content, "b", "c", "m", "2026", 1, 2, 0.5, "billed"))
    with ConversationStore(home) as later:
        assert later.load_turns("a") == (kept,)


def test_a_copy_goes_its_own_way(threads: ConversationStore) -> None:
    for question in ("one", "two"):
        threads.save("a", Turn(question, "answer", cell=question))
    assert threads.copy("a", "b", last_position=1) == 1
    threads.save("b", Turn("other", "answer", cell="one"))
    assert asked(threads) == [(1, "one"), (2, "two")]
    assert [turn.content for turn in threads.load_turns("b")] == ["other"]


def test_the_list_begins_with_the_thread_used_last(threads: ConversationStore) -> None:
    threads.save("a", Turn("one", "x", asked_at="2026-01-01", neurons=1.5))
    threads.save("b", Turn("one", "x", asked_at="2026-01-02"))
    threads.save("b", Turn("two", "x", asked_at="2026-01-03"))
    found = [(each.name, each.turns, each.neurons) for each in threads.list_threads()]
    assert found == [("b", 2, 0.0), ("a", 1, 1.5)]
    assert threads.delete("b") == 2
    assert [each.name for each in threads.list_threads()] == ["a"]


def test_two_kernels_lose_nothing(threads: ConversationStore, home: Path) -> None:
    with ConversationStore(home) as other:
        for number in range(5):
            threads.save("a", Turn(f"one {number}", "x", cell=f"one {number}"))
            other.save("a", Turn(f"two {number}", "x", cell=f"two {number}"))
    assert len(asked(threads)) == 10
