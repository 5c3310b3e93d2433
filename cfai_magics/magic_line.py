"""Split the line of a magic into words."""

import re

# Quotes count only at the start of a word or after KEY=, so don't and {"a":1} are one word each.
WORD_PATTERN = re.compile(
    r"""(?P<key>[^\s"'=]+=)?(?P<quote>["'])(?P<quoted>(?:\\(?P=quote)|(?!(?P=quote)).)*)(?P=quote)(?!\S)
    |(?P<plain>\S+)""",
    re.VERBOSE,
)


def split_magic_line(line: str) -> list[str]:
    r"""Return the words of a line; "a b" and 'a b' are one word each, without their quotes.

    Inside quotes, a backslash escapes the same quote; everything else stays as typed. A quote
    that is never closed is an ordinary character.
    """
    return [_unquote(match) for match in WORD_PATTERN.finditer(line)]


def _unquote(match: re.Match[str]) -> str:
    if match["plain"] is not None:
        return match["plain"]
    quote = match["quote"]
    return (match["key"] or "") + match["quoted"].replace(f"\\{quote}", quote)
