"""Run the `cfai` shell command: `cfai NAME` runs the same command as `%cfai NAME`."""

import os
import sys
from collections.abc import Iterable

from . import __version__
from .commands import run
from .errors import CfaiError, InterruptedAnswerError
from .terminal import sanitize_for_stream, sanitize_text

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 on success, 1 on error, 130 if interrupted."""
    args = sys.argv[1:] if argv is None else argv
    if args in (["--version"], ["-V"]):
        print(f"cfai {__version__}")
        return 0
    try:
        return _run_command(args or ["help"])
    except CfaiError as error:
        from .frontends.shell import to_shell_syntax

        print(sanitize_text(to_shell_syntax(f"cfai: {error}")), file=sys.stderr)
        return EXIT_INTERRUPTED if isinstance(error, InterruptedAnswerError) else 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run_command(args: list[str]) -> int:
    from .display.text import TextLines
    from .frontends.shell import create_shell_frontend, to_shell_syntax
    from .session.session import Session
    from .settings import get_home_folder, load_settings

    session = Session(load_settings(get_home_folder()), get_home_folder())
    try:
        result = run(args[0], args[1:], create_shell_frontend(session), "cfai")
        if isinstance(result, TextLines):  # printing reads the ledger, so the session must be open
            _write_lines(result)
            return 0
    finally:
        session.close()
    if result is not None:
        _write_lines([to_shell_syntax(f"{result}\n")])
    return 0


def _write_lines(lines: Iterable[str]) -> None:
    """Write lines to stdout. Stop if the reader of the pipe, such as `head`, closes it."""
    try:
        for line in lines:
            sys.stdout.write(sanitize_for_stream(sys.stdout, line))
        sys.stdout.flush()
    except BrokenPipeError:
        # At exit, Python flushes the rest of the buffer; without this, that would fail too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
