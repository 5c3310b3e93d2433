"""Every call is reserved before it is sent and settled when it ends or fails."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cfai_magics.errors import (
    APITimeoutError,
    BudgetCutoffError,
    BudgetExceededError,
    DailyQuotaError,
    IncompleteStreamError,
    InsufficientQuotaError,
    ServerError,
)
from cfai_magics.media.images import from_data_url
from cfai_magics.pricing.limits import MIN_ANSWER_TOKENS
from cfai_magics.pricing.prices import Cost
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.types.messages import Answer, Message, Request
from cfai_magics.workers_ai.task_requests import TaskRequest
from tests.catalog_cache import cache_catalog_without
from tests.standin import Fault, Reply, Standin
from tests.standin.media import png

HI: list[Message] = [{"role": "user", "content": "Why is the sky blue?"}]
LONG = "word " * 3_000
GEMMA = "@cf/google/gemma-4-26b-a4b-it"


def ask(session: Session, max_neurons: float | None = None, **fields: Any) -> Answer:
    return session.ask(session.build_request(HI, **fields), max_neurons)


def rows(session: Session) -> list[dict[str, Any]]:
    return [dict(row) for row in session.accounting.ledger.history.iter_calls()]


def statuses(session: Session) -> list[str]:
    return [row["status"] for row in rows(session)]


def test_the_ledger_contains_the_billed_neurons(session: Session, account: Standin) -> None:
    session.notebook = "lesson.ipynb"
    answers = [ask(session), ask(session, model="llama-3.2-3b-instruct")]
    session.embed(["a", "b"])
    assert [row["model"].rpartition("/")[2] for row in rows(session)] == [
        *("gemma-4-26b-a4b-it", "llama-3.2-3b-instruct", "bge-m3"),
    ]
    assert sum(row["neurons"] for row in rows(session)) == pytest.approx(account.billed, rel=0.01)
    assert answers[1].day_usage is not None
    assert answers[1].day_usage.billed == pytest.approx(answers[0].neurons + answers[1].neurons)  # type: ignore[operator]
    assert {row["notebook"] for row in rows(session)} == {"lesson.ipynb"}
    assert rows(session)[2]["task"] == "Text Embeddings"


def test_the_ledger_contains_no_text_and_no_credentials(
    session: Session, account: Standin, home: Path
) -> None:
    account.switch(answer="Blue scatters most.")
    ask(session)
    content = b"".join(path.read_bytes() for path in home.glob("ledger.sqlite*"))
    assert b"gemma-4-26b-a4b-it" in content
    for secret in (b"sky", b"scatters", account.token.encode(), account.account_id.encode()):
        assert secret not in content


def test_a_call_above_the_budget_is_refused_and_not_sent(
    session: Session, account: Standin
) -> None:
    session.accounting.ledger.budgets.set("day", 0.2)
    with pytest.raises(BudgetExceededError, match="of 0 neurons are left in today's budget"):
        ask(session)
    with pytest.raises(BudgetExceededError):
        session.embed(["many words " * 900])
    assert account.requests == ()
    assert statuses(session) == ["refused", "refused"]


def test_a_budget_lowers_max_tokens_and_adds_a_note(session: Session, account: Standin) -> None:
    account.switch(answer=LONG)
    session.accounting.ledger.budgets.set("session", 3.0)
    answer = ask(session)
    sent = account.requests[-1].json["max_tokens"]
    assert 16 <= sent < 110
    assert answer.finish_reason == "length"
    assert answer.notes[0] == (
        f"max_tokens was lowered from 2,048 to {sent} to fit this session's budget."
    )
    assert account.billed <= 3.0
    assert "of this session's budget (3 neurons) has been used" in answer.notes[1]


def test_max_neurons_limits_only_its_own_call(session: Session, account: Standin) -> None:
    account.switch(answer=LONG)
    assert ask(session, max_neurons=3.0).neurons == pytest.approx(account.billed)
    assert account.billed <= 3.0
    assert ask(session, max_tokens=500).usage.completion_tokens == 500
    with pytest.raises(BudgetExceededError, match="--max-neurons"):
        ask(session, max_neurons=0.1)


def endless_answer(_request: httpx.Request) -> httpx.Response:
    """Answer like a server that ignores max_tokens."""
    frame = b'data: {"choices":[{"delta":{"content":"word "}}]}\n\n'
    return httpx.Response(
        200, headers={"Content-Type": "text/event-stream"}, stream=Frames(frame, 5_000)
    )


class Frames(httpx.SyncByteStream):
    def __init__(self, frame: bytes, count: int) -> None:
        self.frame, self.count, self.closed = frame, count, False

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self.count):
            assert not self.closed
            yield self.frame

    def close(self) -> None:
        self.closed = True


def test_an_answer_above_its_limit_is_cut_off_and_kept(account: Standin, home: Path) -> None:
    session = Session(Cfai(), home, transport=httpx.MockTransport(endless_answer))
    session.accounting.ledger.budgets.set("day", 5.0)
    with pytest.raises(
        BudgetCutoffError, match="cut off because today's budget is used up"
    ) as caught:
        ask(session)
    answer = caught.value.answer
    assert answer.text.startswith("word word")
    assert (answer.finish_reason, answer.cost_basis) == ("budget", "estimated")
    assert 4.9 < answer.neurons < 5.1, "at most one more frame"
    assert statuses(session) == ["interrupted"]
    session.close()


def test_an_unpriced_model_is_cut_off_by_its_reported_usage(
    session: Session, account: Standin
) -> None:
    account.switch(answer=LONG, dialect="gemma", tokens_per_second=2_000)
    session.accounting.ledger.budgets.set("day", 5.0)
    cache_catalog_without(session.home, GEMMA)
    with pytest.raises(BudgetCutoffError):
        ask(session, model=GEMMA)
    assert rows(session)[0]["neurons"] <= 5.1


def test_an_exhausted_quota_closes_the_day_in_every_kernel(
    session: Session, account: Standin, home: Path
) -> None:
    account.switch(error=Fault.of(4006))
    with pytest.raises(DailyQuotaError) as caught:
        ask(session)
    assert "reset at 00:00 UTC, in " in caught.value.hint
    assert "%cfai local" in caught.value.hint
    account.clear()
    another = Session(Cfai(), home)
    with pytest.raises(DailyQuotaError, match="nothing was sent") as caught:
        ask(another)
    assert "reset at 00:00 UTC, in " in caught.value.hint
    assert account.requests == ()
    another.accounting.ledger.reopen_day(another.accounting.get_context().account)
    account.switch(error=None)
    assert ask(another).text
    another.close()


QUOTA_BODY = b'{"success":false,"errors":[{"code":3036,"message":"no"}],"data":null}'
QUOTA_REPLIES = {
    "body": Reply(QUOTA_BODY),
    "frame": Reply(b"data: " + QUOTA_BODY + b"\n\n", content_type="text/event-stream"),
}


@pytest.mark.parametrize(
    ("place", "call"),
    [("body", "ask"), ("frame", "ask"), ("body", "embed"), ("body", "run"), ("body", "markdown")],
)
def test_an_exhausted_quota_with_status_200_closes_the_day(
    session: Session, account: Standin, place: str, call: str
) -> None:
    account.switch(canned=QUOTA_REPLIES[place])
    calls: dict[str, Callable[[], object]] = {
        "ask": lambda: ask(session),
        "embed": lambda: session.embed(["Hi"]),
        "run": lambda: session.run(GEMMA, {"prompt": "Hi"}),
        "markdown": lambda: session.to_markdown([("a.csv", b"a,b", "text/csv")]),
    }
    for _ in range(2):
        with pytest.raises(DailyQuotaError, match="reset at 00:00 UTC, in "):
            calls[call]()
    assert len(account.requests) == 1


def test_the_quota_words_of_another_server_do_not_close_the_day(
    account: Standin, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{account.base_url}/accounts/{account.account_id}/ai/v1"
    monkeypatch.setenv("CFAI_BASE_URL", url)
    body = b'{"error":{"code":4006,"message":"used up your daily free allocation of neurons"}}'
    account.switch(canned=Reply(body, 429))
    other = Session(Cfai(), home)
    for _ in range(2):
        with pytest.raises(InsufficientQuotaError, match="server's account"):
            ask(other)
    assert len(account.requests) == 2
    other.close()


@pytest.mark.parametrize("ending", ["close", "garbage collection"])
def test_an_interrupted_answer_is_booked_as_an_estimate(
    session: Session, account: Standin, ending: str
) -> None:
    account.switch(answer=LONG, tokens_per_second=100)
    stream = session.stream(session.build_request(HI))
    deltas = iter(stream)
    for _ in range(20):
        next(deltas)
    if ending == "close":
        stream.close()
    del deltas, stream
    (row,) = rows(session)
    assert (row["status"], row["basis"]) == ("interrupted", "estimated")
    assert account.wait_for(lambda c: c.disconnects == 1)
    assert row["neurons"] == pytest.approx(account.billed, abs=0.2)


@pytest.mark.parametrize(
    ("switches", "error", "billed"),
    [
        pytest.param(
            {"error": Fault.of(3043), "error_path": "chat"}, ServerError, False, id="500"
        ),
        pytest.param({"error": Fault.of(3046)}, APITimeoutError, True, id="timeout"),
        pytest.param({"done": False, "finish_reason": ""}, IncompleteStreamError, True, id="cut"),
    ],
)
def test_a_failed_call_is_booked_with_its_possible_cost(
    session: Session, account: Standin, switches: dict[str, Any], error: type, billed: bool
) -> None:
    account.switch(**switches, retry_after="0")
    with pytest.raises(error):
        ask(session)
    (row,) = rows(session)
    assert row["status"] == "failed"
    assert (row["neurons"] > 0) is billed
    assert row["basis"] == "estimated"


def test_answers_have_a_note_from_80_percent_of_the_quota(session: Session) -> None:
    assert ask(session).notes == ()
    ledger = session.accounting.ledger
    place = session.accounting.get_context()
    ledger.reserve(place, "another program", "Text Generation", lambda _limits, _closed: 8_000.0)
    (note,) = ask(session).notes
    assert note == "80 % of today's free quota (10,000 neurons) has been used."


def test_an_estimate_uses_earlier_bills_and_adds_a_note(
    session: Session, account: Standin
) -> None:
    for _ in range(3):
        ask(session)
    account.switch(omit_neurons_body=True, omit_neurons_header=True)
    answer = ask(session)
    assert answer.cost_basis == "estimated"
    assert answer.notes == ("Estimate based on the last 3 billed calls to this model.",)


@pytest.mark.parametrize(
    ("model", "payload", "rel"),
    [
        pytest.param("flux-1-schnell", {"prompt": "a cat", "steps": 4}, 1e-3, id="image"),
        pytest.param("bge-small-en-v1.5", {"text": ["Hi", "there"]}, 0.2, id="embeddings"),
        pytest.param(
            "bge-reranker-base", {"query": "a", "contexts": [{"text": "b"}]}, 0.5, id="rank"
        ),
        pytest.param("aura-1", {"text": "Good morning"}, 1e-3, id="speech"),
    ],
)
@pytest.mark.parametrize("is_billed", [True, False], ids=["billed", "estimated"])
def test_a_native_task_is_priced_by_its_own_unit(
    session: Session,
    account: Standin,
    model: str,
    payload: dict[str, Any],
    rel: float,
    is_billed: bool,
) -> None:
    if not is_billed:
        account.switch(omit_neurons_header=True, omit_neurons_body=True)
    result = session.run(model, payload)
    (row,) = rows(session)
    assert (row["status"], row["basis"]) == ("ok", "billed" if is_billed else "estimated")
    assert result.neurons == row["neurons"] == pytest.approx(account.billed, rel=rel, abs=0.005)
    assert row["task"] == session.resolve_catalog_model(model).task


def test_a_task_above_the_budget_is_refused_and_not_sent(
    session: Session, account: Standin
) -> None:
    session.accounting.ledger.budgets.set("day", 100)
    with pytest.raises(BudgetExceededError, match=r"this call may cost 172\.8"):
        session.run("flux-1-schnell", {"prompt": "a cat"})
    assert account.requests == ()


@pytest.mark.parametrize(
    "fields",
    [{"max_tokens": 4_000}, {"max_completion_tokens": 4_000}, {}],
    ids=["max_tokens", "another name", "no maximum"],
)
@pytest.mark.parametrize("scope", ["day", "call"])
def test_a_text_task_sends_the_maximum_that_fits_the_budget(
    session: Session, account: Standin, fields: dict[str, Any], scope: str
) -> None:
    account.switch(answer=LONG)
    if scope == "day":
        session.accounting.ledger.budgets.set("day", 3)
    payload = {"messages": HI, **fields}
    result = session.run(
        "llama-3.2-3b-instruct", payload, max_neurons=3 if scope == "call" else None
    )
    sent = account.requests[-1].json
    assert sent is not None
    limits = {value for name, value in sent.items() if name.startswith("max_")}
    assert len(limits) == 1
    limit = limits.pop()
    assert MIN_ANSWER_TOKENS <= limit <= 256
    assert f" to {limit} to fit " in result.notes[0]
    assert result.neurons == pytest.approx(account.billed, rel=0.01)
    assert account.billed <= 3


def test_a_task_whose_answer_cannot_be_shortened_is_refused(
    session: Session, account: Standin
) -> None:
    payload = {"text": "Hi", "source_lang": "en", "target_lang": "de"}
    with pytest.raises(BudgetExceededError, match=r"this call may cost \d"):
        session.run("m2m100-1.2b", payload, max_neurons=1)
    assert account.requests == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"max_completion_tokens": 4_000},
        {"max_tokens": 100, "n": 40},
        {"max_tokens": 100, "tools": [{"name": "f", "description": "word " * 10_000}]},
    ],
    ids=["max_completion_tokens", "n", "tools"],
)
def test_every_billed_field_of_a_text_task_counts(
    session: Session, account: Standin, fields: dict[str, Any]
) -> None:
    model = session.resolve_catalog_model("llama-3.2-3b-instruct")
    payload = {"messages": HI, **fields}
    cost = session.accounting.estimate_task_cost(model, TaskRequest(model.name, payload))
    assert cost is not None
    request = Request(model.name, tuple(HI), extra=fields)
    chat_cost = session.estimate_cost(request, model)
    assert chat_cost is not None
    assert cost.high == pytest.approx(chat_cost.high, rel=0.05)
    assert account.requests == ()


PICTURE = png(640, 480, 9)
PICTURE_URL = f"data:image/png;base64,{b64encode(PICTURE).decode()}"
IMAGE_URLS = {
    "object": {"url": PICTURE_URL},
    "string": PICTURE_URL,
    "address": {"url": "https://example.org/a.png"},
}


def describing(*parts: Any, **fields: Any) -> dict[str, Any]:
    """Return the fields of a request with a system prompt and a question with these parts."""
    content = [{"type": "text", "text": "What is this?"}, *parts]
    system = {"role": "system", "content": "Answer in one word."}
    return {"messages": [system, {"role": "user", "content": content}], "max_tokens": 9, **fields}


@pytest.mark.parametrize("image_url", IMAGE_URLS.values(), ids=IMAGE_URLS)
def test_the_images_of_a_text_task_count_as_in_a_chat(session: Session, image_url: Any) -> None:
    fields = describing(*[{"type": "image_url", "image_url": image_url}] * 2)
    model = session.resolve_catalog_model(GEMMA)
    cost = session.accounting.estimate_task_cost(model, TaskRequest(model.name, fields))
    chat_cost = session.estimate_cost(session.build_request(**fields), model)
    assert cost is not None
    assert chat_cost is not None
    assert cost.high == pytest.approx(chat_cost.high, rel=0.02)
    assert cost.prompt_max > 10 * session_cost(session, describing()).prompt_max


def session_cost(session: Session, fields: dict[str, Any]) -> Cost:
    """Return the estimated cost of a native task with these fields."""
    model = session.resolve_catalog_model(GEMMA)
    cost = session.accounting.estimate_task_cost(model, TaskRequest(model.name, fields))
    assert cost is not None
    return cost


@pytest.mark.parametrize(
    "image",
    [list(PICTURE), b64encode(PICTURE).decode(), PICTURE_URL, "https://example.org/a.png"],
    ids=["numbers", "base64", "data URL", "address"],
)
def test_the_image_field_of_a_text_task_counts(session: Session, image: Any) -> None:
    cost = session_cost(session, describing(image=image))
    part = {"type": "image_url", "image_url": {"url": PICTURE_URL}}
    assert cost.high == pytest.approx(session_cost(session, describing(part)).high)
    assert cost.high > session_cost(session, describing()).high


def test_the_tool_calls_in_the_messages_of_a_text_task_count(session: Session) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "word " * 900}}
    fields = describing()
    fields["messages"].append({"role": "assistant", "content": "", "tool_calls": [call]})
    assert session_cost(session, fields).high > 2 * session_cost(session, describing()).high


def test_an_image_in_a_text_task_that_exceeds_the_budget_is_not_sent(
    session: Session, account: Standin
) -> None:
    fields = describing({"type": "image_url", "image_url": {"url": PICTURE_URL}})
    session.run(GEMMA, describing(), max_neurons=2)
    with pytest.raises(BudgetExceededError, match=r"--max-neurons leaves 2\.0 neurons"):
        session.run(GEMMA, fields, max_neurons=2)
    assert len(account.requests) == 1


def test_the_images_of_a_text_task_without_usage_are_booked(
    session: Session, account: Standin
) -> None:
    body = {"result": {"response": "A cat"}, "success": True}
    account.switch(canned=Reply(json.dumps(body).encode()))
    part = {"type": "image_url", "image_url": {"url": PICTURE_URL}}
    tokens = [
        session.run(GEMMA, describing(*parts)).usage.prompt_tokens for parts in ((), (part,))
    ]
    assert tokens[1] == tokens[0] + from_data_url(PICTURE_URL).estimated_tokens


def test_embedded_texts_are_booked_as_one_call(session: Session, account: Standin) -> None:
    account.switch(embeddings_usage=True, omit_neurons_header=True)
    embeddings = session.embed([f"text {n}" for n in range(250)])
    (row,) = rows(session)
    assert embeddings.usage.prompt_tokens == row["tokens_in"] > 0
    assert row["neurons"] == pytest.approx(account.billed, rel=0.1)
