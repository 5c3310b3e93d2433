"""Select the cells above a question, and write them as parts of its prompt."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import InvalidOptionError
from ..i18n import _, ngettext
from ..pricing.tokens import chars_to_tokens, estimate_tokens
from ..terminal import sanitize_text
from .builder import Part

if TYPE_CHECKING:
    from ..media.images import Image

INTRODUCTION = "These are the cells above in the notebook, with their outputs:\n\n"
OUTPUT_CHARS = 2_000  # of a long output, this many are sent from its start and from its end
ERROR_CHARS = 1_500  # of a long traceback, this many are sent from its end, which has the error
MAX_PLACEHOLDER_TOKENS = 1_000_000  # about the largest context window
# Memory addresses, as in <Line2D at 0x7f…>, change with each run, so no recording would be found.
ADDRESS = re.compile(r"(?<= at 0x)[0-9a-fA-F]{6,16}\b")
ANSI_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class CellAbove(NamedTuple):
    """A cell that has run.

    Attributes:
        number: The number in In[…].
        source: The source as typed.
        texts: The texts that it showed, in order.
        images: The PNG and JPEG images that it showed.
        traceback: The traceback if it failed, or "".
    """

    number: int
    source: str
    texts: tuple[str, ...] = ()
    images: tuple[bytes, ...] = ()
    traceback: str = ""

    @property
    def name(self) -> str:
        """The name of the cell for the user. It is not sent, because it changes with each run."""
        return f"In[{self.number}]"


class ContextLimits(NamedTuple):
    """The limits for the cells above.

    Attributes:
        tokens: The maximum number of estimated tokens.
        window_tokens: The rest of the context window, in which Cloudflare counts the base64 data
            of images as text.
        sends_images: Whether all models of the question can see images.
    """

    tokens: int
    window_tokens: float
    sends_images: bool


class CellContext(NamedTuple):
    """The parts of a prompt that contain the cells above, with notes for the user."""

    parts: tuple[Part, ...]
    notes: tuple[str, ...]


def build_context(
    cells: Sequence[CellAbove], limits: ContextLimits, redact: Callable[[str], str]
) -> CellContext:
    """Return the newest cells that fit in the limits, oldest first.

    Args:
        cells: The cells above, oldest first.
        limits: The limits for tokens and images.
        redact: Function that replaces secrets in a text.

    Raises:
        InvalidOptionError: There are no cells, or the newest one does not fit.
    """
    if not cells:
        raise InvalidOptionError(
            _("--context: no cell above has run in this kernel"),
            _("Run the cells above first, or remove --context."),
        )
    tokens = limits.tokens - estimate_tokens(INTRODUCTION)
    window_tokens = limits.window_tokens - chars_to_tokens(len(INTRODUCTION))
    groups: list[list[Part]] = []
    unsent_images, has_secrets = 0, False
    for cell in reversed(cells):
        text = format_cell(cell, redact)
        tokens -= estimate_tokens(text)
        window_tokens -= chars_to_tokens(len(text))
        if tokens < 0 or window_tokens < 0:
            break
        group = [Part("context", text, cell.name)]
        for image in _prepare_images(cell) if limits.sends_images else ():
            image_tokens = image.estimated_tokens
            image_window_tokens = chars_to_tokens(len(image.data_url))
            if image_tokens <= tokens and image_window_tokens <= window_tokens:
                tokens -= image_tokens
                window_tokens -= image_window_tokens
                group.append(Part("context", name=cell.name, image=image))
        unsent_images += len(cell.images) - len(group) + 1
        has_secrets = has_secrets or text != format_cell(cell, str)
        groups.insert(0, group)
    if not groups:
        raise _too_small_error(cells[-1], limits, redact)
    parts = (Part("context", INTRODUCTION), *(part for group in groups for part in group))
    notes = (
        *_left_out_notes(len(cells) - len(groups), limits.tokens),
        *_image_notes(unsent_images, limits),
        *([_("Secrets in the cells above were replaced before sending.")] if has_secrets else []),
    )
    return CellContext(parts, notes)


def placeholder_context(max_tokens: int) -> Part:
    """Return a part with about `max_tokens` tokens, for estimates without the cells."""
    return Part("context", "word" * min(max_tokens, MAX_PLACEHOLDER_TOKENS))


def format_cell(cell: CellAbove, redact: Callable[[str], str]) -> str:
    """Return the source of a cell with the texts that it showed, for a model.

    Secrets are replaced before texts are shortened, so that no part of a secret is left.
    """
    texts = [
        shorten_output(redact(to_plain_text(text)), OUTPUT_CHARS, OUTPUT_CHARS)
        for text in cell.texts
    ]
    if cell.traceback:
        texts.append(shorten_output(redact(to_plain_text(cell.traceback)), 0, ERROR_CHARS))
    outputs = "".join(f"\n<output>\n{text}\n</output>" for text in texts if text)
    return f"<cell>\n{redact(sanitize_text(cell.source)).strip()}{outputs}\n</cell>\n\n"


def to_plain_text(text: str) -> str:
    """Return a text as a terminal shows it: without colors and overwritten parts of lines.

    Memory addresses are removed too.
    """
    text = ADDRESS.sub("…", text)
    lines = ANSI_SEQUENCE.sub("", text).replace("\r\n", "\n").split("\n")
    visible_lines = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    return sanitize_text("\n".join(visible_lines)).strip("\n")


def shorten_output(text: str, start_chars: int, end_chars: int) -> str:
    """Return the start and the end of a long text, with the length of the part between them."""
    left_out = len(text) - start_chars - end_chars
    if left_out <= 0:
        return text
    start = f"{text[:start_chars]}\n" if start_chars else ""
    return f"{start}[{left_out:,} characters left out]\n{text[-end_chars:]}"


def _prepare_images(cell: CellAbove) -> "Iterable[Image]":
    """Yield the images of a cell that can be read and scaled down."""
    from ..media.images import prepare_image

    for data in cell.images:
        try:
            yield prepare_image(cell.name, data)
        except InvalidOptionError:  # a note has the number of images that are not sent
            continue


def _too_small_error(
    cell: CellAbove, limits: ContextLimits, redact: Callable[[str], str]
) -> InvalidOptionError:
    if limits.tokens > limits.window_tokens:
        return InvalidOptionError(
            _("--context: {cell} does not fit in the model's context window").format(
                cell=cell.name
            ),
            _("Use a model with a larger context window, or a lower --max-tokens."),
        )
    text = format_cell(cell, redact)
    needed_tokens = estimate_tokens(INTRODUCTION) + estimate_tokens(text)
    return InvalidOptionError(
        _("--context: {cell} has about {tokens:,} tokens, and the limit is {limit:,}").format(
            cell=cell.name, tokens=needed_tokens, limit=limits.tokens
        ),
        _("Use {option} or more.").format(option=f"--context above:{needed_tokens}"),
    )


def _left_out_notes(count: int, max_tokens: int) -> list[str]:
    if not count:
        return []
    return [
        ngettext(
            "The oldest cell above was not sent: the limit is {tokens:,} tokens "
            "(--context above:N).",
            "The oldest {count} cells above were not sent: the limit is {tokens:,} tokens "
            "(--context above:N).",
            count,
        ).format(count=count, tokens=max_tokens)
    ]


def _image_notes(count: int, limits: ContextLimits) -> list[str]:
    if not count:
        return []
    if not limits.sends_images:
        message = ngettext(
            "An image in the cells above was not sent: the model can't see images.",
            "{count} images in the cells above were not sent: the model can't see images.",
            count,
        )
    else:
        message = ngettext(
            "An image in the cells above was not sent: it can't be read or exceeds the limit.",
            "{count} images in the cells above were not sent: they can't be read or exceed the "
            "limit.",
            count,
        )
    return [message.format(count=count)]
