"""Read the text piped into the shell command `cfai` and insert it into the prompt."""

import errno
import sys
from collections.abc import Callable, Sequence
from threading import Timer
from typing import IO

from ..errors import InterruptedAnswerError, InvalidOptionError

ReadStdin = Callable[[], str | None]

STDIN_PLACEHOLDER = "-"  # placeholder for the piped text among the words, as in other programs
MAX_STDIN_BYTES = (
    4_000_000  # more than the largest context window in the catalog, 1,048,576 tokens
)
WAIT_NOTICE_SECONDS = 3.0  # s without end of input before the notice
UNREADABLE_ERRNOS = {None, errno.EBADF}  # standard input under nohup, or in a test runner
WAIT_NOTICE = (
    "cfai: reading the text from standard input until it ends; add </dev/null if nothing is "
    "piped in\n"
)


def merge_piped_text(words: Sequence[str], read_stdin: ReadStdin) -> str:
    """Return the prompt: the words, with the piped text in the place of `-`, else at the end.

    `read_stdin` returns the piped text, or None if standard input is a terminal or closed.
    Raises InvalidOptionError for a second `-`, or for a `-` without piped text.
    """
    placeholder_count = words.count(STDIN_PLACEHOLDER)
    if placeholder_count > 1:
        raise InvalidOptionError(
            "- stands for the piped text, and is there twice", "Quote the question to send a -."
        )
    piped = read_stdin()
    if placeholder_count and not piped:
        problem = "nothing is piped in" if piped is None else "standard input is empty"
        raise InvalidOptionError(
            f"- stands for the piped text, but {problem}",
            "cat FILE | cfai ask Summarize - briefly. Quote the question to send a -.",
        )
    text = " ".join(piped or "" if word == STDIN_PLACEHOLDER else word for word in words)
    if placeholder_count or not piped:
        return text
    return f"{text}\n\n{piped}" if text else piped


def read_piped_text(stdin: IO[str] | None) -> str | None:
    """Return all of standard input as text, without trailing line ends.

    Returns None if it is a terminal, closed, or can't be read. Waits for the end of a pipe, as
    other programs do. Prints a notice after a while, since a pipe that stays open shows no other
    sign. Raises InvalidOptionError if the input is not UTF-8 text or too long, and
    InterruptedAnswerError at Ctrl-C.
    """
    if stdin is None or stdin.closed or stdin.isatty():
        return None
    timer = Timer(WAIT_NOTICE_SECONDS, sys.stderr.write, [WAIT_NOTICE])
    timer.daemon = True
    timer.start()
    try:
        # A text stream that a program assigned to sys.stdin may have no `buffer`.
        data: bytes | str = getattr(stdin, "buffer", stdin).read(MAX_STDIN_BYTES + 1)
    except KeyboardInterrupt:
        raise InterruptedAnswerError(
            "Interrupted while reading standard input", "Nothing was sent."
        ) from None
    except OSError as error:
        if error.errno in UNREADABLE_ERRNOS:
            return None
        raise InvalidOptionError(f"Standard input can't be read: {error.strerror}") from None
    finally:
        timer.cancel()
    return _decode_text(data if isinstance(data, bytes) else data.encode(errors="surrogatepass"))


def _decode_text(data: bytes) -> str:
    if len(data) > MAX_STDIN_BYTES:
        raise InvalidOptionError(
            f"Standard input is longer than {MAX_STDIN_BYTES:,} bytes; nothing was sent",
            "Pipe in a part of it: head -c 100000 FILE | cfai ask …",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidOptionError(
            f"Standard input is not UTF-8 text (byte {error.start + 1:,}); nothing was sent",
            "Convert it: iconv -f LATIN1 -t UTF-8 FILE | cfai ask … For a picture, use --image.",
        ) from None
    if "\0" in text:
        raise InvalidOptionError(
            "Standard input is binary and not text; nothing was sent",
            "For a picture, use --image FILE; for a sound or document, --task.",
        )
    return text.replace("\r\n", "\n").rstrip("\n")
