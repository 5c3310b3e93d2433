"""Read the text that is piped into the shell's `cfai`, and put it into the words of a prompt."""

import errno
import sys
from collections.abc import Callable, Sequence
from threading import Timer
from typing import IO

from ..errors import BadOption, Interrupted

Read = Callable[[], str | None]

MARK = "-"  # stands for the piped text among the words, as in other programs
MAX_BYTES = 4_000_000  # more than the largest context window in the catalog, 1,048,576 tokens
WAITS = 3.0  # s without end of input until a line says what is waited for
NOT_READABLE = {None, errno.EBADF}  # standard input of nohup, or of a test runner
WAITING = (
    "cfai: reading the text from standard input until it ends; add </dev/null if nothing is "
    "piped in\n"
)


def prompt_of(words: Sequence[str], read: Read) -> str:
    """Return the prompt: the piped text in the place of `-`, else after the words.

    `read` returns the piped text, or None if standard input is a terminal or closed.
    """
    marks = words.count(MARK)
    if marks > 1:
        raise BadOption(
            "- stands for the piped text, and is there twice", "Quote the question to send a -."
        )
    piped = read()
    if marks and not piped:
        nothing = "nothing is piped in" if piped is None else "standard input is empty"
        raise BadOption(
            f"- stands for the piped text, but {nothing}",
            "cat FILE | cfai ask Summarize - briefly. Quote the question to send a -.",
        )
    said = " ".join(piped or "" if word == MARK else word for word in words)
    if marks or not piped:
        return said
    return f"{said}\n\n{piped}" if said else piped


def read_piped(stdin: IO[str] | None) -> str | None:
    """Return all of standard input as text without the line end at its end.

    Returns None if it is a terminal, closed, or can't be read. Waits for the end of a pipe, as
    other programs do, and says so after a while: a pipe that stays open has no other sign.
    Raises BadOption for what is no text or too long, and Interrupted at Ctrl-C.
    """
    if stdin is None or stdin.closed or stdin.isatty():
        return None
    timer = Timer(WAITS, sys.stderr.write, [WAITING])
    timer.daemon = True
    timer.start()
    try:
        # A stream of text, as a program may put in its place, has no bytes below it.
        data: bytes | str = getattr(stdin, "buffer", stdin).read(MAX_BYTES + 1)
    except KeyboardInterrupt:
        raise Interrupted(
            "Interrupted while reading standard input", "Nothing was sent."
        ) from None
    except OSError as error:
        if error.errno in NOT_READABLE:
            return None
        raise BadOption(f"Standard input can't be read: {error.strerror}") from None
    finally:
        timer.cancel()
    return _text(data if isinstance(data, bytes) else data.encode(errors="surrogatepass"))


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise BadOption(
            f"Standard input is longer than {MAX_BYTES:,} bytes; nothing was sent",
            "Pipe in a part of it: head -c 100000 FILE | cfai ask …",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadOption(
            f"Standard input is not UTF-8 text (byte {error.start + 1:,}); nothing was sent",
            "Convert it: iconv -f LATIN1 -t UTF-8 FILE | cfai ask … For a picture, use --image.",
        ) from None
    if "\0" in text:
        raise BadOption(
            "Standard input is binary and not text; nothing was sent",
            "For a picture, use --image FILE; for a sound or document, --task.",
        )
    return text.replace("\r\n", "\n").rstrip("\n")
