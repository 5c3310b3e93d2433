"""Mixed dialects, cuts and junk: no text or tool call is lost, and the ledger has the bill."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfai_magics.errors import IncompleteStreamError
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from cfai_magics.types.messages import Message
from tests.standin import Standin, Switches
from tests.standin.dialects import DIALECTS

pytestmark = pytest.mark.slow

MESSAGES: list[Message] = [{"role": "user", "content": "Why?"}]
TOOLS = {"tools": [{"type": "function", "function": {"name": name}} for name in "fg"]}
# The stand-in splits texts into words; "<" would start a <think> tag.
TEXTS = st.lists(
    st.sampled_from(["Blue", "scatters", "藍色", "naïve", "👋🏽", "x" * 40]), min_size=1
)
CALLS = st.lists(
    st.builds(
        lambda name, value: {"name": name, "arguments": {"a": value}},
        st.sampled_from("fg"),
        st.integers() | st.text(max_size=20),
    ),
    min_size=1,
    max_size=4,
)
TROUBLE = st.fixed_dictionaries(
    {
        "dialect": st.sampled_from(sorted(DIALECTS)),
        "junk_frames": st.booleans(),
        "comments": st.booleans(),
        "crlf": st.booleans(),
        "split_utf8": st.booleans(),
        "padding": st.sampled_from([None, "random", "constant", ""]),
        "cached_tokens": st.integers(0, 5),
    }
)


@pytest.fixture(scope="module")
def cloudflare() -> Iterator[Standin]:
    with Standin() as server:
        server.switch(daily_neurons=10**9, calls_per_minute=10**6)
        yield server


@pytest.fixture(scope="module")
def session(cloudflare: Standin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home = tmp_path_factory.mktemp("home")
    opened = Session(Cfai(), home, environ=cloudflare.environ())
    yield opened
    opened.close()


def prepare(cloudflare: Standin, **changes: Any) -> int:
    """Set only these switches; return the number of calls so far."""
    cloudflare.switches = Switches(daily_neurons=10**9, calls_per_minute=10**6, **changes)
    return len(cloudflare.calls)


def last_row(session: Session) -> Any:
    return list(session.accounting.ledger.history.iter_calls())[-1]


def check_bill(session: Session, cloudflare: Standin, known: int) -> None:
    """Check that the last call is in the ledger as the stand-in has billed it."""
    (call,) = cloudflare.calls[known:]
    row = last_row(session)
    if row["basis"] == "billed":
        # The header of a whole answer is rounded to hundredths.
        assert row["neurons"] == pytest.approx(call.neurons, abs=0.006)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(TROUBLE, TEXTS, st.booleans())
def test_a_text_is_received_once_and_its_bill_is_in_the_ledger(
    cloudflare: Standin, session: Session, trouble: dict[str, Any], words: list[str], stream: bool
) -> None:
    text = " ".join(words)
    known = prepare(cloudflare, answer=text, thought="Hm.", **trouble)
    answer = session.ask(session.build_request(MESSAGES, stream=stream))
    assert answer.text == text
    check_bill(session, cloudflare, known)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(TROUBLE, CALLS, st.booleans())
def test_each_tool_call_has_its_own_arguments(
    cloudflare: Standin,
    session: Session,
    trouble: dict[str, Any],
    calls: list[dict[str, Any]],
    stream: bool,
) -> None:
    known = prepare(cloudflare, tool_calls=calls, **trouble)
    request = session.build_request(MESSAGES, "glm-4.7-flash", extra=TOOLS, stream=stream)
    answer = session.ask(request)
    found = [{"name": c.name, "arguments": json.loads(c.arguments)} for c in answer.tool_calls]
    assert found == calls
    check_bill(session, cloudflare, known)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(TROUBLE, TEXTS, st.data())
def test_a_cut_answer_is_a_prefix_and_costs_at_most_its_reservation(
    cloudflare: Standin,
    session: Session,
    trouble: dict[str, Any],
    words: list[str],
    draw: st.DataObject,
) -> None:
    text = " ".join([*words, *["a", "b", "c", "d", "e", "f", "g", "h"]])
    limit = draw.draw(st.integers(2, 6))
    known = prepare(cloudflare, answer=text, drop_connection_after=limit, **trouble)
    request = session.build_request(MESSAGES, max_tokens=512)
    target = session.find_target(request.model)
    reserved = session.resolver.estimate_cost(request, target)
    with pytest.raises(IncompleteStreamError) as caught:
        session.ask(request)
    assert text.startswith(caught.value.text)
    (call,) = cloudflare.calls[known:]
    row = last_row(session)
    assert row["basis"] == "estimated"
    assert reserved is not None
    assert call.neurons - 0.005 <= row["neurons"] <= reserved.high
