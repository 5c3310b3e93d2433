"""The probabilities of tokens are requested, recorded and replayed."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cfai_magics.errors import InvalidOptionError, NotRecordedError
from cfai_magics.replay.interaction import CorruptLineError, parse_line
from cfai_magics.session.parallel import Finished
from cfai_magics.session.session import Session
from tests.replay.sessions import HI, OCTOBER_12, ask, lines, recording, replaying
from tests.standin import Standin

ANSWER = "Rayleigh scattering."


def test_the_request_has_the_fields_and_the_answer_has_the_tokens(
    cloudflare: Standin, recorder: Session
) -> None:
    cloudflare.switch(answer=ANSWER)
    answer = ask(recorder, probs=3)
    (request,) = cloudflare.requests
    assert (request.json["logprobs"], request.json["top_logprobs"]) == (True, 3)
    assert "".join(token.text for token in answer.tokens) == ANSWER
    assert [token.probability for token in answer.tokens][:2] == [0.5, 0.2]
    assert [each.text for each in answer.tokens[1].alternatives] == ["other0", "eigh", "other2"]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_whole_answer_has_the_same_tokens(
    cloudflare: Standin, recorder: Session, *, stream: bool
) -> None:
    cloudflare.switch(answer=ANSWER)
    assert ask(recorder, probs=0, stream=stream).tokens == ask(recorder, probs=0).tokens
    assert ask(recorder).tokens == ()


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_replay_has_the_recorded_tokens(
    cloudflare: Standin, recorder: Session, path: Path, *, stream: bool
) -> None:
    cloudflare.switch(answer="Blå himmel · 😀.")
    tokens = ask(recorder, probs=4, stream=stream).tokens
    assert tokens
    with replaying(path) as session:
        for is_streaming in (True, False):
            assert ask(session, probs=4, stream=is_streaming).tokens == tokens


def test_another_number_of_alternatives_is_another_request(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    cloudflare.switch(answer=ANSWER)
    ask(recorder, probs=4)
    with replaying(path) as session:
        with pytest.raises(NotRecordedError, match="top_logprobs: 5 instead of 4"):
            ask(session, probs=5)
        with pytest.raises(NotRecordedError, match="logprobs"):
            ask(session)


def test_only_lines_with_probabilities_have_format_2(
    cloudflare: Standin, recorder: Session, path: Path
) -> None:
    cloudflare.switch(answer=ANSWER)
    ask(recorder, probs=1)
    ask(recorder)
    recorder.recorder.sort_cassettes()
    parsed = [json.loads(line) for line in lines(path)]
    formats = {"logprobs" in line["request"]: line.get("format") for line in parsed}
    assert formats == {True: 2, False: None}
    assert [parse_line(line).to_line() for line in lines(path)] == lines(path)


@pytest.mark.parametrize("number", [3, 0, "2", None, True], ids=repr)
def test_a_line_of_an_unknown_format_is_reported(
    cloudflare: Standin, recorder: Session, path: Path, number: object
) -> None:
    cloudflare.switch(answer=ANSWER)
    ask(recorder, probs=1)
    recorder.recorder.sort_cassettes()
    (line,) = lines(path)
    content = line.replace(b'"format":2', b'"format":%s' % json.dumps(number).encode())
    if number is True:  # equal to 1 in Python
        assert parse_line(content).text == ANSWER
        return
    with pytest.raises(CorruptLineError, match="newer version of cfai-magics"):
        parse_line(content)


@pytest.mark.parametrize(
    "tokens",
    ['[["a",0.5]]', "[5]", '{"a":1}', '[["a",0.5,[["b"]]]]', '[["a",7,[]]]', '[["a","x",[]]]'],
)
def test_damaged_probabilities_are_never_replayed(
    cloudflare: Standin, recorder: Session, path: Path, tokens: str
) -> None:
    cloudflare.switch(answer=ANSWER)
    ask(recorder, probs=0)
    recorder.recorder.sort_cassettes()
    before, _, _ = path.read_text().partition('"tokens":')
    path.write_text(f'{before}"tokens":{tokens}}}}}]}}\n')
    with replaying(path) as session:
        try:
            answer = ask(session, probs=0)
        except NotRecordedError:
            return
        assert all(token.probability in (None, 1.0) for token in answer.tokens)


def test_a_model_without_probabilities_is_named_with_one_that_has_them(
    cloudflare: Standin, recorder: Session
) -> None:
    cloudflare.switch(answer=ANSWER, logprobs=False)
    answer = ask(recorder, probs=5)
    assert answer.text == ANSWER
    assert answer.tokens == ()
    assert answer.notes == (
        "gemma-4-26b-a4b-it returned no token probabilities. The local model of %cfai local does.",
    )
    assert ask(recorder).notes == ()


def test_a_model_that_returned_none_is_reported_before_the_next_request(
    cloudflare: Standin, path: Path
) -> None:
    with recording(cloudflare, path, "off") as session:
        cloudflare.switch(answer=ANSWER)
        ask(session, model="llama-3.2-3b-instruct", probs=1)
        cloudflare.switch(answer=ANSWER, logprobs=False)
        ask(session, probs=1)
        time = datetime.fromtimestamp(OCTOBER_12, UTC).astimezone()
        with pytest.raises(InvalidOptionError) as refused:
            ask(session, "Why?", probs=1)
        assert str(refused.value) == (
            f"gemma-4-26b-a4b-it returned no token probabilities at {time:%H:%M}.\n"
            "Nothing was sent. Run the cell again to ask the model anyway, or remove --probs. "
            "Models that returned them in this session: llama-3.2-3b-instruct."
        )
        assert len(cloudflare.requests) == 2
        cloudflare.switch(answer=ANSWER, logprobs=True)
        assert ask(session, "Why?", probs=1).tokens
        assert ask(session, "Why not?", probs=1).tokens


@pytest.mark.parametrize("model", ["flux-1-schnell", "m2m100-1.2b", "whisper"])
def test_a_model_for_another_task_is_refused_before_the_request(
    cloudflare: Standin, recorder: Session, model: str
) -> None:
    for _ in range(2):
        with pytest.raises(InvalidOptionError, match=f"{model} returns no token probabilities"):
            ask(recorder, model=model, probs=1)
    assert cloudflare.requests == ()


@pytest.mark.parametrize("kind", ["other model", "no probabilities", "recorded"])
def test_only_live_requests_for_probabilities_to_that_model_are_refused(
    cloudflare: Standin, recorder: Session, kind: str
) -> None:
    cloudflare.switch(answer=ANSWER, logprobs=False)
    ask(recorder, probs=1)
    if kind == "recorded":
        assert ask(recorder, probs=1).text == ANSWER
    elif kind == "no probabilities":
        assert ask(recorder).text == ANSWER
    else:
        assert ask(recorder, model="llama-3.2-3b-instruct", probs=1).text == ANSWER


def test_an_answer_without_text_says_nothing_about_the_model(
    cloudflare: Standin, path: Path
) -> None:
    with recording(cloudflare, path, "off") as session:
        cloudflare.switch(answer="", logprobs=False)
        ask(session, probs=1)
        ask(session, "Why?", probs=1)
    assert len(cloudflare.requests) == 2


def test_parallel_requests_are_refused_together(cloudflare: Standin, path: Path) -> None:
    with recording(cloudflare, path, "off") as session:
        cloudflare.switch(answer=ANSWER, logprobs=False)
        requests = [session.build_request(HI, probs=1, seed=seed) for seed in range(3)]
        with session.parallel(requests) as streams:
            assert sum(isinstance(event, Finished) for _, event in streams) == 3
        others = [session.build_request(HI, probs=2, seed=seed) for seed in range(3)]
        with pytest.raises(InvalidOptionError, match="returned no token probabilities at"):
            session.parallel(others)
        assert len(cloudflare.requests) == 3
        with session.parallel(others) as streams:
            assert sum(isinstance(event, Finished) for _, event in streams) == 3


def test_reasoning_has_no_tokens(cloudflare: Standin, recorder: Session) -> None:
    cloudflare.switch(answer=ANSWER, thought="Let me think. ")
    answer = ask(recorder, probs=1, think=True)
    assert answer.reasoning
    assert "".join(token.text for token in answer.tokens) == ANSWER


@pytest.mark.parametrize("field", ["logprobs", "top_logprobs"])
def test_a_field_that_probs_sets_is_refused(
    cloudflare: Standin, recorder: Session, field: str
) -> None:
    with pytest.raises(InvalidOptionError, match=f"probs and {field} can't be combined"):
        ask(recorder, probs=1, extra={field: 1})
    for number in (-1, 21):
        with pytest.raises(InvalidOptionError, match="out of range"):
            ask(recorder, probs=number)
    assert cloudflare.requests == ()
