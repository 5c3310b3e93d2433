"""All calls take the same path through the session."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cfai_magics.backends.selector import LOCAL_MODEL
from cfai_magics.display.footer import format_usage_footer
from cfai_magics.errors import (
    APITimeoutError,
    DailyQuotaError,
    IncompleteStreamError,
    InvalidOptionError,
    LocalModelError,
    ModelNotFoundError,
)
from cfai_magics.secret import Secret
from cfai_magics.session.session import Session
from cfai_magics.settings import DEFAULT_MODEL, Cfai
from cfai_magics.types.messages import Message
from tests.canaries import admin_key, class_key, token
from tests.standin import Fault, Reply, Standin

pytestmark = pytest.mark.slow

IGNORED_MODEL_NOTE = (
    "The local model answers, not llama-3.2-3b-instruct; %cfai local off switches back."
)
HI: list[Message] = [{"role": "user", "content": "Hi"}]


def test_settings_are_defaults_of_a_request(session: Session) -> None:
    session.settings.temperature, session.settings.max_tokens = 0.25, 77
    request = session.build_request(HI, "llama-3.2-3b-instruct")
    assert (request.temperature, request.max_tokens) == (0.25, 77)
    assert session.build_request(HI, temperature=0.0, max_tokens=5).temperature == 0.0


def test_billed_neurons_override_the_estimate(session: Session, account: Standin) -> None:
    answer = session.ask(session.build_request(HI))
    assert (answer.neurons, answer.cost_basis) == (account.billed, "billed")


def test_without_a_bill_neurons_are_estimated_from_the_price_list(
    session: Session, account: Standin
) -> None:
    account.switch(omit_neurons_body=True, omit_neurons_header=True)
    answer = session.ask(session.build_request(HI))
    assert answer.cost_basis == "estimated"
    assert answer.neurons == pytest.approx(account.billed, rel=0.01)


def test_leaving_a_stream_early_closes_it_and_estimates_its_usage(
    session: Session, account: Standin
) -> None:
    account.switch(answer="word " * 5_000, tokens_per_second=50)
    with session.stream(session.build_request(HI)) as stream:
        next(iter(stream))
    assert account.wait_for(lambda c: c.disconnects == 1)
    assert stream.answer.text.startswith("word")
    assert (stream.answer.finish_reason, stream.answer.cost_basis) == ("interrupted", "estimated")


def test_the_estimate_of_an_interrupted_call_includes_its_image(
    session: Session, account: Standin
) -> None:
    url = "data:image/png;base64,"  # unknown size: estimated with the maximum tokens of an image
    content = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    account.switch(answer="word " * 5_000, tokens_per_second=50, omit_usage=True)
    with session.stream(session.build_request([{"role": "user", "content": content}])) as stream:
        next(iter(stream))
    assert stream.answer.finish_reason == "interrupted"
    assert stream.answer.usage.prompt_tokens > 1_000


def test_an_incomplete_answer_is_attached_to_the_error(session: Session, account: Standin) -> None:
    account.switch(answer="Blue scatters.", done=False, finish_reason="")
    with pytest.raises(IncompleteStreamError) as caught:
        session.ask(session.build_request(HI))
    assert caught.value.answer is not None
    assert caught.value.answer.text == "Blue scatters."


def test_vectors_have_the_order_of_their_texts(session: Session, account: Standin) -> None:
    texts = [f"text {n}" for n in range(130)]
    vectors = session.embed(texts).vectors
    assert len(vectors) == 130
    assert session.embed(texts[120:]).vectors == vectors[120:]
    assert [len(request.json["input"]) for request in account.requests] == [100, 30, 10]


def test_an_unknown_embedding_model_error_suggests_a_similar_name(session: Session) -> None:
    with pytest.raises(ModelNotFoundError, match="bge-m3"):
        session.embed(["a"], "@cf/baai/bge-m")


def test_changed_credentials_create_a_new_client(
    session: Session, account: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = session.backend.client()
    assert session.backend.client() is first
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", account.issue_token(()))
    assert session.backend.client() is not first


def test_a_token_with_a_line_break_is_rejected_before_sending(
    session: Session, account: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = token()
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", f"{secret}\n{secret}")
    with pytest.raises(InvalidOptionError, match="CLOUDFLARE_API_TOKEN") as caught:
        session.ask(session.build_request(HI))
    assert secret not in str(caught.value)
    assert account.requests == ()


@pytest.mark.parametrize(
    ("make_key", "name"), [(class_key, "class key"), (admin_key, "admin key")]
)
def test_a_key_of_a_class_server_is_not_sent_to_cloudflare(
    session: Session,
    account: Standin,
    monkeypatch: pytest.MonkeyPatch,
    make_key: Callable[[], str],
    name: str,
) -> None:
    key = make_key()
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", key)
    with pytest.raises(InvalidOptionError, match=f"CLOUDFLARE_API_TOKEN .*{name}") as caught:
        session.ask(session.build_request(HI))
    assert "%cfai login --class" in str(caught.value)
    assert key not in str(caught.value)
    assert account.requests == ()


def test_a_fetched_catalog_is_saved_for_later_sessions(session: Session, home: Path) -> None:
    fetched = session.fetch_catalog()
    later = Session(Cfai(), home).catalog()
    assert later.models == fetched.models
    assert later.date == fetched.date


def test_the_local_setting_starts_the_local_model(home: Path, small_model: Path) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / small_model.name).symlink_to(small_model)
    session = Session(Cfai(local=LOCAL_MODEL), home)
    try:
        answer = session.ask(session.build_request(HI, max_tokens=5))
        assert (answer.model, answer.is_local) == ("SmolLM2-135M-Instruct", True)
        assert (answer.neurons, answer.cost_basis) == (0, "local")
        assert session.resolve_model("").context_window == 4_096
        embeddings = session.embed(["sun"])
        assert len(embeddings.vectors[0]) == 576
        assert (embeddings.neurons, embeddings.cost_basis) == (0, "local")
        server = session.backend.local_server
    finally:
        session.close()
    assert server is not None
    assert not server.is_running


@pytest.mark.parametrize(
    ("model", "notes"),
    [
        ("", ()),
        (DEFAULT_MODEL, ()),
        ("llama-3.2-3b-instruct", (IGNORED_MODEL_NOTE,)),
    ],
)
def test_a_model_that_the_local_model_replaces_is_named_in_a_note(
    session: Session, account: Standin, model: str, notes: tuple[str, ...]
) -> None:
    class Server:
        """Answer as the local model, with the chat endpoint of the stand-in."""

        base_url = f"{account.base_url}/accounts/{account.account_id}/ai/v1"
        api_key = Secret(account.token)
        model_name = DEFAULT_MODEL
        context_window = 4096
        vision = False
        is_running = True

        def stop(self) -> None:
            """Do nothing: the stand-in keeps running."""

    session.settings.local = "small"
    session.backend.local_server = Server()  # type: ignore[assignment]
    request = session.build_request([{"role": "user", "content": "Hi"}], model=model)
    assert session.ask(request).notes == notes


def test_a_stopped_local_server_is_restarted(home: Path, small_model: Path) -> None:
    session = Session(Cfai(local=str(small_model)), home)
    try:
        session.backend.client()
        assert session.backend.local_server is not None
        session.backend.local_server.stop()
        assert session.ask(session.build_request(HI, max_tokens=5)).is_local
    finally:
        session.close()


def test_a_local_model_that_fails_to_start_keeps_the_previous_one(
    home: Path, small_model: Path, tmp_path: Path, account: Standin
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    session = Session(Cfai(local=str(small_model)), home)
    try:
        session.backend.client()
        with pytest.raises(LocalModelError, match="broken"):
            session.backend.start_local(str(broken))
        assert session.ask(session.build_request(HI, max_tokens=5)).is_local
    finally:
        session.close()
    assert account.requests == ()


def test_local_requests_do_not_use_a_proxy(
    home: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    session = Session(Cfai(local=str(small_model)), home)
    try:
        assert session.ask(session.build_request(HI, max_tokens=5)).is_local
    finally:
        session.close()


def test_a_changed_timeout_takes_effect_immediately(session: Session, account: Standin) -> None:
    session.ask(session.build_request(HI))
    session.settings.timeout = 1.0
    account.switch(delay_before_first=30.0)
    with pytest.raises(APITimeoutError):
        session.ask(session.build_request(HI))


def test_neurons_in_the_response_header_are_billed(session: Session, account: Standin) -> None:
    account.switch(omit_usage=True, json_for_stream=True)
    answer = session.ask(session.build_request(HI))
    assert answer.cost_basis == "billed"
    assert answer.usage.prompt_tokens > 0


def test_an_error_contains_the_request_id(session: Session, account: Standin) -> None:
    account.switch(error=Fault.of(4006))
    with pytest.raises(DailyQuotaError) as caught:
        session.ask(session.build_request(HI))
    assert caught.value.request_id


def test_unreported_usage_is_marked_as_estimated_or_unknown(
    account: Standin, session: Session
) -> None:
    body = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n'
    account.switch(canned=Reply(body, content_type="text/event-stream"))
    priced = session.ask(session.build_request([{"role": "user", "content": "Hi"}]))
    unpriced = session.ask(
        session.build_request([{"role": "user", "content": "Hi"}], "@cf/test/unpriced")
    )
    assert priced.usage.has_estimated_tokens
    assert unpriced.usage.has_estimated_tokens
    assert "about " in str(format_usage_footer(priced, "short"))
    calls = session.accounting.ledger.history.iter_calls()
    assert [call["basis"] for call in calls] == ["estimated", "unknown"]
    last = session.accounting.ledger.history.last_answer_usage(
        session.accounting.get_context().account
    )
    assert last is not None
    assert (last.neurons, last.cost_basis) == (None, None)
