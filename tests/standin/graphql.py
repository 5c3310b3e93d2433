"""Parser for GraphQL queries of the analytics: fields, arguments, variables, values."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

TOKEN = re.compile(
    r"""(?:[\s,]|\#[^\n]*)*(?:
    (?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?)|
    (?P<variable>\$\w+)|(?P<name>\w+)|(?P<mark>[{}()\[\]:!=])|(?P<end>\Z))""",
    re.VERBOSE,
)
LITERALS = MappingProxyType({"true": True, "false": False, "null": None})


class QueryError(Exception):
    """The query is invalid or has unknown fields."""


@dataclass(frozen=True, slots=True)
class Field:
    """A selected field with its name in the answer, arguments and nested fields."""

    alias: str
    name: str
    arguments: Mapping[str, Any]
    fields: tuple["Field", ...]


class Query:
    """Parse one query from left to right."""

    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self._tokens = list(tokens(text))
        self._at = 0

    def fields(self) -> tuple[Field, ...]:
        """Return the fields that the operation selects."""
        while self._next != "{":
            if self._take() == "(":
                self._skip_declarations()
        return self._selection()

    @property
    def _next(self) -> str:
        if self._at >= len(self._tokens):
            message = "query contains error, please review it and retry"
            raise QueryError(message)
        return self._tokens[self._at]

    def _take(self, expected: str = "") -> str:
        token = self._next
        if expected and token != expected:
            message = f"expected {expected}, found {token}"
            raise QueryError(message)
        self._at += 1
        return token

    def _skip_declarations(self) -> None:
        while self._take() != ")":
            pass

    def _selection(self) -> tuple[Field, ...]:
        self._take("{")
        found = []
        while self._next != "}":
            found.append(self._field())
        self._take("}")
        return tuple(found)

    def _field(self) -> Field:
        alias = name = self._take()
        if self._next == ":":
            self._take()
            name = self._take()
        arguments = self._object("(", ")") if self._next == "(" else {}
        fields = self._selection() if self._next == "{" else ()
        return Field(alias, name, arguments, fields)

    def _object(self, opening: str, closing: str) -> dict[str, Any]:
        self._take(opening)
        found = {}
        while self._next != closing:
            name = self._take()
            self._take(":")
            found[name] = self._value()
        self._take(closing)
        return found

    def _value(self) -> Any:
        if self._next == "{":
            return self._object("{", "}")
        if self._next == "[":
            return self._list()
        token = self._take()
        if token.startswith("$"):
            return self._variables.get(token[1:])
        return scalar(token)

    def _list(self) -> list[Any]:
        self._take("[")
        found = []
        while self._next != "]":
            found.append(self._value())
        self._take("]")
        return found


def tokens(text: str) -> Iterator[str]:
    """Yield the tokens of a query."""
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            message = f"error parsing args at {text[at : at + 10]!r}"
            raise QueryError(message)
        at = match.end()
        if match.lastgroup != "end":
            yield match[match.lastgroup or "end"]


def scalar(token: str) -> Any:
    """Return the value of a token; for an enum, its name."""
    if token[0] in '"-0123456789':
        return json.loads(token)
    return LITERALS.get(token, token)
