"""Plan a map: build one request per distinct prompt, and estimate the cost."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..arguments import require_str
from ..errors import InvalidOptionError
from ..i18n import _
from ..paths import parse_user_path
from ..pricing.prices import Estimate
from ..prompt.output_formats import Schema, load_schema, read_schema, supports_streaming_schema
from ..session.call import Target
from ..session.session import Session
from ..types.messages import Message, Request
from ..types.usage import Model
from ..workers_ai.endpoints import chat_body
from .table_io import Rows, parse_template, read_rows

MAX_CHECKED_CHARS = 1_000_000  # the search takes about a second
RESULT_COLUMNS = ("answer", "error", "neurons")  # added to the rows


@dataclass(frozen=True, slots=True)
class MapPlan:
    """The plan for a map, with one request per distinct prompt.

    Attributes:
        input_rows: The input rows.
        target: The model and its backend.
        row_keys: The key of each row's prompt, or "" if the row lacks a value.
        row_errors: The error message for each row whose key is "", and "" for all other rows.
        requests: One request per distinct prompt, by prompt key.
        schema: The JSON Schema for the answers, if any.
        template: The prompt with placeholders for columns.
        columns: The columns that the template inserts into the prompts.
    """

    input_rows: Rows
    target: Target
    row_keys: tuple[str, ...]
    row_errors: tuple[str, ...]
    requests: Mapping[str, Request]
    schema: Schema | None = None
    template: str = ""
    columns: tuple[str, ...] = ()

    @property
    def model(self) -> Model:
        """The model for all requests."""
        return self.target.model

    def format_values(self, keys: Collection[str]) -> str:
        """Return the values of the template's columns in the rows with these prompt keys.

        The result is a table with tabs and a header, of at most MAX_CHECKED_CHARS characters.
        """
        indexes = [self.input_rows.column_names.index(name) for name in self.columns]
        lines, length = ["\t".join(self.columns)], 0
        for key, row in zip(self.row_keys, self.input_rows.rows, strict=True):
            if key in keys and length < MAX_CHECKED_CHARS:
                values = (str(row[index])[:MAX_CHECKED_CHARS] for index in indexes)
                lines.append("\t".join(" ".join(value.split()) for value in values))
                length += len(lines[-1])
        return "\n".join(lines)

    def estimate_costs(self, session: Session, keys: Sequence[str]) -> dict[str, Estimate | None]:
        """Return the estimated cost of each prompt, by prompt key. An unknown cost is None."""
        requests = [self.requests[key] for key in keys]
        costs = session.resolver.estimate_costs(requests, [self.target] * len(requests))
        return dict(zip(keys, costs, strict=True))


def make_plan(
    session: Session,
    template: str,
    data: Any,
    request: Request,
    *,
    system: str = "",
    schema: Any = None,
) -> MapPlan:
    """Validate the arguments of a map and return its plan, without sending any request.

    Args:
        session: The session in which the map runs.
        template: The prompt with placeholders for columns.
        data: A data frame, a series, a list of dicts or a list of strings.
        request: A request without messages. Its model and fields apply to all prompts.
        system: The system prompt; "" uses the `system` setting.
        schema: A dict, a pydantic model, a Schema, or the path to a JSON file.

    Raises:
        InvalidOptionError: An argument is not valid.
        CoursePolicyError: The course does not allow the request.
    """
    input_rows = read_rows(data)
    conflicting_names = [name for name in RESULT_COLUMNS if name in input_rows.column_names]
    if conflicting_names:
        raise InvalidOptionError(
            _("The data already has a column named {name}").format(name=conflicting_names[0]),
            _("Rename or drop that column first."),
        )
    prompt_template = parse_template(
        require_str(template, _("The prompt")), input_rows.column_names
    )
    loaded_schema = _load_schema_argument(schema)
    target = session.resolve_target(request.model)
    base_request = _with_schema(request, target, loaded_schema)
    system_messages = _build_system_messages(session, system, loaded_schema)
    size_limits = session.settings.size_limits
    row_keys, row_errors, requests = [], [], dict[str, Request]()
    for row in input_rows.rows:
        try:
            text = prompt_template.fill(
                dict(zip(input_rows.column_names, row, strict=True)), size_limits
            )
        except ValueError as error:
            row_keys.append("")
            row_errors.append(str(error))
            continue
        request = replace(
            base_request, messages=(*system_messages, {"role": "user", "content": text})
        )
        key = _hash_request(session, request)
        requests.setdefault(key, request)
        row_keys.append(key)
        row_errors.append("")
    for request in list(requests.values())[:1]:
        session.check_course_policy(request, target)
    return MapPlan(
        input_rows,
        target,
        tuple(row_keys),
        tuple(row_errors),
        requests,
        loaded_schema,
        template,
        tuple(dict.fromkeys(prompt_template.placeholders)),
    )


def _load_schema_argument(value: Any) -> Schema | None:
    if value is None or isinstance(value, Schema):
        return value
    if isinstance(value, str | Path):
        return read_schema(parse_user_path(value))
    return load_schema(type(value).__name__, value)


def _with_schema(request: Request, target: Target, schema: Schema | None) -> Request:
    """Return the request, with a response_format field if `schema` is given."""
    if schema is None:
        return request
    schema_field = {
        "response_format": schema.build_response_format(
            is_openai_compatible=target.is_openai_compatible
        )
    }
    return replace(
        request,
        stream=supports_streaming_schema(target.model),
        extra={**schema_field, **request.extra},
    )


def _build_system_messages(session: Session, system: str, schema: Schema | None) -> list[Message]:
    parts = [system or session.settings.system, schema.instruction if schema else ""]
    text = "\n\n".join(part for part in parts if part)
    return [{"role": "system", "content": text}] if text else []


def _hash_request(session: Session, request: Request) -> str:
    """Return a hash of everything that affects the answer: the request body and the server."""
    server = session.backend.server
    destination = (
        "cloudflare" if session.backend.is_cloudflare else getattr(server, "base_url", "local")
    )
    body = chat_body(replace(request, stream=False))
    return sha256(
        json.dumps([destination, body], sort_keys=True, default=str).encode()
    ).hexdigest()
