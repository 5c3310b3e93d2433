"""Let a model call Python functions.

This module generates JSON schemas, converts arguments and serializes results.
ArgumentTypeError messages and function results are sent to the model, so they are not translated.
"""

import json
import re
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from inspect import Parameter, Signature, getdoc, iscoroutinefunction, signature
from itertools import takewhile
from operator import or_
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from ..errors import InvalidOptionError
from ..i18n import _, ngettext
from ..texts import get_error_message, shorten_line
from ..types.messages import ToolCall, ToolResult
from .serialize import SerializedValue, SizeLimits, to_text
from .template import PROGRAM_EXITS

JSON_TYPE_BY_TYPE: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
BOOLEAN_WORDS = {"true": True, "false": False}
SEQUENCE_TYPES = (set, frozenset, tuple)  # types to which a JSON array can be converted
TOOL_NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
MAX_LINE_CHARS = 200  # maximum length of a call's arguments or result on one line
MIN_VALUE_CHARS = 40  # no value is truncated to fewer characters
MAX_NAME_CHARS = 64  # characters
MAX_ITEMS = 100  # items shown for each list or object in an argument
MAX_DEPTH = 20  # levels of nested lists and objects that are shown
# Invisible or blank characters that repr does not escape: combining characters, variation
# selectors, fillers, and the blank Braille pattern.
INVISIBLE_CHARS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
VARIADIC_KINDS = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class ArgumentTypeError(ValueError):
    """A JSON value does not match a type hint."""


def hint_to_schema(hint: Any) -> dict[str, Any]:
    """Return the JSON Schema for a type hint.

    For unsupported types, returns {}, which allows any value.
    """
    if hint in (None, Parameter.empty):
        return {} if hint is Parameter.empty else {"type": "null"}
    if _is_simple_type(hint):
        return {"type": JSON_TYPE_BY_TYPE[hint]}
    origin, type_args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        descriptions = [text for text in type_args[1:] if isinstance(text, str)]
        return {
            **hint_to_schema(type_args[0]),
            **({"description": descriptions[0]} if descriptions else {}),
        }
    if origin is Literal:
        return {"enum": list(type_args)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [hint_to_schema(member) for member in type_args]}
    return _class_to_schema(origin or hint, type_args)


def _is_simple_type(hint: Any) -> bool:
    try:
        return hint in JSON_TYPE_BY_TYPE
    except TypeError:  # the hint is not hashable
        return False


def _class_to_schema(target_type: Any, type_args: tuple[Any, ...]) -> dict[str, Any]:
    if not isinstance(target_type, type):
        return {}
    if issubclass(target_type, Enum):
        return {"enum": [member.value for member in target_type]}
    get_schema = getattr(target_type, "model_json_schema", None)  # defined by pydantic models
    if callable(get_schema):
        return dict(get_schema())
    if issubclass(target_type, Mapping):
        values = (
            {"additionalProperties": hint_to_schema(type_args[1])} if len(type_args) > 1 else {}
        )
        return {"type": "object", **values}
    if issubclass(target_type, Collection) and not issubclass(target_type, (str, bytes)):
        return {"type": "array", **({"items": hint_to_schema(type_args[0])} if type_args else {})}
    return {}


def coerce(value: Any, hint: Any) -> Any:
    """Convert a JSON value to the type specified by a hint.

    Numbers and booleans may also be strings, because some models send them as strings.

    Raises:
        ArgumentTypeError: The value does not match the type hint.
    """
    if hint is None:
        hint = type(None)
    if _is_simple_type(hint):
        return _coerce_simple(value, hint)
    origin, type_args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return coerce(value, type_args[0])
    if origin is Literal:
        return _coerce_literal(value, type_args)
    if origin in (Union, types.UnionType):
        return _coerce_union(value, type_args)
    return _coerce_class(value, origin or hint, type_args)


def _coerce_simple(value: Any, target_type: Any) -> Any:
    if type(value) is target_type:
        return value
    if target_type is bool and isinstance(value, str) and value.lower() in BOOLEAN_WORDS:
        return BOOLEAN_WORDS[value.lower()]
    number = _coerce_number(value, target_type) if target_type in (int, float) else None
    if number is None:
        raise ArgumentTypeError(f"{value!r} is no {JSON_TYPE_BY_TYPE[target_type]}")
    return number


