"""For any response, each method returns a value or raises an error of this package."""

import json
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfai_magics.errors import CfaiError
from cfai_magics.workers_ai.client import WorkersAI
from tests.workers_ai.calls import GEMMA, REQUEST, Script
from tests.workers_ai.nonsense import BODIES, DEEP

pytestmark = pytest.mark.slow

METHODS: dict[str, Callable[[WorkersAI], object]] = {
    "stream": lambda client: list(client.stream(REQUEST)),
    "chat": lambda client: client.chat(REQUEST),
    "embed": lambda client: client.embed(["Hi"], GEMMA),
    "models": lambda client: client.list_models(),
    "check_token": lambda client: client.check_token(),
    "run": lambda client: client.run(GEMMA, {}),
}
STATUSES = st.sampled_from([200, 200, 200, 201, 302, 400, 401, 403, 404, 429, 500, 530])
CONTENTS = st.one_of(
    BODIES.map(lambda body: json.dumps(body).encode()),
    st.binary(max_size=20),
    st.sampled_from([b"NaN", b"1" * 5_000, b"", b"\xff", b"<title>502</title>"]),
)
HEADERS = st.fixed_dictionaries(
    {"content-type": st.just("application/json")},
    optional={
        "cf-ai-neurons": st.sampled_from(["1.98", "", "many", "nan", "1e999"]),
        "retry-after": st.sampled_from(["7", "", "soon", "nan", "1e999", "-1"]),
    },
)


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, derandomize=True, max_examples=300)
@given(CONTENTS, HEADERS, STATUSES)
def test_a_random_response_returns_a_value_or_raises_a_package_error(
    method: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    responses = (httpx.Response(status, headers=headers, content=content) for _ in range(10))
    with Script(*responses).client() as client, suppress(CfaiError):
        METHODS[method](client)


@pytest.mark.parametrize("content", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [200, 400])
def test_json_nested_too_deeply_raises_a_package_error(
    method: str, content: bytes, status: int
) -> None:
    kind = {"content-type": "application/json"}
    responses = (httpx.Response(status, headers=kind, content=content) for _ in range(10))
    with Script(*responses).client() as client, pytest.raises(CfaiError):
        METHODS[method](client)
