"""Split the line of a magic command into words."""

import re

# Quotes are special only at the start of a word or after KEY=. In don't and {"a":1}, they are
# ordinary characters.
WORD_PATTERN = re.compile(
    r"""(?P<key>[^\s"'=]+=)?(?P<quote>["'])(?P<quoted>(?:\\(?P=quote)|(?!(?P=quote)).)*)(?P=quote)(?!\S)
    |(?P<plain>\S+)""",
    re.VERBOSE,
)


def split_magic_line(line: str) -> list[str]:
    r"""Return the words in a line. "a b" and 'a b' are each one word, without the quotes.

    Inside quotes, a backslash escapes the enclosing quote character; everything else is kept as
    typed. An unclosed quote is an ordinary character.
    """
    return [_unquote(match) for match in WORD_PATTERN.finditer(line)]


def _unquote(match: re.Match[str]) -> str:
    if match["plain"] is not None:
        return match["plain"]
    quote = match["quote"]
    return (match["key"] or "") + match["quoted"].replace(f"\\{quote}", quote)
