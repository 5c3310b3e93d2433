"""Owns an image or a sound that a model made: its bytes, what it is in words, how it is shown."""

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..errors import BadOption
from ..escaping import html_text
from ..paths import user_path
from ..terminal import safe_line
from .images import picture_size
from .sounds import sound_kind, sound_seconds

MOST_SHOWN = 5_000_000  # bytes: what is shown is saved in the notebook, a third bigger
SHOWN_AS_THEY_ARE = {"image/png", "image/jpeg"}  # the kinds that every front end knows
ENDINGS = {"jpeg": "jpg", "mpeg": "mp3", "mp4": "m4a"}


@dataclass(frozen=True, slots=True, repr=False)
class Media:
    """An image or a sound: `data` in the MIME type `kind`, made for a `prompt`.

    A notebook shows it, `save` writes it into a file.
    """

    data: bytes
    kind: str
    prompt: str = ""

    @property
    def ending(self) -> str:
        """What the name of its file ends with."""
        name = self.kind.partition("/")[2]
        return ENDINGS.get(name, name)

    @property
    def size(self) -> str:
        """How big it is, in its own unit; "" where its bytes don't tell."""
        return ""

    def save(self, path: str | Path) -> Path:
        """Write it into a file and return where that is."""
        return save(self.data, path)

    def __str__(self) -> str:
        parts = (self.kind, self.size, f"{len(self.data):,} bytes")
        return safe_line(f"[{', '.join(part for part in parts if part)}]")

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Return what a notebook shows and saves; only words where it is too big for that."""
        if len(self.data) <= MOST_SHOWN:
            return {**self._shown(base64.b64encode(self.data).decode()), "text/plain": str(self)}
        told = (
            f"{self} is not shown: with more than {MOST_SHOWN / 1e6:.0f} MB it would make the "
            "notebook too big. .save(path) writes it into a file."
        )
        return {"text/html": f"<div>{html_text(told)}</div>", "text/plain": told}

    def _shown(self, encoded: str) -> dict[str, str]:
        return {self.kind: encoded}

    def _address(self, encoded: str) -> str:
        return f"data:{escape(self.kind)};base64,{encoded}"


class Picture(Media):
    """An image that a model made."""

    __slots__ = ()

    @property
    def size(self) -> str:
        """Its size in pixels."""
        known = picture_size(self.data)
        return f"{known[0]:,}×{known[1]:,} pixels" if known else ""

    def _shown(self, encoded: str) -> dict[str, str]:
        if self.kind in SHOWN_AS_THEY_ARE:
            return {self.kind: encoded}
        address = self._address(encoded)
        return {"text/html": f'<img alt="{escape(self.prompt)}" src="{address}">'}


class Sound(Media):
    """A sound that a model made."""

    __slots__ = ()

    @property
    def size(self) -> str:
        """Its length in seconds."""
        length = sound_seconds(self.data)
        return "" if length is None else f"{length:,.1f} s"

    def _shown(self, encoded: str) -> dict[str, str]:
        title, address = escape(self.prompt), self._address(encoded)
        return {"text/html": f'<audio controls title="{title}" src="{address}"></audio>'}


def media(data: bytes, kind: str, prompt: str = "") -> Media | None:
    """Return the image or sound that bytes are, by what they begin with; None for others."""
    if picture_size(data):
        return Picture(data, "image/png" if data.startswith(b"\x89PNG") else "image/jpeg", prompt)
    if kind.startswith("image/"):
        return Picture(data, kind, prompt)
    heard = sound_kind(data) or (kind if kind.startswith("audio/") else "")
    return Sound(data, heard, prompt) if heard else None


def save(content: bytes, path: str | Path) -> Path:
    """Write bytes into a file and return where that is; BadOption where it can't be."""
    target = user_path(path)
    try:
        target.write_bytes(content)
    except OSError as error:
        raise BadOption(f"{target} can't be written: {error.strerror}", "Name another.") from None
    return target
