"""Estimate the number of tokens of texts and messages: expected, minimum and maximum."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from ..types.messages import Message

CHARS_PER_TOKEN = 4  # as Cloudflare counts before a call
MIN_BYTES_PER_TOKEN = 2  # in texts of many short tokens: digits, code, non-Latin scripts
MAX_CHARS_PER_TOKEN = 6
# Chinese and Japanese characters, kana, Hangul and full-width punctuation: about 3/4 token each.
_WIDE = "\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
IDEOGRAPH_WEIGHT = 3
_IN_WORDS = rf"(?:[^\W{_WIDE}]|['\u2019])"
MAX_TOKENS_PER_MESSAGE = 16  # for the special tokens that a chat template adds
MAX_TOKENS_PER_IMAGE = 1_500  # for models that scale images to a fixed size


@cache  # compiling these two takes 9 ms
def _ideograph_pattern() -> re.Pattern[str]:
    return re.compile(f"[{_WIDE}]")


@cache
def _token_pattern() -> re.Pattern[str]:
    """Return the pattern of pieces of a text that are at least one token each.

    Tokens do not cross word boundaries. A piece is a word with its apostrophe and the mark before
    it, some marks in a row, or two ideographs. Longer runs may be few tokens: in some tokenizers,
    128 spaces are one token.
    """
    return re.compile(
        rf"[{_WIDE}]{{1,2}}"
        rf"|[^\w\s{_WIDE}]?{_IN_WORDS}{{1,32}}"
        rf"|[^\w\s{_WIDE}]{{1,64}}"
        r"|\s{128}"
    )


def estimate_tokens(text: str) -> int:
    """Return the estimated number of tokens of a text."""
    return chars_to_tokens(weighted_length(text))


def weighted_length(text: str) -> int:
    """Return the number of Latin characters with about the same number of tokens as the text."""
    if text.isascii():
        return len(text)
    return len(text) + (IDEOGRAPH_WEIGHT - 1) * len(_ideograph_pattern().findall(text))


class MinTokenCounter:
    """Counts the minimum number of tokens of a streamed text; `count` is the result so far."""

    def __init__(self) -> None:
        self._last = ""  # the last character: a word may continue in the next piece
        self.count = 0

    def add(self, text: str) -> None:
        """Count the next piece of the text."""
        if text:
            counted = _fewest_pieces(self._last)
            self.count += max(0, _fewest_pieces(self._last + text) - counted)
            self._last = text[-1]


def _fewest_pieces(text: str) -> int:
    return sum(1 for _ in _token_pattern().finditer(text))


def chars_to_tokens(char_count: int) -> int:
    """Return the estimated number of tokens for a number of characters."""
    return math.ceil(char_count / CHARS_PER_TOKEN)


def estimate_prompt_tokens(messages: Iterable[Message]) -> int:
    """Return the estimated number of tokens of the texts in messages."""
    return sum(map(estimate_tokens, split_content(messages).texts))


def estimate_image_tokens(messages: Iterable[Message]) -> int:
    """Return the estimated number of tokens of the images in messages, by their size."""
    return sum(map(_estimate_tokens_of_image, split_content(messages).image_urls))


def _estimate_tokens_of_image(url: str) -> int:
    from ..media.images import from_data_url

    try:
        return from_data_url(url).estimated_tokens
    except ValueError:  # invalid base64: the server will reject it
        return MAX_TOKENS_PER_IMAGE


def min_tokens(char_counts: Iterable[int]) -> int:
    """Return the minimum number of tokens of texts with these character counts."""
    return sum(math.ceil(count / MAX_CHARS_PER_TOKEN) for count in char_counts)


def prompt_token_bounds(messages: Sequence[Message]) -> tuple[int, int]:
    """Return the likely minimum and the maximum number of tokens of messages.

    The maximum is used for reservations.
    """
    content = split_content(messages)
    minimum = byte_count = 0
    for text in content.texts:
        minimum += math.ceil(len(text) / MAX_CHARS_PER_TOKEN)
        byte_count += len(text.encode(errors="replace"))
    return minimum, max_tokens_of_size(byte_count, len(messages), len(content.image_urls))


def max_tokens_of_size(byte_count: int, message_count: int, image_count: int) -> int:
    """Return the maximum number of tokens of messages with this total size and image count."""
    return (
        math.ceil(byte_count / MIN_BYTES_PER_TOKEN)
        + MAX_TOKENS_PER_MESSAGE * (message_count + 1)
        + MAX_TOKENS_PER_IMAGE * image_count
    )


class Content(NamedTuple):
    """The content of messages: their texts, including tool calls, and the URLs of images."""

    texts: list[str]
    image_urls: list[str]


def split_content(messages: Iterable[Message]) -> Content:
    """Return the texts and images of messages."""
    texts: list[str] = []
    image_urls: list[str] = []
    for message in messages:
        content = message.get("content") or ""
        if isinstance(content, str):
            texts.append(content)
        else:
            for part in content:
                if not isinstance(part, Mapping):
                    continue
                texts.append(str(part.get("text") or ""))
                if part.get("type") == "image_url":
                    image_urls.append(str((part.get("image_url") or {}).get("url", "")))
        if message.get("tool_calls"):
            texts.append(json.dumps(message["tool_calls"], ensure_ascii=False))
    return Content(texts, image_urls)
