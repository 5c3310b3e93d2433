"""`cfai lite` rejects invalid options in one message, and serves sites."""

import json
import threading
from pathlib import Path

import httpx
import pytest

from cfai_magics.cli import main
from cfai_magics.lite.server import create_server


@pytest.fixture
def lesson(tmp_path: Path) -> str:
    path = tmp_path / "lesson.ipynb"
    path.write_text(json.dumps({"cells": []}))
    return str(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--output is missing"),
        (["--output=site", "--class-server=example"], "Not a valid server address"),
        (["--output=site", "--class-server=http://example.org"], "is not encrypted"),
        (
            ["--output=site", "--class-server=https://a:b@example.org"],
            "Not a valid server address",
        ),
    ],
    ids=["output", "no URL", "plain HTTP", "password"],
)
def test_an_invalid_option_is_one_message(
    options: list[str],
    message: str,
    lesson: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lite", "build", lesson, *options]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("cfai: ")
    assert message in shown
    assert len(shown.splitlines()) == 2
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("arguments", [["serve", "."], ["serve", "a", "b"]])
def test_only_one_site_can_be_served(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lite", *arguments]) == 1
    assert "is not a JupyterLite site" in capsys.readouterr().err


def test_a_port_in_use_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "jupyter-lite.json").touch()
    with create_server(tmp_path, 0) as server:
        port = server.server_address[1]
        assert main(["lite", "serve", str(tmp_path), f"--port={port}"]) == 1
    assert f"Port {port} can't be used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("pyodide.mjs", "text/javascript"),
        ("pyodide.asm.wasm", "application/wasm"),
        ("jupyter-lite.json", "application/json"),
    ],
)
def test_files_have_the_media_types_that_browsers_require(
    tmp_path: Path, name: str, media_type: str
) -> None:
    (tmp_path / name).write_text("content")
    with create_server(tmp_path, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            response = httpx.get(f"http://127.0.0.1:{server.server_address[1]}/{name}")
        finally:
            server.shutdown()
            thread.join()
    assert response.headers["content-type"] == media_type
    assert response.text == "content"
