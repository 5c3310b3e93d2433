"""`from cfai_magics import ask, stream, embed`, without a notebook."""

import numpy as np
import pytest

import cfai_magics
from cfai_magics import api
from cfai_magics.errors import BadOption
from cfai_magics.workers_ai import pacing
from tests.standin import Standin

pytestmark = pytest.mark.usefixtures("own_session")


def test_ask_returns_the_whole_answer(account: Standin) -> None:
    account.switch(answer="Blue scatters most.")
    answer = cfai_magics.ask("Why?", system="Be brief.", max_tokens=9, temperature=0)
    assert answer.text == "Blue scatters most."
    assert (answer.neurons, answer.basis) == (account.billed, "billed")
    sent = account.requests[-1].json
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert (sent["max_tokens"], sent["temperature"]) == (9, 0)


def test_stream_yields_the_text_in_pieces_and_keeps_the_answer(account: Standin) -> None:
    account.switch(answer="one two three four")
    with cfai_magics.stream("Count") as pieces:
        told = list(pieces)
    assert len(told) > 1
    assert "".join(told) == pieces.answer.text == "one two three four"


def test_embed_returns_a_vector_a_text() -> None:
    embeddings = cfai_magics.embed(["sun", "moon"])
    assert len(embeddings.vectors) == 2
    assert embeddings.usage.basis is not None


def test_who_waits_for_the_next_minute_is_told_why(
    account: Standin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(pacing.BY_TASK, "Text Generation", 2)
    monkeypatch.setattr("cfai_magics.session.turns.WINDOW", 0.5)
    monkeypatch.setattr("cfai_magics.workers_ai.connection.TELL_AFTER", 0.0)
    for _ in range(3):
        cfai_magics.ask("Hi", max_tokens=5)
    told = "Workers AI takes 2 requests a minute of Text Generation; this one is sent in 0 s\n"
    assert capsys.readouterr().err.endswith(told)


def test_vectors_are_what_numpy_takes() -> None:
    embeddings = cfai_magics.embed(["sun", "moon"])
    assert embeddings.array.shape == np.asarray(embeddings).shape == embeddings.shape == (2, 1024)
    assert np.float32 == np.asarray(embeddings, dtype=np.float32).dtype
    assert list(embeddings)[1] == embeddings[1] == embeddings.vectors[1]
    assert repr(embeddings).startswith("<Embeddings: 2 vectors of 1,024 numbers by bge-m3")
    assert np.asarray(cfai_magics.embed([])).shape == (0, 0)


def test_the_nearness_of_texts_is_a_table_that_needs_no_colours() -> None:
    heat = cfai_magics.similarity(["the cat sat", "a cat sat", "<b>tax</b>"])
    assert heat.matrix[0][0] == pytest.approx(1.0)
    assert heat.matrix[0][1] == heat.matrix[1][0] > heat.matrix[0][2]
    assert f">{heat.matrix[0][1]:.2f}</td>" in heat.html
    assert "<b>" not in heat.html
    assert f"{heat.matrix[0][1]:.2f}" in str(heat)


def test_vectors_and_their_nearness_bear_where_they_come_from() -> None:
    vectors = cfai_magics.embed(["sun", "moon"])
    for shown in (vectors, cfai_magics.similarity(["sun", "moon"])):
        _data, metadata = shown._repr_mimebundle_()
        told = metadata["application/vnd.cfai+json"]
        assert (told["model"], told["basis"]) == ("@cf/baai/bge-m3", "billed")
        assert told["request"] == vectors.origin.request != ""
        assert "moon" not in str(told)


def test_more_texts_than_the_eye_takes_are_told() -> None:
    heat = cfai_magics.similarity([f"text {number}" for number in range(45)])
    assert "The first 40 of 45 texts; .matrix holds all." in str(heat)
    assert heat.html.count("<tr>") == 41
    assert len(heat.matrix) == 45


def test_the_session_is_one_for_the_process() -> None:
    assert api.current_session() is api.current_session()


def test_unknown_fields_are_named(account: Standin) -> None:
    with pytest.raises((BadOption, TypeError), match="temprature"):
        cfai_magics.ask("Why?", temprature=1)
    assert account.requests == ()
