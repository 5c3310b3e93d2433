"""Owns answers by a JSON Schema: what stands for one, how it is sent, whether an answer fits."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import BadOption
from ..values import Model, Request
from .form import Unfit, json_in

KEYWORDS = {
    *("$schema", "$ref", "$defs", "type", "properties", "items", "enum", "const"),
    *("anyOf", "oneOf", "allOf", "not", "additionalProperties", "prefixItems"),
}
# Cloudflare's page on its JSON mode names these models, and says that it does not stream.
NOT_STREAMED = ("@cf/meta/llama-3", "@hf/", "@cf/deepseek-ai/deepseek-r1-distill")
ELSEWHERE = re.compile(r'"\$ref": "([^#"][^"]*)"')
TOLD = 3  # faults that a message names
LONGEST = 160  # characters of one fault


@dataclass(frozen=True, slots=True)
class Schema:
    """One JSON Schema; `model` is the pydantic model it comes from, if it does."""

    schema: Mapping[str, Any]
    model: Any = None

    @property
    def instruction(self) -> str:
        """What the system prompt says of it: the constraint itself tells the model nothing."""
        text = json.dumps(self.schema, ensure_ascii=False)
        return f"Answer only with JSON that fits this JSON Schema:\n{text}"

    def response_format(self, *, local: bool) -> dict[str, Any]:
        """Return the field of the request: bare for Workers AI, wrapped as OpenAI has it else."""
        schema = {"name": "answer", "schema": self.schema} if local else self.schema
        return {"type": "json_schema", "json_schema": schema}

    def parse(self, text: str) -> Any:
        """Return the JSON value, or the pydantic model's instance; Unfit where it does not fit."""
        try:
            value = json_in(text)
        except ValueError as error:
            raise Unfit(f"it is no JSON: {error}") from None
        return self._checked(value) if self.model is None else self._validated(value)

    def _checked(self, value: Any) -> Any:
        faults = _validator(self.schema).iter_errors(value)
        told = [f"{fault.json_path}: {fault.message}" for fault in _first(faults)]
        if told:
            raise Unfit(_joined(told))
        return value

    def _validated(self, value: Any) -> Any:
        try:
            return self.model.model_validate(value)
        except ValueError as error:  # pydantic's ValidationError is one
            faults = error.errors() if hasattr(error, "errors") else [{"msg": str(error)}]
            told = [f"{_path(fault.get('loc', ()))}: {fault['msg']}" for fault in faults]
            raise Unfit(_joined(told)) from None


def streams(model: Model) -> bool:
    """Whether a model streams an answer by a schema."""
    return not model.name.startswith(NOT_STREAMED)


def schema_of(name: str, value: Any) -> Schema:
    """Return the schema that a dict or a pydantic model is; BadOption where it is neither."""
    if isinstance(value, type) and hasattr(value, "model_json_schema"):
        return Schema(value.model_json_schema(), value)
    if not isinstance(value, Mapping):
        raise BadOption(
            f"--schema {name} is neither a dict nor a pydantic model", "Nor is it a JSON file."
        )
    if not KEYWORDS & set(value):
        raise BadOption(
            f"--schema {name} is no JSON Schema: it has none of its words",
            'Write for example {"type": "object", "properties": {"city": {"type": "string"}}}.',
        )
    return _valid(name, Schema(value))


def _valid(name: str, schema: Schema) -> Schema:
    if not find_spec("jsonschema"):
        raise BadOption(
            "--schema checks answers with jsonschema, which is not installed",
            "Run %pip install jsonschema, or give a pydantic model.",
        )
    from jsonschema.exceptions import SchemaError

    try:
        _validator(schema.schema).check_schema(schema.schema)
    except SchemaError as error:
        cause = f"--schema {name} is no valid JSON Schema: {error.message[:LONGEST]}"
        raise BadOption(cause, "Correct it.") from None
    elsewhere = ELSEWHERE.search(json.dumps(schema.schema, default=str))
    if elsewhere:
        raise BadOption(f"--schema {name} refers to {elsewhere[1]}", "Put that under $defs in it.")
    return schema


def _validator(schema: Mapping[str, Any]) -> Any:
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing.jsonschema import EMPTY_REGISTRY

    kind = validator_for(schema, default=Draft202012Validator)
    return kind(schema, registry=EMPTY_REGISTRY)  # so that no $ref is fetched from elsewhere


def read_schema(path: Path) -> Schema:
    """Return the schema that a JSON file holds."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadOption(f"--schema {path} can't be read: {error}", "Correct it.") from None
    return schema_of(str(path), value)


def _first(faults: Iterable[Any]) -> list[Any]:
    """Return the first faults by their place; a $ref that leads nowhere is one."""
    try:
        return sorted(faults, key=lambda fault: (list(map(str, fault.path)), fault.message))
    except Exception as error:  # noqa: BLE001 - a user's schema may ask for anything
        raise Unfit(f"the schema can't be followed: {error}") from None


def _path(places: Iterable[Any]) -> str:
    return ".".join(["$", *map(str, places)])


def _joined(faults: list[str]) -> str:
    told = "; ".join(fault[:LONGEST] for fault in faults[:TOLD])
    more = len(faults) - TOLD
    return f"{told}; and {more} more" if more > 0 else told


def without_field(request: Request) -> Request | None:
    """Return a request without the field for its schema, which some models refuse.

    None where it has no such field.
    """
    if "response_format" not in request.extra:
        return None
    extra = {name: value for name, value in request.extra.items() if name != "response_format"}
    return replace(request, extra=extra)
