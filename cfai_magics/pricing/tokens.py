"""Estimate the number of tokens in text and messages, with lower and upper bounds."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from ..types.messages import Message, Request

CHARS_PER_TOKEN = 4  # the ratio that Cloudflare uses for its own estimates
# For text with many short tokens, such as digits, code or non-Latin scripts.
MIN_BYTES_PER_TOKEN = 2
MAX_CHARS_PER_TOKEN = 6
# Chinese and Japanese characters, kana, Hangul and full-width punctuation. Each character takes
# about 3/4 of a token.
_WIDE = "\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
IDEOGRAPH_WEIGHT = 3
_IN_WORDS = rf"(?:[^\W{_WIDE}]|['\u2019])"
# A chat template adds tokens to the text: the role, start and end of each message (5 in ChatML, in
# Llama 3 and in Gemma), and the start of the text and of the answer (3 to 5).
TEMPLATE_TOKENS_PER_MESSAGE = 5
TEMPLATE_TOKENS_PER_REQUEST = 4
# The templates of some models also add a text of their own. Keys are the starts of short names.
# The first number is for requests with a system message, the second for other requests. They are
# the reported prompt tokens minus the text and the tokens above. Sources:
# - SmolLM2: "In two sentences: why is the sky blue?" has 10 tokens, and 40 were reported
#   (notebooks/what-a-neuron-is.cfai.jsonl). In all lessons, 26 to 33 tokens more than the text
#   were reported for questions of one message. The text is a system message.
# - llama-3: "You are concise." and "Reply with exactly: Hello!" have 10 tokens, and 45 were
#   reported (Llama 3.3 on Groq, 6 May 2026, in the tests of anomalyco/opencode). It has two dates.
# - gpt-oss: "hello" has 1 token, and 72 were reported (gpt-oss-20b on Groq, 29 October 2025).
# - qwen2.5: "What is the capital of France?" has 7 tokens, and 36 were reported (documentation of
#   SGLang, 2026). The text is a system message.
# The responses in tests/corpus have no requests, so they give no number for other models.
TEMPLATE_TEXT_TOKENS = {
    "SmolLM2": (0, 21),
    "llama-3.": (21, 26),
    "gpt-oss": (62, 62),
    "qwen2.5": (0, 20),
}
MAX_TOKENS_PER_MESSAGE = 16  # of the template, without its own text
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


def estimate_prompt_tokens(request: Request) -> int:
    """Return the estimated number of prompt tokens of a request.

    These are the tokens of its text, images, functions and chat template.
    """
    texts, image_urls = split_content(request.messages)
    if "tools" in request.extra:
        texts.append(json.dumps(request.extra["tools"], ensure_ascii=False))
    return (
        sum(map(estimate_tokens, texts))
        + sum(map(_estimate_tokens_of_image, image_urls))
        + estimate_template_tokens(request)
    )


def estimate_template_tokens(request: Request) -> int:
    """Return the estimated number of tokens that the model's chat template adds to a request."""
    has_system = any(message.get("role") == "system" for message in request.messages)
    with_system, without_system = _template_text_tokens(request.model)
    return (
        TEMPLATE_TOKENS_PER_MESSAGE * len(request.messages)
        + TEMPLATE_TOKENS_PER_REQUEST
        + (with_system if has_system else without_system)
    )


@cache
def _template_text_tokens(model: str) -> tuple[int, int]:
    """Return the value of TEMPLATE_TEXT_TOKENS for a model, or zeros if it has none."""
    short_name = model.rpartition("/")[2]
    for start, tokens in TEMPLATE_TEXT_TOKENS.items():
        if short_name.startswith(start):
            return tokens
    return 0, 0


def _estimate_tokens_of_image(url: str) -> int:
    from ..media.images import from_data_url

    try:
        return from_data_url(url).estimated_tokens
    except ValueError:  # invalid Base64, which the server will reject
        return MAX_TOKENS_PER_IMAGE


def prompt_token_bounds(request: Request) -> tuple[int, int]:
    """Return estimates of the minimum and maximum number of tokens in the messages of a request.

    Reservations are based on the maximum.
    """
    content = split_content(request.messages)
    minimum = byte_count = 0
    for text in content.texts:
        minimum += math.ceil(len(text) / MAX_CHARS_PER_TOKEN)
        byte_count += len(text.encode(errors="replace"))
    maximum = (
        math.ceil(byte_count / MIN_BYTES_PER_TOKEN)
        + MAX_TOKENS_PER_MESSAGE * (len(request.messages) + 1)
        + max(_template_text_tokens(request.model))
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
