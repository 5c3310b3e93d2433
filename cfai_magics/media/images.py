"""Detect images, read their size and scale them down for models."""

import base64
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from ..errors import InvalidOptionError
from ..i18n import _, mark

MAX_SIDE_PIXELS = 1_024  # models use at most this size, or bill more tiles for larger images
# Cloudflare counts base64 image data as text when checking the context window.
MAX_BYTES = 150_000
JPEG_QUALITIES = (85, 70, 50, 30)
PATCH_PIXELS = 28  # side of the square that one token covers, as documented for some models
SUPPORTED_MODES = {"L", "RGB", "RGBA"}
PASS_THROUGH_FORMATS = {"png", "jpeg", "webp"}
PILLOW_HINT = mark("Run %pip install pillow to read more formats and scale down large images.")
FORMATS_HINT = mark("Use PNG, JPEG, WebP, GIF or another format that pillow reads.")


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is ready to be sent.

    `original_size` is the size before scaling, or "" if the image was not scaled down.
    """

    name: str
    data: bytes
    image_format: str
    width: int
    height: int
    original_size: str = ""

    @property
    def data_url(self) -> str:
        """The image as a data URL."""
        return f"data:image/{self.image_format};base64,{base64.b64encode(self.data).decode()}"

    @property
    def size_text(self) -> str:
        """The size in pixels as text, with the original size if the image was scaled down."""
        current_size = _format_size(self.width, self.height)
        if not self.original_size:
            return current_size
        return _("{size}, scaled down from {original}").format(
            size=current_size, original=self.original_size
        )

    @property
    def estimated_tokens(self) -> int:
        """A rough estimate of the number of tokens. Models differ by a factor of four."""
        return -(-self.width // PATCH_PIXELS) * -(-self.height // PATCH_PIXELS)


def prepare_image(name: str, data: bytes) -> Image:
    """Return image data as an Image, scaled down if necessary.

    Args:
        name: The name of the image, for messages.
        data: The bytes of the image file.

    Raises:
        InvalidOptionError: The data is not an image, or pillow is required but not installed.
    """
    return (
        _prepare_with_pillow(name, data)
        if find_spec("PIL")
        else _prepare_without_pillow(name, data)
    )


def _prepare_with_pillow(name: str, data: bytes) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageOps

    try:
        with Pillow.open(io.BytesIO(data)) as source_image:
            image_format = str(source_image.format).lower()
            width, height = source_image.size
            # EXIF data can reveal a photo's location and camera, so re-encode without it.
            can_pass_through = image_format in PASS_THROUGH_FORMATS and not source_image.getexif()
            if (
                can_pass_through
                and max(source_image.size) <= MAX_SIDE_PIXELS
                and len(data) <= MAX_BYTES
            ):
                return Image(name, data, image_format, width, height)
            upright = ImageOps.exif_transpose(source_image)
            upright = upright if upright.mode in SUPPORTED_MODES else upright.convert("RGBA")
            upright.thumbnail((MAX_SIDE_PIXELS, MAX_SIDE_PIXELS))
            image_format, encoded = _encode(upright)
    except Exception as error:  # noqa: BLE001 - pillow's plug-ins can raise any exception
        raise InvalidOptionError(
            _("{name} can't be read as an image: {error}").format(name=name, error=error),
            _(FORMATS_HINT),
        ) from None
    is_resized = max(upright.size) < max(width, height)
    return Image(
        name,
        encoded,
        image_format,
        *upright.size,
        _format_size(width, height) if is_resized else "",
    )


def _encode(picture: Any) -> tuple[str, bytes]:
    """Return a picture's format and data, encoded as JPEG if a PNG would be too large."""
    supported = picture if picture.mode in SUPPORTED_MODES else picture.convert("RGBA")
    png = _save_to_bytes(supported, "PNG")
    if len(png) <= MAX_BYTES:
        return "png", png
    from PIL import Image as Pillow

    opaque = Pillow.new("RGB", picture.size, "white")
    with_alpha = picture.convert("RGBA")
    opaque.paste(with_alpha, mask=with_alpha)
    for quality in JPEG_QUALITIES:
        jpeg = _save_to_bytes(opaque, "JPEG", quality=quality)
        if len(jpeg) <= MAX_BYTES:
            break
    return "jpeg", jpeg


