"""Helpers for the map tests."""

import sqlite3
from pathlib import Path

from cfai_magics import api
from tests.standin import Standin

ROOT = Path(__file__).parents[2]


MAP = """
import sys
import cfai_magics
rows = [f"review {number}" for number in range(int(sys.argv[1]))]
queue = sys.argv[2] == "queue"
model = "gpt-oss-20b" if queue else ""
print("ready", flush=True)
cfai_magics.map("Classify: {text}", rows, model=model, queue=queue, max_tokens=9, concurrency=4)
"""


def sent_prompts(account: Standin) -> list[str]:
    """Return the prompts that were sent, sorted."""
    return sorted(
        request.json["messages"][-1]["content"]
        for request in account.requests
        if "messages" in request.json
    )


def sentiment(prompt: str) -> str:
    return "bad" if "awful" in prompt else "good"


def count_cached_answers() -> int:
    path = api.get_current_session().home / "maps.sqlite"
    with sqlite3.connect(path) as connection:
        count = connection.execute("SELECT count(*) FROM answers").fetchone()[0]
    connection.close()
    return int(count)
