"""Test the cells above a question as parts of its prompt."""

from collections.abc import Callable

import pytest

from cfai_magics.errors import InvalidOptionError
from cfai_magics.pricing.tokens import estimate_tokens
from cfai_magics.prompt.builder import Part
from cfai_magics.prompt.cell_context import (
    ERROR_CHARS,
    INTRODUCTION,
    OUTPUT_CHARS,
    CellAbove,
    CellContext,
    ContextLimits,
    build_context,
    format_cell,
    to_plain_text,
)
from cfai_magics.redaction import redact_secrets
from tests.canaries import admin_key, class_key, older_token, token
from tests.standin import media

PNG = media.png(56, 28, 0)  # two tokens
NO_WINDOW = float("inf")


def build(
    *cells: CellAbove,
    tokens: int = 1_000,
    window: float = NO_WINDOW,
    sends_images: bool = True,
) -> CellContext:
    return build_context(cells, ContextLimits(tokens, window, sends_images), redact_secrets)


def text_of(context: CellContext) -> str:
    return "".join(part.text for part in context.parts)


def test_a_cell_is_sent_with_its_outputs_and_without_its_number() -> None:
    cell = CellAbove(7, "x = 6\nx * 7\n", ("printed\n", "42"))
    text = (
        "<cell>\nx = 6\nx * 7\n<output>\nprinted\n</output>\n<output>\n42\n</output>\n</cell>\n\n"
    )
    assert build(cell).parts == (Part("context", INTRODUCTION), Part("context", text, "In[7]"))


def test_cells_without_output_have_no_output_element() -> None:
    assert format_cell(CellAbove(1, "x = 1", ("", "\n")), str) == "<cell>\nx = 1\n</cell>\n\n"


@pytest.mark.parametrize(
    ("shown", "sent"),
    [
        ("10 %\r50 %\r100 %\nready", "100 %\nready"),
        ("one\r\ntwo\r\n", "one\ntwo"),
        ("\x1b[31mred\x1b[39m \x1b[1;4mbold\x1b[0m", "red bold"),
        ("\x1b]0;title\x07text", "]0;titletext"),
        ("[<Line2D at 0x7fa3c8e55910>]", "[<Line2D at 0x…>]"),
        ("<function f at 0x000001F2A4B0>", "<function f at 0x…>"),
        ("0x7fa3c8e55910", "0x7fa3c8e55910"),
    ],
)
def test_outputs_are_sent_as_the_user_sees_them(shown: str, sent: str) -> None:
    assert to_plain_text(shown) == sent


def test_long_outputs_are_sent_without_their_middle() -> None:
    shown = "a" * OUTPUT_CHARS + "b" * 1_234 + "c" * OUTPUT_CHARS
    middle = f"{'a' * OUTPUT_CHARS}\n[1,234 characters left out]\n{'c' * OUTPUT_CHARS}"
    text = f"<cell>\nf()\n<output>\n{middle}\n</output>\n</cell>\n\n"
    assert format_cell(CellAbove(1, "f()", (shown,)), str) == text


@pytest.mark.parametrize("make_token", [token, older_token, class_key, admin_key])
def test_no_part_of_a_secret_is_left_where_an_output_is_shortened(
    make_token: Callable[[], str],
) -> None:
    secret = make_token()
    shown = f"{'a ' * (OUTPUT_CHARS // 2 - 5)}{secret} {'b ' * OUTPUT_CHARS}"
    text = text_of(build(CellAbove(1, "f()", (shown,)), tokens=10_000))
    assert secret[:10] not in text
    assert "characters left out]" in text


def test_the_end_of_a_long_traceback_is_sent() -> None:
    traceback = f"Traceback\n{'frame ' * 1_000}\nValueError: too long"
    text = format_cell(CellAbove(1, "f()", traceback=traceback), str)
    assert text.endswith("ValueError: too long\n</output>\n</cell>\n\n")
    assert f"[{len(traceback) - ERROR_CHARS:,} characters left out]" in text


def test_the_newest_cells_are_sent_in_the_order_of_the_notebook() -> None:
    cells = [CellAbove(number, f"cell_{number}") for number in range(1, 6)]
    size = estimate_tokens(format_cell(cells[0], str))
    context = build(*cells, tokens=estimate_tokens(INTRODUCTION) + 2 * size)
    assert [part.name for part in context.parts] == ["", "In[4]", "In[5]"]
    (note,) = context.notes
    assert note.startswith("The oldest 3 cells above were not sent: the limit is ")


def test_the_tokens_of_all_parts_are_within_the_limit() -> None:
    cells = [CellAbove(number, "x" * number) for number in range(1, 200)]
    for limit in (100, 200, 500, 4_000):
        parts = build(*cells, tokens=limit).parts
        assert 0 < sum(estimate_tokens(part.text) for part in parts) <= limit


@pytest.mark.parametrize(
    ("tokens", "window", "message"),
    [
        (
            20,
            NO_WINDOW,
            "In[3] has about 271 tokens, and the limit is 20.\nUse --context above:271",
        ),
        (1_000, 50, "In[3] does not fit in the model's context window"),
        (1_000, -50, "In[3] does not fit in the model's context window"),
    ],
)
def test_a_newest_cell_that_does_not_fit_is_an_error(
    tokens: int, window: float, message: str
) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        build(CellAbove(2, "y"), CellAbove(3, "x" * 1_000), tokens=tokens, window=window)
    assert message in str(caught.value)


def test_the_suggested_limit_is_enough() -> None:
    cell = CellAbove(3, "x" * 1_000)
    assert [part.name for part in build(cell, tokens=271).parts] == ["", "In[3]"]


def test_without_cells_an_error_has_the_next_step() -> None:
    with pytest.raises(InvalidOptionError, match="no cell above has run"):
        build()


def test_images_follow_their_cell() -> None:
    _introduction, text, image, other = build(
        CellAbove(1, "plot()", images=(PNG,)), CellAbove(2, "x")
    ).parts
    assert text.name == image.name == "In[1]"
    assert image.image is not None
    assert image.image.data == PNG
    assert other.name == "In[2]"


@pytest.mark.parametrize(
    ("images", "sends_images", "note"),
    [
        ((PNG,), False, "An image in the cells above was not sent: the model can't see images."),
        ((PNG, PNG), False, "2 images in the cells above were not sent: the model can't see"),
        ((b"no image",), True, "An image in the cells above was not sent: it can't be read or"),
        ((media.png(980, 980, 0),), True, "An image in the cells above was not sent: it can't"),
    ],
)
def test_images_that_are_not_sent_are_reported(
    images: tuple[bytes, ...], sends_images: bool, note: str
) -> None:
    context = build(CellAbove(1, "plot()", images=images), sends_images=sends_images)
    assert not any(part.image for part in context.parts)
    assert [note in each for each in context.notes] == [True]


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("key = '{}'", "key = '[secret]'"),
        ("print('{}')", "print('[secret]')"),
        ('client = Client(api_key="{}")', 'client = Client(api_key="[secret]")'),
    ],
)
@pytest.mark.parametrize("make_token", [token, older_token, class_key, admin_key])
def test_tokens_are_replaced_in_sources_and_outputs(
    cell: str, kept: str, make_token: Callable[[], str]
) -> None:
    secret = make_token()
    context = build(CellAbove(1, cell.format(secret), (f"Bearer {secret}",), traceback=secret))
    assert secret not in text_of(context)
    assert kept in text_of(context)
    assert context.notes == ("Secrets in the cells above were replaced before sending.",)
