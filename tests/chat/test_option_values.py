"""Test expressions in the options `--image`, `--schema` and `--tools`."""

import builtins
from asyncio import CancelledError
from typing import Any, cast

import pytest

from cfai_magics.chat.attachments import load_image
from cfai_magics.chat.frontend import NotebookState
from cfai_magics.chat.option_values import load_option_value
from cfai_magics.errors import VariableError
from cfai_magics.prompt.output_formats import load_schema


class NoText(Exception):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]  # noqa: PLE0307


class Raising:
    """A value whose methods for images and schemas raise an error."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def _repr_png_(self) -> bytes:
        raise self._error

    def evaluate(self, expression: str) -> Any:
        """Return this object for "value", and raise the error for any other expression."""
        if expression == "value":
            return self
        raise self._error


def notebook_with(error: BaseException) -> NotebookState:
    return cast(NotebookState, Raising(error))


ERRORS = [NoText(), CancelledError(), GeneratorExit(), BaseExceptionGroup("g", [CancelledError()])]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_any_error_of_an_option_names_it_in_two_lines(error: BaseException) -> None:
    start = f"--schema f\\(\\): (?s:{type(error).__name__}.*)Correct the expression"
    with pytest.raises(VariableError, match=start):
        load_option_value("--schema", "f()", notebook_with(error), load_schema)
    for source in ("f()", "value"):
        with pytest.raises(VariableError) as caught:
            load_image(source, notebook_with(error))
        assert str(caught.value).startswith(f"--image {source}: {type(error).__name__}")


@pytest.mark.parametrize("name", ["KeyboardInterrupt", "SystemExit"])
def test_an_interrupt_in_an_option_and_the_end_of_the_program_are_not_caught(name: str) -> None:
    error_type = getattr(builtins, name)
    for source in ("f()", "value"):
        with pytest.raises(error_type):
            load_image(source, notebook_with(error_type()))
