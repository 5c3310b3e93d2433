"""Puts letters together whose two halves a server sends in two pieces."""

import re

HALF = re.compile("[\ud800-\udfff]")
FIRST = re.compile("[\ud800-\udbff]\\Z")
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


class Halves:
    """One text in pieces: an emoji, which JSON writes as two escapes, may be cut between them.

    Half a letter is no text that a notebook, a file or a terminal could take.
    """

    def __init__(self) -> None:
        self._held = ""

    def whole(self, text: str) -> str:
        """Return the next piece in whole letters; a first half waits for its second."""
        if not self._held and (text.isascii() or not HALF.search(text)):
            return text
        text = self._held + text
        self._held = text[-1] if FIRST.search(text) else ""
        whole = text.removesuffix(self._held) if self._held else text
        return whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def rest(self) -> str:
        """Return what stands for a half whose other one never came."""
        held, self._held = self._held, ""
        return UNKNOWN if held else ""
