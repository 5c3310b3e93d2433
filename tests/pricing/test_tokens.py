"""Token estimates of texts and messages."""

import struct

import pytest

from cfai_magics.media.images import Image
from cfai_magics.pricing.tokens import (
    chars_to_tokens,
    estimate_image_tokens,
    estimate_prompt_tokens,
    estimate_tokens,
    prompt_token_bounds,
    weighted_length,
)
from cfai_magics.types.messages import Message

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
    messages: list[Message] = [{"role": "user", "content": text}]
    minimum, maximum = prompt_token_bounds(messages)
    assert minimum <= tokens <= maximum


def test_image_data_is_not_counted_as_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_000}}
    content = [{"type": "text", "text": "What is this?"}, image]
    messages: list[Message] = [{"role": "user", "content": content}]
    assert estimate_prompt_tokens(messages) == estimate_tokens("What is this?") == 4
    assert 1_000 < prompt_token_bounds(messages)[1] < 2_000


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
    content = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    assert estimate_image_tokens([{"role": "user", "content": content}]) == tokens
