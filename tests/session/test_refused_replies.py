"""A response that is refused is booked if it may be billed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cfai_magics.errors import BadRequestError, CfaiError
from cfai_magics.session.session import Session
from cfai_magics.types.messages import Request
from tests.standin import Reply, Standin

MODEL = "gemma-4-26b-a4b-it"
ONE_VECTOR = {"data": [{"index": 0, "embedding": [1.0, 0.0]}]}
NATIVE_VECTORS = {"result": {"data": [[1.0, 0.0]]}, "success": True}
PAGE = "<!doctype html><title>Welcome</title>"
BAD_INPUT = {"success": False, "errors": [{"code": 5006, "message": "Bad input"}], "result": None}
JSON_TYPE, HTML_TYPE = "application/json", "text/html"


def ask(session: Session, *, stream: bool) -> Any:
    messages = ({"role": "user", "content": "Hi"},)
    return session.ask(Request(MODEL, messages, max_tokens=9, stream=stream))


CALLS: dict[str, Callable[[Session], Any]] = {
    "embed": lambda session: session.embed(["a", "b"]),
    "run": lambda session: session.run("m2m100-1.2b", {"text": "Hi", "target_lang": "fr"}),
    "whole": lambda session: ask(session, stream=False),
    "stream": lambda session: ask(session, stream=True),
}


def booked(session: Session) -> tuple[str, Any]:
    """Return the status and neurons of the only call in the ledger."""
    (call,) = session.accounting.ledger.history.iter_calls()
    return call["status"], call["neurons"]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("body", "content_type"),
    [(PAGE, HTML_TYPE), (json.dumps(BAD_INPUT), JSON_TYPE)],
    ids=["page", "error"],
)
def test_the_neurons_in_the_header_of_a_refused_response_are_booked(
    call: Callable[[Session], Any],
    body: str,
    content_type: str,
    session: Session,
    account: Standin,
) -> None:
    headers = {"cf-ai-neurons": "5.0"}
    account.switch(canned=Reply(body.encode(), 200, content_type, headers))
    with pytest.raises(CfaiError) as caught:
        call(session)
    assert booked(session) == ("failed", 5.0)
    assert caught.value.usage.neurons == 5.0


@pytest.mark.parametrize(("stream", "neurons"), [(True, 10.0), (False, 5.0)])
def test_each_empty_response_is_booked(
    stream: bool, neurons: float, session: Session, account: Standin
) -> None:
    empty = json.dumps({"result": None, "success": True}).encode()
    account.switch(canned=Reply(empty, headers={"cf-ai-neurons": "5.0"}))
    with pytest.raises(CfaiError, match="is not understood"):
        ask(session, stream=stream)
    assert booked(session) == ("failed", neurons)


@pytest.mark.parametrize("body", [ONE_VECTOR, NATIVE_VECTORS], ids=["one vector", "native"])
@pytest.mark.parametrize("header", ["5.0", None], ids=["header", "no header"])
def test_refused_vectors_are_booked(
    body: Any, header: str | None, session: Session, account: Standin
) -> None:
    headers = {} if header is None else {"cf-ai-neurons": header}
    account.switch(canned=Reply(json.dumps(body).encode(), headers=headers))
    with pytest.raises(CfaiError, match="one vector for each of 2 texts"):
        session.embed(["a", "b"])
    status, neurons = booked(session)
    assert status == "failed"
    assert neurons == 5.0 if header else 0 < neurons < 1


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", JSON_TYPE])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_error_with_status_200_costs_nothing_under_any_type(
    call: Callable[[Session], Any], content_type: str, session: Session, account: Standin
) -> None:
    account.switch(canned=Reply(json.dumps(BAD_INPUT).encode(), 200, content_type))
    with pytest.raises(BadRequestError) as caught:
        call(session)
    assert caught.value.code == 5006
    assert booked(session) == ("failed", 0.0)


def test_the_result_of_a_task_may_be_json_under_any_type(
    session: Session, account: Standin
) -> None:
    reply = {"result": {"translated_text": "Salut"}, "success": True}
    account.switch(canned=Reply(json.dumps(reply).encode(), 200, "text/plain"))
    result = CALLS["run"](session)
    assert (result.result, result.content) == ({"translated_text": "Salut"}, None)
