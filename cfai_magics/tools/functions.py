"""Owns functions that a model may call: how it is told of them, and what a call of one gives."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from inspect import Parameter, Signature, getdoc, iscoroutinefunction, signature
from itertools import takewhile
from operator import or_
from typing import Any, get_type_hints

from ..errors import BadOption
from ..prompt.spelling import Limits, Spelled, spelled
from ..values import Called, ToolCall
from .hints import Misfit, fitted, schema_of

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
SHOWN = 200  # characters of a call's values, or of its result, in one line
LEAST_SHOWN = 40  # characters of each value, however many there are
NAME_LENGTH = 64  # characters of a name
MOST_ITEMS = 100  # of a list or object inside an argument
DEEPEST = 20  # levels of lists and objects
# What repr leaves as it is, though it shows nothing or only blank: combining and variation
# marks, fillers, the empty Braille pattern.
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
SEVERAL = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Tool:
    """One function under the name by which the model calls it."""

    name: str
    function: Callable[..., Any]
    signature: Signature
    hints: Mapping[str, Any]

    @property
    def declaration(self) -> dict[str, Any]:
        """The function as OpenAI's field `tools` has it: from its hints and its docstring."""
        named = {n: p for n, p in self.signature.parameters.items() if p.kind not in SEVERAL}
        properties = {name: self._property(each) for name, each in named.items()}
        shared = [each.pop("$defs", {}) for each in properties.values()]  # of pydantic models
        parameters = {
            "type": "object",
            "properties": properties,
            "required": [name for name, each in named.items() if each.default is Parameter.empty],
            **({"$defs": reduce(or_, shared)} if any(shared) else {}),
        }
        told = getdoc(self.function) or ""
        function = {"name": self.name, "description": told, "parameters": parameters}
        return {"type": "function", "function": function}

    def _property(self, parameter: Parameter) -> dict[str, Any]:
        schema = schema_of(self.hints.get(parameter.name, Parameter.empty))
        if isinstance(parameter.default, (str, int, float)):  # bool is an int
            return {**schema, "default": parameter.default}
        return schema

    def call(self, arguments: str) -> Any:
        """Call the function with arguments as JSON text; Misfit where they do not fit it."""
        given = arguments_in(arguments)
        if not isinstance(given, dict):
            raise Misfit("the arguments are no JSON object")
        values = {name: self._fitted(name, value) for name, value in given.items()}
        each = self.signature.parameters.items()
        first = [name for name, known in each if known.kind is Parameter.POSITIONAL_ONLY]
        unnamed = [values.pop(name) for name in takewhile(values.__contains__, first)]
        try:
            bound = self.signature.bind(*unnamed, **values)
        except TypeError as error:
            raise Misfit(str(error)) from None
        return self.function(*bound.args, **bound.kwargs)

    def _fitted(self, name: str, value: Any) -> Any:
        try:
            return fitted(value, self.hints.get(name, Any))
        except Misfit as misfit:
            raise Misfit(f"{name}: {misfit}") from None


def tool(name: str, function: Any) -> Tool:
    """Return the function of this name as a tool; BadOption where a model can't call it."""
    if not callable(function):
        raise BadOption(f"{name} is no function but {type(function).__name__}", "Name functions.")
    if not NAME.fullmatch(name):
        raise BadOption(f"{name} is no name that models can call", "Use a-z, 0-9 and _.")
    if iscoroutinefunction(function):
        raise BadOption(f"{name} is async", "Give a plain function that waits for it.")
    try:
        found = signature(function)
        hints = get_type_hints(function, include_extras=True) if _has_hints(function) else {}
    except (ValueError, TypeError, NameError) as error:
        raise BadOption(f"The parameters of {name} are not known: {error}") from None
    return Tool(name, function, found, hints)


def _has_hints(function: Any) -> bool:
    return hasattr(function, "__annotations__")


# --- calls


