"""Load images, audio and documents from files, URLs or variables, or load the last figure."""

import base64
import binascii
import re
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InvalidOptionError, ResponseTooLargeError, WorkersAIError
from ..i18n import _, mark
from ..media.images import Image, figure_bytes, prepare_image
from ..paths import parse_user_path
from .frontend import NotebookState
from .option_values import load_option_value

URL_PREFIX = re.compile(r"https?://", re.IGNORECASE)
DATA_URL_PREFIX = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)
MAX_DOWNLOAD_BYTES = 20_000_000  # bytes
DOWNLOAD_TIMEOUT = 30.0  # seconds
LAST_FIGURE = "last"


class AttachmentKind(NamedTuple):
    """The option name and the untranslated hint for error messages about an attachment."""

    option_label: str
    hint: str


IMAGE_ATTACHMENT = AttachmentKind(
    "--image",
    mark(
        "Specify a file, a URL, a variable that contains a figure or image, or last for the "
        "last figure."
    ),
)


def load_image(source: str, notebook_state: NotebookState | None) -> Image:
    """Load an image from a path, URL, data URL or variable, or load the last figure.

    Args:
        source: A path, URL, data URL, Python expression, or "last".
        notebook_state: The kernel's variables and last figure, or None in a shell.

    Raises:
        InvalidOptionError: The image can't be found or read.
        VariableError: The expression raised an error.
    """
    if source == LAST_FIGURE:
        return _load_last_figure(notebook_state)
    if DATA_URL_PREFIX.match(source):
        return prepare_image(_("the image in the data URL"), _decode_data_url(source))
    if not URL_PREFIX.match(source):
        image = load_option_value(
            IMAGE_ATTACHMENT.option_label, source, notebook_state, _load_image_value
        )
        if image is not None:
            return image
    return prepare_image(*_load_path_or_url(source, IMAGE_ATTACHMENT))


def load_file(
    source: str, notebook_state: NotebookState | None, attachment_kind: AttachmentKind
) -> tuple[str, bytes]:
    """Return the name and content of a file, given a path, URL or notebook variable.

    Raises:
        InvalidOptionError: The file can't be found or read.
        VariableError: The expression raised an error.
    """
    if not URL_PREFIX.match(source):
        file = load_option_value(
            attachment_kind.option_label,
            source,
            notebook_state,
            lambda name, value: load_value(name, value, attachment_kind),
        )
        if file is not None:
            return file
    return _load_path_or_url(source, attachment_kind)


def load_value(name: str, value: Any, attachment_kind: AttachmentKind) -> tuple[str, bytes]:
    """Return the name and content of a file, given as a Python value.

    Args:
        name: The expression that the user typed.
        value: Bytes, an object with a `data` attribute, a path, or a URL.
        attachment_kind: The kind of attachment, for error messages.

    Raises:
        InvalidOptionError: `value` has an unsupported type, or the file can't be read.
    """
    if isinstance(value, (str, Path)):
        return _load_path_or_url(str(value), attachment_kind)
    value = getattr(value, "parsed", None) or value  # an Answer has parsed content
    data = value if isinstance(value, bytes) else getattr(value, "data", None)
    if not isinstance(data, bytes):
        raise InvalidOptionError(
            _("{option} {name}: {type} is not bytes, a path or a URL").format(
                option=attachment_kind.option_label, name=name, type=type(value).__name__
            ),
            _(attachment_kind.hint),
        )
    return name, data


def _load_path_or_url(path_or_url: str, attachment_kind: AttachmentKind) -> tuple[str, bytes]:
    """Return the name and content of the file at a path or URL."""
    if URL_PREFIX.match(path_or_url):
        return path_or_url.rpartition("/")[2] or path_or_url, _download(
            path_or_url, attachment_kind
        )
    return Path(path_or_url).name, _read_file(parse_user_path(path_or_url), attachment_kind)


def _load_last_figure(notebook_state: NotebookState | None) -> Image:
    data = notebook_state.get_last_image() if notebook_state else None
    if data is None:
        raise InvalidOptionError(
            _("--image last: no figure has been shown yet"),
            _("Run the cell that draws the figure first."),
        )
    return prepare_image(_("the last figure"), data)


def _load_image_value(name: str, value: Any) -> Image:
    if isinstance(value, (str, Path)):
        return load_image(str(value), None)
    value = getattr(value, "parsed", None) or value  # an Answer has parsed content
    data = value if isinstance(value, bytes) else figure_bytes(value) or _render_png(value)
    if data is None:
        raise InvalidOptionError(
            _("--image {name}: {type} is not an image, a path or a URL").format(
                name=name, type=type(value).__name__
            ),
            _(IMAGE_ATTACHMENT.hint),
        )
    return prepare_image(name, data)


def _render_png(value: Any) -> bytes | None:
    """Return the PNG data from an object's `_repr_png_` method, or None without such a method."""
    repr_png = getattr(value, "_repr_png_", None)
    png = repr_png() if callable(repr_png) else None
    png = png[0] if isinstance(png, tuple) else png
    return base64.b64decode(png) if isinstance(png, str) else png


def _decode_data_url(data_url: str) -> bytes:
    try:
        return base64.b64decode(data_url.partition(",")[2], validate=True)
    except binascii.Error as error:
        raise InvalidOptionError(
            _("--image: the data URL is not valid base64: {error}").format(error=error),
            _(IMAGE_ATTACHMENT.hint),
        ) from None


def _read_file(path: Path, attachment_kind: AttachmentKind) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidOptionError(
            f"{attachment_kind.option_label} {path}: {reason}", _(attachment_kind.hint)
        ) from None


def _download(url: str, attachment_kind: AttachmentKind) -> bytes:
    """Download a file without sending credentials.

    Raises InvalidOptionError if the download fails or the file is larger than MAX_DOWNLOAD_BYTES.
    """
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
        cause = _("{option} {url}: the file is larger than {limit:,} bytes").format(
            option=attachment_kind.option_label, url=url, limit=MAX_DOWNLOAD_BYTES
        )
        raise InvalidOptionError(cause, _(attachment_kind.hint)) from None
    except WorkersAIError as error:
        cause = _("{option} {url} can't be downloaded: {reason}").format(
            option=attachment_kind.option_label, url=url, reason=error.cause
        )
        raise InvalidOptionError(cause, _(attachment_kind.hint)) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        cause = _("{option} {url} can't be downloaded: {reason}").format(
            option=attachment_kind.option_label,
            url=url,
            reason=str(error).partition("\n")[0] or type(error).__name__,
        )
        raise InvalidOptionError(cause, _(attachment_kind.hint)) from None
