"""Each recorded dialect yields the same deltas: no duplicate text or usage."""

from collections.abc import Mapping
from typing import Any

import pytest

from cfai_magics.types.messages import Answer, FinishDelta, ReasoningDelta, TextDelta, ToolCall
from cfai_magics.types.usage import Usage
from cfai_magics.workers_ai.frame_decoder import (
    FrameDecoder,
    is_empty_answer,
    parse_usage,
    unwrap_envelope,
)
from tests.workers_ai.calls import collect

P = {"p": "pf8tbfo2fk"}  # padding, of any length


def chunk(
    delta: Any = None, finish: str | None = None, usage: Any = None, **more: Any
) -> dict[str, Any]:
    """Return a chunk in the format of vLLM; without a delta it has no choices."""
    choice = {"delta": delta, "finish_reason": finish, "index": 0, "logprobs": None}
    fields = {} if usage is None else {"usage": usage}
    return {"choices": [] if delta is None else [choice], **fields, **more}


def bare(content: str, **more: Any) -> dict[str, Any]:
    """Return a chunk without index and finish_reason."""
    return {"choices": [{"delta": {"content": content}}], **more}


def whole(message: Mapping[str, Any], finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
    return {"object": "chat.completion", "choices": [choice], **more}


def used(prompt: int, completion: int, cached: int = 0, neurons: Any = None) -> dict[str, Any]:
    known = {} if neurons is None else {"neurons": neurons}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        **known,
    }


def answer(*frames: Any, neurons: float | None = None) -> Answer:
    """Return the answer of these frames; `neurons` is the value of the header."""
    decoder = FrameDecoder()
    deltas = [delta for frame in frames for delta in decoder.decode(frame)]
    deltas += decoder.finish(neurons)
    assert sum(isinstance(delta, Usage) for delta in deltas) <= 1
    assert isinstance(deltas[-1], FinishDelta)
    return collect(deltas)


INCREMENTS = (
    chunk(
        {"content": "", "reasoning_content": None, "role": "assistant"}, None, used(147, 0, 0, 1.5)
    ),
    chunk({"content": "أه", "reasoning_content": None}, None, used(0, 1, 0, 0.25), **P),
    chunk({"content": "لا", "reasoning_content": None}, None, used(0, 2, 0, 0.5), **P),
    chunk({"reasoning_content": None}, "stop", used(0, 0, 0, 0)),
    chunk(None, None, used(0, 1, 0, 0.25)),
)
TOTAL = {"response": "", "usage": used(147, 4, 0, 2.5)}
CUMULATIVE = (
    chunk({"role": "assistant", "content": ""}, None, used(13, 0)),
    chunk({"content": "Hel"}, None, used(13, 3)),
    chunk({"content": "lo"}, None, used(13, 4)),
    chunk({}, "stop", used(13, 4)),
    chunk(None, None, used(13, 5)),
)
NATIVE = ({"response": "Hel", **P}, {"response": "lo", "p": "abdefgh"})
HYBRID = (bare("Hel", response="Hel", tool_calls=[]), bare("lo", response="lo", tool_calls=[]))
BILLED = Usage(147, 4, 0, 2.5, "billed")

RECORDED = {
    "gemma 2026-10: increments, then the total": ((*INCREMENTS, TOTAL), "أهلا", "stop", BILLED),
    "increments without a total": (INCREMENTS, "أهلا", "stop", BILLED),
    "cumulative, 2025-07": (CUMULATIVE, "Hello", "stop", Usage(13, 5)),
    "cumulative, then the total": (
        (*CUMULATIVE, {"response": "", "usage": used(13, 5, 0, 0.5)}),
        *("Hello", "stop", Usage(13, 5, 0, 0.5, "billed")),
    ),
    "llama 2024: neither index nor usage": (
        (bare(""), bare("Hel"), bare("lo")),
        *("Hello", "unknown", Usage()),
    ),
    "native, usage in the last frame": ((*NATIVE, TOTAL), "Hello", "unknown", BILLED),
    "native without usage": ((*NATIVE, {"response": ""}), "Hello", "unknown", Usage()),
    "the text in choices and in response": ((*HYBRID, TOTAL), "Hello", "unknown", BILLED),
    "cached tokens are a part of the prompt": (
        (chunk({"content": "ok"}, "stop", used(376, 3, 320, 15.89)),),
        *("ok", "stop", Usage(376, 3, 320, 15.89, "billed")),
    ),
    "glm 2026-08, whole": (
        (whole({"content": "ok"}, usage=used(376, 3, 320, 15.89)),),
        *("ok", "stop", Usage(376, 3, 320, 15.89, "billed")),
    ),
    "native, whole": (
        ({"response": "Hello", "tool_calls": [], "usage": used(3, 2, 0, 0.5)},),
        *("Hello", "unknown", Usage(3, 2, 0, 0.5, "billed")),
    ),
    "an empty prompt, whole": (
        (chunk({"content": "a"}, None, used(0, 1)), {"response": "", "usage": used(0, 2)}),
        *("a", "unknown", Usage(0, 2)),
    ),
    "the first choice only": (
        ({"choices": [{"index": 1, "delta": {"content": "B"}}, {"delta": {"content": "A"}}]},),
        *("A", "unknown", Usage()),
    ),
    "llama.cpp: text of a completion": (
        ({"choices": [{"index": 0, "text": "Hello", "finish_reason": "length"}]},),
        *("Hello", "length", Usage()),
    ),
}


