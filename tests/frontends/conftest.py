"""Helpers for tests of completion in IPython."""

from IPython.core.completer import Completion, provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

MATCHER = "cfai"  # the identifier of the matcher of cfai_magics


def complete(shell: InteractiveShell, code: str, cursor: int | None = None) -> list[Completion]:
    """Return the completions of IPython at the cursor; by default, at the end of the text."""
    with provisionalcompleter():
        return list(shell.Completer.completions(code, len(code) if cursor is None else cursor))


def cfai_completions(
    shell: InteractiveShell, code: str, cursor: int | None = None
) -> list[Completion]:
    """Return the completions of the cfai matcher; other matchers must not add any."""
    completions, completer = complete(shell, code, cursor), shell.Completer
    names = [getattr(each, "matcher_identifier", each.__qualname__) for each in completer.matchers]
    assert MATCHER in names
    disabled = completer.disable_matchers
    completer.disable_matchers = [name for name in names if name != MATCHER]
    try:
        cfai_only = complete(shell, code, cursor)
    finally:
        completer.disable_matchers = disabled
    assert cfai_only in ([], completions), "other matchers add completions"
    return cfai_only
