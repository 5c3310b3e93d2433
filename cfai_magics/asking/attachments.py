"""Owns where an image, a sound or a document comes from: file, address, variable, last shown."""

import base64
import binascii
import re
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import BadOption, ReplyTooLarge, WorkersAIError
from ..media.images import Image, image, picture_of
from ..paths import user_path
from .door import Workspace

ADDRESS = re.compile(r"https?://", re.IGNORECASE)
DATA = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)
MOST_FETCHED = 20_000_000  # bytes
TIMEOUT = 30.0  # s
LAST = "last"


class Wanted(NamedTuple):
    """What a word is to name: how errors call it, and what else may be named."""

    title: str
    hint: str


IMAGE = Wanted("--image", "Name a file, an address, a variable with a figure or image, or last.")


def attached(word: str, workspace: Workspace | None) -> Image:
    """Return the image that a word of the line means; BadOption where it means none."""
    if word == LAST:
        return _last(workspace)
    if DATA.match(word):
        return image("the image on the line", _decoded(word))
    found = None if ADDRESS.match(word) else _named(word, workspace)
    if found is not None:
        return _of_value(word, found)
    return image(*_elsewhere(word, IMAGE))


def enclosed(word: str, workspace: Workspace | None, wanted: Wanted) -> tuple[str, bytes]:
    """Return the name and the bytes of the file, address or variable that a word means."""
    found = None if ADDRESS.match(word) else _named(word, workspace)
    return _elsewhere(word, wanted) if found is None else held(word, found, wanted)


def held(name: str, value: Any, wanted: Wanted) -> tuple[str, bytes]:
    """Return the bytes that a value holds, or the file or address it names; with their name."""
    if isinstance(value, (str, Path)):
        return _elsewhere(str(value), wanted)
    value = getattr(value, "parsed", None) or value  # of an Answer
    data = value if isinstance(value, bytes) else getattr(value, "data", None)
    if not isinstance(data, bytes):
        kind = type(value).__name__
        raise BadOption(f"{wanted.title} {name}: a value of type {kind} holds none", wanted.hint)
    return name, data


def _elsewhere(word: str, wanted: Wanted) -> tuple[str, bytes]:
    """Return the name and bytes of what an address or a file's path leads to."""
    if ADDRESS.match(word):
        return word.rpartition("/")[2] or word, _fetched(word, wanted)
    return Path(word).name, _read(user_path(word), wanted)


def _last(workspace: Workspace | None) -> Image:
    data = workspace.last_picture() if workspace else None
    if data is None:
        raise BadOption("--image last: no figure was shown yet", "Run the cell that draws it.")
    return image("the last figure", data)


def _named(word: str, workspace: Workspace | None) -> Any:
    """Return what a name stands for in the notebook; None where it is none."""
    try:
        return workspace.evaluate(word) if workspace else None
    except Exception:  # noqa: BLE001 - plot.png, for one, is no name but a file
        return None


def _of_value(word: str, value: Any) -> Image:
    if isinstance(value, (str, Path)):
        return attached(str(value), None)
    value = getattr(value, "parsed", None) or value  # of an Answer
    data = value if isinstance(value, bytes) else picture_of(value) or _as_png(value)
    if data is None:
        kind = type(value).__name__
        raise BadOption(f"--image {word}: a value of type {kind} is no image", IMAGE.hint)
    return image(word, data)


def _as_png(value: Any) -> bytes | None:
    """Return what an object shows of itself as PNG in a notebook."""
    draw = getattr(value, "_repr_png_", None)
    drawn = draw() if callable(draw) else None
    drawn = drawn[0] if isinstance(drawn, tuple) else drawn
    return base64.b64decode(drawn) if isinstance(drawn, str) else drawn


def _decoded(word: str) -> bytes:
    try:
        return base64.b64decode(word.partition(",")[2], validate=True)
    except binascii.Error as error:
        raise BadOption(
            f"--image: the data on the line is no base64: {error}", IMAGE.hint
        ) from None


def _read(path: Path, wanted: Wanted) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadOption(f"{wanted.title} {path}: {reason}", wanted.hint) from None


def _fetched(address: str, wanted: Wanted) -> bytes:
    """Return what stands at an address; nothing of ours travels there."""
    import httpx

    from ..workers_ai.body import ACCEPT_ENCODING, whole

    headers = {"Accept-Encoding": ACCEPT_ENCODING}
    try:
        with httpx.stream(
            "GET", address, headers=headers, timeout=TIMEOUT, follow_redirects=True
        ) as reply:
            reply.raise_for_status()
            return whole(reply, MOST_FETCHED)
    except ReplyTooLarge:
        told = f"{wanted.title} {address} has more than {MOST_FETCHED:,} bytes"
        raise BadOption(told, wanted.hint) from None
    except WorkersAIError as error:
        cause = f"{wanted.title} {address} can't be fetched: {error.cause}"
        raise BadOption(cause, wanted.hint) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        told = str(error).partition("\n")[0] or type(error).__name__
        cause = f"{wanted.title} {address} can't be fetched: {told}"
        raise BadOption(cause, wanted.hint) from None
