"""Run the `cfai` shell command: `cfai NAME` runs the same command as `%cfai NAME`."""

import sys

from . import __version__
from .commands import run
from .errors import CfaiError, InterruptedAnswerError
from .i18n import _
from .output import write_sanitized, write_text

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 on success, 1 on error, 130 if interrupted."""
    args = sys.argv[1:] if argv is None else argv
    try:
        if args in (["--version"], ["-V"]):
            write_text(sys.stdout, f"cfai {__version__}\n")
        else:
            _run_command(args or ["help"])
        write_sanitized(sys.stdout, "", flushes=True)
    except CfaiError as error:
        from .frontends.shell import to_shell_syntax

        write_text(sys.stderr, to_shell_syntax(f"cfai: {error}\n"))
        return EXIT_INTERRUPTED if isinstance(error, InterruptedAnswerError) else 1
    except KeyboardInterrupt:
        interrupted = _("Interrupted")
        write_text(sys.stderr, f"cfai: {interrupted}.\n")
        return EXIT_INTERRUPTED
    return 0


def _run_command(args: list[str]) -> None:
    from .display.text import TextLines
    from .frontends.shell import create_shell_frontend, to_shell_syntax
    from .session.session import Session
    from .settings import get_home_folder, load_settings

    session = Session(load_settings(get_home_folder()), get_home_folder())
    try:
        result = run(args[0], args[1:], create_shell_frontend(session), "cfai")
        if isinstance(result, TextLines):  # printing reads the ledger, so the session must be open
            for line in result:
                write_text(sys.stdout, line)
            return
    finally:
        session.close()
    if result is not None:
        write_text(sys.stdout, to_shell_syntax(f"{result}\n"))
