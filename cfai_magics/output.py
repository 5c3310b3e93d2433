"""Write text to standard output and standard error: a terminal, a file, a pipe or a cell."""

import os
import sys
from contextlib import suppress
from typing import TextIO

from .errors import StorageError
from .i18n import _
from .terminal import sanitize_text


def write_text(stream: TextIO | None, text: str) -> None:
    """Write text to a stream, sanitized unless the stream is a redirected stdout.

    Text written to a file or pipe is data, so it stays unchanged. For terminals, notebooks and
    all other streams, control characters are removed.

    Raises:
        StorageError: The text can't be written, for example because the disk is full.
    """
    if stream is None or stream.isatty() or stream is not sys.__stdout__:
        text = sanitize_text(text)
    write_sanitized(stream, text)


def write_sanitized(stream: TextIO | None, text: str, *, flushes: bool = False) -> None:
    """Write text that may contain control characters of this package, such as CR.

    Characters that the stream's encoding lacks are replaced. If the reader of a pipe, such as
    `head`, has closed it, or if the stream itself is closed, the text is discarded.

    Raises:
        StorageError: The text can't be written, for example because the disk is full.
    """
    if stream is None:  # closed by the shell, as in `>&-`
        return
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.write(to_encodable_text(stream, text))
        if flushes:
            stream.flush()
    except OSError as error:
        _discard_later_output(stream)
        if not isinstance(error, BrokenPipeError):
            raise StorageError(
                _("The output can't be written: {error}").format(error=error.strerror or error),
                _("Check the program or file that it is redirected to."),
            ) from None


def can_overwrite_lines(stream: TextIO | None) -> bool:
    """Return whether the stream is a terminal in which CR returns to the start of the line."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def to_encodable_text(stream: TextIO, text: str) -> str:
    """Return text with "?" for each character that the stream's encoding lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _discard_later_output(stream: TextIO) -> None:
    """Discard what is written to a standard stream from now on.

    At exit, Python flushes the rest of the buffer; without this, that would fail too.
    """
    if stream in (sys.__stdout__, sys.__stderr__):
        with suppress(OSError, ValueError):
            null_device = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null_device, stream.fileno())
            os.close(null_device)