def _coerce_number(value: Any, target_type: Any) -> Any:
    """Convert a number or numeric string to `target_type`.

    Returns None for other values.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = target_type(value)
        return number if float(number) == float(value) else None
    except (ValueError, OverflowError):
        return None


def _coerce_literal(value: Any, allowed: tuple[Any, ...]) -> Any:
    for allowed_value in allowed:
        if value == allowed_value and type(value) is type(allowed_value):
            return allowed_value
    raise ArgumentTypeError(f"{value!r} is none of {', '.join(map(repr, allowed))}")


def _coerce_union(value: Any, hints: tuple[Any, ...]) -> Any:
    """Return the value unchanged if one of the hints is its exact type.

    Otherwise, convert it to the first hint that fits.
    """
    for hint in hints:
        if _is_simple_type(hint) and type(value) is hint:
            return value
    for hint in hints:
        try:
            return coerce(value, hint)
        except ArgumentTypeError:
            continue
    raise ArgumentTypeError(f"{value!r} fits none of what is allowed")


def _coerce_class(value: Any, target_type: Any, type_args: tuple[Any, ...]) -> Any:
    schema = _class_to_schema(target_type, type_args)
    if "enum" in schema:
        return target_type(_coerce_literal(value, tuple(schema["enum"])))
    if callable(getattr(target_type, "model_validate", None)):
        try:
            return target_type.model_validate(value)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None
    if schema.get("type") == "array":
        return _coerce_list(value, target_type, type_args)
    if schema.get("type") == "object":
        if not isinstance(value, dict):
            raise ArgumentTypeError(f"{value!r} is no object")
        return (
            {k: coerce(v, type_args[1]) for k, v in value.items()} if len(type_args) > 1 else value
        )
    return value


def _coerce_list(value: Any, target_type: Any, type_args: tuple[Any, ...]) -> Any:
    if not isinstance(value, list):
        raise ArgumentTypeError(f"{value!r} is no array")
    items = [coerce(element, type_args[0]) for element in value] if type_args else value
    return target_type(items) if target_type in SEQUENCE_TYPES else items


@dataclass(frozen=True, slots=True)
class Tool:
    """A Python function, with the name that the model uses to call it."""

    name: str
    function: Callable[..., Any]
    signature: Signature
    hints: Mapping[str, Any]

    @property
    def declaration(self) -> dict[str, Any]:
        """The function's entry in OpenAI's `tools` field.

        The entry is based on the function's type hints and docstring.
        """
        named_parameters = {
            n: p for n, p in self.signature.parameters.items() if p.kind not in VARIADIC_KINDS
        }
        properties = {
            name: self._property(parameter) for name, parameter in named_parameters.items()
        }
        # Pydantic adds "$defs" to each model's schema, but they belong at the top level.
        shared_definitions = [schema.pop("$defs", {}) for schema in properties.values()]
        parameters = {
            "type": "object",
            "properties": properties,
            "required": [
                name
                for name, parameter in named_parameters.items()
                if parameter.default is Parameter.empty
            ],
            **({"$defs": reduce(or_, shared_definitions)} if any(shared_definitions) else {}),
        }
        description = getdoc(self.function) or ""
        function = {"name": self.name, "description": description, "parameters": parameters}
        return {"type": "function", "function": function}

    def _property(self, parameter: Parameter) -> dict[str, Any]:
        schema = hint_to_schema(self.hints.get(parameter.name, Parameter.empty))
        if isinstance(parameter.default, (str, int, float)):  # bool is an int
            return {**schema, "default": parameter.default}
        return schema

    def call(self, arguments: str) -> Any:
        """Call the function with JSON arguments, and return its result.

        Raises:
            ArgumentTypeError: The arguments are not valid JSON, or do not match the parameters.
        """
        parsed_arguments = parse_arguments(arguments)
        if not isinstance(parsed_arguments, dict):
            raise ArgumentTypeError("the arguments are no JSON object")
        values = {
            name: self._coerce_argument(name, value) for name, value in parsed_arguments.items()
        }
        parameter_items = self.signature.parameters.items()
        positional_names = [
            name
            for name, parameter in parameter_items
            if parameter.kind is Parameter.POSITIONAL_ONLY
        ]
        positional_values = [
            values.pop(name) for name in takewhile(values.__contains__, positional_names)
        ]
        try:
            bound_arguments = self.signature.bind(*positional_values, **values)
        except TypeError as error:
            raise ArgumentTypeError(str(error)) from None
        return self.function(*bound_arguments.args, **bound_arguments.kwargs)

    def _coerce_argument(self, name: str, value: Any) -> Any:
        try:
            return coerce(value, self.hints.get(name, Any))
        except ArgumentTypeError as error:
            raise ArgumentTypeError(f"{name}: {error}") from None


def make_tool(name: str, function: Any) -> Tool:
    """Create a tool from a function.

    Raises:
        InvalidOptionError: `function` or `name` can't be used for a tool.
    """
    if not callable(function):
        raise InvalidOptionError(
            _("{name} is not a function: its type is {type}").format(
                name=name, type=type(function).__name__
            ),
            _("Specify Python functions by name."),
        )
    if not TOOL_NAME_PATTERN.fullmatch(name):
        raise InvalidOptionError(
            _("{name} is not a function name that models can call").format(name=name),
            _("Use up to 64 letters (A-Z, a-z), digits and underscores."),
        )
    if iscoroutinefunction(function):
        raise InvalidOptionError(
            _("{name} is an async function").format(name=name),
            _("Use a regular function that waits for its result."),
        )
    try:
        function_signature = signature(function)
        hints = get_type_hints(function, include_extras=True) if _has_hints(function) else {}
    except (ValueError, TypeError, NameError) as error:
        raise InvalidOptionError(
            _("The parameters of {name} can't be read: {error}").format(name=name, error=error)
        ) from None
    return Tool(name, function, function_signature, hints)


def _has_hints(function: Any) -> bool:
    return hasattr(function, "__annotations__")


# --- calls


def parse_arguments(text: str) -> Any:
    """Return the arguments of a call, parsed from JSON text.

    Raises:
        ArgumentTypeError: The text is not valid JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        shown_text = shorten_line(text, MAX_LINE_CHARS)
        raise ArgumentTypeError(f"the arguments are not valid JSON: {shown_text}") from None


