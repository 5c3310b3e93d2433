"""An answer is complete if a finish reason or [DONE] was received, else it is partial."""

import pytest

from cfai_magics.errors import IncompleteStreamError
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Request
from cfai_magics.types.usage import Usage
from cfai_magics.workers_ai.client import WorkersAI
from tests.standin import Standin
from tests.workers_ai.calls import REQUEST

T = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
S = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
TS = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
USAGE = '"usage":{"prompt_tokens":11,"completion_tokens":7,"neurons":0.5}'
U = f'data: {{"choices":[],{USAGE}}}\n\n'
NT, NS = 'data: {"response":"Hi"}\n\n', 'data: {"response":"","finish_reason":"stop"}\n\n'
NU = f'data: {{"response":"",{USAGE}}}\n\n'
NSU = f'data: {{"response":"","finish_reason":"stop",{USAGE}}}\n\n'
D = "data: [DONE]\n\n"
BILLED = Usage(11, 7, 0, 0.5, "billed")

COMPLETE = {
    "finish reason, usage, no [DONE]": ([T, S, U], "stop"),
    "usage without its empty line": ([T, S, U[:-1]], "stop"),
    "usage without a line end": ([T, S, U[:-2]], "stop"),
    "usage with half of CR LF": ([T, S, U[:-2] + "\r"], "stop"),
    "[DONE] with one line end": ([T, U, D[:-1]], "unknown"),
    "[DONE] without a line end": ([T, U, D[:-2]], "unknown"),
    "[DONE] with spaces": ([T, U, "data:  [DONE] \n\n"], "unknown"),
    "finish reason, usage and half of [DONE]": ([T, S, U, D[:9]], "stop"),
    "finish reason and usage at the end of the bytes": (
        [T, f'data: {{"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],{USAGE}}}'],
        "stop",
    ),
    "native, finish reason": ([NT, NS, NU], "stop"),
    "native, usage in the last frame": ([NT, NSU], "stop"),
    "native, without a line end": ([NT, NSU[:-2]], "stop"),
    "native, [DONE] with one line end": ([NT, NU, D[:-1]], "unknown"),
    "native, max_tokens": ([NT, NS.replace("stop", "max_tokens"), NU], "length"),
    "CR LF": ([part.replace("\n", "\r\n") for part in (T, S, U)], "stop"),
}
INCOMPLETE = {
    "no end": ([T], "Hi"),
    "usage, but no end": ([T, U], "Hi"),
    "native, usage, but no end": ([NT, NU], "Hi"),
    "a second frame without a line end": ([T, T[:-2]], "Hi"),
    "half of [DONE]": ([T, "data: [DON"], "Hi"),
    "half of the last frame": ([T, S[:-4]], "Hi"),
    "the finish reason of another answer": ([T, S.replace('"index":0', '"index":1')], "Hi"),
    "a null finish reason": ([T, S.replace('"stop"', "null")], "Hi"),
}


@pytest.mark.parametrize(("parts", "finish"), COMPLETE.values(), ids=COMPLETE)
def test_a_complete_stream_has_its_billed_usage(
    parts: list[str], finish: str, cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(raw_stream=parts)
    answer = client.chat(REQUEST)
    assert (answer.text, answer.finish_reason, answer.usage) == ("Hi", finish, BILLED)
    assert client.chat(REQUEST).text == "Hi"


@pytest.mark.parametrize("parts", [[T, S, U], [T, S, U[:-2]], [TS, U], [NT, NSU]])
def test_a_connection_lost_after_the_finish_reason_is_ignored(
    parts: list[str], cloudflare: Standin, client: WorkersAI, pauses: list[float]
) -> None:
    cloudflare.switch(raw_stream=parts, raw_stream_breaks=True)
    answer = client.chat(REQUEST)
    assert (answer.text, answer.finish_reason, answer.usage) == ("Hi", "stop", BILLED)
    assert pauses == []


@pytest.mark.parametrize(("parts", "text"), INCOMPLETE.values(), ids=INCOMPLETE)
@pytest.mark.parametrize("breaks", [False, True], ids=["closed", "broken"])
def test_a_stream_without_an_end_marker_is_incomplete(
    parts: list[str], text: str, breaks: bool, cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(raw_stream=parts, raw_stream_breaks=breaks)
    with pytest.raises(IncompleteStreamError) as caught:
        client.chat(REQUEST)
    assert caught.value.text == text


@pytest.mark.parametrize("parts", [[T, S, U], [T, S, U[:-2]], [NT, NSU], [T, U, D[:-1]]])
@pytest.mark.parametrize("breaks", [False, True], ids=["closed", "broken"])
def test_a_complete_answer_is_booked_as_billed(
    parts: list[str], breaks: bool, account: Standin, session: Session
) -> None:
    account.switch(raw_stream=parts, raw_stream_breaks=breaks)
    request = Request("gemma-4-26b-a4b-it", REQUEST.messages, max_tokens=64)
    with session.stream(request) as stream:
        for _ in stream:
            pass
    assert (stream.answer.text, stream.answer.usage) == ("Hi", BILLED)
    usage = session.day_usage()
    assert (usage.spent, usage.estimated) == (0.5, 0.0)


def test_bytes_after_the_end_are_read_and_the_connection_is_reused(
    cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(raw_stream=[T, S, U, ": keep-alive\n\n", ": keep-alive\n\n"])
    assert client.chat(REQUEST).usage == BILLED
    assert client.chat(REQUEST).usage == BILLED
    assert cloudflare.disconnects == 0
