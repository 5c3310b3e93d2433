"""Test `%cfai export` and `%cfai login --from`: write and read a config of simple-one-api."""

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


def test_it_goes_into_our_own_folder_for_its_owner_alone(
    session: Session, account: Standin, home: Path
) -> None:
    said = export(session)
    path = home / "simple-one-api.json"
    made = json.loads(path.read_text())
    service = made["services"]["openai"][0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert service["credentials"] == {"api_key": account.token}
    assert service["server_url"] == (
        f"{account.base_url}/accounts/{account.account_id}/ai/v1/chat/completions"
    )
    assert "@cf/google/gemma-4-26b-a4b-it" in service["models"]
    assert "@cf/baai/bge-m3" in service["embedding_models"]
    assert made["server_port"].startswith("127.0.0.1:")
    assert len(made["api_key"]) > 32
    assert "CONTAINS YOUR API TOKEN" in said
    assert account.token not in said
    assert made["api_key"] not in said
    assert account.requests == ()


def test_what_it_names_answers(session: Session, account: Standin, home: Path) -> None:
    """A pass-through server like simple-one-api, configured by the file."""
    import httpx

    export(session)
    service = json.loads((home / "simple-one-api.json").read_text())["services"]["openai"][0]
    reply = httpx.post(
        service["server_url"],
        headers={"Authorization": f"Bearer {service['credentials']['api_key']}"},
        json={"model": service["models"][0], "messages": [{"role": "user", "content": "Hi"}]},
    )
    assert reply.status_code == 200


@pytest.mark.parametrize("beside", ["lesson.ipynb", ".git"])
def test_it_does_not_go_beside_notebooks_unasked(
    session: Session, tmp_path: Path, beside: str
) -> None:
    folder = tmp_path / "lessons"
    folder.mkdir()
    (folder / beside).touch()
    with pytest.raises(InvalidOptionError, match="API token"):
        export(session, str(folder))
    assert [path.name for path in folder.iterdir()] == [beside]
    export(session, str(folder / "config.json"), "--anyway")
    assert stat.S_IMODE((folder / "config.json").stat().st_mode) == 0o600


def test_what_is_there_stays(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("mine")
    with pytest.raises(InvalidOptionError, match="already exists"):
        export(session, str(path))
    with pytest.raises(SetupError, match="can't be written"):
        export(session, str(path / "x" / "config.json"))
    assert path.read_text() == "mine"


def test_it_lists_what_the_course_allows(account: Standin, home: Path, tmp_path: Path) -> None:
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
def bare(cloudflare: Standin, home: Path) -> Session:
    return Session(Cfai(), home, environ={"CLOUDFLARE_API_BASE_URL": cloudflare.base_url})


def test_what_was_written_is_read_back(
    session: Session, bare: Session, account: Standin, home: Path, tmp_path: Path
) -> None:
    export(session, str(tmp_path / "config.json"))
    said = log_in(bare, tmp_path / "config.json")
    assert said.startswith("The token is active")
    assert account.token not in said
    found = bare.backend.credential_store.find()
    assert (found.account_id, found.api_token.reveal()) == (account.account_id, account.token)


def test_one_as_people_write_it_is_read(
    bare: Session, cloudflare: Standin, tmp_path: Path
) -> None:
    service = {
        "models": ["@cf/meta/llama-2-7b-chat-int8"],
        "enabled": True,
        "credential_list": [{"name": "none"}, {"api_key": cloudflare.token}],
        "server_url": f"https://api.cloudflare.com/client/v4/accounts/{cloudflare.account_id}/ai/v1",
    }
    others = [{"server_url": "https://example.org/v1", "credentials": {"api_key": "x"}}, "odd"]
    said = {"server_port": ":9090", "services": {"openai": [*others, service]}}
    (tmp_path / "config.json").write_text(json.dumps(said))
    assert "Saved in" in log_in(bare, tmp_path / "config.json")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not a config.json"),
        ("[]", "is not a config.json"),
        ('{"services": []}', "is not a config.json"),
        ('{"services": {}}', "contains no Cloudflare account"),
        ('{"services": {"openai": [{"server_url": "https://evil.org/x"}]}}', "no Cloudflare"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(
    bare: Session, tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidOptionError, match=told):
        log_in(bare, tmp_path / "config.json")


def test_a_file_that_is_not_there_is_told(bare: Session, tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="can't be read"):
        log_in(bare, tmp_path / "config.json")


def test_a_wrong_token_in_it_is_not_kept(
    bare: Session, cloudflare: Standin, tmp_path: Path, home: Path
) -> None:
    from tests.canaries import token

    url = f"{cloudflare.base_url}/accounts/{cloudflare.account_id}/ai/v1/chat/completions"
    service = {"server_url": url, "credentials": {"api_key": token()}}
    said = {"services": {"openai": [service]}}
    (tmp_path / "config.json").write_text(json.dumps(said))
    with pytest.raises(AuthenticationError):
        log_in(bare, tmp_path / "config.json")
    assert not (home / "credentials.json").exists()