def has_valid_arguments(call: ToolCall) -> bool:
    """Return whether the arguments of a call are valid JSON."""
    try:
        parse_arguments(call.arguments)
    except ArgumentTypeError:
        return False
    return True


def call_tool(call: ToolCall, tools: Sequence[Tool], limits: SizeLimits) -> ToolResult:
    """Call the function that the model requested, and return its result or error as text."""
    matches = [tool for tool in tools if tool.name == call.name]
    if not matches:
        names = ", ".join(tool.name for tool in tools)
        return make_error_result(call, f"there is no function {call.name!r}; there are: {names}")
    try:
        result = to_text(matches[0].call(call.arguments), limits)
    except ArgumentTypeError as type_error:
        return make_error_result(call, f"{call.name} was not called: {type_error}")
    except PROGRAM_EXITS:
        raise
    except BaseException as error:  # noqa: BLE001 - includes asyncio.CancelledError
        reason = f"{type(error).__name__}: {get_error_message(error)}"
        return make_error_result(call, reason, limits)
    return ToolResult(call.name, call.arguments, result.text, truncation=result.truncated_to)


def make_error_result(
    call: ToolCall,
    reason: str,
    limits: SizeLimits = SizeLimits(),  # noqa: B008 - immutable
) -> ToolResult:
    """Return an error result that explains why a call failed or was not made."""
    serialized: SerializedValue = to_text(f"Error: {reason}", limits)
    return ToolResult(
        call.name,
        call.arguments,
        serialized.text,
        truncation=serialized.truncated_to,
        is_error=True,
    )


