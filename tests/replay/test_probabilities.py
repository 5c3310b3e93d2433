"""The probabilities of tokens are requested, recorded and replayed."""

import json
from pathlib import Path

import pytest

from cfai_magics.errors import InvalidOptionError, NotRecordedError
from cfai_magics.replay.interaction import CorruptLineError, parse_line
from cfai_magics.session.session import Session
from tests.replay.sessions import ask, lines, replaying
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