@pytest.mark.parametrize(("frames", "text", "finish", "usage"), RECORDED.values(), ids=RECORDED)
def test_a_recorded_dialect_yields_its_text_and_usage_once(
    frames: tuple[Any, ...], text: str, finish: str, usage: Usage
) -> None:
    result = answer(*frames)
    assert (result.text, result.reasoning, result.finish_reason) == (text, "", finish)
    assert result.usage == usage


def test_the_usage_is_updated_during_the_stream() -> None:
    decoder = FrameDecoder()
    assert decoder.usage == Usage()
    seen = []
    for frame in INCREMENTS:
        list(decoder.decode(frame))
        seen.append((decoder.usage.completion_tokens, decoder.usage.neurons))
    assert seen == [(0, 1.5), (1, 1.75), (3, 2.25), (3, 2.25), (4, 2.5)]


@pytest.mark.parametrize(
    ("frame", "usage"),
    [
        (bare("a"), Usage(neurons=1.98, cost_basis="billed")),
        (chunk({"content": "a"}, None, used(3, 1)), Usage(3, 1, 0, 1.98, "billed")),
        (chunk({"content": "a"}, None, used(3, 1, 0, 0.5)), Usage(3, 1, 0, 0.5, "billed")),
        (chunk({"content": "a"}, None, used(3, 1, 0, 0)), Usage(3, 1, 0, 0.0, "billed")),
    ],
    ids=["no usage", "usage without neurons", "usage with neurons", "zero neurons"],
)
def test_neurons_of_the_header_are_used_if_frames_have_none(
    frame: dict[str, Any], usage: Usage
) -> None:
    assert answer(frame, neurons=1.98).usage == usage


def test_a_later_total_without_neurons_keeps_the_known_neurons() -> None:
    frames = (chunk({"content": "a"}, None, used(3, 1, 0, 0.5)), {"usage": used(3, 2)})
    assert answer(*frames).usage == Usage(3, 2, 0, 0.5, "billed")


def test_neurons_in_a_later_increment_are_added() -> None:
    frames = (chunk({}, None, used(3, 1)), chunk({}, None, used(0, 1, 2, 0.5)))
    assert answer(*frames).usage == Usage(3, 2, 2, 0.5, "billed")


STOPPED = chunk({"content": "ok"}, "stop", used(15_000, 7, 14_528, 3.5))
ONCE = Usage(15_000, 7, 14_528, 3.5, "billed")
WITHOUT_PROMPT = {"completion_tokens": 7, "neurons": 3.5}
LATER_COPIES: dict[str, tuple[dict[str, Any], Usage]] = {
    "neurons 0": (chunk({}, "stop", used(15_000, 7, 0, 0)), ONCE),
    "no neurons": (chunk({}, "stop", used(15_000, 7)), ONCE),
    "no prompt tokens": (chunk({}, "stop", WITHOUT_PROMPT), ONCE),
    "null prompt tokens": (chunk(None, None, {"prompt_tokens": None, **WITHOUT_PROMPT}), ONCE),
    "prompt tokens 0": (chunk(None, None, {"prompt_tokens": 0, **WITHOUT_PROMPT}), ONCE),
    "only completion tokens": (chunk(None, None, {"completion_tokens": 7}), ONCE),
    "only prompt tokens": (chunk(None, None, {"prompt_tokens": 15_000}), ONCE),
    "completion tokens 0": (chunk(None, None, used(15_000, 0, 0, 3.5)), ONCE),
    "nothing": (chunk(None, None, used(0, 0, 0, 0)), ONCE),
    "fewer prompt tokens": (chunk(None, None, used(472, 7, 0, 3.5)), ONCE),
    "native, neurons 0": ({"response": "", "usage": used(15_000, 7, 0, 0)}, ONCE),
    "native, no prompt tokens": ({"response": "", "usage": WITHOUT_PROMPT}, ONCE),
    "native, only neurons": ({"response": "", "usage": {"neurons": 3.5}}, ONCE),
    "native, the corrected total": (
        {"response": "", "usage": used(15_000, 6, 0, 3.25)},
        Usage(15_000, 6, 14_528, 3.25, "billed"),
    ),
}


