"""Define output formats, parse answers in these formats, and validate JSON against schemas."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InvalidOptionError
from ..i18n import _
from ..markdown.blocks import find_first_code_block, find_first_table
from ..types.messages import Answer, Request
from ..types.usage import Model

# Instructions are sent to the model, so they are not translated.
INSTRUCTION = "Answer with {} and nothing else: no introduction, no explanation."
FORMATS_WITHOUT_EXTRACT = {"raw", "json", "html", "latex", "table"}
SCHEMA_KEYWORDS = {
    *("$schema", "$ref", "$defs", "type", "properties", "items", "enum", "const"),
    *("anyOf", "oneOf", "allOf", "not", "additionalProperties", "prefixItems"),
}
# Models that Cloudflare's documentation lists for JSON mode, which does not support streaming.
NON_STREAMING_PREFIXES = ("@cf/meta/llama-3", "@hf/", "@cf/deepseek-ai/deepseek-r1-distill")
EXTERNAL_REF = re.compile(r'"\$ref": "([^#"][^"]*)"')
MAX_LISTED_ERRORS = 3  # maximum number of errors listed in a message
MAX_ERROR_CHARS = 160  # maximum length of each listed error


class FormatError(ValueError):
    """The answer does not match the output format.

    The message is shown to the user. Schema errors are also sent to the model, so they are in
    English.
    """


class OutputFormat(NamedTuple):
    """An output format.

    Attributes:
        name: The name of the format, such as "json".
        instruction: The instruction to add to the system prompt.
        parse: Function that converts the answer's text to the value of `Answer.parsed`. Raises
            FormatError if the text does not match the format.
        stream_fence: The language of the code fence around a streamed answer, or "" for Markdown.
        render: Function that returns the MIME bundle to display for the answer to a native task.
    """

    name: str
    instruction: str = ""
    parse: Callable[[str], Any] | None = None
    stream_fence: str = ""
    render: Callable[[Answer], Mapping[str, Any]] | None = None


def _parse_code(text: str) -> str:
    """Return the first code block, or the whole text if there is none."""
    block = find_first_code_block(text)
    return block.text if block else text.strip("\n") + "\n"


def _parse_block(text: str) -> str:
    block = find_first_code_block(text)
    if block is None:
        raise FormatError(_("The answer has no code block; it is shown in full."))
    return block.text


def _parse_json(text: str) -> Any:
    try:
        return extract_json(text)
    except ValueError as error:
        raise FormatError(
            _("The answer is not valid JSON: {error}.").format(error=error)
        ) from None


def extract_json(text: str) -> Any:
    """Parse text, or its first code block, as JSON, and return the value.

    Raises:
        ValueError: The text is not valid JSON.
    """
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
        raise FormatError(_("The answer has no table."))
    import pandas as pd

    frame = pd.DataFrame(table.rows, columns=table.columns)
    for column_index in range(len(table.columns)):
        try:
            frame.isetitem(column_index, pd.to_numeric(frame.iloc[:, column_index]))
        except (ValueError, TypeError):
            continue  # the column contains text
    return frame


OUTPUT_FORMATS: Mapping[str, OutputFormat] = {
    output_format.name: output_format
    for output_format in (
        OutputFormat("markdown"),
        OutputFormat("text"),
        OutputFormat("raw"),
        OutputFormat("block", parse=_parse_block),  # -x
        OutputFormat("correction", parse=_parse_block),  # %cfai fix
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
    """Return the output format with this name.

    Args:
        name: The name of the format, as specified with -f.
        extract: Whether only the first code block is shown (-x).

    Raises:
        InvalidOptionError: -x can't be combined with the format, or pandas is not installed.
    """
    if extract and name in FORMATS_WITHOUT_EXTRACT:
        raise InvalidOptionError(
            _("-x and -f {format} can't be combined").format(format=name),
            _("-x shows only the first code block; use one of the two options."),
        )
    if name == "table" and not find_spec("pandas"):
        raise InvalidOptionError(
            _("-f table needs pandas, which is not installed"),
            _("Run {command}.").format(command="%pip install pandas"),
        )
    return OUTPUT_FORMATS["block" if extract and name != "code" else name]


def apply_format(answer: Answer, output_format: OutputFormat) -> Answer:
    """Return the answer with `parsed` set, or with a note that says why parsing failed."""
    if not answer.text or output_format.parse is None:
        return answer
    try:
        return replace(answer, parsed=output_format.parse(answer.text))
    except FormatError as error:
        return replace(answer, notes=(*answer.notes, str(error)))


class Schema(NamedTuple):
    """A JSON Schema, and the pydantic model from which it was generated, if any."""

    json_schema: Mapping[str, Any]
    pydantic_model: Any = None

    @property
    def instruction(self) -> str:
        """The instruction for the system prompt, which includes the schema.

        Models do not see `response_format`.
        """
        text = json.dumps(self.json_schema, ensure_ascii=False)
        return f"Answer only with JSON that fits this JSON Schema:\n{text}"

    def build_response_format(self, *, is_openai_compatible: bool) -> dict[str, Any]:
        """Return the value of the `response_format` field.

        If `is_openai_compatible` is true, wrap the schema in an object with a name.
        """
        schema = (
            {"name": "answer", "schema": self.json_schema}
            if is_openai_compatible
            else self.json_schema
        )
        return {"type": "json_schema", "json_schema": schema}

    def parse(self, text: str) -> Any:
        """Parse and validate text, and return the JSON value or pydantic instance.

        Raises:
            FormatError: The text is not valid JSON, or does not match the schema.
        """
        try:
            value = extract_json(text)
        except ValueError as error:
            # This message is sent to the model in a retry. It must not change, because prompts are
            # used to find recordings.
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
        except Exception as error:  # noqa: BLE001 - a validator is the user's code
            from .template import describe_error

            raise FormatError(describe_error(error)) from None


def supports_streaming_schema(model: Model) -> bool:
    """Return whether a model can stream an answer that follows a JSON Schema."""
    return not model.name.startswith(NON_STREAMING_PREFIXES)


def load_schema(name: str, value: Any) -> Schema:
    """Return the schema that a dict or pydantic model defines.

    Args:
        name: The name that the user typed, for error messages.
        value: The dict or the pydantic class.

    Raises:
        InvalidOptionError: `value` is not a dict or pydantic class, or is not a valid JSON Schema.
    """
    if isinstance(value, type) and hasattr(value, "model_json_schema"):
        return Schema(value.model_json_schema(), value)
    if not isinstance(value, Mapping):
        raise InvalidOptionError(
            _("--schema {name} is not a dict, a pydantic model or a JSON file").format(name=name),
            _(
                "Specify a variable that contains a JSON Schema or a pydantic model, or a .json "
                "file."
            ),
        )
    if not SCHEMA_KEYWORDS & set(value):
        raise InvalidOptionError(
            _("--schema {name} is not a JSON Schema: it contains no JSON Schema keywords").format(
                name=name
            ),
            _("Example: {schema}").format(
                schema='{"type": "object", "properties": {"city": {"type": "string"}}}.'
            ),
        )
    return _check_schema(name, Schema(value))


def _check_schema(name: str, schema: Schema) -> Schema:
    if not find_spec("jsonschema"):
        raise InvalidOptionError(
            _("--schema needs jsonschema, which is not installed"),
            _("Run {command}, or use a pydantic model.").format(command="%pip install jsonschema"),
        )
    from jsonschema.exceptions import SchemaError

    try:
        _build_validator(schema.json_schema).check_schema(schema.json_schema)
    except SchemaError as error:
        cause = _("--schema {name} is not a valid JSON Schema: {reason}").format(
            name=name, reason=error.message[:MAX_ERROR_CHARS]
        )
        raise InvalidOptionError(cause, _("Correct the schema.")) from None
    external_ref = EXTERNAL_REF.search(json.dumps(schema.json_schema, default=str))
    if external_ref:
        raise InvalidOptionError(
            _("--schema {name} refers to {reference}, outside the schema").format(
                name=name, reference=external_ref[1]
            ),
            _("Move that definition to $defs in the schema."),
        )
    return schema


def _build_validator(schema: Mapping[str, Any]) -> Any:
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing.jsonschema import EMPTY_REGISTRY

    validator_class = validator_for(schema, default=Draft202012Validator)
    # With an empty registry, jsonschema does not fetch any $ref from the network.
    return validator_class(schema, registry=EMPTY_REGISTRY)


def read_schema(path: Path) -> Schema:
    """Return the schema in a JSON file.

    Raises:
        InvalidOptionError: The file can't be read, or does not contain a valid JSON Schema.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidOptionError(
            _("--schema {path} can't be read: {error}").format(path=path, error=error),
            _("Check the path, and make sure that the file is valid JSON."),
        ) from None
    return load_schema(str(path), value)


def _sort_errors(errors: Iterable[Any]) -> list[Any]:
    """Return validation errors sorted by path.

    Raises:
        FormatError: A $ref can't be resolved.
    """
    try:
        return sorted(errors, key=lambda item: (list(map(str, item.path)), item.message))
    except Exception as error:  # noqa: BLE001 - a user's schema can raise any error
        raise FormatError(f"the schema can't be followed: {error}") from None


def _format_path(keys: Iterable[Any]) -> str:
    return ".".join(["$", *map(str, keys)])


def _join_messages(messages: list[str]) -> str:
    text = "; ".join(message[:MAX_ERROR_CHARS] for message in messages[:MAX_LISTED_ERRORS])
    hidden_count = len(messages) - MAX_LISTED_ERRORS
    return f"{text}; and {hidden_count} more" if hidden_count > 0 else text


def without_response_format(request: Request) -> Request | None:
    """Return a copy of the request without `response_format`, which some models reject.

    Returns None if the request does not have this field.
    """
    if "response_format" not in request.extra:
        return None
    extra = {name: value for name, value in request.extra.items() if name != "response_format"}
    return replace(request, extra=extra)
