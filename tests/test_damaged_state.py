"""Damaged state files give a two-line error with the file and the next step."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cfai_magics.backends.local_model import check_gguf
from cfai_magics.backends.simple_one_api import read_config
from cfai_magics.commands import run
from cfai_magics.errors import InvalidOptionError, LocalModelError, StorageError
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.paths import parse_user_path
from cfai_magics.pricing.catalog import (
    CACHE_FILE_NAME,
    find_damaged_cache,
    load_cached,
    save_cached,
)
from cfai_magics.prompt.history import Turn
from cfai_magics.session.session import Session
from cfai_magics.storage.conversations import ConversationStore
from cfai_magics.storage.map_cache import Batch, MapCache
from cfai_magics.types.usage import Model

pytestmark = pytest.mark.slow

DEEP = "[" * 100_000
DAY = '"date": "2026-10-01"'


def catalog_with(item: str) -> str:
    return f'{{{DAY}, "models": [{item}]}}'


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(DEEP, id="deep"),
        pytest.param("{", id="broken"),
        pytest.param("[]", id="a list"),
        pytest.param("5", id="a number"),
        pytest.param('{"date": 5, "models": []}', id="a date of a wrong type"),
        pytest.param('{"date": "soon", "models": []}', id="no date"),
        pytest.param(f'{{{DAY}, "models": {{"a": 1}}}}', id="models of a wrong type"),
        pytest.param(catalog_with("{}"), id="no name"),
        pytest.param(catalog_with('"a"'), id="only a name"),
        pytest.param(catalog_with('{"name": 5}'), id="a number as name"),
        pytest.param(catalog_with('{"name": "@cf/x/y", "context_window": "a"}'), id="window"),
        pytest.param(catalog_with('{"name": "@cf/x/y", "neurons_in": NaN}'), id="price NaN"),
        pytest.param(catalog_with('{"name": "@cf/x/y", "neurons_in": -1}'), id="price below 0"),
        pytest.param(catalog_with('{"name": "@cf/x/y", "neurons_in": true}'), id="price true"),
        pytest.param(catalog_with('{"name": "@cf/x/y", "units": {"a": "b"}}'), id="unit"),
        pytest.param(catalog_with('{"name": "@cf/x/y", "units": []}'), id="units"),
        pytest.param(catalog_with('{"name": "@cf/x/y", "vision": "yes"}'), id="flag"),
        pytest.param(catalog_with('{"name": "@cf/x/y", "retires": "soon"}'), id="retires"),
    ],
)
def test_a_damaged_model_list_is_ignored_and_reported_by_doctor(
    session: Session, home: Path, text: str
) -> None:
    home.mkdir(exist_ok=True)
    (home / CACHE_FILE_NAME).write_text(text, encoding="utf-8")
    assert load_cached(home) is None
    assert session.catalog().source == "shipped"
    table = run("doctor", [], create_shell_frontend(session), "cfai")
    rows = {row[0]: row[1:] for row in table.rows}  # type: ignore[attr-defined]
    assert rows["model list"] == (
        f"{home / CACHE_FILE_NAME} can't be read; the built-in list is used",
        "Run %cfai models --refresh to replace it.",
    )


def test_a_saved_model_list_is_loaded_unchanged(home: Path) -> None:
    models = (
        Model(
            "@cf/x/y", "Text", 1.5, 2, None, 8_000, deprecation_date="2027-01-01", units={"a": 1}
        ),
    )
    save_cached(home, models, "2026-10-01")
    loaded = load_cached(home)
    assert loaded is not None
    assert loaded.models == models
    assert find_damaged_cache(home) == ""


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "latin-1"])
@pytest.mark.parametrize("name", ["settings.toml", "catalogue.json", "credentials.json"])
def test_an_unreadable_file_gives_no_traceback(home: Path, name: str, kind: str) -> None:
    home.mkdir()
    path = home / name
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path),
        "latin-1": lambda: path.write_bytes(b"\xff\xe9"),
    }[kind]()
    words = ["models", "gemma"] if name == "catalogue.json" else ["ask", "Hi"]
    done = subprocess.run(
        [sys.executable, "-m", "cfai_magics", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    if name == "settings.toml":
        assert str(path) in done.stderr
        assert "Correct or delete it." in done.stderr


@pytest.mark.parametrize("name", ["ledger", "threads", "maps"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "text"])
def test_doctor_reports_an_invalid_database(home: Path, name: str, kind: str) -> None:
    home.mkdir()
    path = home / f"{name}.sqlite"
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "text": lambda: path.write_text("no database " * 100),
    }[kind]()
    done = subprocess.run(
        [sys.executable, "-m", "cfai_magics", "doctor"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert str(path) in done.stdout


@pytest.mark.parametrize("content", [DEEP, "{", "5", "null", "[]", "[1]"])
def test_a_damaged_turn_is_reported_and_its_thread_can_be_reset(home: Path, content: str) -> None:
    with ConversationStore(home) as threads:
        threads.save("one", Turn("Why?", "So."))
        threads.save("two", Turn("Why?", "So."))
        with closing(sqlite3.connect(home / "threads.sqlite")) as file, file:
            file.execute("UPDATE turns SET content = ? WHERE thread = 'one'", (content,))
        with pytest.raises(
            StorageError, match=r"(?s)Turn 1 of conversation one .*%cfai thread reset one"
        ):
            threads.load_turns("one")
        assert len(threads.load_turns("two")) == 1
        assert [each.name for each in threads.list_threads()] == ["one", "two"]
        assert threads.delete("one") == 1


@pytest.mark.parametrize("keys", [DEEP, "{", "5"])
def test_a_damaged_batch_is_reported(home: Path, keys: str) -> None:
    with MapCache(home) as answers:
        answers.add_batch(Batch("id-1", "account", "m", ("a",), (1,)))
        with closing(sqlite3.connect(answers.path)) as file, file:
            file.execute("UPDATE batches SET keys = ?", (keys,))
        with pytest.raises(StorageError, match=r"(?s)Batch id-1 .*%cfai map clear"):
            answers.find_batches("account", ["a"])


@pytest.mark.parametrize("path_text", ["~no-such-user/x", "x" * 300, "a\0b"], ids=repr)
def test_an_invalid_path_gives_a_two_line_error(path_text: str) -> None:
    with pytest.raises(InvalidOptionError, match="path"):
        parse_user_path(path_text)
    with pytest.raises(LocalModelError, match="can't be read"):
        check_gguf(Path(path_text))


def test_a_pipe_is_rejected_as_model_and_configuration(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LocalModelError, match="not a regular file"):
        check_gguf(tmp_path / "pipe")
    with pytest.raises(InvalidOptionError, match="not a regular file"):
        read_config(tmp_path / "pipe")


def test_a_damaged_configuration_gives_a_two_line_error(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for text in (DEEP, json.dumps([]), "{"):
        path.write_text(text)
        with pytest.raises(InvalidOptionError, match=r"is not a simple-one-api config\.json"):
            read_config(path)