@pytest.mark.parametrize(("copy", "usage"), LATER_COPIES.values(), ids=LATER_COPIES)
def test_an_incomplete_copy_of_the_usage_keeps_the_bill(
    copy: dict[str, Any], usage: Usage
) -> None:
    assert answer(STOPPED, copy).usage == usage
    assert answer(STOPPED, copy, copy).usage == usage


def test_neurons_0_are_kept_if_no_others_are_reported() -> None:
    assert answer(chunk({}, None, used(3, 1, 0, 0)), {"usage": used(3, 1)}).usage.neurons == 0


def test_cached_tokens_are_never_more_than_the_prompt_tokens() -> None:
    assert answer(chunk({"content": "a"}, "stop", used(10, 1, 100_000))).usage == Usage(10, 1, 10)
    falling = chunk({}, None, used(15_000, 7, 14_528)), {"response": "", "usage": used(472, 7)}
    assert answer(*falling).usage == Usage(472, 7, 472)


def test_usage_in_the_format_of_the_responses_api_is_read() -> None:
    usage = {
        "input_tokens": 100,
        "output_tokens": 50,
        "input_tokens_details": {"cached_tokens": 30},
    }
    assert answer(chunk({"content": "a"}, "stop", usage)).usage == Usage(100, 50, 30)
    assert parse_usage(usage, {}) == Usage(100, 50, 30)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_separated_from_text(field: str) -> None:
    frames = (chunk({field: "Hm"}), chunk({field: ".", "content": "Yes"}), chunk({"content": "!"}))
    assert list(FrameDecoder().decode(frames[1])) == [ReasoningDelta("."), TextDelta("Yes")]
    result = answer(*frames)
    assert (result.reasoning, result.text) == ("Hm.", "Yes!")
    message = answer(whole({field: "Hm.", "content": "Yes!"}))
    assert (message.reasoning, message.text) == ("Hm.", "Yes!")


@pytest.mark.parametrize("content", ["", None], ids=["glm", "nemotron"])
def test_reasoning_that_uses_all_tokens_leaves_the_text_empty(content: str | None) -> None:
    message = {"content": content, "refusal": None, "tool_calls": [], "reasoning": "We need"}
    result = answer(whole(message, "length", stop_reason=None))
    assert (result.text, result.reasoning, result.finish_reason) == ("", "We need", "length")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("MAX_TOKENS", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("error", "error"),
        ("other", "unknown"),
        ("unknown", "unknown"),
        (None, "unknown"),
        (7, "unknown"),
    ],
)
def test_a_finish_reason_is_mapped_to_a_known_value(value: Any, reason: str) -> None:
    assert answer(chunk({"content": "a"}, value), chunk({})).finish_reason == reason
    assert answer(whole({"content": "a"}, value)).finish_reason == reason


@pytest.mark.parametrize("reason", ["null", "None", "undefined", "", None, 7], ids=repr)
def test_a_finish_reason_that_means_none_does_not_end_the_answer(reason: Any) -> None:
    decoder = FrameDecoder()
    assert list(decoder.decode(chunk({"content": "a"}, reason))) == [TextDelta("a")]
    assert not decoder.finished