def _save_to_bytes(picture: Any, image_format: str, **save_kwargs: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, image_format, **save_kwargs)
    return file.getvalue()


def _prepare_without_pillow(name: str, data: bytes) -> Image:
    header = _read_header(data)
    if header is None:
        raise InvalidOptionError(
            _("{name} is not a PNG or JPEG image").format(name=name), _(PILLOW_HINT)
        )
    image_format, width, height = header
    if max(width, height) > MAX_SIDE_PIXELS or len(data) > MAX_BYTES:
        raise InvalidOptionError(
            _("{name} is too large: {size} pixels, {count:,} bytes").format(
                name=name, size=_format_size(width, height), count=len(data)
            ),
            _(PILLOW_HINT),
        )
    return Image(name, data, image_format, width, height)


def _format_size(width: int, height: int) -> str:
    return f"{width:,}×{height:,}"


def _read_header(data: bytes) -> tuple[str, int, int] | None:
    """Return the format, width and height from a PNG or JPEG header, or None for other data."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:  # noqa: PLR2004 - up to the size
        return ("png", *struct.unpack(">II", data[16:24]))
    if not data.startswith(b"\xff\xd8"):
        return None
    offset = 2
    while offset + 9 <= len(data) and data[offset] == 0xFF:  # noqa: PLR2004 - a marker
        marker, length = data[offset + 1], int.from_bytes(data[offset + 2 : offset + 4])
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # noqa: PLR2004 - a frame
            height, width = struct.unpack(">HH", data[offset + 5 : offset + 9])
            return "jpeg", width, height
        offset += 2 + length
    return None


def decode_base64(text: str) -> bytes:
    """Return the bytes encoded in a base64 string."""
    return base64.b64decode(text)


def read_image_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height of a PNG or JPEG image, or None for other data."""
    header = _read_header(data)
    return header and header[1:]


def from_data_url(url: str) -> Image:
    """Return the image in a data URL, unchanged."""
    data = decode_base64(url.partition(",")[2])
    image_format, width, height = _read_header(data) or ("webp", MAX_SIDE_PIXELS, MAX_SIDE_PIXELS)
    return Image("", data, image_format, width, height)


def is_figure(value: Any) -> bool:
    """Return whether a value is a matplotlib figure, PIL or IPython image, or GeneratedImage."""
    return _find_encoder(value) is not None


def figure_bytes(value: Any) -> bytes | None:
    """Return the image data of a figure or image object, or None for other values.

    See `is_figure` for the supported types. Types are recognized by name, without imports.
    """
    encoder = _find_encoder(value)
    return encoder(value) if encoder else None


def _find_encoder(value: Any) -> Callable[[Any], bytes | None] | None:
    for value_type in type(value).__mro__:
        encoder = FIGURE_ENCODERS.get(
            (value_type.__module__.partition(".")[0], value_type.__name__)
        )
        if encoder:
            return encoder
    return None


def _encode_figure(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


def _ipython_image_bytes(value: Any) -> bytes | None:
    """Return the data of an IPython Image, or None if the image has only a URL."""
    return value.data if isinstance(value.data, bytes) else None


FIGURE_ENCODERS: dict[tuple[str, str], Callable[[Any], bytes | None]] = {
    ("matplotlib", "Figure"): _encode_figure,
    ("matplotlib", "Axes"): lambda axes: _encode_figure(axes.get_figure()),
    ("PIL", "Image"): lambda picture: _encode(picture)[1],
    ("IPython", "Image"): _ipython_image_bytes,
    ("cfai_magics", "GeneratedImage"): lambda picture: picture.data,
}