def build_tool_messages(
    text: str, calls: Sequence[ToolCall], results: Sequence[ToolResult]
) -> list[Any]:
    """Return the messages for the next request: the assistant's calls and the tool results."""
    assistant_message = {
        "role": "assistant",
        "content": text,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    # Servers reject the request if the arguments are not valid JSON.
                    "arguments": call.arguments if has_valid_arguments(call) else "{}",
                },
            }
            for call in calls
        ],
    }
    result_messages = [
        {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": result.result}
        for call, result in zip(calls, results, strict=True)
    ]
    return [assistant_message, *result_messages]


# --- calls as text for the user


def format_call(name: str, arguments: str, max_chars: int = MAX_LINE_CHARS) -> str:
    """Return a call in Python syntax with all its arguments, such as add(a=1, b=3).

    Control characters, line breaks, and bidirectional and zero-width characters are escaped.

    Args:
        name: The name of the function, as the model sent it.
        arguments: The arguments as JSON text.
        max_chars: The maximum total length of all values. Long values are truncated,
            and their full length is shown.
    """
    try:
        parsed_arguments = parse_arguments(arguments)
    except ArgumentTypeError:
        parsed_arguments = arguments
    if not isinstance(parsed_arguments, dict):
        return f"{format_name(name)}({_format_value(parsed_arguments, max_chars)})"
    values = _format_values(list(parsed_arguments.values()), max_chars)
    pairs = (
        f"{format_name(key)}={value}" for key, value in zip(parsed_arguments, values, strict=True)
    )
    return f"{format_name(name)}({', '.join(pairs)})"


def format_name(name: str) -> str:
    """Return a name from a model, quoted unless it is a short, fully visible identifier."""
    is_visible = name.isprintable() and not INVISIBLE_CHARS.search(name)
    is_plain = len(name) <= MAX_NAME_CHARS and name.isidentifier() and is_visible
    return name if is_plain else _quote(name, MAX_NAME_CHARS)


def _format_values(values: Sequence[Any], max_chars: int, depth: int = 0) -> list[str]:
    """Return each value as text. Long values may use characters that short values leave unused."""
    remaining_chars, max_value_chars = max_chars, max_chars
    for remaining_count, length in zip(
        range(len(values), 0, -1), sorted(map(_repr_length, values)), strict=True
    ):
        if length * remaining_count > remaining_chars:
            max_value_chars = max(MIN_VALUE_CHARS, remaining_chars // remaining_count)
            break
        remaining_chars -= length
    return [_format_value(value, max_value_chars, depth) for value in values]


def _repr_length(value: Any) -> int:
    try:
        return len(repr(value))
    except RecursionError:
        return MAX_LINE_CHARS


def _format_value(value: Any, max_chars: int, depth: int = 0) -> str:
    if isinstance(value, str):
        return _quote(value, max_chars)
    if not isinstance(value, dict | list):
        return _truncate(repr(value), max_chars)
    if depth == MAX_DEPTH:
        return ngettext(
            "…({count:,} item, nested too deeply to show)",
            "…({count:,} items, nested too deeply to show)",
            len(value),
        ).format(count=len(value))
    items = _format_values(
        list(value.values() if isinstance(value, dict) else value), max_chars, depth + 1
    )
    visible_items = items[:MAX_ITEMS]
    hidden_count = len(items) - MAX_ITEMS
    omission_note = (
        [
            ngettext("…({count:,} more item)", "…({count:,} more items)", hidden_count).format(
                count=hidden_count
            )
        ]
        if hidden_count > 0
        else []
    )
    if isinstance(value, list):
        return f"[{', '.join([*visible_items, *omission_note])}]"
    pairs = [f"{_quote(key, MAX_NAME_CHARS)}: {item}" for key, item in zip(value, visible_items)]  # noqa: B905 - the first items only
    return f"{{{', '.join([*pairs, *omission_note])}}}"


def _quote(text: str, max_chars: int) -> str:
    """Return text in Python quotes, followed by its full length if it is truncated."""
    length_note = _format_length(text) if len(text) > max_chars else ""
    return INVISIBLE_CHARS.sub(_escape_char, repr(text[:max_chars])) + length_note


def _escape_char(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


def _truncate(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else f"{text[:max_chars]}{_format_length(text)}"


def _format_length(text: str) -> str:
    return _("…({count:,} characters)").format(count=len(text))