def test_an_answer_with_only_tool_calls_has_finish_reason_tool_calls() -> None:
    result = answer({"response": None, "tool_calls": [{"name": "add", "arguments": {"a": 1}}]})
    assert result.tool_calls == (ToolCall("call_0", "add", '{"a": 1}'),)
    assert result.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ({"town": "Łódź", "n": [1, None]}, '{"town": "Łódź", "n": [1, null]}'),
        ([1, 2], "[1, 2]"),
        (7, "7"),
        (0, "0"),
        ({}, "{}"),
        (None, ""),
        (True, "true"),
        (False, "false"),
        ([], "[]"),
        (["a", "b"], '["a", "b"]'),
        ({"text": "x"}, '{"text": "x"}'),
        ([{"text": "x"}], '[{"text": "x"}]'),
        (
            {"type": "text", "text": "x", "score": 1},
            '{"type": "text", "text": "x", "score": 1}',
        ),
        (
            [{"type": "text", "text": "x", "score": 1}],
            '[{"type": "text", "text": "x", "score": 1}]',
        ),
        ([{"type": "cat", "name": "Tom"}], '[{"type": "cat", "name": "Tom"}]'),
    ],
    ids=repr,
)
def test_a_json_mode_value_becomes_text(response: Any, text: str) -> None:
    assert answer({"response": response, "usage": used(1, 1)}).text == text
    assert answer(whole({"content": response})).text == text


THOUGHT = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I think"}]}
HI_PART = {"type": "text", "text": "Hi"}
REFERENCE = {"type": "reference", "reference_ids": [1, 2]}
PARTS: dict[str, tuple[Any, str, str]] = {
    "a summary of reasoning": ([THOUGHT], "I think", ""),
    "a summary of reasoning and text": ([THOUGHT, HI_PART], "I think", "Hi"),
    "a string and a part": (["Oh, ", HI_PART], "", "Oh, Hi"),
    "text and an unknown type": ([HI_PART, REFERENCE], "", "Hi"),
    "null text": ([{"type": "text", "text": None}, HI_PART], "", "Hi"),
    "one part": (HI_PART, "", "Hi"),
    "annotations": ([{**HI_PART, "annotations": []}], "", "Hi"),
}
DELTA_PARTS: dict[str, tuple[Any, str, str]] = {
    **PARTS,
    "text without a type": ([{"text": "Hi"}], "", "Hi"),
    "strings": (["H", "i"], "", "Hi"),
    "only an unknown type": ([REFERENCE], "", ""),
    "no parts": ([], "", ""),
    "false": (False, "", ""),
}


@pytest.mark.parametrize(("content", "reasoning", "text"), DELTA_PARTS.values(), ids=DELTA_PARTS)
def test_the_parts_of_a_delta_are_read_by_type(content: Any, reasoning: str, text: str) -> None:
    result = answer(chunk({"content": content}), chunk({"content": "!"}, "stop"))
    assert (result.reasoning, result.text) == (reasoning, f"{text}!")


@pytest.mark.parametrize(("content", "reasoning", "text"), PARTS.values(), ids=PARTS)
def test_the_parts_of_a_message_are_read_by_type(content: Any, reasoning: str, text: str) -> None:
    result = answer(whole({"content": content}))
    assert (result.reasoning, result.text) == (reasoning, text)


def test_an_empty_list_next_to_a_tool_call_is_not_json() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    result = answer(whole({"content": [], "tool_calls": [call]}))
    assert (result.text, result.tool_calls) == ("", (ToolCall("c", "f", "{}"),))


@pytest.mark.parametrize(
    ("body", "result", "empty"),
    [
        ({"result": {}, "success": True, "errors": [], "messages": []}, {}, True),
        ({"result": None, "success": True}, None, True),
        ({"result": {"usage": {}}, "success": True}, {"usage": {}}, True),
        ({"result": {"response": ""}, "success": True}, {"response": ""}, False),
        ({"choices": []}, {"choices": []}, False),
        ({"result": 1}, {"result": 1}, False),
        ([], [], False),
    ],
    ids=str,
)
def test_an_envelope_is_removed_and_an_empty_answer_is_recognized(
    body: Any, result: Any, *, empty: bool
) -> None:
    assert unwrap_envelope(body) == result
    assert is_empty_answer(unwrap_envelope(body)) == empty


def test_split_surrogate_pairs_are_joined_and_lone_ones_replaced() -> None:
    frames = [
        chunk({"content": "smile \ud83d"}),
        chunk({"reasoning_content": "hm \ud83d"}),
        chunk({"content": "\ude00, half \udc00 and 中\ud83d"}),
        chunk({"reasoning_content": "\ude00"}),
        chunk({"content": "\n"}),
        chunk({"content": "end \ud83d"}, finish="stop"),
    ]
    result = answer(*frames)
    assert result.text == "smile \U0001f600, half \ufffd and 中\ufffd\nend \ufffd"
    assert result.reasoning == "hm \U0001f600"
