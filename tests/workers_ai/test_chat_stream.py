"""Streaming of one chat answer: deltas, usage, errors and ends."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import httpx
import pytest

from cfai_magics.errors import DailyQuotaError, IncompleteStreamError, ServerError, WorkersAIError
from cfai_magics.types.messages import FinishDelta, ReasoningDelta, TextDelta
from cfai_magics.types.usage import Usage
from cfai_magics.workers_ai.chat_stream import ChatStream
from cfai_magics.workers_ai.client import WorkersAI
from tests.standin import Fault, Standin
from tests.workers_ai.calls import DONE, GEMMA, REQUEST, Script, event, streamed, text_event

WHOLE = replace(REQUEST, stream=False)


def test_the_request_is_sent_when_the_first_delta_is_read(
    cloudflare: Standin, client: WorkersAI
) -> None:
    with client.stream(REQUEST) as stream:
        assert (stream.usage, stream.request_id) == (Usage(), None)
        assert cloudflare.requests == ()
        assert isinstance(next(iter(stream)), TextDelta)
        assert stream.request_id is not None


def test_deltas_are_yielded_in_the_order_of_the_frames() -> None:
    frames = (
        {"choices": [{"delta": {"reasoning": "Hm"}}]},
        {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]},
        {"response": "", "usage": {"prompt_tokens": 1, "completion_tokens": 2, "neurons": 0.5}},
    )
    with Script(streamed(*map(event, frames), DONE)).client() as client:
        assert list(client.stream(REQUEST)) == [
            *(
                ReasoningDelta("Hm"),
                TextDelta("Hi"),
                Usage(1, 2, 0, 0.5, "billed"),
                FinishDelta("stop"),
            )
        ]


def leave_by_break(stream: ChatStream) -> None:
    for delta in stream:
        assert delta == TextDelta("One ")
        break


def leave_by_closing(stream: ChatStream) -> None:
    for delta in stream:
        assert delta == TextDelta("One ")
        stream.close()


def leave_by_interrupt(stream: ChatStream) -> None:
    for delta in stream:
        assert delta == TextDelta("One ")
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("leave", "error"),
    [
        (leave_by_break, None),
        (leave_by_closing, IncompleteStreamError),
        (leave_by_interrupt, KeyboardInterrupt),
    ],
)
def test_leaving_a_stream_early_closes_the_connection(
    leave: Callable[[ChatStream], None],
    error: type[BaseException] | None,
    cloudflare: Standin,
    client: WorkersAI,
) -> None:
    cloudflare.switch(answer="One two three.", tokens_per_second=0.001)
    with pytest.raises(error) if error else nullcontext(), client.stream(REQUEST) as stream:
        leave(stream)
    assert cloudflare.wait_for(lambda server: server.disconnects == 1)
    assert cloudflare.calls[-1].completion_tokens == 1


def test_a_json_response_to_a_streaming_request_is_accepted(
    cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(json_for_stream=True, answer="Whole.")
    answer = client.chat(REQUEST)
    assert (answer.text, answer.finish_reason) == ("Whole.", "stop")
    assert answer.raw["choices"][0]["message"]["content"] == "Whole."
    assert len(cloudflare.requests) == 1


def test_an_empty_streamed_answer_is_requested_again_without_streaming(
    cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(empty_json_for_stream=True, answer="Whole.")
    assert client.chat(REQUEST).text == "Whole."
    assert [one.json["stream"] for one in cloudflare.requests] == [True, False]


@pytest.mark.parametrize("body", ["{}", "null", '{"result": {}, "success": true}'])
def test_an_empty_answer_is_requested_again_at_most_once(body: str) -> None:
    kind = {"content-type": "application/json"}
    script = Script(*(httpx.Response(200, headers=kind, text=body) for _ in range(3)))
    with script.client() as client:
        assert client.chat(REQUEST).text == ""
        assert len(script.requests) == 2
        assert client.chat(WHOLE).text == ""
        assert len(script.requests) == 3


def test_an_error_body_with_status_200_is_raised_without_retry() -> None:
    body = {"success": False, "errors": [{"code": 4006, "message": "no"}], "result": {}}
    script = Script(httpx.Response(200, json=body))
    with script.client() as client, pytest.raises(DailyQuotaError):
        client.chat(REQUEST)
    assert len(script.requests) == 1


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_an_html_page_instead_of_an_answer_raises_an_error(kind: str) -> None:
    page = httpx.Response(200, headers={"content-type": kind}, text="<title>Log in</title>")
    with Script(page).client() as client, pytest.raises(WorkersAIError):
        client.chat(REQUEST)


def test_an_incomplete_stream_raises_an_error_with_its_text(
    cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(answer="One two", done=False, finish_reason="")
    with pytest.raises(IncompleteStreamError) as caught:
        client.chat(REQUEST)
    assert (caught.value.text, caught.value.model) == ("One two", GEMMA)
    assert len(cloudflare.requests) == 1


def test_buffered_text_is_part_of_the_error_of_an_incomplete_stream() -> None:
    with Script(streamed(text_event("<thi"))).client() as client:
        deltas: list[object] = []
        with pytest.raises(IncompleteStreamError) as caught:
            deltas.extend(client.stream(REQUEST))
    assert caught.value.text == "<thi"


def test_a_dropped_connection_raises_an_incomplete_stream_error(
    cloudflare: Standin, client: WorkersAI
) -> None:
    cloudflare.switch(answer="One two three.", drop_connection_after=2)
    with pytest.raises(IncompleteStreamError) as caught:
        client.chat(REQUEST)
    assert caught.value.text == "One two "
    assert len(cloudflare.requests) == 1


@pytest.mark.parametrize(("code", "shape"), [(3043, "A"), (3046, "B"), (3040, "C")])
def test_an_error_in_a_stream_is_raised_with_the_text_before_it(
    code: int, shape: str, cloudflare: Standin, client: WorkersAI
) -> None:
    fault = Fault.of(code, shape)  # type: ignore[arg-type]
    cloudflare.switch(answer="One two three.", error=fault, error_in_stream_after=2)
    with pytest.raises(WorkersAIError, match=fault.message.rstrip(".")) as caught:
        client.chat(REQUEST)
    assert caught.value.text == "One two "
    assert len(cloudflare.requests) == 1


@pytest.mark.parametrize(
    "data",
    [
        '{"message": "Overloaded"}',
        '{"error": "Overloaded"}',
        '{"code": 1, "message": "Overloaded"}',
        '{"detail": "Overloaded"}',
        '{"error": true, "message": "Overloaded"}',
        '"Overloaded"',
        "Overloaded",
    ],
)
def test_an_event_named_error_raises_an_error(data: str) -> None:
    stream = streamed(text_event("One"), f"event: error\ndata: {data}\n\n".encode(), DONE)
    with Script(stream).client() as client, pytest.raises(ServerError) as caught:
        client.chat(REQUEST)
    assert (caught.value.cause, caught.value.text) == ("Overloaded", "One")


def test_an_error_next_to_choices_is_raised_and_null_is_ignored() -> None:
    valid, error_frame = ({"choices": [], "error": error} for error in (None, {"message": "no"}))
    script = Script(streamed(event(valid), text_event("One"), event(error_frame), DONE))
    with script.client() as client, pytest.raises(ServerError, match="no") as caught:
        client.chat(REQUEST)
    assert caught.value.text == "One"


def test_a_connection_is_reused_for_the_next_request(
    cloudflare: Standin, client: WorkersAI
) -> None:
    for _ in range(3):
        client.chat(REQUEST)
    assert cloudflare.open_connections == 1


def test_a_read_error_after_done_is_ignored() -> None:
    script = Script(streamed(text_event("Hi"), DONE, httpx.ReadError("")))
    with script.client() as client:
        assert client.chat(REQUEST).text == "Hi"
