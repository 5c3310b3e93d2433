"""Calls of the client with answers made by hand: the network is a function here."""

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import httpx
from hypothesis import strategies as st

from cfai_magics.types.messages import Answer, Delta, Request
from cfai_magics.types.usage import Usage
from cfai_magics.workers_ai.chat_stream import AnswerBuilder
from cfai_magics.workers_ai.client import WorkersAI

GEMMA = "@cf/google/gemma-4-26b-a4b-it"
REQUEST = Request(GEMMA, ({"role": "user", "content": "Hi"},))
ACCOUNT_ID = secrets.token_hex(16)
DONE = b"data: [DONE]\n\n"


class Body(httpx.SyncByteStream):
    """A reply's body in these pieces; an error among them breaks it off."""

    def __init__(self, pieces: Iterable[bytes | Exception]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


class Script:
    """Answers with these replies in turn, the last one for ever; keeps requests and pauses."""

    def __init__(self, *replies: httpx.Response | Exception) -> None:
        self._replies = list(replies)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.token = secrets.token_hex(20)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def client(self) -> WorkersAI:
        """Return a client whose network this is, and which waits for nothing."""
        return WorkersAI(
            ACCOUNT_ID,
            self.token,
            transport=httpx.MockTransport(self),
            sleep=self.pauses.append,
        )


def event(frame: Any) -> bytes:
    """Return one event with this JSON."""
    return b"data: " + json.dumps(frame, ensure_ascii=False).encode() + b"\n\n"


def streamed(*pieces: bytes | Exception) -> httpx.Response:
    """Return a reply that is a stream of these pieces."""
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(pieces))


def told(content: str) -> bytes:
    """Return the event with a piece of text."""
    return event({"choices": [{"index": 0, "delta": {"content": content}}]})


def answered(*contents: str) -> httpx.Response:
    """Return a whole stream that tells these pieces of text."""
    return streamed(*map(told, contents), DONE)


def refused(status: int, code: int, message: str = "", **headers: str) -> httpx.Response:
    """Return a refusal in Cloudflare's envelope."""
    body = {"errors": [{"code": code, "message": message}], "success": False, "result": {}}
    return httpx.Response(status, json=body, headers=headers)


def gathered(deltas: Iterable[Delta]) -> Answer:
    """Return the answer that these deltas make."""
    gathering = AnswerBuilder(REQUEST, lambda: 0.0, is_local=False)
    for delta in deltas:
        gathering.add(delta)
    return gathering.build_answer(gathering.usage or Usage())


def cut_at(content: bytes, places: Sequence[int]) -> list[bytes]:
    """Return the bytes in pieces, cut at these places."""
    ends = [*sorted(places), len(content)]
    return [content[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def cuts(content: bytes) -> st.SearchStrategy[list[bytes]]:
    """Return every way to cut these bytes into pieces, empty ones too."""
    places = st.lists(st.integers(0, len(content)), max_size=40)
    return places.map(lambda chosen: cut_at(content, chosen))
