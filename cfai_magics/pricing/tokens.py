"""Estimate the number of tokens in text and messages, with lower and upper bounds."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from ..types.messages import Message

CHARS_PER_TOKEN = 4  # the ratio that Cloudflare uses for its own estimates
# For text with many short tokens, such as digits, code or non-Latin scripts.
MIN_BYTES_PER_TOKEN = 2
MAX_CHARS_PER_TOKEN = 6
# Chinese and Japanese characters, kana, Hangul and full-width punctuation. Each character takes
# about 3/4 of a token.
_WIDE = "\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
IDEOGRAPH_WEIGHT = 3
_IN_WORDS = rf"(?:[^\W{_WIDE}]|['\u2019])"
MAX_TOKENS_PER_MESSAGE = 16  # special tokens that a chat template adds
MAX_TOKENS_PER_IMAGE = 1_500  # in models that scale images to a fixed size


@cache  # compiling both patterns takes 9 ms
def _ideograph_pattern() -> re.Pattern[str]:
    return re.compile(f"[{_WIDE}]")


@cache
def _token_pattern() -> re.Pattern[str]:
    """Return a pattern that matches pieces of text, each of which takes at least one token.

    Tokens do not cross word boundaries. A piece is a word (including apostrophes and a preceding
    punctuation mark), a run of punctuation, one or two ideographs, or 128 spaces. Pieces are this
    long because some tokenizers encode long runs, such as 128 spaces, as a single token.
    """
    return re.compile(
        rf"[{_WIDE}]{{1,2}}"
        rf"|[^\w\s{_WIDE}]?{_IN_WORDS}{{1,32}}"
        rf"|[^\w\s{_WIDE}]{{1,64}}"
        r"|\s{128}"
    )


def estimate_tokens(text: str) -> int:
    """Return the estimated number of tokens in the text."""
    return chars_to_tokens(weighted_length(text))


def weighted_length(text: str) -> int:
    """Return how many Latin characters would take about as many tokens as the text."""
    if text.isascii():
        return len(text)
    return len(text) + (IDEOGRAPH_WEIGHT - 1) * len(_ideograph_pattern().findall(text))


class MinTokenCounter:
    """Counts the minimum number of tokens in streamed text. `count` is the result so far."""

    def __init__(self) -> None:
        self._last = ""  # last character, which the next text may continue
        self.count = 0

    def add(self, text: str) -> None:
        """Add the next piece of text to the count."""
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
    """Return the estimated number of tokens in the text of messages."""
    return sum(map(estimate_tokens, split_content(messages).texts))


def estimate_image_tokens(messages: Iterable[Message]) -> int:
    """Return the estimated number of tokens for the images in messages, based on their size."""
    return sum(map(_estimate_tokens_of_image, split_content(messages).image_urls))


def _estimate_tokens_of_image(url: str) -> int:
    from ..media.images import from_data_url

    try:
        return from_data_url(url).estimated_tokens
    except ValueError:  # invalid Base64, which the server will reject
        return MAX_TOKENS_PER_IMAGE


def prompt_token_bounds(messages: Sequence[Message]) -> tuple[int, int]:
    """Return estimates of the minimum and maximum number of tokens in messages.

    Reservations are based on the maximum.
    """
    content = split_content(messages)
    minimum = byte_count = 0
    for text in content.texts:
        minimum += math.ceil(len(text) / MAX_CHARS_PER_TOKEN)
        byte_count += len(text.encode(errors="replace"))
    maximum = (
        math.ceil(byte_count / MIN_BYTES_PER_TOKEN)
        + MAX_TOKENS_PER_MESSAGE * (len(messages) + 1)
        + MAX_TOKENS_PER_IMAGE * len(content.image_urls)
    )
    return minimum, maximum


class Content(NamedTuple):
    """The text of messages, including tool calls, and the URLs of their images."""

    texts: list[str]
    image_urls: list[str]


def split_content(messages: Iterable[Message]) -> Content:
    """Split messages into their text and the URLs of their images."""
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
                    image = part.get("image_url")
                    url = image.get("url") if isinstance(image, Mapping) else image
                    image_urls.append(str(url or ""))
        if message.get("tool_calls"):
            texts.append(json.dumps(message["tool_calls"], ensure_ascii=False))
    return Content(texts, image_urls)
