"""Token estimates of texts and messages."""

import struct

import pytest

from cfai_magics.media.images import Image
from cfai_magics.pricing.tokens import (
    chars_to_tokens,
    estimate_prompt_tokens,
    estimate_template_tokens,
    estimate_tokens,
    prompt_token_bounds,
    weighted_length,
)
from cfai_magics.types.messages import Message, Request

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 280, 56)  # only its size is estimated

TEXTS = [
    pytest.param("Why is the sky blue? Please answer in three short points.", 13, id="English"),
    pytest.param("为什么天空是蓝色的。请用三点简短回答。", 13, id="Chinese"),
    pytest.param("لماذا السماء زرقاء؟ أجب في ثلاث نقاط قصيرة.", 14, id="Arabic"),
]


@pytest.mark.parametrize(("text", "tokens"), TEXTS)
def test_an_estimate_is_within_30_percent(text: str, tokens: int) -> None:
    assert 0.7 < estimate_tokens(text) / tokens < 1.3


def test_the_weighted_length_is_the_sum_of_the_parts() -> None:
    text = "Blue 蓝色, 青い, 파란, bleu."
    assert sum(map(weighted_length, text)) == weighted_length(text)
    assert chars_to_tokens(weighted_length(text)) == estimate_tokens(text)


@pytest.mark.parametrize(("text", "tokens"), TEXTS)
def test_the_bounds_of_a_prompt_include_its_tokens(text: str, tokens: int) -> None:
    messages: tuple[Message, ...] = ({"role": "user", "content": text},)
    minimum, maximum = prompt_token_bounds(Request("m", messages))
    assert minimum <= tokens <= maximum


def test_image_data_is_not_counted_as_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_000}}
    content = [{"type": "text", "text": "What is this?"}, image]
    messages: tuple[Message, ...] = ({"role": "user", "content": content},)
    assert 1_000 < prompt_token_bounds(Request("m", messages))[1] < 2_000


def content_tokens(content: object) -> int:
    """Return the estimated number of tokens of a message without its chat template."""
    request = Request("m", ({"role": "user", "content": content},))
    return estimate_prompt_tokens(request) - estimate_template_tokens(request)


@pytest.mark.parametrize(
    ("url", "tokens"),
    [
        (Image("it", PNG, "png", 280, 56).data_url, 10 * 2),
        ("https://example.com/a.png", 37 * 37),  # the maximum size that is sent
        ("data:image/png;base64,A", 1_500),
    ],
    ids=["known size", "unknown size", "invalid base64"],
)
def test_image_tokens_are_estimated_from_the_size(url: str, tokens: int) -> None:
    image = {"type": "image_url", "image_url": {"url": url}}
    assert content_tokens([{"type": "text", "text": "What is this?"}, image]) == 4 + tokens
    assert content_tokens("What is this?") == estimate_tokens("What is this?") == 4


USER = ({"role": "user", "content": "hello"},)
BOTH = ({"role": "system", "content": "You are concise."}, *USER)


# The reported prompt tokens without the text; sources are next to TEMPLATE_TEXT_TOKENS.
@pytest.mark.parametrize(
    ("model", "messages", "tokens"),
    [
        pytest.param("SmolLM2-135M-Instruct", USER, 40 - 10, id="SmolLM2"),
        pytest.param("@cf/meta/llama-3.3-70b-instruct-fp8-fast", BOTH, 45 - 10, id="llama"),
        pytest.param("@cf/openai/gpt-oss-20b", USER, 72 - 1, id="gpt-oss"),
        pytest.param("@cf/qwen/qwen2.5-coder-32b-instruct", USER, 36 - 7, id="qwen"),
        pytest.param("@cf/google/gemma-4-26b-a4b-it", USER, 9, id="no text in the template"),
        pytest.param("SmolLM2-135M-Instruct", BOTH, 14, id="a system message"),
    ],
)
def test_the_chat_template_is_estimated_and_within_the_maximum(
    model: str, messages: tuple[Message, ...], tokens: int
) -> None:
    request = Request(model, messages)
    text_tokens = sum(estimate_tokens(str(message["content"])) for message in messages)
    assert estimate_template_tokens(request) == tokens
    assert estimate_prompt_tokens(request) == text_tokens + tokens
    assert prompt_token_bounds(request)[1] >= text_tokens + tokens
