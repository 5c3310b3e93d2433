"""Input of a native task: JSON, a form with files, or a binary body."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any, NamedTuple

from .errors import refusal
from .received import Received


class File(NamedTuple):
    """One file of a form."""

    name: str
    mime_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """Input of one task: `fields` of JSON or a form, or `data` of a binary body."""

    fields: Mapping[str, Any]
    data: bytes = b""
    files: tuple[tuple[str, File], ...] = field(default=())
    multipart: bool = False

    def need(self, *names: str) -> None:
        """Raise Refusal if one of these fields is missing."""
        if all(name in self.fields for name in names):
            return
        listed = ",".join(names)
        raise refusal(5006, f"Bad input: Error: required properties at '/' are '{listed}'")

    def text(self, name: str, default: str = "") -> str:
        """Return a field as text."""
        return str(self.fields.get(name, default))

    def number(self, name: str, default: int) -> int:
        """Return a field as an integer; form fields are text."""
        try:
            return int(self.fields.get(name) or default)
        except (TypeError, ValueError):
            raise refusal(5006, f"Bad input: Error: '/{name}' must be integer") from None


def payload(received: Received) -> Payload:
    """Read a request's body."""
    if received.content_type == "multipart/form-data":
        return form(received)
    if isinstance(received.json, dict):
        return Payload(received.json)
    if not received.body_bytes:
        raise refusal(3003)
    return Payload({}, data=received.body_bytes)


def form(received: Received) -> Payload:
    """Read a multipart form."""
    head = f"Content-Type: {received.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + received.body_bytes)
    fields, files = {}, []
    for part in message.walk():
        name, filename = part.get_param("name", header="content-disposition"), part.get_filename()
        if filename is not None:
            files.append((str(name), File(filename, part.get_content_type(), content(part))))
        elif name is not None:
            fields[str(name)] = content(part).decode("utf-8", "replace")
    return Payload(fields, files=tuple(files), multipart=True)


def content(part: "Message[str, str]") -> bytes:
    """Return the bytes of a part."""
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def binary(given: Any) -> bytes:
    """Return bytes given as base64 or as a list of numbers."""
    try:
        if isinstance(given, str):
            return base64.b64decode(given, validate=True)
        return bytes(given)
    except (TypeError, ValueError):
        raise refusal(5004) from None
