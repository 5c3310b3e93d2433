"""Answer the HTTP requests of the OpenAI SDK, or of any httpx client, through a session."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from ..errors import CfaiError, InvalidOptionError, NotRecordedError
from ..i18n import _
from ..output import write_text
from ..replay.playback import create_default_transport
from ..types.messages import Delta
from .openai_format import (
    ChunkBuilder,
    ResponseInfo,
    build_chat_request,
    check_headers,
    completion_body,
    embeddings_response,
    error_body,
    error_status,
    event,
    parse_body,
    parse_embedding_texts,
    wants_usage,
)
from .sdk_calls import BASE_URL, SdkCalls
from .stream import AnswerStream

Timeout = Mapping[str, float | None]  # seconds, as in the extensions of httpx


class SessionTransport(httpx.BaseTransport):
    """A transport that answers requests to a recording's endpoints through its session.

    The session looks up, reserves, sends, records and settles each call, with its own token.
    An error becomes an HTTP response with the cause and the next step. The SDK shows both and
    does not retry, because the session has already retried. Requests to other addresses are sent
    as they are, and are not recorded.
    """

    def __init__(self, calls: SdkCalls) -> None:
        self._calls = calls
        self._forwarding: httpx.BaseTransport | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        try:
            self._calls.check_open()
            path = self._calls.find_path(request.url)
            if path is not None:
                return self._answer(request, path)
            if self._calls.record_mode.mode == "only":
                raise NotRecordedError(
                    _("{host} is not the endpoint of the recording, and the mode is only").format(
                        host=request.url.host
                    )
                )
            self._calls.check_forwarding()
        except CfaiError as error:
            return error_response(self._calls.with_hint(error))
        if self._forwarding is None:
            self._forwarding = create_default_transport()
        return self._forwarding.handle_request(request)

    def close(self) -> None:
        """Close the connections to other addresses."""
        if self._forwarding is not None:
            self._forwarding.close()

    def _answer(self, request: httpx.Request, path: str) -> httpx.Response:
        endpoints = {"/ai/v1/chat/completions": self._chat, "/ai/v1/embeddings": self._embed}
        answer = endpoints.get(path)
        if answer is None or request.method != "POST":
            raise InvalidOptionError(
                _("A recording has no {request}").format(request=f"{request.method} {path}"),
                _("Nothing was sent. Use {endpoints}, or another client.").format(
                    endpoints="POST /chat/completions, POST /embeddings"
                ),
            )
        check_headers(request.headers)
        timeout = request.extensions.get("timeout", {})
        return answer(parse_body(request.read()), timeout)

    def _chat(self, body: dict[str, Any], timeout: Timeout) -> httpx.Response:
        answer_stream = self._calls.open_stream(
            lambda target: build_chat_request(body, target), body["model"], timeout
        )
        if body.get("stream") is True:
            return self._stream(answer_stream, has_usage_chunk=wants_usage(body))
        with answer_stream:
            for _delta in answer_stream:
                pass
        answer = answer_stream.answer
        report_notes(answer.notes)
        return httpx.Response(200, json=completion_body(answer, self._info(answer_stream)))

    def _info(self, answer_stream: AnswerStream) -> ResponseInfo:
        answer = answer_stream.answer
        created = self._calls.created(answer.provenance)
        return ResponseInfo(answer.provenance.request_fingerprint, created, answer.model)

    def _stream(self, answer_stream: AnswerStream, *, has_usage_chunk: bool) -> httpx.Response:
        deltas = iter(answer_stream)
        first = next(deltas, None)  # sends the request, so that an error has its own status
        builder = ChunkBuilder(self._info(answer_stream), has_usage_chunk=has_usage_chunk)
        events = _iter_events(first, deltas, builder, answer_stream, self._calls.with_hint)
        return httpx.Response(
            200,
            headers={"content-type": "text/event-stream"},
            stream=_EventStream(events, answer_stream),
        )

    def _embed(self, body: dict[str, Any], timeout: Timeout) -> httpx.Response:
        texts = parse_embedding_texts(body)
        embeddings = self._calls.embed(texts, body["model"], timeout)
        report_notes(embeddings.notes)
        is_base64 = body.get("encoding_format") == "base64"
        return httpx.Response(
            200, json=embeddings_response(embeddings, body["model"], is_base64=is_base64)
        )


def _iter_events(
    first: Delta | None,
    deltas: Iterator[Delta],
    builder: ChunkBuilder,
    answer_stream: AnswerStream,
    with_hint: Callable[[CfaiError], CfaiError],
) -> Iterator[bytes]:
    try:
        if first is not None:
            yield builder.add(first)
        for delta in deltas:
            yield builder.add(delta)
    except CfaiError as error:
        yield event(error_body(with_hint(error)))
        return
    report_notes(answer_stream.answer.notes)
    yield from builder.finish()


class _EventStream(httpx.SyncByteStream):
    """The server-sent events of one answer. Closing it before the end interrupts the answer."""

    def __init__(self, events: Iterator[bytes], answer_stream: AnswerStream) -> None:
        self._events = events
        self._answer_stream = answer_stream

    def __iter__(self) -> Iterator[bytes]:
        return filter(None, self._events)

    def close(self) -> None:
        self._answer_stream.close()


class AsyncSessionTransport(httpx.AsyncBaseTransport):
    """The same for an asynchronous client: a worker thread runs the synchronous transport."""

    def __init__(self, transport: SessionTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        await request.aread()
        response = await asyncio.to_thread(self._transport.handle_request, request)
        if not isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _AsyncStream(response.stream)
        return response

    async def aclose(self) -> None:
        """Close the connections to other addresses."""
        self._transport.close()


class _AsyncStream(httpx.AsyncByteStream):
    """A synchronous stream that is read in a worker thread."""

    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream
        self._chunks = iter(stream)

    async def __aiter__(self) -> Any:
        while chunk := await asyncio.to_thread(next, self._chunks, b""):
            yield chunk

    async def aclose(self) -> None:
        self._stream.close()


def create_client(calls: SdkCalls) -> httpx.Client:
    """Return a client whose requests are made through the session of `calls`."""
    transport = SessionTransport(calls)
    return httpx.Client(
        transport=transport, base_url=BASE_URL, trust_env=False, timeout=calls.timeout
    )


def create_async_client(calls: SdkCalls) -> httpx.AsyncClient:
    """Return the same as `create_client` for asynchronous requests."""
    transport = AsyncSessionTransport(SessionTransport(calls))
    return httpx.AsyncClient(
        transport=transport, base_url=BASE_URL, trust_env=False, timeout=calls.timeout
    )


def report_notes(notes: tuple[str, ...]) -> None:
    """Write the notes of a call to stderr, because responses of the API have no field for them."""
    for note in notes:
        write_text(sys.stderr, f"{note}\n")


def error_response(error: CfaiError) -> httpx.Response:
    """Return the HTTP response for an error. The SDK does not retry it."""
    return httpx.Response(
        error_status(error),
        headers={"content-type": "application/json", "x-should-retry": "false"},
        content=json.dumps(error_body(error)).encode(),
    )
