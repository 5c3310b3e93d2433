"""Streaming of one chat answer: deltas, usage, errors and ends."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import httpx
import pytest

from cfai_magics.errors import (
    DailyQuotaError,
    IncompleteStreamError,
    ResponseFormatError,
    ServerError,
    WorkersAIError,
)
from cfai_magics.types.messages import FinishDelta, ReasoningDelta, Request, TextDelta
from cfai_magics.types.usage import Usage
from cfai_magics.workers_ai.chat_stream import ChatStream
from cfai_magics.workers_ai.client import WorkersAI, parse_batch_answer
from tests.standin import Fault, Standin
from tests.workers_ai.calls import (
    DONE,
    GEMMA,
    REQUEST,
    Script,
    collect,
    event,
    streamed,
    text_event,
)

WHOLE = replace(REQUEST, stream=False)
STOP = event({"choices": [{"delta": {}, "finish_reason": "stop"}]}) + DONE


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


def respond(body: str, **headers: str) -> httpx.Response:
    kind = {"content-type": "application/json", **headers}
    return httpx.Response(200, headers=kind, text=body)


EMPTY_BODIES = ["{}", '{"result": {}, "success": true}', '{"result": null, "success": true}']


@pytest.mark.parametrize("body", EMPTY_BODIES)
def test_an_empty_answer_is_requested_again_at_most_once(body: str) -> None:
    script = Script(*(respond(body) for _ in range(3)))
    with script.client() as client:
        for request, count in ((REQUEST, 2), (WHOLE, 3)):
            with pytest.raises(ResponseFormatError, match="is not understood"):
                client.chat(request)
            assert len(script.requests) == count


def test_both_responses_are_billed_if_the_first_one_is_empty() -> None:
    empty = respond('{"result":null,"success":true}', **{"cf-ai-neurons": "5"})
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "neurons": 0.5}
    whole = respond(json.dumps({"result": {"response": "Hi", "usage": usage}, "success": True}))
    with Script(empty, whole).client() as client:
        answer = client.chat(REQUEST)
    assert (answer.text, answer.usage) == ("Hi", Usage(11, 7, 0, 5.5, "billed"))


WITHOUT_ANSWER = ["null", "[]", "7", '"Hi"', '{"choices":[]}', '{"choices":null}', '{"ok":true}']


@pytest.mark.parametrize("body", WITHOUT_ANSWER)
@pytest.mark.parametrize("request_", [REQUEST, WHOLE], ids=["stream", "whole"])
def test_a_response_without_an_answer_is_an_error(body: str, request_: Request) -> None:
    script = Script(respond(body))
    with script.client() as client, pytest.raises(ResponseFormatError, match="not understood"):
        client.chat(request_)
    assert len(script.requests) == 1


RESPONSES_API = [
    {"type": "response.created", "response": {"id": "resp_1", "output": []}},
    {"type": "response.output_text.delta", "delta": "Hi"},
]
STREAMS_WITHOUT_ANSWER = {
    "only [DONE]": [DONE],
    "no choices": [event({"choices": []}), DONE],
    "only usage": [event({"choices": [], "usage": {"prompt_tokens": 3}}), DONE],
    "MiniMax": [event({"choices": None, "base_resp": {"status_code": 1004}})],
    "the Responses API": [*map(event, RESPONSES_API), DONE],
    "text": [b"data: Hi\n\n", DONE],
}


@pytest.mark.parametrize("pieces", STREAMS_WITHOUT_ANSWER.values(), ids=STREAMS_WITHOUT_ANSWER)
def test_a_stream_without_an_answer_is_an_error(pieces: list[bytes]) -> None:
    script = Script(streamed(*pieces))
    with script.client() as client, pytest.raises(ResponseFormatError, match="not understood"):
        client.chat(REQUEST)
    assert len(script.requests) == 1


@pytest.mark.parametrize("pieces", [[], [event({"choices": [{"delta": {"role": "assistant"}}]})]])
def test_no_partial_answer_is_promised_if_nothing_was_received(pieces: list[bytes]) -> None:
    script = Script(streamed(*pieces))
    with script.client() as client, pytest.raises(IncompleteStreamError) as caught:
        client.chat(REQUEST)
    assert caught.value.hint == "Nothing was received. Run the cell again."


@pytest.mark.parametrize("lost", ['["Hi"]', '"Hi"', "7", "Hi"])
def test_a_frame_of_another_type_is_reported(lost: str) -> None:
    script = Script(streamed(text_event("a"), f"data: {lost}\n\n".encode(), STOP))
    with script.client() as client, client.stream(REQUEST) as stream:
        assert collect(stream).text == "a"
        assert stream.notes == ("1 unreadable frame skipped.",)


@pytest.mark.parametrize("value", ["null", '""', "[]", "{}"])
def test_an_empty_frame_is_skipped(value: str) -> None:
    script = Script(streamed(text_event("a"), f"data: {value}\n\n".encode(), STOP))
    with script.client() as client, client.stream(REQUEST) as stream:
        assert collect(stream).text == "a"
        assert stream.notes == ()


@pytest.mark.parametrize("end", [b"\n\n", b"\n"], ids=["own event", "same event"])
def test_a_frame_without_its_field_name_is_read(end: bytes) -> None:
    bare = text_event("b").removeprefix(b"data: ").strip() + end
    script = Script(streamed(text_event("a"), bare, text_event("c"), STOP))
    with script.client() as client:
        assert client.chat(REQUEST).text == "abc"


FAILURE = {"code": 400, "message": "The provider failed"}


def test_an_error_in_a_choice_is_raised_with_the_text_so_far() -> None:
    end = event({"choices": [{"delta": {}, "finish_reason": "error", "error": FAILURE}]})
    script = Script(streamed(text_event("Hi"), end, DONE))
    with script.client() as client, pytest.raises(WorkersAIError) as caught:
        client.chat(REQUEST)
    assert caught.value.cause == "The provider failed"
    assert caught.value.text == "Hi"


def test_an_error_in_the_choice_of_a_whole_answer_is_raised() -> None:
    choice = {"message": {"content": "Hi"}, "finish_reason": "error", "error": FAILURE}
    script = Script(respond(json.dumps({"choices": [choice]})))
    with script.client() as client, pytest.raises(WorkersAIError, match="The provider failed"):
        client.chat(WHOLE)
    reply = {"external_reference": "0", "result": {"choices": [choice]}}
    assert "The provider failed" in parse_batch_answer(reply).error


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
