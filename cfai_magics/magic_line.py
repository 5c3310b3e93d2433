"""Split the line of a magic command into words."""

import re
from collections.abc import Iterable, Sequence
from typing import Self

# Quotes are special only at the start of a word or after KEY=. In don't and {"a":1}, they are
# ordinary characters. A {{field}} is part of one word, also if it contains spaces or quotes.
WORD_PATTERN = re.compile(
    r"""(?P<key>[^\s"'=]+=)?(?P<quote>["'])(?P<quoted>(?:\\(?P=quote)|(?!(?P=quote)).)*)(?P=quote)(?!\S)
    |(?P<plain>(?:\{\{.*?\}\}|\S)+)""",
    re.VERBOSE,
)


class Word(str):
    """A word in a command.

    Attributes:
        source: The word as typed, with its quotes.
        space: The whitespace before the word.
    """

    __slots__ = ("source", "space")

    source: str
    space: str

    def __new__(cls, text: str, source: str | None = None, space: str = " ") -> Self:
        """Return a word, which was typed without quotes if `source` is None."""
        word = super().__new__(cls, text)
        word.source, word.space = text if source is None else source, space
        return word


def split_magic_line(line: str) -> list[str]:
    r"""Return the words in a line. "a b" and 'a b' are each one word, without the quotes.

    Inside quotes, a backslash escapes the enclosing quote character; everything else is kept as
    typed. An unclosed quote is an ordinary character. Each word is a Word.
    """
    words: list[str] = []
    end = 0
    for match in WORD_PATTERN.finditer(line):
        words.append(Word(_unquote(match), match[0], line[end : match.start()]))
        end = match.end()
    return words


def to_words(words: Iterable[str]) -> list[Word]:
    """Return the words, each of which is a Word."""
    return [word if isinstance(word, Word) else Word(word) for word in words]


def join_words(words: Sequence[Word]) -> str:
    """Return the text of the words, without the quotes around a single word.

    Several words keep their quotes. One space is between them, but all spaces inside braces are
    kept, because they may be part of an expression.
    """
    if len(words) == 1:
        return str(words[0])
    text = ""
    for word in words:
        text += (word.space if text.count("{") > text.count("}") else " ") + word.source
    return text[1:]


def _unquote(match: re.Match[str]) -> str:
    if match["plain"] is not None:
        return match["plain"]
    quote = match["quote"]
    return (match["key"] or "") + match["quoted"].replace(f"\\{quote}", quote)
