"""POST /graphql: usage of the account from the ledger, as `aiInferenceAdaptiveGroups`.

The fields and errors are those that clients of the real API use. The parser knows what their
queries need: fields, arguments, variables and values.
"""

import json
import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from .errors import Refusal, Reply, plain
from .state import ANALYTICS, Entry, Exchange

NODE = "aiInferenceAdaptiveGroups"
MAX_GROUPS = 10_000
COMPARE = MappingProxyType(
    {
        "": operator.eq,
        "in": lambda value, wanted: value in wanted,
        "geq": operator.ge,
        "leq": operator.le,
        "gt": operator.gt,
        "lt": operator.lt,
    }
)
UNMEASURED = frozenset(
    {
        "totalInferenceTimeMs",
        "totalInferenceSteps",
        "totalRequestBytesIn",
        "totalRequestBytesOut",
        "totalProcessedPixels",
        "totalProcessedTiles",
        "totalTiles",
        "totalAudioSeconds",
        "totalCostMetricValue1",
        "totalCostMetricValue2",
        "totalInputLength",
    }
)
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
        self._tokens = list(_split_query(text))
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
        return _parse_scalar(token)

    def _list(self) -> list[Any]:
        self._take("[")
        found = []
        while self._next != "]":
            found.append(self._value())
        self._take("]")
        return found


def _split_query(text: str) -> Iterator[str]:
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


def _parse_scalar(token: str) -> Any:
    """Return the value of a token; for an enum, its name."""
    if token[0] in '"-0123456789':
        return json.loads(token)
    return LITERALS.get(token, token)


async def graphql(exchange: Exchange) -> Reply:
    """Answer a query for the usage of the account."""
    accounts, body = exchange.cloud.accounts, exchange.body
    try:
        token = accounts.get_active(exchange.received.token)
    except Refusal:
        return _make_error("Unauthorized", 401)
    try:
        fields = Query(str(body.get("query", "")), body.get("variables") or {}).fields()
        viewer = _select_only(fields, "viewer")
        account = _select_only(viewer.fields, "accounts")
        wanted = account.arguments.get("filter", {}).get("accountTag")
        if ANALYTICS not in token.permissions or wanted != accounts.account_id:
            return _make_error("not authorized for that account", 403, code="authz")
        groups = {one.alias: _group_calls(exchange, one) for one in account.fields}
    except QueryError as error:
        return _make_error(str(error), 400)
    return plain({"data": {viewer.alias: {account.alias: [groups]}}, "errors": None})


def _make_error(message: str, status: int, **extensions: str) -> Reply:
    """Return an error in the format of GraphQL."""
    path = ["viewer", "accounts", "0", NODE]
    extensions["timestamp"] = datetime.now(UTC).isoformat()
    error = {"message": message, "path": path, "extensions": extensions}
    return plain({"data": None, "errors": [error]}, status)


def _select_only(fields: Iterable[Field], name: str) -> Field:
    """Return the single selected field."""
    for field in fields:
        if field.name == name:
            return field
        raise _unknown_field(field.name)
    message = "object field must have selections"
    raise QueryError(message)


def _unknown_field(name: str) -> QueryError:
    """Return the error for an unknown field."""
    return QueryError(f'unknown field "{name}"')


def _group_calls(exchange: Exchange, node: Field) -> list[dict[str, Any]]:
    """Return the calls of the ledger, grouped by the selected dimensions."""
    if node.name != NODE:
        raise _unknown_field(node.name)
    limit = node.arguments.get("limit")
    if not isinstance(limit, int) or not 0 < limit <= MAX_GROUPS:
        message = f"limit must be positive number and not greater than {MAX_GROUPS}"
        raise QueryError(message)
    horizon = exchange.cloud.clock() - exchange.switches.analytics_lag
    seen = [entry for entry in exchange.cloud.ledger.entries if entry.at <= horizon]
    matching = [entry for entry in seen if _matches(entry, node.arguments.get("filter", {}))]
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    names = [
        one.name for field in node.fields if field.name == "dimensions" for one in field.fields
    ]
    for entry in matching:
        known = _get_dimensions(entry)
        groups.setdefault(tuple(_get_dimension(known, name) for name in names), []).append(entry)
    ordered = _sort_groups(list(groups.values()), node.arguments.get("orderBy", []))
    return [_select_fields(node.fields, group) for group in ordered[:limit]]


def _get_dimensions(entry: Entry) -> dict[str, Any]:
    """Return the dimensions of a call, for grouping and filtering."""
    moment = datetime.fromtimestamp(entry.at, UTC)
    quarter = moment.replace(minute=moment.minute // 15 * 15, second=0)
    return {
        "date": moment.date().isoformat(),
        "datetime": _format_time(moment),
        "datetimeFifteenMinutes": _format_time(quarter),
        "datetimeHour": _format_time(quarter.replace(minute=0)),
        "modelId": entry.call.model,
        "neurons": entry.call.neurons,
        "costMetricName1": "input_tokens",
        "costMetricName2": "output_tokens",
    }


def _get_dimension(known: Mapping[str, Any], name: str) -> Any:
    """Return one dimension."""
    if name not in known:
        raise _unknown_field(name)
    return known[name]


def _format_time(moment: datetime) -> str:
    """Return a time in the format of the analytics."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _matches(entry: Entry, wanted: Mapping[str, Any]) -> bool:
    """Return True if a call matches the filter."""
    known = _get_dimensions(entry)
    for condition, value in wanted.items():
        name, _, comparison = condition.partition("_")
        if comparison not in COMPARE:
            raise _unknown_field(condition)
        if not COMPARE[comparison](_get_dimension(known, name), value):
            return False
    return True


def _sort_groups(groups: list[list[Entry]], wanted: Any) -> list[list[Entry]]:
    """Return groups in the requested order; the last key is sorted first."""
    keys = wanted if isinstance(wanted, list) else [wanted]
    for key in reversed(keys):
        name, _, direction = str(key).rpartition("_")
        groups.sort(key=lambda group: _measure(group, name), reverse=direction == "DESC")
    return groups


def _measure(group: list[Entry], name: str) -> Any:
    """Return the sort key of a group: a sum, the count or a dimension."""
    kind, _, of = name.partition("_")
    if kind == "sum":
        return _sum_of(group, of)
    return len(group) if name == "count" else _get_dimension(_get_dimensions(group[0]), name)


def _select_fields(fields: Iterable[Field], group: list[Entry]) -> dict[str, Any]:
    """Return the requested fields of one group."""
    answer: dict[str, Any] = {}
    known = _get_dimensions(group[0])
    for field in fields:
        if field.name == "count":
            answer[field.alias] = len(group)
        elif field.name == "sum":
            answer[field.alias] = {one.alias: _sum_of(group, one.name) for one in field.fields}
        elif field.name == "dimensions":
            answer[field.alias] = {
                one.alias: _get_dimension(known, one.name) for one in field.fields
            }
        else:
            raise _unknown_field(field.name)
    return answer


def _sum_of(group: Iterable[Entry], name: str) -> float:
    """Return one sum over a group; it is 0 for values that the stand-in does not measure."""
    if name == "totalNeurons":
        return sum(entry.call.neurons for entry in group)
    if name == "totalInputTokens":
        return sum(entry.call.prompt_tokens for entry in group)
    if name == "totalOutputTokens":
        return sum(entry.call.completion_tokens for entry in group)
    if name in UNMEASURED:
        return 0
    raise _unknown_field(name)
