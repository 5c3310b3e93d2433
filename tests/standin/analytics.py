"""POST /graphql: usage of the account from the ledger, as `aiInferenceAdaptiveGroups`."""

import operator
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from .accounts import ANALYTICS
from .errors import Refusal
from .exchange import Exchange
from .graphql import Field, Query, QueryError
from .ledger import Entry
from .reply import Reply, plain

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


async def graphql(exchange: Exchange) -> Reply:
    """Answer a query for the usage of the account."""
    accounts, body = exchange.cloud.accounts, exchange.body
    try:
        token = accounts.known(exchange.received.token)
    except Refusal:
        return failed("Unauthorized", 401)
    try:
        fields = Query(str(body.get("query", "")), body.get("variables") or {}).fields()
        viewer = only(fields, "viewer")
        account = only(viewer.fields, "accounts")
        wanted = account.arguments.get("filter", {}).get("accountTag")
        if ANALYTICS not in token.permissions or wanted != accounts.account_id:
            return failed("not authorized for that account", 403, code="authz")
        groups = {one.alias: grouped(exchange, one) for one in account.fields}
    except QueryError as error:
        return failed(str(error), 400)
    return plain({"data": {viewer.alias: {account.alias: [groups]}}, "errors": None})


def failed(message: str, status: int, **extensions: str) -> Reply:
    """Return an error in the format of GraphQL."""
    path = ["viewer", "accounts", "0", NODE]
    extensions["timestamp"] = datetime.now(UTC).isoformat()
    error = {"message": message, "path": path, "extensions": extensions}
    return plain({"data": None, "errors": [error]}, status)


def only(fields: Iterable[Field], name: str) -> Field:
    """Return the single selected field."""
    for field in fields:
        if field.name == name:
            return field
        raise unknown_field(field.name)
    message = "object field must have selections"
    raise QueryError(message)


def unknown_field(name: str) -> QueryError:
    """Return the error for an unknown field."""
    return QueryError(f'unknown field "{name}"')


def grouped(exchange: Exchange, node: Field) -> list[dict[str, Any]]:
    """Return the calls of the ledger, grouped by the selected dimensions."""
    if node.name != NODE:
        raise unknown_field(node.name)
    limit = node.arguments.get("limit")
    if not isinstance(limit, int) or not 0 < limit <= MAX_GROUPS:
        message = f"limit must be positive number and not greater than {MAX_GROUPS}"
        raise QueryError(message)
    horizon = exchange.cloud.clock() - exchange.switches.analytics_lag
    seen = [entry for entry in exchange.cloud.ledger.entries if entry.at <= horizon]
    matching = [entry for entry in seen if fits(entry, node.arguments.get("filter", {}))]
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    names = [
        one.name for field in node.fields if field.name == "dimensions" for one in field.fields
    ]
    for entry in matching:
        known = dimensions(entry)
        groups.setdefault(tuple(dimension(known, name) for name in names), []).append(entry)
    ordered = order(list(groups.values()), node.arguments.get("orderBy", []))
    return [selected(node.fields, group) for group in ordered[:limit]]


def dimensions(entry: Entry) -> dict[str, Any]:
    """Return the dimensions of a call, for grouping and filtering."""
    moment = datetime.fromtimestamp(entry.at, UTC)
    quarter = moment.replace(minute=moment.minute // 15 * 15, second=0)
    return {
        "date": moment.date().isoformat(),
        "datetime": stamp(moment),
        "datetimeFifteenMinutes": stamp(quarter),
        "datetimeHour": stamp(quarter.replace(minute=0)),
        "modelId": entry.call.model,
        "neurons": entry.call.neurons,
        "costMetricName1": "input_tokens",
        "costMetricName2": "output_tokens",
    }


def dimension(known: Mapping[str, Any], name: str) -> Any:
    """Return one dimension."""
    if name not in known:
        raise unknown_field(name)
    return known[name]


def stamp(moment: datetime) -> str:
    """Return a time in the format of the analytics."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def fits(entry: Entry, wanted: Mapping[str, Any]) -> bool:
    """Return True if a call matches the filter."""
    known = dimensions(entry)
    for condition, value in wanted.items():
        name, _, comparison = condition.partition("_")
        if comparison not in COMPARE:
            raise unknown_field(condition)
        if not COMPARE[comparison](dimension(known, name), value):
            return False
    return True


def order(groups: list[list[Entry]], wanted: Any) -> list[list[Entry]]:
    """Return groups in the requested order; the last key is sorted first."""
    keys = wanted if isinstance(wanted, list) else [wanted]
    for key in reversed(keys):
        name, _, direction = str(key).rpartition("_")
        groups.sort(key=lambda group: measure(group, name), reverse=direction == "DESC")
    return groups


def measure(group: list[Entry], name: str) -> Any:
    """Return the sort key of a group: a sum, the count or a dimension."""
    kind, _, of = name.partition("_")
    if kind == "sum":
        return total(group, of)
    return len(group) if name == "count" else dimension(dimensions(group[0]), name)


def selected(fields: Iterable[Field], group: list[Entry]) -> dict[str, Any]:
    """Return the requested fields of one group."""
    answer: dict[str, Any] = {}
    known = dimensions(group[0])
    for field in fields:
        if field.name == "count":
            answer[field.alias] = len(group)
        elif field.name == "sum":
            answer[field.alias] = {one.alias: total(group, one.name) for one in field.fields}
        elif field.name == "dimensions":
            answer[field.alias] = {one.alias: dimension(known, one.name) for one in field.fields}
        else:
            raise unknown_field(field.name)
    return answer


def total(group: Iterable[Entry], name: str) -> float:
    """Return one sum over a group; it is 0 for values that the stand-in does not measure."""
    if name == "totalNeurons":
        return sum(entry.call.neurons for entry in group)
    if name == "totalInputTokens":
        return sum(entry.call.prompt_tokens for entry in group)
    if name == "totalOutputTokens":
        return sum(entry.call.completion_tokens for entry in group)
    if name in UNMEASURED:
        return 0
    raise unknown_field(name)
