"""pip and the local model run without the user's secrets."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cfai_magics.backends.local_model import fetch_model
from cfai_magics.backends.local_server import LocalServer
from cfai_magics.errors import LocalModelError
from cfai_magics.secret_patterns import build_child_environment
from tests.canaries import account_id, class_key, older_token, token

SECRET_NAMES = (
    *("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY", "CF_AI_API_TOKEN", "CFAI_API_KEY"),
    *("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_PAT", "db_password", "NETRC_AUTH"),
)


def start_server(folder: Path) -> None:
    LocalServer.start(folder / "any.gguf", log_dir=folder / "logs")


@pytest.mark.parametrize(
    "start", [pytest.param(fetch_model, id="pip"), pytest.param(start_server, id="local model")]
)
@pytest.mark.parametrize("make_token", [token, older_token, class_key])
def test_child_processes_have_no_secrets_in_their_environment(
    start: Callable[[Path], object],
    make_token: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret, account = make_token(), account_id()
    for name in SECRET_NAMES:
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", account)
    monkeypatch.setenv("MY_LABEL", "kept")
    monkeypatch.setenv("NOTES", f"mine is {secret}")
    python, output = tmp_path / "python", tmp_path / "environment"
    python.write_text(f'#!/bin/sh\nenv > "{output}"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr("cfai_magics.backends.local_server.find_spec", lambda _name: True)
    with pytest.raises(LocalModelError):
        start(tmp_path)
    environment = output.read_text()
    assert "MY_LABEL=kept" in environment
    assert secret not in environment
    assert account not in environment


def test_child_processes_keep_what_they_need_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {
        "PATH": "/usr/bin:/bin",
        "LD_LIBRARY_PATH": "/opt/lib",
        "HTTPS_PROXY": "http://user:word@proxy.example:8080",
        "PIP_INDEX_URL": f"https://__token__:{token()}@index.example/simple",
        "CUDA_VISIBLE_DEVICES": "0",
    }
    for name, value in needed.items():
        monkeypatch.setenv(name, value)
    assert build_child_environment().items() >= needed.items()
