"""Output formats: their instructions for the model, parsers, and JSON Schema validation."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InvalidOptionError
from ..markdown.blocks import find_first_code_block, find_first_table
from ..types.messages import Answer, Request
from ..types.usage import Model

INSTRUCTION = "Answer with {} and nothing else: no introduction, no explanation."
FORMATS_WITHOUT_EXTRACT = {"raw", "json", "html", "latex", "table"}
SCHEMA_KEYWORDS = {
    *("$schema", "$ref", "$defs", "type", "properties", "items", "enum", "const"),
    *("anyOf", "oneOf", "allOf", "not", "additionalProperties", "prefixItems"),
}
# Models that Cloudflare's page on JSON mode lists; it says that JSON mode does not stream.
NON_STREAMING_PREFIXES = ("@cf/meta/llama-3", "@hf/", "@cf/deepseek-ai/deepseek-r1-distill")
EXTERNAL_REF = re.compile(r'"\$ref": "([^#"][^"]*)"')
MAX_LISTED_ERRORS = 3  # errors that a message lists
MAX_ERROR_CHARS = 160  # characters of one error


class FormatError(ValueError):
    """The answer does not have the output format; the message is shown to the user."""


class OutputFormat(NamedTuple):
    """One output format: its instruction in the system prompt, and its parser.

    `stream_fence` is the language of the code fence around a streamed answer that is not Markdown.
    `render` returns the MIME bundle of a native task's output.
    """

    name: str
    instruction: str = ""
    parse: Callable[[str], Any] | None = None
    stream_fence: str = ""
    render: Callable[[Answer], Mapping[str, Any]] | None = None


def _parse_code(text: str) -> str:
    """Return the first code block, or the whole text if it has none."""
    block = find_first_code_block(text)
    return block.text if block else text.strip("\n") + "\n"


def _parse_block(text: str) -> str:
    block = find_first_code_block(text)
    if block is None:
        raise FormatError("There is no code block in the answer; this is all of it.")
    return block.text


def _parse_json(text: str) -> Any:
    try:
        return extract_json(text)
    except ValueError as error:
        raise FormatError(f"The answer is no JSON: {error}.") from None


def extract_json(text: str) -> Any:
    """Return the JSON value of a text or its first code block; raise ValueError if invalid."""
    try:
        return Answer("", text).json()
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _first_code_or_text(text: str) -> str:
    block = find_first_code_block(text)
    return block.text if block else text


def _parse_table(text: str) -> Any:
    table = find_first_table(text) or find_first_table(_first_code_or_text(text))
    if table is None:
        raise FormatError("There is no table in the answer.")
    import pandas as pd

    frame = pd.DataFrame(table.rows, columns=table.columns)
    for column_index in range(len(table.columns)):
        try:
            frame.isetitem(column_index, pd.to_numeric(frame.iloc[:, column_index]))
        except (ValueError, TypeError):
            continue  # it stays text
    return frame


OUTPUT_FORMATS: Mapping[str, OutputFormat] = {
    output_format.name: output_format
    for output_format in (
        OutputFormat("markdown"),
        OutputFormat("text"),
        OutputFormat("raw"),
        OutputFormat("block", parse=_parse_block),  # -x
        OutputFormat("correction", parse=_parse_block),  # %cfai fix: text and code
        OutputFormat(
            "code", INSTRUCTION.format("one fenced block of Python code"), _parse_code, "python"
        ),
        OutputFormat("json", INSTRUCTION.format("JSON"), _parse_json, "json"),
        OutputFormat(
            "html",
            INSTRUCTION.format(
                "HTML whose styles are in it, without scripts and without links out"
            ),
            _first_code_or_text,
            "html",
        ),
        OutputFormat(
            "latex",
            INSTRUCTION.format("LaTeX that MathJax can show"),
            _first_code_or_text,
            "latex",
        ),
        OutputFormat("table", INSTRUCTION.format("one Markdown table"), _parse_table),
    )
}


def get_format(name: str, *, extract: bool) -> OutputFormat:
    """Return the output format of this name; with `extract` (-x), that of the first code block.

    Raises InvalidOptionError if -x does not work with the format, or pandas is missing.
    """
    if extract and name in FORMATS_WITHOUT_EXTRACT:
        raise InvalidOptionError(
            f"-x and -f {name} exclude each other", "-x shows the first code block."
        )
    if name == "table" and not find_spec("pandas"):
        raise InvalidOptionError(
            "-f table makes a pandas DataFrame", "Install it: %pip install pandas."
        )
    return OUTPUT_FORMATS["block" if extract and name != "code" else name]


def apply_format(answer: Answer, output_format: OutputFormat) -> Answer:
    """Return the answer with `parsed` set, or with a note why it does not have the format."""
    if not answer.text or output_format.parse is None:
        return answer
    try:
        return replace(answer, parsed=output_format.parse(answer.text))
    except FormatError as error:
        return replace(answer, notes=(*answer.notes, str(error)))


class Schema(NamedTuple):
    """One JSON Schema; `pydantic_model` is the pydantic model that it was made from, if any."""

    json_schema: Mapping[str, Any]
    pydantic_model: Any = None

    @property
    def instruction(self) -> str:
        """The schema for the system prompt: models do not see the field `response_format`."""
        text = json.dumps(self.json_schema, ensure_ascii=False)
        return f"Answer only with JSON that fits this JSON Schema:\n{text}"

    def build_response_format(self, *, is_openai_compatible: bool) -> dict[str, Any]:
        """Return `response_format`: the bare schema for Workers AI, else wrapped as for OpenAI."""
        schema = (
            {"name": "answer", "schema": self.json_schema}
            if is_openai_compatible
            else self.json_schema
        )
        return {"type": "json_schema", "json_schema": schema}

    def parse(self, text: str) -> Any:
        """Return the JSON value or pydantic instance; raise FormatError if it is invalid."""
        try:
            value = extract_json(text)
        except ValueError as error:
            raise FormatError(f"it is no JSON: {error}") from None
        return (
            self._validate_json(value)
            if self.pydantic_model is None
            else self._validate_pydantic(value)
        )

    def _validate_json(self, value: Any) -> Any:
        errors = _build_validator(self.json_schema).iter_errors(value)
        messages = [f"{error.json_path}: {error.message}" for error in _sort_errors(errors)]
        if messages:
            raise FormatError(_join_messages(messages))
        return value

    def _validate_pydantic(self, value: Any) -> Any:
        try:
            return self.pydantic_model.model_validate(value)
        except ValueError as error:  # includes pydantic's ValidationError
            errors = error.errors() if hasattr(error, "errors") else [{"msg": str(error)}]
            messages = [
                f"{_format_path(details.get('loc', ()))}: {details['msg']}" for details in errors
            ]
            raise FormatError(_join_messages(messages)) from None


def supports_streaming_schema(model: Model) -> bool:
    """Whether a model can stream an answer that has a JSON Schema."""
    return not model.name.startswith(NON_STREAMING_PREFIXES)


def load_schema(name: str, value: Any) -> Schema:
    """Return the schema of a dict or pydantic model; raise InvalidOptionError if it is invalid."""
    if isinstance(value, type) and hasattr(value, "model_json_schema"):
        return Schema(value.model_json_schema(), value)
    if not isinstance(value, Mapping):
        raise InvalidOptionError(
            f"--schema {name} is neither a dict nor a pydantic model", "Nor is it a JSON file."
        )
    if not SCHEMA_KEYWORDS & set(value):
        raise InvalidOptionError(
            f"--schema {name} is no JSON Schema: it has none of its words",
            'Write for example {"type": "object", "properties": {"city": {"type": "string"}}}.',
        )
    return _check_schema(name, Schema(value))


def _check_schema(name: str, schema: Schema) -> Schema:
    if not find_spec("jsonschema"):
        raise InvalidOptionError(
            "--schema checks answers with jsonschema, which is not installed",
            "Run %pip install jsonschema, or give a pydantic model.",
        )
    from jsonschema.exceptions import SchemaError

    try:
        _build_validator(schema.json_schema).check_schema(schema.json_schema)
    except SchemaError as error:
        cause = f"--schema {name} is no valid JSON Schema: {error.message[:MAX_ERROR_CHARS]}"
        raise InvalidOptionError(cause, "Correct it.") from None
    external_ref = EXTERNAL_REF.search(json.dumps(schema.json_schema, default=str))
    if external_ref:
        raise InvalidOptionError(
            f"--schema {name} refers to {external_ref[1]}", "Put that under $defs in it."
        )
    return schema


def _build_validator(schema: Mapping[str, Any]) -> Any:
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing.jsonschema import EMPTY_REGISTRY

    validator_class = validator_for(schema, default=Draft202012Validator)
    # With an empty registry, no $ref is fetched from the network.
    return validator_class(schema, registry=EMPTY_REGISTRY)


def read_schema(path: Path) -> Schema:
    """Return the schema in a JSON file; raise InvalidOptionError if it can't be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidOptionError(
            f"--schema {path} can't be read: {error}", "Correct it."
        ) from None
    return load_schema(str(path), value)


def _sort_errors(errors: Iterable[Any]) -> list[Any]:
    """Return the errors sorted by path; raise FormatError for a $ref that can't be resolved."""
    try:
        return sorted(errors, key=lambda item: (list(map(str, item.path)), item.message))
    except Exception as error:  # noqa: BLE001 - a user's schema may raise anything
        raise FormatError(f"the schema can't be followed: {error}") from None


def _format_path(keys: Iterable[Any]) -> str:
    return ".".join(["$", *map(str, keys)])


def _join_messages(messages: list[str]) -> str:
    text = "; ".join(message[:MAX_ERROR_CHARS] for message in messages[:MAX_LISTED_ERRORS])
    hidden_count = len(messages) - MAX_LISTED_ERRORS
    return f"{text}; and {hidden_count} more" if hidden_count > 0 else text


def without_response_format(request: Request) -> Request | None:
    """Return the request without `response_format`, which some models refuse.

    Returns None if the request does not have this field.
    """
    if "response_format" not in request.extra:
        return None
    extra = {name: value for name, value in request.extra.items() if name != "response_format"}
    return replace(request, extra=extra)
