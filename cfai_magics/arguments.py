"""Check the arguments of Python calls: unknown names, and texts where a list of them is taken."""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, ParamSpec, TypeVar, get_args, get_type_hints

from .errors import BadOption

P = ParamSpec("P")
R = TypeVar("R")


def checked_names(function: Callable[P, R]) -> Callable[P, R]:
    """Make an unknown keyword argument a BadOption that names the nearest known one.

    `**fields: Unpack[T]` of a TypedDict T is seen as its keys, also by help() and completion.
    """
    shown = signature(function)
    parameters = [each for one in shown.parameters.values() for each in _single(one)]
    names = [each.name for each in parameters if each.name != "self"]

    @wraps(function)
    def checked(*values: P.args, **named: P.kwargs) -> R:
        unknown = [name for name in named if name not in names]
        if unknown:
            raise _unknown(function.__name__, unknown, names)
        return function(*values, **named)

    vars(checked)["__signature__"] = Signature(
        parameters, return_annotation=shown.return_annotation
    )
    return checked


def _single(parameter: Parameter) -> Iterator[Parameter]:
    """Yield a parameter; in the place of a TypedDict of keyword arguments, each of its keys."""
    if parameter.kind is not parameter.VAR_KEYWORD:
        yield parameter
        return
    (fields,) = get_args(parameter.annotation)
    for name, hint in get_type_hints(fields).items():
        yield Parameter(name, parameter.KEYWORD_ONLY, default=None, annotation=hint)


def _unknown(function: str, unknown: list[str], names: list[str]) -> BadOption:
    from difflib import get_close_matches

    near = [found for name in unknown for found in get_close_matches(name, names, n=1)]
    hint = f"Did you mean {', '.join(near)}?" if near else f"It takes {', '.join(names)}."
    if "extra" in names:
        hint = f"{hint} extra={{…}} adds other fields of the request."
    return BadOption(f"{function} takes no {', '.join(map(repr, unknown))}", hint)


def text_of(given: Any, what: str) -> str:
    """Return a text as a plain str; BadOption for any other value."""
    if not isinstance(given, str):
        raise BadOption(f"{what} is of type {type(given).__name__}, not a text", "Give a str.")
    return str.__str__(given)


def texts_of(given: Any, what: str) -> tuple[str, ...]:
    """Return the texts of a list, series, array or other iterable; one text counts as a list.

    Raises BadOption for a value that contains no texts, and names the first item that is not one.
    """
    if isinstance(given, str):
        return (str.__str__(given),)
    return tuple(_item(item, place, what) for place, item in enumerate(_items(given, what)))


def _items(given: Any, what: str) -> Iterator[Any]:
    # A data frame yields the names of its columns, a mapping its keys, bytes numbers.
    if not (isinstance(given, bytes | bytearray | memoryview | Mapping) or _is_table(given)):
        try:
            return iter(given)
        except TypeError:
            pass
    raise BadOption(
        f"{what} can't be read from a value of type {type(given).__name__}",
        "Give one text or a list of texts.",
    )


def _is_table(given: Any) -> bool:
    return hasattr(given, "columns")


def _item(item: Any, place: int, what: str) -> str:
    if not isinstance(item, str):
        raise BadOption(
            f"{what}[{place}] is of type {type(item).__name__}, not a text",
            "Convert it with str(), or leave it out.",
        )
    return str.__str__(item)
