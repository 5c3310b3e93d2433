"""Tells thoughts from text where a model puts them into its text as <think>…</think>."""

from collections.abc import Iterable, Iterator

from ..values import Text, Thought

OPEN, CLOSE = "<think>", "</think>"


class ThinkTags:
    """Cuts text at a leading <think> and its </think>, also where a tag comes in pieces."""

    def __init__(self) -> None:
        self._waiting = ""
        self._state = "start"

    def cut(self, text: str) -> Iterable[Text | Thought]:
        """Return the next piece of text as what it is, holding back what may become a tag."""
        return (Text(text),) if self._state == "text" else self._cut(text)

    def _cut(self, text: str) -> Iterator[Text | Thought]:
        self._waiting += text
        if self._state == "start":
            self._begin()
        if self._state == "thought":
            yield from self._think()
        elif self._state == "text" and self._waiting:
            yield Text(self._take(len(self._waiting)))

    def _begin(self) -> None:
        seen = self._waiting.lstrip()
        if seen.startswith(OPEN):
            self._waiting = seen.removeprefix(OPEN)
            self._state = "thought"
        elif not OPEN.startswith(seen):
            self._state = "text"

    def _think(self) -> Iterator[Text | Thought]:
        thought, tag, text = self._waiting.partition(CLOSE)
        if tag:
            self._state, self._waiting = "text", ""
            yield from [Thought(thought)] if thought else []
            yield from [Text(text)] if text else []
            return
        safe = len(self._waiting) - _beginning_of_tag(self._waiting)
        if safe:
            yield Thought(self._take(safe))

    def _take(self, length: int) -> str:
        taken, self._waiting = self._waiting[:length], self._waiting[length:]
        return taken

    def rest(self) -> Iterator[Text | Thought]:
        """Yield what was held back, when no more comes."""
        if self._waiting:
            waiting = self._take(len(self._waiting))
            yield Thought(waiting) if self._state == "thought" else Text(waiting)


def _beginning_of_tag(text: str) -> int:
    """Return how many characters at the end of the text may begin the closing tag."""
    lengths = range(min(len(CLOSE) - 1, len(text)), 0, -1)
    return next((length for length in lengths if text.endswith(CLOSE[:length])), 0)