def arguments_in(text: str) -> Any:
    """Return what the JSON text of a call holds; Misfit where it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Misfit(f"the arguments are not valid JSON: {shortened(text)}") from None


def is_readable(call: ToolCall) -> bool:
    """Whether the arguments of a call are JSON, so that it may be made."""
    try:
        arguments_in(call.arguments)
    except Misfit:
        return False
    return True


def made(call: ToolCall, tools: Sequence[Tool], limits: Limits) -> Called:
    """Make a call, and return it with its result as text; what goes wrong is a text, too."""
    found = [each for each in tools if each.name == call.name]
    if not found:
        names = ", ".join(each.name for each in tools)
        return failed(call, f"there is no function {call.name!r}; there are: {names}")
    try:
        result = spelled(found[0].call(call.arguments), limits)
    except Misfit as misfit:
        return failed(call, f"{call.name} was not called: {misfit}")
    except Exception as error:  # noqa: BLE001 - whatever the user's function raises
        return failed(call, f"{type(error).__name__}: {error}", limits)
    return Called(call.name, call.arguments, result.text, kept=result.kept)


def failed(call: ToolCall, why: str, limits: Limits = Limits()) -> Called:  # noqa: B008 - immutable
    """Return a call that gave no result, with why."""
    told: Spelled = spelled(f"Error: {why}", limits)
    return Called(call.name, call.arguments, told.text, kept=told.kept, failed=True)


def messages(text: str, calls: Sequence[ToolCall], results: Sequence[Called]) -> list[Any]:
    """Return what a conversation goes on with: what the model said and called, and the results."""
    said = {
        "role": "assistant",
        "content": text,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    # Servers parse it, and refuse the request where it is not JSON.
                    "arguments": call.arguments if is_readable(call) else "{}",
                },
            }
            for call in calls
        ],
    }
    answers = [
        {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": result.result}
        for call, result in zip(calls, results, strict=True)
    ]
    return [said, *answers]


# --- as people read them


def written(name: str, arguments: str, most: int = SHOWN) -> str:
    """Return a call as Python writes it: add(a=1, b=3), with every argument in it.

    `most` is the number of characters for all values together. A value that takes more than its
    share is cut by itself, and its length is given. Characters that a reader cannot see are
    escaped: controls, line ends, bidirectional and zero-width ones. Spaces stay as they are.
    """
    try:
        given = arguments_in(arguments)
    except Misfit:
        given = arguments
    if not isinstance(given, dict):
        return f"{named(name)}({_value(given, most)})"
    values = _values(list(given.values()), most)
    pairs = (f"{named(key)}={value}" for key, value in zip(given, values, strict=True))
    return f"{named(name)}({', '.join(pairs)})"


def named(name: str) -> str:
    """Return a name that a model gave: quoted unless a reader sees all of it."""
    is_seen = name.isprintable() and not INVISIBLE.search(name)
    is_plain = len(name) <= NAME_LENGTH and name.isidentifier() and is_seen
    return name if is_plain else _quoted(name, NAME_LENGTH)


def _values(values: Sequence[Any], most: int, depth: int = 0) -> list[str]:
    """Return values as text; what short ones leave of `most` goes to the long ones."""
    room, share = most, most
    for left, length in zip(range(len(values), 0, -1), sorted(map(_length, values)), strict=True):
        if length * left > room:
            share = max(LEAST_SHOWN, room // left)
            break
        room -= length
    return [_value(value, share, depth) for value in values]


def _length(value: Any) -> int:
    try:
        return len(repr(value))
    except RecursionError:
        return SHOWN


def _value(value: Any, most: int, depth: int = 0) -> str:
    if isinstance(value, str):
        return _quoted(value, most)
    if not isinstance(value, dict | list):
        return _cut(repr(value), most)
    if depth == DEEPEST:
        return f"…({len(value):,} items, nested too deeply to be shown)"
    items = _values(list(value.values() if isinstance(value, dict) else value), most, depth + 1)
    shown = items[:MOST_ITEMS]
    more = [f"…({len(items) - MOST_ITEMS:,} more items)"] if len(items) > MOST_ITEMS else []
    if isinstance(value, list):
        return f"[{', '.join([*shown, *more])}]"
    pairs = [f"{_quoted(key, NAME_LENGTH)}: {item}" for key, item in zip(value, shown)]  # noqa: B905 - the first ones
    return f"{{{', '.join([*pairs, *more])}}}"


def _quoted(text: str, most: int) -> str:
    """Return a text as Python writes it; what says that it is cut stands outside the quotes."""
    cut = f"…({len(text):,} characters)" if len(text) > most else ""
    return INVISIBLE.sub(_escape, repr(text[:most])) + cut


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…({len(text):,} characters)"


def shortened(text: str, most: int = SHOWN) -> str:
    """Return a text on one line, cut visibly where it is longer."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
