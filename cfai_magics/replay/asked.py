"""Owns the canonical form of a request, which is all that decides its answer, and its hash."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

from ..values import Message, Request
from ..workers_ai import chat

KEY_LENGTH = 32  # hexadecimal characters: 128 bits
# Fields of the body that decide how an answer comes, who asked or what is kept of it.
IDLE = ("stream", "stream_options", "options", "user", "metadata", "store", "service_tier")
TEXTS = frozenset({"task", "model", "local", "messages", "texts", "input"})
DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+)*;base64,(.*)", re.DOTALL)
BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
LONGEST_WORD, LONGEST_LIST = 1_000, 256  # of what is text and numbers, and no bytes
LONGEST_SHOWN = 60  # characters of a parameter's text

Fields = Mapping[str, Any]


@dataclass(frozen=True)  # without slots: its hashes are reckoned once
class Asked:
    """One request in its canonical form, as JSON values.

    `task` is chat, embeddings or run. `local` names the model of this machine that answers in the
    place of `model`; empty where none does.
    """

    fields: Fields

    @cached_property
    def key(self) -> str:
        """The hash of all of it."""
        return _hash(self.fields)

    @cached_property
    def elsewhere(self) -> str:
        """The hash without the local model: the same question, whoever answers it."""
        told = {name: value for name, value in self.fields.items() if name != "local"}
        form = told.get("response_format")
        return _hash(told if form is None else {**told, "response_format": bare(form)})

    @property
    def task(self) -> str:
        """What is asked for: chat, embeddings or run."""
        return str(self.fields["task"])

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.fields["model"])

    @property
    def local(self) -> str:
        """The model on this machine that answers in its place; empty where none does."""
        return str(self.fields.get("local", ""))

    @property
    def parameters(self) -> dict[str, Any]:
        """The fields that are no text of the question; what is long stands as its hash."""
        return {n: _short(v) for n, v in self.fields.items() if n not in TEXTS}

    @property
    def limit(self) -> Any:
        """The most tokens that the answer may have, as it was asked."""
        return self.fields.get("max_completion_tokens", self.fields.get("max_tokens"))

    @property
    def has_images(self) -> bool:
        """Whether something of it stands here as a hash only, so that it can't be asked again."""
        return "sha256:" in canonical(self.fields)


def asked_chat(request: Request, local: str = "") -> Asked:
    """Return the canonical form of a chat request."""
    body = chat.body(replace(request, think=None))
    told = {name: value for name, value in body.items() if name not in IDLE}
    told |= {"model": request.instead_of or request.model}
    return _asked("chat", {**told, **({"think": True} if request.think else {})}, local)


def asked_embeddings(model: str, texts: Sequence[str], local: str = "") -> Asked:
    """Return the canonical form of a request for vectors."""
    return _asked("embeddings", {"model": model, "texts": list(texts)}, local)


def asked_run(model: str, payload: Mapping[str, Any] | bytes, how: Mapping[str, Any]) -> Asked:
    """Return the canonical form of a native task; `how` is that of WorkersAI.run."""
    return _asked("run", {"model": model, "input": payload, **how}, "")


def _asked(task: str, fields: Fields, local: str) -> Asked:
    known = {name: value for name, value in fields.items() if value is not None}
    marked = {"task": task, **known, **({"local": local} if local else {})}
    plain: Fields = _plain(marked)
    return Asked(plain)


def request_of(asked: Asked, model: str, *, thinks: bool | None) -> Request:
    """Return the request to put it to a model again; `thinks` is None for one that can't."""
    rest = {n: v for n, v in asked.fields.items() if n not in {*TEXTS, "think"}}
    messages: tuple[Message, ...] = tuple(asked.fields["messages"])
    return Request(model, messages, think=thinks, extra=rest)


def bare(form: Any) -> Any:
    """Return a schema as Workers AI takes it, without the wrapper for other servers."""
    wrapper = form.get("json_schema") if isinstance(form, Mapping) else None
    if not isinstance(wrapper, Mapping) or set(wrapper) != {"name", "schema"}:
        return form
    return {**form, "json_schema": wrapper["schema"]}


def canonical(value: Any) -> str:
    """Return JSON that is the same text for the same value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _hash(fields: Fields) -> str:
    return sha256(canonical(fields).encode(errors="replace")).hexdigest()[:KEY_LENGTH]


def _plain(value: Any) -> Any:
    """Return JSON values: bytes and images as hashes, and whole numbers without a fraction."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return _without_bytes(value) or [_plain(item) for item in value]
    if isinstance(value, bytes | bytearray):
        return f"sha256:{sha256(value).hexdigest()}"
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if hasattr(value, "read"):
        return _plain(_content(value))
    return _without_image(value) if isinstance(value, str) else value


def _without_bytes(numbers: Sequence[Any]) -> str:
    """Return the hash of a list that is bytes, as some tasks take sounds and images."""
    if len(numbers) < LONGEST_LIST or not all(isinstance(each, int) for each in numbers):
        return ""
    return f"sha256:{sha256(canonical(list(numbers)).encode()).hexdigest()}"


def _content(file: Any) -> Any:
    """Return what an open file holds, and leave it where it was."""
    place = file.tell()
    content = file.read()
    file.seek(place)
    return content


def _without_image(text: str) -> str:
    """Return the text, or the hash of the image that it holds."""
    if len(text) >= LONGEST_WORD and BASE64.fullmatch(text):
        return f"sha256:{sha256(text.encode()).hexdigest()}"
    if not text.startswith("data:"):
        return text
    found = DATA_URL.fullmatch(text)
    if found is None:
        return text
    try:
        content = b64decode(found[2])
    except ValueError:
        content = text.encode()
    return f"{found[1]};sha256:{sha256(content).hexdigest()}"


def _short(value: Any) -> Any:
    is_long = isinstance(value, list | dict) or (
        isinstance(value, str) and len(value) > LONGEST_SHOWN
    )
    return f"sha256:{_hash({'value': value})}" if is_long else value
