"""Owns what type hints mean in JSON: the schema of one, and a value made into what it names."""

import types
from collections.abc import Collection, Mapping
from enum import Enum
from inspect import Parameter
from typing import Annotated, Any, Literal, Union, get_args, get_origin

SIMPLE: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
WORDS = {"true": True, "false": False}
MADE = (set, frozenset, tuple)  # what a list is made into


class Misfit(ValueError):
    """A JSON value is not what a hint names."""


def schema_of(hint: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type hint; {}, which fits anything, where JSON has no such."""
    if hint in (None, Parameter.empty):
        return {} if hint is Parameter.empty else {"type": "null"}
    if _is_known(hint):
        return {"type": SIMPLE[hint]}
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        told = [each for each in inner[1:] if isinstance(each, str)]
        return {**schema_of(inner[0]), **({"description": told[0]} if told else {})}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(each) for each in inner]}
    return _of_class(origin or hint, inner)


def _is_known(hint: Any) -> bool:
    try:
        return hint in SIMPLE
    except TypeError:  # a hint that is not hashable
        return False


def _of_class(kind: Any, inner: tuple[Any, ...]) -> dict[str, Any]:
    if not isinstance(kind, type):
        return {}
    if issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    described = getattr(kind, "model_json_schema", None)  # pydantic's
    if callable(described):
        return dict(described())
    if issubclass(kind, Mapping):
        values = {"additionalProperties": schema_of(inner[1])} if len(inner) > 1 else {}
        return {"type": "object", **values}
    if issubclass(kind, Collection) and not issubclass(kind, (str, bytes)):
        return {"type": "array", **({"items": schema_of(inner[0])} if inner else {})}
    return {}


def fitted(value: Any, hint: Any) -> Any:
    """Return a JSON value as the hint names it; raise Misfit where it is something else.

    Models write numbers as text now and then: those become numbers.
    """
    if hint is None:
        hint = type(None)
    if _is_known(hint):
        return _simple(value, hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fitted(value, inner[0])
    if origin is Literal:
        return _one_of(value, inner)
    if origin in (Union, types.UnionType):
        return _any_of(value, inner)
    return _made(value, origin or hint, inner)


def _simple(value: Any, kind: Any) -> Any:
    if type(value) is kind:
        return value
    if kind is bool and isinstance(value, str) and value.lower() in WORDS:
        return WORDS[value.lower()]
    number = _number(value, kind) if kind in (int, float) else None
    if number is None:
        raise Misfit(f"{value!r} is no {SIMPLE[kind]}")
    return number


def _number(value: Any, kind: Any) -> Any:
    """Return a number, or one written as text, as the kind asked for; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = kind(value)
        return number if float(number) == float(value) else None
    except (ValueError, OverflowError):
        return None


def _one_of(value: Any, allowed: tuple[Any, ...]) -> Any:
    for each in allowed:
        if value == each and type(value) is type(each):
            return each
    raise Misfit(f"{value!r} is none of {', '.join(map(repr, allowed))}")


def _any_of(value: Any, hints: tuple[Any, ...]) -> Any:
    """Return the value as the first of the hints that it is already, else that it can become."""
    for hint in hints:
        if _is_known(hint) and type(value) is hint:
            return value
    for hint in hints:
        try:
            return fitted(value, hint)
        except Misfit:
            continue
    raise Misfit(f"{value!r} fits none of what is allowed")


def _made(value: Any, kind: Any, inner: tuple[Any, ...]) -> Any:
    schema = _of_class(kind, inner)
    if "enum" in schema:
        return kind(_one_of(value, tuple(schema["enum"])))
    if callable(getattr(kind, "model_validate", None)):
        try:
            return kind.model_validate(value)
        except ValueError as error:
            raise Misfit(str(error)) from None
    if schema.get("type") == "array":
        return _list(value, kind, inner)
    if schema.get("type") == "object":
        if not isinstance(value, dict):
            raise Misfit(f"{value!r} is no object")
        return {k: fitted(v, inner[1]) for k, v in value.items()} if len(inner) > 1 else value
    return value


def _list(value: Any, kind: Any, inner: tuple[Any, ...]) -> Any:
    if not isinstance(value, list):
        raise Misfit(f"{value!r} is no array")
    items = [fitted(each, inner[0]) for each in value] if inner else value
    return kind(items) if kind in MADE else items
