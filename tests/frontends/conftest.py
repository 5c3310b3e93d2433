"""What IPython's completer offers of ours."""

from IPython.core.completer import Completion, provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

MATCHER = "cfai"  # the identifier of our matcher


def complete(shell: InteractiveShell, code: str, cursor: int | None = None) -> list[Completion]:
    """Return what IPython offers at the cursor, which stands at the end unless given."""
    with provisionalcompleter():
        return list(shell.Completer.completions(code, len(code) if cursor is None else cursor))


def cfai_completions(
    shell: InteractiveShell, code: str, cursor: int | None = None
) -> list[Completion]:
    """Return what our matcher offers alone, which is either nothing or all that IPython offers."""
    found, completer = complete(shell, code, cursor), shell.Completer
    names = [getattr(each, "matcher_identifier", each.__qualname__) for each in completer.matchers]
    assert MATCHER in names
    disabled = completer.disable_matchers
    completer.disable_matchers = [name for name in names if name != MATCHER]
    try:
        ours = complete(shell, code, cursor)
    finally:
        completer.disable_matchers = disabled
    assert ours in ([], found), "nothing of others stands among ours"
    return ours
