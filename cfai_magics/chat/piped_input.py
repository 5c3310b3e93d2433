"""Read the text piped into the `cfai` shell command, and insert the text into the prompt."""

import errno
import sys
from collections.abc import Callable, Sequence
from threading import Timer
from typing import IO

from ..errors import InterruptedAnswerError, InvalidOptionError
from ..i18n import _, mark
from ..output import write_text

ReadStdin = Callable[[], str | None]

STDIN_PLACEHOLDER = "-"  # replaced with the piped text
MAX_STDIN_BYTES = (
    4_000_000  # more than fits in the catalog's largest context window, 1,048,576 tokens
)
WAIT_NOTICE_SECONDS = 3.0  # the time before a notice that the input has not ended
UNREADABLE_ERRNOS = {None, errno.EBADF}  # for standard input under nohup or in a test runner
WAIT_NOTICE = mark(
    "cfai: waiting for the end of standard input; add </dev/null if no text is piped in"
)


def merge_piped_text(words: Sequence[str], read_stdin: ReadStdin) -> str:
    """Join the words into a prompt, with the piped text in place of `-` or at the end.

    Args:
        words: The words on the command line.
        read_stdin: Returns the piped text, or None if standard input is a terminal or closed.

    Raises:
        InvalidOptionError: There is more than one `-`, or there is a `-` but no piped text.
    """
    placeholder_count = words.count(STDIN_PLACEHOLDER)
    if placeholder_count > 1:
        raise InvalidOptionError(
            _("- stands for the piped text and can be used only once"),
            _("To send a literal -, quote the whole prompt."),
        )
    piped = read_stdin()
    if placeholder_count and not piped:
        raise InvalidOptionError(
            _("- stands for the piped text, but no text is piped in")
            if piped is None
            else _("- stands for the piped text, but standard input is empty"),
            _("Example: {command}. To send a literal -, quote the whole prompt.").format(
                command="cat FILE | cfai ask Summarize - briefly"
            ),
        )
    text = " ".join(piped or "" if word == STDIN_PLACEHOLDER else word for word in words)
    if placeholder_count or not piped:
        return text
    return f"{text}\n\n{piped}" if text else piped


def read_piped_text(stdin: IO[str] | None) -> str | None:
    """Read standard input to the end, and return the text without trailing newlines.

    Print a notice after WAIT_NOTICE_SECONDS, because the command seems to hang while a pipe
    stays open.

    Returns:
        The text, or None if standard input is a terminal, is closed, or can't be read.

    Raises:
        InvalidOptionError: The input is not UTF-8 text, or is longer than MAX_STDIN_BYTES.
        InterruptedAnswerError: The user pressed Ctrl-C.
    """
    if stdin is None or stdin.closed or stdin.isatty():
        return None
    timer = Timer(WAIT_NOTICE_SECONDS, write_text, [sys.stderr, f"{_(WAIT_NOTICE)}\n"])
    timer.daemon = True
    timer.start()
    try:
        # A text stream that a program assigned to sys.stdin may not have `buffer`.
        data: bytes | str = getattr(stdin, "buffer", stdin).read(MAX_STDIN_BYTES + 1)
    except KeyboardInterrupt:
        raise InterruptedAnswerError(
            _("Interrupted while reading standard input"), _("Nothing was sent.")
        ) from None
    except OSError as error:
        if error.errno in UNREADABLE_ERRNOS:
            return None
        raise InvalidOptionError(
            _("Standard input can't be read: {reason}").format(reason=error.strerror)
        ) from None
    finally:
        timer.cancel()
    return _decode_text(data if isinstance(data, bytes) else data.encode(errors="surrogatepass"))


def _decode_text(data: bytes) -> str:
    if len(data) > MAX_STDIN_BYTES:
        raise InvalidOptionError(
            _("Standard input is longer than {limit:,} bytes; nothing was sent").format(
                limit=MAX_STDIN_BYTES
            ),
            _("Pipe in only part of it: {command}").format(
                command="head -c 100000 FILE | cfai ask …"
            ),
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidOptionError(
            _("Standard input is not UTF-8 text (byte {position:,}); nothing was sent").format(
                position=error.start + 1
            ),
            _("Convert it: {command} For an image, use --image.").format(
                command="iconv -f LATIN1 -t UTF-8 FILE | cfai ask …"
            ),
        ) from None
    if "\0" in text:
        raise InvalidOptionError(
            _("Standard input is binary data, not text; nothing was sent"),
            _("For an image, use --image FILE; for audio or a document, use --task."),
        )
    return text.replace("\r\n", "\n").rstrip("\n")
