"""Print answers and ask the user for input. All front ends use these functions."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..chat.frontend import AnswerDisplay
from ..errors import InterruptedAnswerError, SetupError
from ..i18n import _
from ..output import can_overwrite_lines, to_encodable_text, write_sanitized, write_text
from ..prompt.output_formats import OutputFormat
from ..terminal import sanitize_text
from ..texts import text_width
from ..types.messages import Answer

if TYPE_CHECKING:
    from ..display.text import WriteFooter, WriteTokens
    from ..types.answer_set import AnswerSet


MIN_RICH_VERSION = (13, 4)  # the first one that parses Markdown with markdown-it
StoreResult = Callable[[str, "Answer | AnswerSet"], None]
PrintLine = Callable[[str], None]


def create_text_display(
    output_format: OutputFormat,
    footer_style: str,
    print_line: PrintLine,
    write_footer: "WriteFooter | None" = None,
    write_tokens: "WriteTokens | None" = None,
) -> AnswerDisplay:
    """Return a display that prints an answer.

    The display prints text as it arrives, and answers in other formats when they are complete. In
    a terminal, Markdown is rendered if rich is installed.
    """
    from ..display.text import FinalOnlyDisplay, TextStreamDisplay

    if output_format.name in {"markdown", "correction"} and _can_render_markdown():
        from ..display.terminal_markdown import MarkdownStreamDisplay

        return MarkdownStreamDisplay(footer_style, print_line, write_footer=write_footer)
    if output_format.name in {"markdown", "text", "correction"}:
        return TextStreamDisplay(
            footer_style,
            print_line,
            write_footer=write_footer,
            write_tokens=write_tokens,
            is_plain=output_format.name == "text",
        )
    return FinalOnlyDisplay(
        footer_style, print_line, lambda answer: _print_answer(answer, output_format), write_footer
    )


def _can_render_markdown() -> bool:
    encoding = getattr(sys.stdout, "encoding", None) or ""
    return (
        can_overwrite_lines(sys.stdout)
        and encoding.lower().startswith("utf")  # rich draws tables with box characters
        and _has_rich()
    )


def _has_rich() -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        major, minor = map(int, version("rich").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return False
    return (major, minor) >= MIN_RICH_VERSION


def print_line(line: str) -> None:
    """Remove control characters from a line, and print it."""
    write_sanitized(sys.stdout, sanitize_text(f"{line}\n"))


def read_line(question: str) -> str:
    """Ask a question, and return the line that the user types."""
    return input(to_encodable_text(sys.stdout, sanitize_text(question)))


def confirm(question: str) -> bool:
    """Ask a yes-or-no question, and return whether the user answers yes.

    Returns False if the front end can't ask the user.
    """
    try:
        answer = read_line(f"{question} [y/N] ")
    except (EOFError, NotImplementedError):  # includes IPython's StdinNotImplementedError
        return False
    return answer.strip().lower() in {"y", "yes"}


def read_secret(question: str) -> str:
    """Ask for a secret, and return what the user types without showing it.

    Raises:
        SetupError: The front end can't ask the user.
        InterruptedAnswerError: The user pressed Ctrl-C.
    """
    from getpass import GetPassWarning, getpass

    with _input_errors(), warnings.catch_warnings():
        warnings.simplefilter("error", GetPassWarning)
        try:
            return getpass(sanitize_text(question))
        except GetPassWarning:  # without a terminal, nothing is echoed
            if sys.stdin is None or sys.stdin.isatty():
                raise EOFError from None
            return _read_piped_line()


def read_account_id(question: str) -> str:
    """Ask for an account ID in a terminal, which shows it. Erase text that may be a secret.

    Raises:
        SetupError: The terminal can't ask the user.
        InterruptedAnswerError: The user pressed Ctrl-C.
    """
    with _input_errors():
        if sys.stdin is None:
            raise EOFError
        if not sys.stdin.isatty():
            return _read_piped_line()
        text = read_line(question)
    if _is_unsafe(text):
        _erase_terminal_lines(text_width(question + text))
    return text


def read_account_id_in_cell(question: str) -> str:
    """Ask for an account ID in a cell, whose output shows it. Remove text that may be a secret.

    A front end adds the text to the cell's output itself. Clearing the whole output is the only
    way to remove it.

    Raises:
        SetupError: The front end can't ask the user.
        InterruptedAnswerError: The user interrupted the kernel.
    """
    from IPython.display import clear_output

    with _input_errors():
        text = read_line(question)
    if _is_unsafe(text):
        clear_output()  # type: ignore[no-untyped-call]
    return text


def _is_unsafe(text: str) -> bool:
    """Return whether text that was entered as an account ID may be a secret."""
    from ..secret_patterns import looks_like_account_id, may_contain_secret

    return not looks_like_account_id(text.strip()) and may_contain_secret(text)


def _erase_terminal_lines(columns: int) -> None:
    """Erase the last line that was printed, which has this number of columns."""
    if sys.stdout is None or not sys.stdout.isatty():
        return
    width = os.get_terminal_size(sys.stdout.fileno()).columns or columns
    rows = max(1, -(-columns // width))
    write_sanitized(sys.stdout, f"\x1b[{rows}A\x1b[J", flushes=True)


@contextmanager
def _input_errors() -> Iterator[None]:
    """Convert the errors of asking for input."""
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedAnswerError(_("Canceled"), _("Nothing was sent or saved.")) from None
    except (EOFError, NotImplementedError) as error:  # includes IPython's StdinNotImplementedError
        raise SetupError(
            _("This front end can't ask for input"),
            _(
                "Set CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN, or run cfai login in a "
                "terminal."
            ),
        ) from error


def _read_piped_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def _print_answer(answer: Answer, output_format: OutputFormat) -> None:
    from ..display.formats import format_json, render_plain_text

    text = (
        format_json(answer.raw)
        if output_format.name == "raw"
        else render_plain_text(answer, output_format)
    )
    write_text(sys.stdout, f"{text}\n")
