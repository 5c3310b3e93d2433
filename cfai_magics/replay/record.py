"""One recorded answer as a value, and as one line of JSON."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..values import Text, Thought, Usage
from ..workers_ai.wire import Reader, unwrapped
from .asked import Asked, canonical

Reply = Mapping[str, Any]
CONFLICT = (b"<<<<<<<", b"=======", b">>>>>>>")
HALF = re.compile(rb"\\u[dD][89a-fA-F]")
LONGEST = 86_400_000  # ms: whoever waited for an answer did not wait a day
KINDS = frozenset({"stream", "json", "vectors", "base64"})


class Damaged(ValueError):
    """A line that holds no recorded answer; it says why."""


@dataclass(frozen=True, slots=True)
class Record:
    """One recorded answer: `nth` counts those to the same question, from 0 on.

    `date` is ISO, `version` the package's. `replies` are what came over the wire, without its
    padding: one of KINDS each, with `ms`, the milliseconds after which it was whole.
    """

    asked: Asked
    nth: int
    date: str
    version: str
    finish: str
    usage: Usage
    replies: Sequence[Reply]

    @property
    def place(self) -> tuple[str, int]:
        """What recordings are sorted by."""
        return self.asked.key, self.nth

    @property
    def model(self) -> str:
        """The model that answered."""
        return self.asked.local or self.asked.model

    @property
    def text(self) -> str:
        """The answer's text, where it is one that came streamed or whole."""
        return "".join(self._told("text"))

    @property
    def texts(self) -> tuple[str, str]:
        """The answer's thoughts and its text, put together again."""
        return "".join(self._told("thought")), self.text

    def _told(self, name: str) -> Iterator[str]:
        for reply in self.replies:
            if "stream" in reply:
                yield from (text for _, text in reply["stream"][name])
            elif "json" in reply:
                kind = Text if name == "text" else Thought
                said = Reader().read(unwrapped(reply["json"]))
                yield from (delta.text for delta in said if isinstance(delta, kind))

    def line(self) -> bytes:
        """Return the line that holds it: the same bytes for the same record."""
        told = {
            "key": self.asked.key,
            "nth": self.nth,
            "date": self.date,
            "version": self.version,
            "model": self.model,
            "local": bool(self.asked.local),
            "finish": self.finish,
            "usage": _usage(self.usage),
            "request": _sorted(self.asked.fields),
            "replies": self.replies,
        }
        text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace") + b"\n"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "neurons": usage.neurons,
    }


def _sorted(value: Any) -> Any:
    """Return the value with its names in order, so that the same request is the same text."""
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def record_in(line: bytes) -> Record:
    """Return the recorded answer of a line, or raise Damaged."""
    if line.startswith(CONFLICT):
        raise Damaged("is a mark of git's, where a merge has not been settled")
    try:
        told = json.loads(line)
        if HALF.search(line):
            canonical(told).encode()  # half of a pair of surrogates is no text
    except (ValueError, RecursionError):
        raise Damaged("is no JSON") from None
    try:
        record = _record(told)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise Damaged("lacks a part of a recorded answer") from None
    if told["key"] != record.asked.key:
        raise Damaged("was changed: its question does not fit its key")
    return record


def _record(told: Any) -> Record:
    usage = told["usage"]
    names = ("prompt_tokens", "completion_tokens", "cached_tokens")
    sent, came, cached = (int(usage[name]) for name in names)
    neurons = None if usage["neurons"] is None else float(usage["neurons"])
    replies = told["replies"]
    if not replies or not all(_is_reply(reply) for reply in replies):
        raise KeyError("replies")
    return Record(
        Asked(dict(told["request"])),
        int(told["nth"]),
        str(told["date"]),
        str(told["version"]),
        str(told["finish"]),
        Usage(sent, came, cached, neurons, None if neurons is None else "billed"),
        tuple(replies),
    )


def _is_reply(reply: Any) -> bool:
    """Whether a reply can be played: all that playing reads is there and is what it has to be."""
    (kind,) = KINDS & reply.keys()
    if kind == "stream":
        told = reply["stream"]
        pieces = [*told["thought"], *told["text"], (reply["ms"], "")]
        return all(_is_time(ms) and isinstance(text, str) for ms, text in pieces)
    if not _is_time(reply["ms"]):
        return False
    return kind != "base64" or isinstance(reply["base64"] + reply["type"], str)


def _is_time(ms: Any) -> bool:
    """Whether these milliseconds can be waited for."""
    return isinstance(ms, int | float) and 0 <= ms <= LONGEST
