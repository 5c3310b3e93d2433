"""Test `%cfai export` and `%cfai login --from` with a simple-one-api config."""

import json
import stat
from pathlib import Path

import pytest

from cfai_magics.chat.frontend import Frontend
from cfai_magics.commands import run
from cfai_magics.errors import AuthenticationError, InvalidOptionError, SetupError
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai, load_settings
from tests.standin import Standin


def export(session: Session, *words: str) -> str:
    return str(run("export", ["simple-one-api", *words], create_shell_frontend(session), "cfai"))


def test_the_config_is_in_the_home_folder_and_private(
    session: Session, account: Standin, home: Path
) -> None:
    output = export(session)
    path = home / "simple-one-api.json"
    config = json.loads(path.read_text())
    service = config["services"]["openai"][0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert service["credentials"] == {"api_key": account.token}
    assert service["server_url"] == (
        f"{account.base_url}/accounts/{account.account_id}/ai/v1/chat/completions"
    )
    assert "@cf/google/gemma-4-26b-a4b-it" in service["models"]
    assert "@cf/baai/bge-m3" in service["embedding_models"]
    assert config["server_port"].startswith("127.0.0.1:")
    assert len(config["api_key"]) > 32
    assert "CONTAINS YOUR API TOKEN" in output
    assert account.token not in output
    assert config["api_key"] not in output
    assert account.requests == ()


def test_the_exported_endpoint_answers_a_request(
    session: Session, account: Standin, home: Path
) -> None:
    """Send a request like simple-one-api does with this config."""
    import httpx

    export(session)
    service = json.loads((home / "simple-one-api.json").read_text())["services"]["openai"][0]
    reply = httpx.post(
        service["server_url"],
        headers={"Authorization": f"Bearer {service['credentials']['api_key']}"},
        json={"model": service["models"][0], "messages": [{"role": "user", "content": "Hi"}]},
    )
    assert reply.status_code == 200


@pytest.mark.parametrize("neighbor", ["lesson.ipynb", ".git"])
def test_a_config_next_to_a_notebook_requires_an_option(
    session: Session, tmp_path: Path, neighbor: str
) -> None:
    folder = tmp_path / "lessons"
    folder.mkdir()
    (folder / neighbor).touch()
    with pytest.raises(InvalidOptionError, match="API token"):
        export(session, str(folder))
    assert [path.name for path in folder.iterdir()] == [neighbor]
    export(session, str(folder / "config.json"), "--anyway")
    assert stat.S_IMODE((folder / "config.json").stat().st_mode) == 0o600


def test_an_existing_file_is_not_overwritten(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("mine")
    with pytest.raises(InvalidOptionError, match="already exists"):
        export(session, str(path))
    with pytest.raises(SetupError, match="can't be written"):
        export(session, str(path / "x" / "config.json"))
    assert path.read_text() == "mine"


def test_only_models_that_the_course_allows_are_exported(
    account: Standin, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "cfai.toml").write_text('allowed_models = ["llama-3.2-3b-instruct"]')
    session = Session(load_settings(home, None, tmp_path), home)
    export(session)
    service = json.loads((home / "simple-one-api.json").read_text())["services"]["openai"][0]
    assert service["models"] == ["@cf/meta/llama-3.2-3b-instruct"]
    assert service["embedding_models"] == []
    session.close()


# --- reading a config


def log_in(session: Session, path: Path) -> str:
    frontend: Frontend = create_shell_frontend(session)
    return str(run("login", ["--from", str(path)], frontend, "cfai"))


@pytest.fixture
def bare_session(cloudflare: Standin, home: Path) -> Session:
    return Session(Cfai(), home, environ={"CLOUDFLARE_API_BASE_URL": cloudflare.base_url})


def test_login_reads_an_exported_config(
    session: Session, bare_session: Session, account: Standin, home: Path, tmp_path: Path
) -> None:
    export(session, str(tmp_path / "config.json"))
    output = log_in(bare_session, tmp_path / "config.json")
    assert output.startswith("Token verified: user token, active")
    assert account.token not in output
    credentials = bare_session.backend.credential_store.find()
    assert (credentials.account_id, credentials.api_token.reveal()) == (
        account.account_id,
        account.token,
    )


def test_a_handwritten_config_is_read(
    bare_session: Session, cloudflare: Standin, tmp_path: Path
) -> None:
    service = {
        "models": ["@cf/meta/llama-2-7b-chat-int8"],
        "enabled": True,
        "credential_list": [{"name": "none"}, {"api_key": cloudflare.token}],
        "server_url": f"https://api.cloudflare.com/client/v4/accounts/{cloudflare.account_id}/ai/v1",
    }
    others = [{"server_url": "https://example.org/v1", "credentials": {"api_key": "x"}}, "odd"]
    config = {"server_port": ":9090", "services": {"openai": [*others, service]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "Saved in" in log_in(bare_session, tmp_path / "config.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a simple-one-api config.json"),
        ("[]", "is not a simple-one-api config.json"),
        ('{"services": []}', "is not a simple-one-api config.json"),
        ('{"services": {}}', "contains no Cloudflare credentials"),
        ('{"services": {"openai": [{"server_url": "https://evil.org/x"}]}}', "no Cloudflare"),
    ],
)
def test_an_invalid_config_raises_an_option_error(
    bare_session: Session, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidOptionError, match=message):
        log_in(bare_session, tmp_path / "config.json")


def test_a_missing_config_raises_an_option_error(bare_session: Session, tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="can't be read"):
        log_in(bare_session, tmp_path / "config.json")


def test_a_wrong_token_in_a_config_is_not_saved(
    bare_session: Session, cloudflare: Standin, tmp_path: Path, home: Path
) -> None:
    from tests.canaries import token

    url = f"{cloudflare.base_url}/accounts/{cloudflare.account_id}/ai/v1/chat/completions"
    service = {"server_url": url, "credentials": {"api_key": token()}}
    config = {"services": {"openai": [service]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(AuthenticationError):
        log_in(bare_session, tmp_path / "config.json")
    assert not (home / "credentials.json").exists()
