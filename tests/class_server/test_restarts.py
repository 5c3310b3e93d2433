"""The class survives a crash of the server, and stores no prompts, answers or keys."""

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.canaries import token
from tests.class_server import ClassServer
from tests.standin import Standin

TEN_MINUTES = 600  # s
OBJECTS = "do/server-ClassBudget"
RESERVATION = "SELECT neurons FROM reservations"


def files_of(folder: Path) -> tuple[Path, Path]:
    """Return the databases of the class and of the alarms of all classes."""
    files = {path.name: path for path in (folder / OBJECTS).glob("*.sqlite")}
    alarms = files.pop("metadata.sqlite")
    (state,) = files.values()
    return state, alarms


def let_ten_minutes_pass(folder: Path) -> None:
    """Set the times in the files of a stopped server back, as if it had stopped earlier."""
    state, alarms = files_of(folder)
    with closing(sqlite3.connect(state)) as database, database:
        database.execute("UPDATE reservations SET since = since - ?", [TEN_MINUTES * 10**3])
        database.execute(
            "UPDATE _cf_METADATA SET value = value - ? WHERE key = 1", [TEN_MINUTES * 10**9]
        )
    with closing(sqlite3.connect(alarms)) as database, database:
        database.execute(
            "UPDATE _cf_ALARM SET scheduled_time = scheduled_time - ?", [TEN_MINUTES * 10**9]
        )


def test_a_reservation_survives_a_crash_and_counts_in_full_after_ten_minutes(
    cloudflare: Standin, tmp_path: Path
) -> None:
    cloudflare.switch(answer="word" * 2000, tokens_per_second=50)
    with ClassServer(cloudflare, folder=tmp_path) as server:
        server.admin("PATCH", "class", {"share": 100, "max_tokens": 1000})
        key = server.add_student("Ada")
        with server.stream(key) as response:
            next(response.iter_bytes())
            server.kill()
    with ClassServer(cloudflare, folder=tmp_path, admin_key=server.admin_key) as server:
        figures = server.request("GET", "/me", key).json()
        reserved = figures["reserved"]
        assert figures["spent"] == 0
        assert 30 < reserved < 32
        cloudflare.switch(answer="Hi", tokens_per_second=0, omit_neurons_header=True)
        before = cloudflare.billed
        headers = server.chat(key, max_tokens=1000).headers
        assert float(headers["cfai-spent"]) == pytest.approx(reserved, abs=1e-6)
        # A prompt that fits the budget, but not what the lost call leaves.
        refused = server.chat(key, "x" * 15_000)
        assert refused.json()["errors"][0]["code"] == 3021
        billed = cloudflare.billed - before
    let_ten_minutes_pass(tmp_path)
    with ClassServer(cloudflare, folder=tmp_path, admin_key=server.admin_key) as server:
        assert server.settled(key)["spent"] == pytest.approx(reserved + billed)
        (row,) = server.admin("GET", "usage")["usage"]
        assert row["calls"] == 2
        assert row["estimated"] == pytest.approx(reserved)


def test_keys_settings_and_usage_survive_a_restart(cloudflare: Standin, tmp_path: Path) -> None:
    with ClassServer(cloudflare, folder=tmp_path) as server:
        server.admin("PATCH", "class", {"share": 50, "system_prompt": "Answer in Latin."})
        key, gone = server.add_student("Ada"), server.add_student("Bob")
        server.admin("DELETE", "students/Bob")
        server.chat(key)
        before = server.settled(key)
        settings = server.admin("GET", "class")
        students = server.admin("GET", "students")
    with ClassServer(cloudflare, folder=tmp_path, admin_key=server.admin_key) as server:
        assert server.request("GET", "/me", key).json() == before
        assert before["spent"] > 0
        assert server.request("GET", "/me", gone).status_code == httpx.codes.UNAUTHORIZED
        assert server.admin("GET", "class") == settings
        assert server.admin("GET", "students") == students


def test_the_stored_files_have_no_prompts_answers_or_keys(
    cloudflare: Standin, tmp_path: Path
) -> None:
    prompt, answer, address = token(), token(), token()
    cloudflare.switch(answer=answer)
    with ClassServer(cloudflare, folder=tmp_path) as server:
        key = server.add_student("Ada")
        assert answer in server.chat(key, prompt).text
        assert server.chat(key, prompt, stream=True).status_code == httpx.codes.OK
        server.request(
            "POST", "/v1/embeddings", key, {"model": "@cf/baai/bge-m3", "input": prompt}
        )
        server.chat(key, prompt, max_tokens=-1)
        server.chat(f"cfs_{prompt}")
        server.request("GET", f"/{address}?key={key}")
        renewed = server.admin("POST", "students/Ada/renew")["key"]
        server.settled(renewed)
        running = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    stopped = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"Ada" in running + stopped
    for secret in (prompt, answer, address, key, renewed, server.admin_key, cloudflare.token):
        assert secret.encode() not in running + stopped
