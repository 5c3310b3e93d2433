"""Load the images, sounds and documents that a cell names: file, URL, variable, last figure."""

import base64
import binascii
import re
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InvalidOptionError, ResponseTooLargeError, WorkersAIError
from ..media.images import Image, figure_bytes, prepare_image
from ..paths import parse_user_path
from .frontend import NotebookState

URL_PREFIX = re.compile(r"https?://", re.IGNORECASE)
DATA_URL_PREFIX = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)
MAX_DOWNLOAD_BYTES = 20_000_000  # bytes
DOWNLOAD_TIMEOUT = 30.0  # s
LAST_FIGURE = "last"


class AttachmentKind(NamedTuple):
    """One kind of attachment: its option in error messages, and the hint of those messages."""

    option_label: str
    hint: str


IMAGE_ATTACHMENT = AttachmentKind(
    "--image", "Name a file, an address, a variable with a figure or image, or last."
)


def load_image(source: str, notebook_state: NotebookState | None) -> Image:
    """Return the image that a file path, URL, data URL or expression names, or the last figure.

    Raises InvalidOptionError if `source` names no readable image.
    """
    if source == LAST_FIGURE:
        return _load_last_figure(notebook_state)
    if DATA_URL_PREFIX.match(source):
        return prepare_image("the image on the line", _decode_data_url(source))
    value = None if URL_PREFIX.match(source) else _lookup(source, notebook_state)
    if value is not None:
        return _load_image_value(source, value)
    return prepare_image(*_load_path_or_url(source, IMAGE_ATTACHMENT))


def load_file(
    source: str, notebook_state: NotebookState | None, attachment_kind: AttachmentKind
) -> tuple[str, bytes]:
    """Return the name and the bytes of the file, URL or notebook variable that `source` names.

    Raises InvalidOptionError if it can't be read.
    """
    value = None if URL_PREFIX.match(source) else _lookup(source, notebook_state)
    return (
        _load_path_or_url(source, attachment_kind)
        if value is None
        else load_value(source, value, attachment_kind)
    )


def load_value(name: str, value: Any, attachment_kind: AttachmentKind) -> tuple[str, bytes]:
    """Return a name and the bytes of a Python value: bytes, an object with `data`, a path or URL.

    Raises InvalidOptionError for any other value.
    """
    if isinstance(value, (str, Path)):
        return _load_path_or_url(str(value), attachment_kind)
    value = getattr(value, "parsed", None) or value  # if it is an Answer
    data = value if isinstance(value, bytes) else getattr(value, "data", None)
    if not isinstance(data, bytes):
        type_name = type(value).__name__
        raise InvalidOptionError(
            f"{attachment_kind.option_label} {name}: a value of type {type_name} holds none",
            attachment_kind.hint,
        )
    return name, data


def _load_path_or_url(path_or_url: str, attachment_kind: AttachmentKind) -> tuple[str, bytes]:
    """Return the file name and the bytes at a URL or path."""
    if URL_PREFIX.match(path_or_url):
        return path_or_url.rpartition("/")[2] or path_or_url, _download(
            path_or_url, attachment_kind
        )
    return Path(path_or_url).name, _read_file(parse_user_path(path_or_url), attachment_kind)


def _load_last_figure(notebook_state: NotebookState | None) -> Image:
    data = notebook_state.get_last_image() if notebook_state else None
    if data is None:
        raise InvalidOptionError(
            "--image last: no figure was shown yet", "Run the cell that draws it."
        )
    return prepare_image("the last figure", data)


def _lookup(expression: str, notebook_state: NotebookState | None) -> Any:
    """Return the value of an expression in the notebook; None if it can't be evaluated."""
    try:
        return notebook_state.evaluate(expression) if notebook_state else None
    except Exception:  # noqa: BLE001 - a path such as plot.png may raise anything
        return None


def _load_image_value(name: str, value: Any) -> Image:
    if isinstance(value, (str, Path)):
        return load_image(str(value), None)
    value = getattr(value, "parsed", None) or value  # if it is an Answer
    data = value if isinstance(value, bytes) else figure_bytes(value) or _render_png(value)
    if data is None:
        type_name = type(value).__name__
        raise InvalidOptionError(
            f"--image {name}: a value of type {type_name} is no image", IMAGE_ATTACHMENT.hint
        )
    return prepare_image(name, data)


def _render_png(value: Any) -> bytes | None:
    """Return the PNG of an object's `_repr_png_`; None if it has none."""
    repr_png = getattr(value, "_repr_png_", None)
    png = repr_png() if callable(repr_png) else None
    png = png[0] if isinstance(png, tuple) else png
    return base64.b64decode(png) if isinstance(png, str) else png


def _decode_data_url(data_url: str) -> bytes:
    try:
        return base64.b64decode(data_url.partition(",")[2], validate=True)
    except binascii.Error as error:
        raise InvalidOptionError(
            f"--image: the data on the line is no base64: {error}", IMAGE_ATTACHMENT.hint
        ) from None


def _read_file(path: Path, attachment_kind: AttachmentKind) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidOptionError(
            f"{attachment_kind.option_label} {path}: {reason}", attachment_kind.hint
        ) from None


def _download(url: str, attachment_kind: AttachmentKind) -> bytes:
    """Return the body at a URL; the request carries no credentials."""
    import httpx

    from ..workers_ai.http import ACCEPT_ENCODING, read_body

    headers = {"Accept-Encoding": ACCEPT_ENCODING}
    try:
        with httpx.stream(
            "GET", url, headers=headers, timeout=DOWNLOAD_TIMEOUT, follow_redirects=True
        ) as response:
            response.raise_for_status()
            return read_body(response, MAX_DOWNLOAD_BYTES)
    except ResponseTooLargeError:
        message = (
            f"{attachment_kind.option_label} {url} has more than {MAX_DOWNLOAD_BYTES:,} bytes"
        )
        raise InvalidOptionError(message, attachment_kind.hint) from None
    except WorkersAIError as error:
        cause = f"{attachment_kind.option_label} {url} can't be fetched: {error.cause}"
        raise InvalidOptionError(cause, attachment_kind.hint) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        message = str(error).partition("\n")[0] or type(error).__name__
        cause = f"{attachment_kind.option_label} {url} can't be fetched: {message}"
        raise InvalidOptionError(cause, attachment_kind.hint) from None
