"""Test `from cfai_magics import ask, stream, embed` without a notebook."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import cfai_magics
from cfai_magics import Request, WorkersAI, api
from cfai_magics.errors import InvalidOptionError
from cfai_magics.pricing.limits import REQUESTS_PER_MINUTE_BY_TASK
from tests.standin import Standin

pytestmark = pytest.mark.usefixtures("own_session")


def test_ask_returns_the_whole_answer(account: Standin) -> None:
    account.switch(answer="Blue scatters most.")
    answer = cfai_magics.ask("Why?", system="Be brief.", max_tokens=9, temperature=0)
    assert answer.text == "Blue scatters most."
    assert (answer.neurons, answer.cost_basis) == (account.billed, "billed")
    sent = account.requests[-1].json
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert (sent["max_tokens"], sent["temperature"]) == (9, 0)


def test_stream_yields_text_in_pieces_and_stores_the_answer(account: Standin) -> None:
    account.switch(answer="one two three four")
    with cfai_magics.stream("Count") as pieces:
        texts = list(pieces)
    assert len(texts) > 1
    assert "".join(texts) == pieces.answer.text == "one two three four"


def test_embed_returns_one_vector_per_text() -> None:
    embeddings = cfai_magics.embed(["sun", "moon"])
    assert len(embeddings.vectors) == 2
    assert embeddings.usage.cost_basis is not None


def test_a_rate_limited_call_reports_its_wait_time(
    account: Standin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(REQUESTS_PER_MINUTE_BY_TASK, "Text Generation", 2)
    monkeypatch.setattr("cfai_magics.storage.ledger.WINDOW_SECONDS", 0.5)
    monkeypatch.setattr("cfai_magics.workers_ai.http.NOTIFY_AFTER", 0.0)
    for _ in range(3):
        cfai_magics.ask("Hi", max_tokens=5)
    message = "Workers AI allows 2 requests per minute for Text Generation; sending in 0 s\n"
    assert capsys.readouterr().err.endswith(message)


def test_numpy_accepts_embeddings() -> None:
    embeddings = cfai_magics.embed(["sun", "moon"])
    assert embeddings.array.shape == np.asarray(embeddings).shape == embeddings.shape == (2, 1024)
    assert np.float32 == np.asarray(embeddings, dtype=np.float32).dtype
    assert list(embeddings)[1] == embeddings[1] == embeddings.vectors[1]
    assert repr(embeddings).startswith("<Embeddings: 2 vectors of 1,024 numbers by bge-m3")
    assert np.asarray(cfai_magics.embed([])).shape == (0, 0)


def test_a_similarity_table_shows_numbers_in_its_cells() -> None:
    heat = cfai_magics.similarity(["the cat sat", "a cat sat", "<b>tax</b>"])
    assert heat.matrix[0][0] == pytest.approx(1.0)
    assert heat.matrix[0][1] == heat.matrix[1][0] > heat.matrix[0][2]
    assert f">{heat.matrix[0][1]:.2f}</td>" in heat.html
    assert "<b>" not in heat.html
    assert f"{heat.matrix[0][1]:.2f}" in str(heat)


def test_embeddings_and_similarities_contain_their_provenance() -> None:
    vectors = cfai_magics.embed(["sun", "moon"])
    for shown in (vectors, cfai_magics.similarity(["sun", "moon"])):
        _data, metadata = shown._repr_mimebundle_()
        provenance = metadata["application/vnd.cfai+json"]
        assert (provenance["model"], provenance["basis"]) == ("@cf/baai/bge-m3", "billed")
        assert provenance["request"] == vectors.provenance.request_fingerprint != ""
        assert "moon" not in str(provenance)


def test_a_large_similarity_table_is_truncated_with_a_note() -> None:
    heat = cfai_magics.similarity([f"text {number}" for number in range(45)])
    assert "Showing the first 40 of 45 texts. .matrix contains all of them." in str(heat)
    assert heat.html.count("<tr>") == 41
    assert len(heat.matrix) == 45


def test_a_process_has_one_session() -> None:
    assert api.get_current_session() is api.get_current_session()


def client_of(account: Standin) -> WorkersAI:
    return WorkersAI(account.account_id, account.token, base_url=account.base_url)


class Word(str):
    """A subclass of str, such as numpy's str_."""

    __slots__ = ()


TEXTS = {
    "one text": ("abc def", ["abc def"]),
    "a list": (["sun", "moon"], ["sun", "moon"]),
    "a tuple": (("sun",), ["sun"]),
    "a generator": ((text for text in ("sun", "moon")), ["sun", "moon"]),
    "keys": ({"sun": 1}.keys(), ["sun"]),
    "a series": (pd.Series(["sun", "moon"], index=[7, 9]), ["sun", "moon"]),
    "a polars series": (pl.Series(["sun", "moon"]), ["sun", "moon"]),
    "an array": (np.array(["sun", "moon"]), ["sun", "moon"]),
    "a subclass of str": (Word("abc"), ["abc"]),
}
NOT_TEXTS = {
    "None": (None, "is of type NoneType"),
    "a number": (7, "is of type int"),
    "bytes": (b"abc", "is of type bytes"),
    "a dict": ({"sun": 1}, "is of type dict"),
    "a data frame": (pd.DataFrame({"sun": ["a"]}), "is of type DataFrame"),
    "a zero-dimensional array": (np.array("sun"), "is of type ndarray"),
    "a table": (np.array([["sun"], ["moon"]]), r"texts\[0\] is of type ndarray, not a string"),
    "a number inside": (["sun", 7], r"texts\[1\] is of type int, not a string"),
    "bytes inside": (["sun", b"moon"], r"texts\[1\] is of type bytes, not a string"),
    "a missing value inside": (pd.Series(["sun", None]), r"texts\[1\] is of type"),
    "a list inside": (["sun", ["moon"]], r"texts\[1\] is of type list, not a string"),
}


