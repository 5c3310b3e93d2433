"""Evaluate the values of options: Python expressions such as of `--image`, and fields of `-p`."""

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..arguments import check_fields
from ..errors import CfaiError, InvalidOptionError, VariableError
from ..i18n import _
from ..prompt.template import PROGRAM_EXITS, describe_error
from .frontend import NotebookState

T = TypeVar("T")
OPTION_BY_RESERVED_FIELD = {"stream": "--no-stream", "model": "-m", "messages": "-s"}


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


def parse_params(options: Namespace) -> dict[str, Any]:
    """Return the fields that -p adds to a request.

    Raises:
        InvalidOptionError: A -p value does not have the form K=V or is out of range, or the field
            has its own option.
    """
    fields = dict(map(_parse_param, options.param or ()))
    check_fields(fields, "-p")
    return fields


def _parse_param(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise InvalidOptionError(
            _("-p {text} does not have the form K=V").format(text=text),
            _("Example: {option}").format(option="-p top_k=40"),
        )
    if key in OPTION_BY_RESERVED_FIELD:
        raise InvalidOptionError(
            _("-p can't set {field}").format(field=key),
            _("Use {option}.").format(option=OPTION_BY_RESERVED_FIELD[key]),
        )
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
