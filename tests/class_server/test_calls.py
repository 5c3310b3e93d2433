"""Calls of students are answered by the stand-in, and billed as it bills them."""

import httpx
import pytest

from tests.class_server import ClassServer
from tests.standin import Standin


def test_an_answer_costs_what_cloudflare_bills(
    server: ClassServer, cloudflare: Standin, key: str
) -> None:
    before = cloudflare.billed
    response = server.chat(key, "How are you?")
    assert response.status_code == httpx.codes.OK
    assert "How are you?" in response.json()["choices"][0]["message"]["content"]
    assert server.settled(key)["spent"] == pytest.approx(cloudflare.billed - before, abs=0.01)
