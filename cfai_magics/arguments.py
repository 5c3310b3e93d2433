"""Check the arguments of Python calls: unknown keyword names, texts and lists of texts."""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, ParamSpec, TypeVar, get_args, get_type_hints

from .errors import InvalidOptionError

P = ParamSpec("P")
R = TypeVar("R")


def reject_unknown_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to raise InvalidOptionError for an unknown keyword argument.

    The error suggests the closest known name. `**fields: Unpack[T]` of a TypedDict T is expanded
    into its keys, also for help() and completion.
    """
    function_signature = signature(function)
    parameters = [
        expanded_parameter
        for parameter in function_signature.parameters.values()
        for expanded_parameter in _expand_typed_dict(parameter)
    ]
    names = [
        known_parameter.name for known_parameter in parameters if known_parameter.name != "self"
    ]

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        unknown_names = [name for name in kwargs if name not in names]
        if unknown_names:
            raise _unknown_argument_error(function.__name__, unknown_names, names)
        return function(*args, **kwargs)

    vars(wrapper)["__signature__"] = Signature(
        parameters, return_annotation=function_signature.return_annotation
    )
    return wrapper


def _expand_typed_dict(parameter: Parameter) -> Iterator[Parameter]:
    """Yield the parameter itself, or one parameter per key for `**fields: Unpack[TypedDict]`."""
    if parameter.kind is not parameter.VAR_KEYWORD:
        yield parameter
        return
    (fields,) = get_args(parameter.annotation)
    for name, hint in get_type_hints(fields).items():
        yield Parameter(name, parameter.KEYWORD_ONLY, default=None, annotation=hint)


def _unknown_argument_error(
    function_name: str, unknown_names: list[str], known_names: list[str]
) -> InvalidOptionError:
    from difflib import get_close_matches

    suggestions = [
        suggestion
        for name in unknown_names
        for suggestion in get_close_matches(name, known_names, n=1)
    ]
    hint = (
        f"Did you mean {', '.join(suggestions)}?"
        if suggestions
        else f"It takes {', '.join(known_names)}."
    )
    if "extra" in known_names:
        hint = f"{hint} extra={{…}} adds other fields of the request."
    return InvalidOptionError(
        f"{function_name} takes no {', '.join(map(repr, unknown_names))}", hint
    )


def require_str(value: Any, argument_name: str) -> str:
    """Return the value as a plain str; raises InvalidOptionError if it is not a str."""
    if not isinstance(value, str):
        raise InvalidOptionError(
            f"{argument_name} is of type {type(value).__name__}, not a text", "Give a str."
        )
    return str.__str__(value)


def collect_texts(value: Any, argument_name: str) -> tuple[str, ...]:
    """Return the texts of an iterable as a tuple; a single str becomes a tuple of one.

    Raises InvalidOptionError for a value that is not an iterable of texts; the message names the
    first item that is not a str.
    """
    if isinstance(value, str):
        return (str.__str__(value),)
    return tuple(
        _require_str_item(item, index, argument_name)
        for index, item in enumerate(_iter_items(value, argument_name))
    )


def _iter_items(value: Any, argument_name: str) -> Iterator[Any]:
    # Iterating a data frame yields its column names, a mapping its keys, and bytes integers.
    if not (isinstance(value, bytes | bytearray | memoryview | Mapping) or _is_table(value)):
        try:
            return iter(value)
        except TypeError:
            pass
    raise InvalidOptionError(
        f"{argument_name} can't be read from a value of type {type(value).__name__}",
        "Give one text or a list of texts.",
    )


def _is_table(value: Any) -> bool:
    return hasattr(value, "columns")


def _require_str_item(item: Any, index: int, argument_name: str) -> str:
    if not isinstance(item, str):
        raise InvalidOptionError(
            f"{argument_name}[{index}] is of type {type(item).__name__}, not a text",
            "Convert it with str(), or leave it out.",
        )
    return str.__str__(item)
