"""Evaluate the Python expressions that options such as `--image` and `--schema` accept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CfaiError, VariableError
from ..i18n import _
from ..prompt.template import PROGRAM_EXITS, describe_error
from .frontend import NotebookState

T = TypeVar("T")


def load_option_value(
    option: str,
    text: str,
    notebook_state: NotebookState | None,
    load: Callable[[str, Any], T],
    *,
    accepts_files: bool = True,
) -> T | None:
    """Evaluate the value of an option, and return the result of `load` for it.

    An existing file is not evaluated, unless its name is the name of a variable: `city.json` is a
    file although there is a variable `city`.

    Args:
        option: The option, for error messages.
        text: The value of the option as typed.
        notebook_state: The kernel's variables, or None in a shell.
        load: Converts the value. Its first argument is `text`.
        accepts_files: Whether the text may also be the path of a file.

    Returns:
        The converted value, or None if the text is a path or contains an undefined name.

    Raises:
        VariableError: The expression, or the conversion of its value, raised an error.
        InvalidOptionError: The value has an unsupported type.
    """
    if notebook_state is None:
        return None
    if accepts_files and not text.isidentifier() and _is_file(text):
        return None
    try:
        names = compile(text, "<option>", "eval").co_names
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    try:
        return load(text, notebook_state.evaluate(text))
    except (CfaiError, *PROGRAM_EXITS):
        raise
    except BaseException as error:  # noqa: BLE001 - includes asyncio.CancelledError
        if isinstance(error, NameError) and error.name in names:
            return None
        hint = (
            _("Correct the expression, or check the path to the file.")
            if accepts_files
            else _("Correct the expression.")
        )
        raise VariableError(f"{option} {text}: {describe_error(error)}", hint) from None


def _is_file(text: str) -> bool:
    try:
        return Path(text).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):  # unknown user, too long or a null character
        return False
