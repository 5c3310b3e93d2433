"""What a map will ask: a prompt a row, each different one once, and what all may cost."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Unpack

from ..arguments import text_of
from ..errors import BadOption
from ..forms.schema import Schema, read_schema, schema_of, streams
from ..neurons.pricing import Cost
from ..paths import user_path
from ..prompt.spelling import Limits
from ..session import Session
from ..values import Message, Model, Request
from ..values.request import Fields
from ..workers_ai import chat
from .columns import Columns, columns_of, pattern_of

RESULTS = ("answer", "error", "neurons")  # the columns that are added


@dataclass(frozen=True, slots=True)
class Plan:
    """What a map will ask.

    `keys` has the key of each row's prompt, "" where it has none and `faults` says why;
    `requests` has each different prompt once, by its key.
    """

    columns: Columns
    model: Model
    keys: tuple[str, ...]
    faults: tuple[str, ...]
    requests: Mapping[str, Request]
    schema: Schema | None = None

    def costs(self, session: Session, keys: Sequence[str]) -> dict[str, Cost | None]:
        """Return what asking these may cost, each."""
        return {key: session.cost(self.requests[key], self.model) for key in keys}


def plan_of(
    session: Session,
    template: str,
    data: Any,
    *,
    model: str = "",
    system: str = "",
    schema: Any = None,
    **fields: Unpack[Fields],
) -> Plan:
    """Return the plan of a map; raises where something does not fit, before anything is sent."""
    columns = columns_of(data)
    taken = [name for name in RESULTS if name in columns.names]
    if taken:
        raise BadOption(f"There is a column {taken[0]} already", "Rename or drop it first.")
    pattern = pattern_of(text_of(template, "The prompt"), columns.names)
    asked = _schema(schema)
    bare = _bare(session, model, asked, fields)
    before = _system(session, system, asked)
    limits = Limits(session.settings.table_rows, session.settings.value_characters)
    keys, faults, requests = [], [], dict[str, Request]()
    for row in columns.rows:
        try:
            text = pattern.filled(dict(zip(columns.names, row, strict=True)), limits)
        except ValueError as fault:
            keys.append("")
            faults.append(str(fault))
            continue
        request = replace(bare, messages=(*before, {"role": "user", "content": text}))
        key = _key(session, request)
        requests.setdefault(key, request)
        keys.append(key)
        faults.append("")
    for request in list(requests.values())[:1]:
        session.check(request)
    chosen = session.model(bare.model)
    return Plan(columns, chosen, tuple(keys), tuple(faults), requests, asked)


def _schema(given: Any) -> Schema | None:
    if given is None or isinstance(given, Schema):
        return given
    if isinstance(given, str | Path):
        return read_schema(user_path(given))
    return schema_of(type(given).__name__, given)


def _bare(session: Session, model: str, schema: Schema | None, fields: Fields) -> Request:
    """Return the request without its messages, its answer held to the schema."""
    bare = session.request((), model, **fields)
    if schema is None:
        return bare
    chosen = session.model(bare.model)
    plain = not session.route.is_cloudflare and not chosen.task
    field = {"response_format": schema.response_format(local=plain)}
    return replace(bare, stream=streams(chosen), extra={**field, **bare.extra})


def _system(session: Session, system: str, schema: Schema | None) -> list[Message]:
    parts = [system or session.settings.system, schema.instruction if schema else ""]
    text = "\n\n".join(part for part in parts if part)
    return [{"role": "system", "content": text}] if text else []


def _key(session: Session, request: Request) -> str:
    """Return the hash of all that decides the answer: what is sent, and to whom."""
    elsewhere = session.route.elsewhere
    to = "cloudflare" if session.route.is_cloudflare else getattr(elsewhere, "base_url", "local")
    body = chat.body(replace(request, stream=False))
    return sha256(json.dumps([to, body], sort_keys=True, default=str).encode()).hexdigest()
