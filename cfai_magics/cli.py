"""The shell's door: `cfai NAME` runs the same commands as `%cfai NAME`."""

import sys

from . import __version__
from .commands import run
from .errors import CfaiError

INTERRUPTED = 130  # as shells count


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 1 for an error, 130 when interrupted."""
    words = sys.argv[1:] if arguments is None else arguments
    if words in (["--version"], ["-V"]):
        print(f"cfai {__version__}")
        return 0
    try:
        return _run(words or ["help"])
    except CfaiError as error:
        print(for_shell(f"cfai: {error}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(words: list[str]) -> int:
    from .doors import shell_door
    from .session import Session
    from .settings import home, load_settings

    name = "help" if words[0] in {"-h", "--help"} else words[0]
    session = Session(load_settings(home()), home())
    try:
        result = run(name, words[1:], shell_door(session), "cfai")
    finally:
        session.close()
    if result is not None:
        print(for_shell(str(result)))
    return 0


def for_shell(text: str) -> str:
    """Return a text that names magics with the names of the shell's commands instead."""
    return text.replace("%%cfai", "cfai ask").replace("%cfai", "cfai")
