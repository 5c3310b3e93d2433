"""Convert requests to canonical form, and hash everything that affects the answer."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ..types.messages import Message, Request
from ..workers_ai.endpoints import EFFORT_FIELD, THINK_FIELD, chat_body

FINGERPRINT_LENGTH = 32  # hexadecimal characters: 128 bits
# Request body fields that do not affect the text of the answer.
IGNORED_FIELDS = (
    "stream",
    "stream_options",
    "options",
    "user",
    "metadata",
    "store",
    "service_tier",
)
DEFAULT_THINK = "default"
TEXT_FIELDS = frozenset({"task", "model", "local", "messages", "texts", "input"})
DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+)*;base64,(.*)", re.DOTALL)
BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
MIN_BASE64_CHARS, MIN_BYTE_LIST_LENGTH = 1_000, 256  # shorter values are not hashed
MAX_PARAMETER_CHARS = 60  # longer parameter values are shown as hashes

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request in canonical form, stored as JSON values.

    The `task` field is "chat", "embeddings" or "run". The `local` field names the local model
    that answers instead of `model`. It is missing if no local model is used. `fingerprint` is a
    hash of all fields.
    """

    fields: Fields
    fingerprint: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", _hash_fields(self.fields))

    @property
    def portable_fingerprint(self) -> str:
        """A hash that is the same for all backends, because it does not include `local`."""
        fields = {name: value for name, value in self.fields.items() if name != "local"}
        response_format = fields.get("response_format")
        return _hash_fields(
            fields
            if response_format is None
            else {**fields, "response_format": unwrap_schema(response_format)}
        )

    @property
    def task(self) -> str:
        """The kind of request: "chat", "embeddings" or "run"."""
        return str(self.fields["task"])

    @property
    def model(self) -> str:
        """The requested model."""
        return str(self.fields["model"])

    @property
    def local_model(self) -> str:
        """The local model that answers instead of `model`, or "" if none is used."""
        return str(self.fields.get("local", ""))

    @property
    def parameters(self) -> dict[str, Any]:
        """The fields other than the prompt and model, with long values replaced by hashes."""
        return {
            name: _shorten(value) for name, value in self.fields.items() if name not in TEXT_FIELDS
        }

    @property
    def max_tokens(self) -> Any:
        """The requested maximum number of tokens in the answer, or None if it is not set."""
        return self.fields.get("max_completion_tokens", self.fields.get("max_tokens"))

    @property
    def has_hashed_content(self) -> bool:
        """Whether part of the request is stored as a hash, so the request cannot be sent again."""
        return "sha256:" in canonical_json(self.fields)


def fingerprint_chat(
    request: Request,
    local_model: str = "",
    body: Mapping[str, Any] | None = None,
    *,
    is_reasoning_model: bool = False,
) -> RecordedRequest:
    """Return the canonical form of a chat request.

    `body` is the JSON body of the request, or None if it has not been built yet. The `think`
    field is missing if reasoning is off, or if the model does not support it. It is DEFAULT_THINK
    if the request leaves reasoning to the model.
    """
    body = chat_body(request) if body is None else body
    fields = {name: value for name, value in body.items() if name not in IGNORED_FIELDS}
    for name in (THINK_FIELD, EFFORT_FIELD):  # `think` represents both
        if name not in request.extra:
            fields.pop(name, None)
    fields["model"] = request.requested_model or request.model
    if request.think:
        fields["think"] = True
    elif request.think is None and is_reasoning_model and THINK_FIELD not in request.extra:
        fields["think"] = DEFAULT_THINK
    return _canonical_request("chat", fields, local_model)


def fingerprint_embeddings(
    model: str, texts: Sequence[str], local_model: str = ""
) -> RecordedRequest:
    """Return the canonical form of an embeddings request."""
    return _canonical_request("embeddings", {"model": model, "texts": list(texts)}, local_model)