@pytest.mark.parametrize(("given", "sent"), TEXTS.values(), ids=TEXTS)
def test_texts_are_sent_as_given(account: Standin, given: Any, sent: list[str]) -> None:
    given = list(given) if isinstance(given, Iterator) else given
    assert cfai_magics.embed(given).texts == tuple(sent)
    assert account.requests[-1].json["input"] == sent
    assert cfai_magics.similarity(given).texts == tuple(sent)
    with client_of(account) as client:
        assert len(client.embed(given, "@cf/baai/bge-m3").vectors) == len(sent)
    assert account.requests[-1].json["input"] == sent


@pytest.mark.parametrize(("given", "message"), NOT_TEXTS.values(), ids=NOT_TEXTS)
def test_values_that_are_not_texts_are_rejected_before_sending(
    account: Standin, given: Any, message: str
) -> None:
    for embed in (cfai_magics.embed, cfai_magics.similarity, api.get_current_session().embed):
        with pytest.raises(InvalidOptionError, match=message):
            embed(given)
    with client_of(account) as client, pytest.raises(InvalidOptionError, match=message):
        client.embed(given, "@cf/baai/bge-m3")
    assert account.requests == ()
    assert api.get_current_session().accounting.day_usage().spent == 0


STOPS = {
    "one": ("END", ["END"]),
    "a subclass of str": (Word("END"), ["END"]),
    "a list": (["END", "\n"], ["END", "\n"]),
    "a generator": (iter(("END",)), ["END"]),
    "an array": (np.array(["END"]), ["END"]),
    "an empty text": ("", None),
    "None": (None, None),
    "an empty list": ([], None),
}


@pytest.mark.parametrize(("stop", "sent"), STOPS.values(), ids=STOPS)
def test_stop_accepts_one_or_several_texts(account: Standin, stop: Any, sent: Any) -> None:
    stop = list(stop) if isinstance(stop, Iterator) else stop
    session = api.get_current_session()
    messages = [{"role": "user", "content": "hi"}]
    request = Request("@cf/meta/llama-3.2-3b-instruct", messages, stop=stop)  # type: ignore[arg-type]
    cfai_magics.ask("hi", stop=stop)
    list(cfai_magics.stream("hi", stop=stop))
    cfai_magics.map("{text}", ["hi"], stop=stop)
    session.ask(session.build_request(messages, stop=stop))
    with session.parallel(session.build_request(messages, stop=stop)) as calls:
        list(calls)
    session.ask(request)
    with client_of(account) as client:
        client.chat(request)
    assert len(account.requests) == 7
    assert [each.json.get("stop") for each in account.requests] == [sent] * 7


@pytest.mark.parametrize("stop", [7, b"END", {"END": 1}, ["END", None], [b"END"]], ids=repr)
def test_a_stop_that_is_not_text_is_rejected(account: Standin, stop: Any) -> None:
    for ask in (cfai_magics.ask, cfai_magics.stream):
        with pytest.raises(InvalidOptionError, match="stop"):
            ask("hi", stop=stop)
    with pytest.raises(InvalidOptionError, match="stop"):
        cfai_magics.map("{text}", ["hi"], stop=stop)
    with pytest.raises(InvalidOptionError, match="stop"):
        Request("m", (), stop=stop)
    assert account.requests == ()


@pytest.mark.parametrize("prompt", [None, 7, b"hi", ["hi"], "", " \n"], ids=repr)
def test_a_prompt_that_is_not_text_is_rejected(account: Standin, prompt: Any) -> None:
    for ask in (cfai_magics.ask, cfai_magics.stream):
        with pytest.raises(InvalidOptionError, match="prompt"):
            ask(prompt)
    assert account.requests == ()


@pytest.mark.parametrize("texts", ["", " \n", ["a", ""], ("\t",)], ids=repr)
def test_a_blank_text_is_not_embedded(account: Standin, texts: Any) -> None:
    index = len(texts) - 1 if isinstance(texts, list) else 0
    with WorkersAI(account.account_id, account.token, base_url=account.base_url) as client:
        for embed in (
            *(cfai_magics.embed, cfai_magics.similarity, api.get_current_session().embed),
            lambda value: client.embed(value, "@cf/baai/bge-m3"),
        ):
            with pytest.raises(InvalidOptionError, match=rf"texts\[{index}\] is blank"):
                embed(texts)
    assert account.requests == ()


@pytest.mark.parametrize("messages", ["hi", {"role": "user", "content": "hi"}, None, ["hi"], 7])
def test_messages_that_are_not_dicts_are_rejected(messages: Any) -> None:
    with pytest.raises(InvalidOptionError, match="messages must be a list of dicts"):
        Request("m", messages)
    with pytest.raises(InvalidOptionError, match="messages must be a list of dicts"):
        api.get_current_session().build_request(messages)


@pytest.mark.parametrize("payload", ["hi", None, ["hi"], 7], ids=repr)
def test_a_payload_that_is_neither_dict_nor_bytes_is_rejected(
    account: Standin, payload: Any
) -> None:
    with pytest.raises(InvalidOptionError, match="The payload is of type"):
        cfai_magics.run("@cf/baai/bge-m3", payload)
    assert account.requests == ()


@pytest.mark.parametrize("files", ["a.csv", ("a.csv", b"a", "text/csv"), [("a.csv", "a")], None])
def test_files_without_name_bytes_and_type_are_rejected(account: Standin, files: Any) -> None:
    with pytest.raises(InvalidOptionError, match="files must be a list of"):
        api.get_current_session().to_markdown(files)
    assert account.requests == ()
