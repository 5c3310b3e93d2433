"""Keep the lines of a cassette in a stable order while lines are inserted and removed."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_BLOCK_LINES = 200  # about the square root of the line count of a large cassette
SortKey = tuple[str, int]  # fingerprint and index of an interaction
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Entry(Generic[T]):
    """A line and its sort key. The key is None if the line has no interaction."""

    line: T
    sort_key: SortKey | None
    is_removed: bool = False


class _Block(Generic[T]):
    """A block of consecutive lines. No line has a sort key greater than `max_key`."""

    def __init__(self, entries: list[_Entry[T]]) -> None:
        self.entries = entries
        self.max_key = max((entry.sort_key for entry in entries if entry.sort_key), default=None)

    def find_greater(self, sort_key: SortKey) -> int | None:
        """Return the position of the first line with a greater key, or None if there is none."""
        if self.max_key is None or self.max_key <= sort_key:
            return None
        for position, entry in enumerate(self.entries):
            if entry.sort_key and entry.sort_key > sort_key and not entry.is_removed:
                return position
        return None

    def insert(self, position: int, entry: _Entry[T]) -> None:
        """Insert a line at the given position."""
        self.entries.insert(position, entry)
        if entry.sort_key and (self.max_key is None or entry.sort_key > self.max_key):
            self.max_key = entry.sort_key


class LineOrder(Generic[T]):
    """A sequence of lines. `insert` adds a line before the first line with a greater sort key.

    Existing lines never move, so a file that a merge has left unsorted keeps its order. The time
    to insert a line grows with the square root of the number of lines.
    """

    def __init__(self) -> None:
        self._blocks: list[_Block[T]] = [_Block([])]
        self._entries_by_fingerprint: dict[str, list[_Entry[T]]] = defaultdict(list)

    def __iter__(self) -> Iterator[T]:
        """Yield the lines in order."""
        for block in self._blocks:
            yield from (entry.line for entry in block.entries if not entry.is_removed)

    def append(self, line: T, sort_key: SortKey | None) -> None:
        """Add a line at the end, regardless of its sort key."""
        self._insert_at(len(self._blocks) - 1, len(self._blocks[-1].entries), line, sort_key)

    def insert(self, line: T, sort_key: SortKey) -> None:
        """Insert a line before the first line with a greater sort key."""
        for number, block in enumerate(self._blocks):
            position = block.find_greater(sort_key)
            if position is not None:
                self._insert_at(number, position, line, sort_key)
                return
        self.append(line, sort_key)

    def remove(self, sort_key: SortKey, replace_from: int) -> None:
        """Remove the lines with this sort key.

        Also remove lines with the same fingerprint and an index of at least `replace_from`.
        """
        kept_entries = []
        for entry in self._entries_by_fingerprint[sort_key[0]]:
            if entry.sort_key == sort_key or (entry.sort_key or sort_key)[1] >= replace_from:
                entry.is_removed = True
            else:
                kept_entries.append(entry)
        self._entries_by_fingerprint[sort_key[0]] = kept_entries

    def _insert_at(self, number: int, position: int, line: T, sort_key: SortKey | None) -> None:
        entry, block = _Entry(line, sort_key), self._blocks[number]
        block.insert(position, entry)
        if sort_key is not None:
            self._entries_by_fingerprint[sort_key[0]].append(entry)
        if len(block.entries) > MAX_BLOCK_LINES:
            middle = len(block.entries) // 2
            halves = _Block(block.entries[:middle]), _Block(block.entries[middle:])
            self._blocks[number : number + 1] = halves