def fingerprint_task(
    model: str, payload: Mapping[str, Any] | bytes, send_kwargs: Mapping[str, Any]
) -> RecordedRequest:
    """Return the canonical form of a request for a native task.

    `send_kwargs` contains the keyword arguments for `WorkersAI.run` that affect the request.
    """
    return _canonical_request("run", {"model": model, "input": payload, **send_kwargs}, "")


def _canonical_request(task: str, fields: Fields, local_model: str) -> RecordedRequest:
    canonical_fields = {"task": task}
    for name, value in fields.items():
        if value is not None:
            canonical_fields[str(name)] = _canonicalize(value)
    if local_model:
        canonical_fields["local"] = local_model
    return RecordedRequest(canonical_fields)


def to_request(recorded: RecordedRequest, model: str, *, think: bool | None) -> Request:
    """Convert a recorded chat request to a Request that can be sent.

    `think` must be None for a model that does not support reasoning.
    """
    extra = {
        name: value
        for name, value in recorded.fields.items()
        if name not in {*TEXT_FIELDS, "think"}
    }
    messages: tuple[Message, ...] = tuple(recorded.fields["messages"])
    return Request(model, messages, think=think, extra=extra)


def unwrap_schema(response_format: Any) -> Any:
    """Return a response format without the {name, schema} wrapper that OpenAI's API uses."""
    wrapper = response_format.get("json_schema") if isinstance(response_format, Mapping) else None
    if not isinstance(wrapper, Mapping) or set(wrapper) != {"name", "schema"}:
        return response_format
    return {**response_format, "json_schema": wrapper["schema"]}


def canonical_json(value: Any) -> str:
    """Serialize a value to JSON with sorted keys, so that equal values produce the same text."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _hash_fields(fields: Fields) -> str:
    return sha256(canonical_json(fields).encode(errors="replace")).hexdigest()[:FINGERPRINT_LENGTH]


def _canonicalize(value: Any) -> Any:
    """Convert a value to JSON values, replacing binary data and images with hashes.

    Floats with integral values become integers.
    """
    if hasattr(value, "read"):
        value = _read_content(value)
    if isinstance(value, Mapping):
        canonical = {}
        for name, item in value.items():
            canonical[str(name)] = _canonicalize(item)
        return canonical
    if isinstance(value, list | tuple):
        is_long = len(value) >= MIN_BYTE_LIST_LENGTH
        return (is_long and _hash_byte_list(value)) or list(map(_canonicalize, value))
    if isinstance(value, bytes | bytearray):
        return f"sha256:{sha256(value).hexdigest()}"
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and (len(value) >= MIN_BASE64_CHARS or value.startswith("data:")):
        return _hash_image(value)
    return value


def _hash_byte_list(numbers: Sequence[Any]) -> str:
    """Return the hash of a long list of byte values, or "" for any other list.

    Some tasks take audio or images as lists of byte values.
    """
    if not all(isinstance(number, int) for number in numbers):
        return ""
    return f"sha256:{sha256(canonical_json(list(numbers)).encode()).hexdigest()}"


def _read_content(file: Any) -> Any:
    """Return the remaining content of an open file, and restore the file position."""
    position = file.tell()
    content = file.read()
    file.seek(position)
    return content


def _hash_image(text: str) -> str:
    """Replace Base64 data or a data URL with a hash. Return any other text unchanged."""
    if len(text) >= MIN_BASE64_CHARS and BASE64.fullmatch(text):
        return f"sha256:{sha256(text.encode()).hexdigest()}"
    if not text.startswith("data:"):
        return text
    match = DATA_URL.fullmatch(text)
    if match is None:
        return text
    try:
        content = b64decode(match[2])
    except ValueError:
        content = text.encode()
    return f"{match[1]};sha256:{sha256(content).hexdigest()}"


def _shorten(value: Any) -> Any:
    is_long = isinstance(value, list | dict) or (
        isinstance(value, str) and len(value) > MAX_PARAMETER_CHARS
    )
    return f"sha256:{_hash_fields({'value': value})}" if is_long else value
