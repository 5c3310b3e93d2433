"""The shell's door: `cfai NAME` runs the same commands as `%cfai NAME`."""

import sys

from . import __version__
from .commands import run
from .errors import CfaiError, Interrupted
from .terminal import safe_for, safe_text

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
        from .ipython.doors import for_shell

        print(safe_text(for_shell(f"cfai: {error}")), file=sys.stderr)
        return INTERRUPTED if isinstance(error, Interrupted) else 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(words: list[str]) -> int:
    from .ipython.doors import for_shell, shell_door
    from .session import Session
    from .settings import home, load_settings

    session = Session(load_settings(home()), home())
    try:
        result = run(words[0], words[1:], shell_door(session), "cfai")
    finally:
        session.close()
    if result is not None:
        print(safe_for(sys.stdout, for_shell(str(result))))
    return 0
