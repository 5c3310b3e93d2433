"""Helpers that call the client with handwritten responses instead of the network."""

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
    """The body of a response in pieces; an error in `pieces` is raised at its position."""

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
        """Return a client that uses this script as its network and does not wait."""
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


def text_event(content: str) -> bytes:
    """Return the event of a text delta."""
    return event({"choices": [{"index": 0, "delta": {"content": content}}]})


def answered(*contents: str) -> httpx.Response:
    """Return a complete stream with these text deltas."""
    return streamed(*map(text_event, contents), DONE)


def refused(status: int, code: int, message: str = "", **headers: str) -> httpx.Response:
    """Return an error response in Cloudflare's envelope."""
    body = {"errors": [{"code": code, "message": message}], "success": False, "result": {}}
    return httpx.Response(status, json=body, headers=headers)


def collect(deltas: Iterable[Delta]) -> Answer:
    """Return the answer built from these deltas."""
    builder = AnswerBuilder(REQUEST, lambda: 0.0, is_local=False)
    for delta in deltas:
        builder.add(delta)
    return builder.build_answer(builder.usage or Usage())


def cut_at(content: bytes, positions: Sequence[int]) -> list[bytes]:
    """Return the bytes in pieces, split at these positions."""
    ends = [*sorted(positions), len(content)]
    return [content[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def cuts(content: bytes) -> st.SearchStrategy[list[bytes]]:
    """Return a strategy that splits these bytes into pieces, including empty ones."""
    positions = st.lists(st.integers(0, len(content)), max_size=40)
    return positions.map(lambda chosen: cut_at(content, chosen))
