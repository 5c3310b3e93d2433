"""Conversations (threads) are stored on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cfai_magics.prompt.history import Turn
from cfai_magics.storage.conversations import ConversationStore


@pytest.fixture
def threads(home: Path) -> Iterator[ConversationStore]:
    with ConversationStore(home) as store:
        yield store


def load_prompts(threads: ConversationStore) -> list[tuple[int, str]]:
    return [(turn.position, turn.content) for turn in threads.load_turns("a")]


def test_rerunning_a_cell_replaces_its_turn_in_place(threads: ConversationStore) -> None:
    for prompt in ("one", "two", "three"):
        threads.save("a", Turn(prompt, "answer", cell=prompt))
    saved_turn = threads.save("a", Turn("two again", "answer", cell="two"))
    assert (saved_turn.position, saved_turn.revision) == (2, 4)
    assert load_prompts(threads) == [(1, "one"), (2, "two again"), (3, "three")]


def test_a_turn_without_a_cell_is_always_added(threads: ConversationStore) -> None:
    threads.save("a", Turn("go on", "answer"))
    threads.save("a", Turn("go on", "answer"))
    assert load_prompts(threads) == [(1, "go on"), (2, "go on")]


def test_saving_an_identical_turn_keeps_the_revision(threads: ConversationStore) -> None:
    threads.save("a", Turn("one", "answer", cell="1"))
    assert threads.save("a", Turn("one", "answer", cell="1", model="m")).revision == 1
    assert threads.save("a", Turn("one", "other", cell="1")).revision == 2


def test_a_turn_is_loaded_with_all_fields(threads: ConversationStore, home: Path) -> None:
    content = [{"type": "text", "text": 'ä "q"'}, {"type": "image_url", "image_url": {"url": "d"}}]
    saved_turn = threads.save("a", Turn(content, "b", "c", "m", "2026", 1, 2, 0.5, "billed"))
    with ConversationStore(home) as later:
        assert later.load_turns("a") == (saved_turn,)


def test_changes_of_a_copy_do_not_affect_the_original(threads: ConversationStore) -> None:
    for prompt in ("one", "two"):
        threads.save("a", Turn(prompt, "answer", cell=prompt))
    assert threads.copy("a", "b", last_position=1) == 1
    threads.save("b", Turn("other", "answer", cell="one"))
    assert load_prompts(threads) == [(1, "one"), (2, "two")]
    assert [turn.content for turn in threads.load_turns("b")] == ["other"]


def test_the_most_recent_thread_is_listed_first(threads: ConversationStore) -> None:
    threads.save("a", Turn("one", "x", asked_at="2026-01-01", neurons=1.5))
    threads.save("b", Turn("one", "x", asked_at="2026-01-02"))
    threads.save("b", Turn("two", "x", asked_at="2026-01-03"))
    summaries = [(each.name, each.turns, each.neurons) for each in threads.list_threads()]
    assert summaries == [("b", 2, 0.0), ("a", 1, 1.5)]
    assert threads.delete("b") == 2
    assert [each.name for each in threads.list_threads()] == ["a"]


def test_turns_of_two_kernels_are_all_saved(threads: ConversationStore, home: Path) -> None:
    with ConversationStore(home) as other:
        for number in range(5):
            threads.save("a", Turn(f"one {number}", "x", cell=f"one {number}"))
            other.save("a", Turn(f"two {number}", "x", cell=f"two {number}"))
    assert len(load_prompts(threads)) == 10
