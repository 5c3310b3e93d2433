"""Owns an image on its way to a model: what is one, its size, and sized down what is too big."""

import base64
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from ..errors import BadOption

LONGEST_SIDE = 1_024  # pixels: models look at no more, or at as many tiles as they are billed
# Cloudflare counts an image's base64 as text when it looks whether a request fits the window.
MOST_BYTES = 150_000
QUALITIES = (85, 70, 50, 30)
PATCH = 28  # pixels a side: a token of the models that say how they count
PLAIN_MODES = {"L", "RGB", "RGBA"}
SENT_AS_THEY_ARE = {"png", "jpeg", "webp"}


@dataclass(frozen=True, slots=True)
class Image:
    """One image as it is sent; `original` is its size where it was a bigger one."""

    name: str
    data: bytes
    kind: str
    width: int
    height: int
    original: str = ""

    @property
    def url(self) -> str:
        """The image as an address that holds it whole."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"

    @property
    def size(self) -> str:
        """Its size in pixels, and that of its original."""
        size = _size(self.width, self.height)
        return f"{size}, sized down from {self.original}" if self.original else size

    @property
    def tokens(self) -> int:
        """About how many tokens it has, where no bill says: models differ by a factor of four."""
        return -(-self.width // PATCH) * -(-self.height // PATCH)


def image(name: str, data: bytes) -> Image:
    """Return the image that these bytes are, sized down where it is too big.

    Raises BadOption where they are none, or where only pillow could read or size them.
    """
    return _with_pillow(name, data) if find_spec("PIL") else _without_pillow(name, data)


def _with_pillow(name: str, data: bytes) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageOps

    try:
        with Pillow.open(io.BytesIO(data)) as opened:
            kind = str(opened.format).lower()
            width, height = opened.size
            # What a photo tells of its place and camera is nobody's business.
            bare = kind in SENT_AS_THEY_ARE and not opened.getexif()
            if bare and max(opened.size) <= LONGEST_SIDE and len(data) <= MOST_BYTES:
                return Image(name, data, kind, width, height)
            turned = ImageOps.exif_transpose(opened)
            turned = turned if turned.mode in PLAIN_MODES else turned.convert("RGBA")
            turned.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            kind, sized = _encoded(turned)
    except Exception as error:  # noqa: BLE001 - pillow's plug-ins raise what they like
        raise BadOption(f"{name} is no image that can be read: {error}", KINDS) from None
    smaller = max(turned.size) < max(width, height)
    return Image(name, sized, kind, *turned.size, _size(width, height) if smaller else "")


def _encoded(picture: Any) -> tuple[str, bytes]:
    """Return the picture as PNG, or as JPEG where that is too big."""
    plain = picture if picture.mode in PLAIN_MODES else picture.convert("RGBA")
    png = _saved(plain, "PNG")
    if len(png) <= MOST_BYTES:
        return "png", png
    from PIL import Image as Pillow

    opaque = Pillow.new("RGB", picture.size, "white")
    with_alpha = picture.convert("RGBA")
    opaque.paste(with_alpha, mask=with_alpha)
    for quality in QUALITIES:
        jpeg = _saved(opaque, "JPEG", quality=quality)
        if len(jpeg) <= MOST_BYTES:
            break
    return "jpeg", jpeg


def _saved(picture: Any, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return file.getvalue()


def _without_pillow(name: str, data: bytes) -> Image:
    known = _read(data)
    if known is None:
        raise BadOption(f"{name} is no PNG or JPEG image", PILLOW)
    kind, width, height = known
    if max(width, height) > LONGEST_SIDE or len(data) > MOST_BYTES:
        raise BadOption(f"{name} is too big: {_size(width, height)}, {len(data):,} bytes", PILLOW)
    return Image(name, data, kind, width, height)


PILLOW = "pillow reads more and sizes images down: %pip install pillow."
KINDS = "PNG, JPEG, WebP, GIF and what else pillow reads can be sent."


def _size(width: int, height: int) -> str:
    return f"{width:,}×{height:,}"


def _read(data: bytes) -> tuple[str, int, int] | None:
    """Return the kind and size that a PNG's or JPEG's head tells."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:  # noqa: PLR2004 - up to the size
        return ("png", *struct.unpack(">II", data[16:24]))
    if not data.startswith(b"\xff\xd8"):
        return None
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:  # noqa: PLR2004 - a marker
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # noqa: PLR2004 - a frame
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return "jpeg", width, height
        place += 2 + length
    return None


def decoded(text: str) -> bytes:
    """Return the bytes that base64 holds."""
    return base64.b64decode(text)


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height of a PNG or JPEG; None for anything else."""
    known = _read(data)
    return known and known[1:]


def image_at(url: str) -> Image:
    """Return the image that a data address holds, as it is."""
    data = decoded(url.partition(",")[2])
    kind, width, height = _read(data) or ("webp", LONGEST_SIDE, LONGEST_SIDE)
    return Image("", data, kind, width, height)


def is_picture(value: Any) -> bool:
    """Whether a value is a figure or an image object."""
    return _draw(value) is not None


def picture_of(value: Any) -> bytes | None:
    """Return the bytes of a figure or image object; None for anything else.

    These are matplotlib's figures and axes, PIL's images and IPython's; none is imported for it.
    """
    draw = _draw(value)
    return draw(value) if draw else None


def _draw(value: Any) -> Callable[[Any], bytes | None] | None:
    for kind in type(value).__mro__:
        draw = PICTURES.get((kind.__module__.partition(".")[0], kind.__name__))
        if draw:
            return draw
    return None


def _figure(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


def _shown(value: Any) -> bytes | None:
    """Return the data of IPython's Image, which may hold only an address."""
    return value.data if isinstance(value.data, bytes) else None


PICTURES: dict[tuple[str, str], Callable[[Any], bytes | None]] = {
    ("matplotlib", "Figure"): _figure,
    ("matplotlib", "Axes"): lambda axes: _figure(axes.get_figure()),
    ("PIL", "Image"): lambda picture: _encoded(picture)[1],
    ("IPython", "Image"): _shown,
    ("cfai_magics", "Picture"): lambda picture: picture.data,
}
