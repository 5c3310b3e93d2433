"""How many tokens texts and messages have: about, at least, and at most."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..media.images import image_at
from ..values import Message

CHARACTERS_PER_TOKEN = 4  # what Cloudflare itself counts with before a call
FEWEST_BYTES_PER_TOKEN = 2  # texts of many short tokens: digits, code, other scripts than Latin
MOST_CHARACTERS_PER_TOKEN = 6
# Chinese and Japanese characters, kana, Hangul, and punctuation as wide: one is about 3/4 token.
IDEOGRAPHS = re.compile(
    "[\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
WEIGHT_OF_IDEOGRAPH = 3
# Tokens of the models do not cross words, so a text has at least one for each of these pieces: a
# word with an apostrophe and with the mark before it, some marks in a row, or two ideographs.
# Longer runs may be few tokens: 128 spaces are one of some tokenizers.
_WIDE = IDEOGRAPHS.pattern[1:-1]
_IN_WORDS = rf"(?:[^\W{_WIDE}]|['\u2019])"
FEWEST_PIECES = re.compile(
    rf"[{_WIDE}]{{1,2}}"
    rf"|[^\w\s{_WIDE}]?{_IN_WORDS}{{1,32}}"
    rf"|[^\w\s{_WIDE}]{{1,64}}"
    r"|\s{128}"
)
TOKENS_PER_MESSAGE = 16  # at most, for the marks that a chat template puts around it
TOKENS_PER_IMAGE = 1_500  # at most, for models that scale images to a fixed size


def guessed_tokens(text: str) -> int:
    """Return about how many tokens a text has."""
    return tokens_of(weight(text))


def weight(text: str) -> int:
    """Return how many Latin characters would have about as many tokens."""
    if text.isascii():
        return len(text)
    return len(text) + (WEIGHT_OF_IDEOGRAPH - 1) * len(IDEOGRAPHS.findall(text))


class FewestTokens:
    """Counts the tokens that a text has at least, as its pieces come."""

    def __init__(self) -> None:
        self._last = ""  # the last character: a word may go on in the next piece
        self.count = 0

    def add(self, text: str) -> None:
        """Take in the next piece of the text."""
        if text:
            before = _fewest_pieces(self._last)
            self.count += max(0, _fewest_pieces(self._last + text) - before)
            self._last = text[-1]


def _fewest_pieces(text: str) -> int:
    return sum(1 for _ in FEWEST_PIECES.finditer(text))


def tokens_of(characters: int) -> int:
    """Return about how many tokens so many characters are."""
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def guessed_prompt_tokens(messages: Iterable[Message]) -> int:
    """Return about how many tokens the messages have."""
    return sum(map(guessed_tokens, texts(messages)))


def guessed_image_tokens(messages: Iterable[Message]) -> int:
    """Return about how many tokens the images of the messages have, by their size."""
    return sum(map(_tokens_at, _images(messages)))


def _tokens_at(url: str) -> int:
    try:
        return image_at(url).tokens
    except ValueError:  # no base64: whoever gets it will say so
        return TOKENS_PER_IMAGE


def _images(messages: Iterable[Message]) -> Iterable[str]:
    """Yield the addresses of the images."""
    for part in _parts(messages):
        if part.get("type") == "image_url":
            yield str((part.get("image_url") or {}).get("url", ""))


def fewest_prompt_tokens(messages: Sequence[Message]) -> int:
    """Return how many tokens the messages have at least, in all likelihood."""
    return fewest_tokens(len(text) for text in texts(messages))


def fewest_tokens(characters: Iterable[int]) -> int:
    """Return how few tokens texts of so many characters have."""
    return sum(math.ceil(count / MOST_CHARACTERS_PER_TOKEN) for count in characters)


def most_prompt_tokens(messages: Sequence[Message]) -> int:
    """Return how many tokens the messages have at most: what has to be reserved for them."""
    size = sum(len(text.encode(errors="replace")) for text in texts(messages))
    return most_tokens_of(size, len(messages), len(list(_images(messages))))


def most_tokens_of(size: int, messages: int, images: int) -> int:
    """Return how many tokens so many messages of so many bytes in all have at most."""
    return (
        math.ceil(size / FEWEST_BYTES_PER_TOKEN)
        + TOKENS_PER_MESSAGE * (messages + 1)
        + TOKENS_PER_IMAGE * images
    )


def texts(messages: Iterable[Message]) -> Iterable[str]:
    """Return the texts of messages; images are no text."""
    return (str(part.get("text") or "") for part in _parts(messages))


def _parts(messages: Iterable[Message]) -> Iterable[Mapping[str, Any]]:
    for message in messages:
        content = message.get("content") or ""
        if isinstance(content, str):
            yield {"text": content}
        else:
            yield from (part for part in content if isinstance(part, Mapping))
        if message.get("tool_calls"):
            yield {"text": json.dumps(message["tool_calls"], ensure_ascii=False)}
