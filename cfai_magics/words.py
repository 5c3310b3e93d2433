"""Owns how a magic's line is cut into words."""

import re

# A quote counts only at the start of a word or after K=, so that don't and {"a":1} stay whole.
WORD = re.compile(
    r"""(?P<key>[^\s"'=]+=)?(?P<quote>["'])(?P<quoted>(?:\\(?P=quote)|(?!(?P=quote)).)*)(?P=quote)(?!\S)
    |(?P<plain>\S+)""",
    re.VERBOSE,
)


def split_words(line: str) -> list[str]:
    r"""Return the words of a line; "a b" and 'a b' are one word each, without their quotes.

    Inside quotes, a backslash before the same quote gives that quote; everything else stands as
    typed. A quote that is never closed is an ordinary character.
    """
    return [_word(match) for match in WORD.finditer(line)]


def _word(match: re.Match[str]) -> str:
    if match["plain"] is not None:
        return match["plain"]
    quote = match["quote"]
    return (match["key"] or "") + match["quoted"].replace(f"\\{quote}", quote)
