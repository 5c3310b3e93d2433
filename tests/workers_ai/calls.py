"""Call the client with handwritten responses: a function replaces the network."""

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
    """The body of a response in pieces; an error among them is raised at its place."""

    def __init__(self, pieces: Iterable[bytes | Exception]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


class Script:
    """Send these responses in turn and repeat the last one; record requests and waits."""

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
        """Return a client that uses this as its network and does not wait."""
        return WorkersAI(
            ACCOUNT_ID,
            self.token,
            transport=httpx.MockTransport(self),
            sleep=self.pauses.append,
        )


def event(frame: Any) -> bytes:
    """Return an event with this JSON."""
    return b"data: " + json.dumps(frame, ensure_ascii=False).encode() + b"\n\n"


def streamed(*pieces: bytes | Exception) -> httpx.Response:
    """Return a response that streams these pieces."""
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(pieces))


def told(content: str) -> bytes:
    """Return the event of a text delta."""
    return event({"choices": [{"index": 0, "delta": {"content": content}}]})


def answered(*contents: str) -> httpx.Response:
    """Return a complete stream with these text deltas."""
    return streamed(*map(told, contents), DONE)


def refused(status: int, code: int, message: str = "", **headers: str) -> httpx.Response:
    """Return an error response in Cloudflare's envelope."""
    body = {"errors": [{"code": code, "message": message}], "success": False, "result": {}}
    return httpx.Response(status, json=body, headers=headers)


def gathered(deltas: Iterable[Delta]) -> Answer:
    """Return the answer built from these deltas."""
    gathering = AnswerBuilder(REQUEST, lambda: 0.0, is_local=False)
    for delta in deltas:
        gathering.add(delta)
    return gathering.build_answer(gathering.usage or Usage())


def cut_at(content: bytes, places: Sequence[int]) -> list[bytes]:
    """Return the bytes in pieces, split at these positions."""
    ends = [*sorted(places), len(content)]
    return [content[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def cuts(content: bytes) -> st.SearchStrategy[list[bytes]]:
    """Return a strategy that splits these bytes into pieces, including empty ones."""
    places = st.lists(st.integers(0, len(content)), max_size=40)
    return places.map(lambda chosen: cut_at(content, chosen))
