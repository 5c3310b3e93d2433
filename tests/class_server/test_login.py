"""`%cfai login --class` verifies the key and stores it for the host of the class server only."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from cfai_magics.backends.credentials import CredentialStore
from cfai_magics.commands import run
from cfai_magics.errors import (
    APIConnectionError,
    AuthenticationError,
    BadRequestError,
    CfaiError,
    CoursePolicyError,
    InvalidOptionError,
    MissingCredentialsError,
    ResponseFormatError,
    TokenInCommandError,
)
from cfai_magics.frontends.shell import create_shell_frontend
from cfai_magics.secret import Secret
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai, load_settings, read_settings_file
from cfai_magics.types.messages import Message
from tests.canaries import account_id, admin_key, class_key, older_token, token
from tests.class_server import ClassServer
from tests.standin import Reply, Standin

HI: list[Message] = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def session(home: Path) -> Iterator[Session]:
    """A session without an account."""
    session = Session(Cfai(), home)
    yield session
    session.close()


def run_command(session: Session, line: str, *inputs: str, is_interactive: bool = False) -> str:
    """Run a command as in a shell, and return its output, including the prompts."""
    answers, printed = iter(inputs), []

    def prompt(text: str) -> str:
        printed.append(text)
        return next(answers)

    frontend = create_shell_frontend(session)._replace(
        prompt_secret=prompt, print=printed.append, is_one_shot=not is_interactive
    )
    name, *words = line.split()
    result = str(run(name, words, frontend, "cfai"))
    return "\n".join([*printed, result])


def log_in(
    session: Session, server: ClassServer, *inputs: str, is_interactive: bool = False
) -> str:
    return run_command(
        session, f"login --class {server.url}", *inputs, is_interactive=is_interactive
    )


def test_login_shows_the_host_the_name_and_the_budget(
    session: Session, server: ClassServer, cloudflare: Standin, home: Path, name: str
) -> None:
    key = server.add_student(name, budget=300)
    output = log_in(session, server, f" {key}\n")
    host = server.url.removeprefix("http://")
    assert output.startswith(f"Class server: {host}\nKey for {host}: \nLogged in as {name}.")
    assert "Your budget: 300 neurons a day, 0 used." in output
    assert "Saved" not in output.partition("The key is saved in the file")[0]
    assert read_settings_file(home) == {"class_server": server.url}
    assert stat.S_IMODE((home / "credentials.json").stat().st_mode) == 0o600
    assert session.ask(session.build_request(HI)).text
    later = Session(load_settings(home), home)
    assert later.ask(later.build_request(HI)).text
    later.close()
    assert len(cloudflare.requests) == 2


@pytest.mark.parametrize("ending", ["/", "/v1", "/v1/", "/v1/chat/completions"])
def test_the_address_is_stored_without_v1(
    session: Session, server: ClassServer, key: str, home: Path, ending: str
) -> None:
    run_command(session, f"login --class {server.url}{ending}", key)
    assert read_settings_file(home) == {"class_server": server.url}


WRONG_KEYS = {
    "": "No key was given",
    "cfs_short": "is not complete",
    "sk-other": "Not the key of a student",
}
OTHER_SECRETS = {
    "account ID": (account_id, "looks like an account ID"),
    "token": (token, "looks like an API token"),
    "older token": (older_token, "looks like an API token"),
    "admin key": (admin_key, "looks like the admin key"),
    "long key": (lambda: f"{class_key()}A", "is not complete, or has wrong characters"),
    "key with a space": (lambda: f"{class_key()[:20]} {class_key()[20:]}", "wrong characters"),
}


@pytest.mark.parametrize("text", WRONG_KEYS)
def test_a_text_that_is_not_a_key_is_not_sent(
    session: Session, server: ClassServer, home: Path, text: str
) -> None:
    with pytest.raises(InvalidOptionError, match=WRONG_KEYS[text]):
        log_in(session, server, text)
    assert not list(home.glob("*.json"))


@pytest.mark.parametrize("kind", OTHER_SECRETS)
def test_another_secret_is_named_and_not_sent(
    session: Session, server: ClassServer, home: Path, kind: str
) -> None:
    make, cause = OTHER_SECRETS[kind]
    secret = make()
    with pytest.raises(InvalidOptionError, match=cause) as caught:
        log_in(session, server, secret)
    assert secret not in str(caught.value)
    assert not list(home.glob("*.json"))


def test_a_wrong_key_is_asked_for_again(
    session: Session, server: ClassServer, key: str, name: str
) -> None:
    output = log_in(session, server, "cfs_", class_key(), key, is_interactive=True)
    assert "The key of the class server is not complete" in output
    assert "The key is not valid for this class (code 10000, HTTP 401" in output
    assert "Ask your teacher for a new one." in output
    assert f"Logged in as {name}" in output


def test_an_unknown_key_is_not_stored(session: Session, server: ClassServer, home: Path) -> None:
    with pytest.raises(AuthenticationError, match="not valid for this class"):
        log_in(session, server, class_key())
    assert session.settings.class_server == ""
    assert list(home.glob("*.json")) == list(home.glob("*.toml")) == []


def test_a_revoked_or_expired_key_is_reported(
    session: Session, server: ClassServer, name: str, key: str
) -> None:
    server.admin("DELETE", f"students/{name}")
    with pytest.raises(AuthenticationError, match="Your key was revoked"):
        log_in(session, server, key)
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    expired = server.add_student(f"{name}, late", expires=past)
    with pytest.raises(AuthenticationError, match=r"Your key expired at .*\n.*renew it"):
        log_in(session, server, expired)


def test_a_server_that_is_not_a_class_server_is_reported(
    session: Session, cloudflare: Standin, home: Path
) -> None:
    pages: list[tuple[Reply, type[CfaiError], str]] = [
        (Reply(b'{"data": []}'), ResponseFormatError, "is not a class server"),
        (Reply(b"<html><title>Hotel</title></html>", 200, "text/html"), BadRequestError, "Hotel"),
        (Reply(b"Not found", 404, "text/plain"), BadRequestError, "does not answer there"),
        (Reply(b'{"name": "Ada", "budget": "300"}'), ResponseFormatError, "is not a class server"),
    ]
    for reply, error, message in pages:
        cloudflare.switch(canned=reply, error_path="/me")
        with pytest.raises(error, match=message):
            run_command(session, f"login --class {cloudflare.base_url}", class_key())
    assert list(home.glob("*.json")) == []


def test_an_unreachable_server_is_reported(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cfai_magics.workers_ai.retry.FIRST_WAIT_SECONDS", 0.0)
    with pytest.raises(APIConnectionError, match="the address of the class server"):
        run_command(session, "login --class http://127.0.0.1:9", class_key())


@pytest.mark.parametrize(
    "address", ["class.example", "ftp://class.example", "https://", "https://a@b/", "http://h/?a"]
)
def test_an_invalid_address_is_rejected_before_the_prompt(session: Session, address: str) -> None:
    with pytest.raises(InvalidOptionError, match="such as https://class-server"):
        run_command(session, f"login --class {address}")


def test_an_unencrypted_address_of_another_computer_is_rejected(
    session: Session, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidOptionError, match="is not encrypted"):
        run_command(session, "login --class http://class.example")
    session.settings.class_server = "http://class.example"
    session.backend.credential_store.save_class_key("http://class.example", Secret(class_key()))
    with pytest.raises(InvalidOptionError, match="is not encrypted"):
        session.ask(session.build_request(HI))
    monkeypatch.setenv("CFAI_ALLOW_HTTP", "1")
    assert session.day_usage().is_class


@pytest.mark.parametrize("line", ["login --class {url} {key}", "login {key} --class {url}"])
def test_a_key_on_the_command_line_is_rejected(
    session: Session, server: ClassServer, key: str, line: str
) -> None:
    with pytest.raises(TokenInCommandError) as caught:
        run_command(session, line.format(url=server.url, key=key))
    assert key not in str(caught.value)
    with pytest.raises(TokenInCommandError):
        run_command(session, line.format(url=server.url, key="something"))


def test_class_off_returns_to_the_account(
    session: Session,
    server: ClassServer,
    cloudflare: Standin,
    key: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_in(session, server, key)
    for variable, value in cloudflare.environ().items():
        monkeypatch.setenv(variable, value)
    class_account = session.backend.billing_account()
    assert "own account" in run_command(session, "login --class off")
    assert session.backend.class_server is None
    assert read_settings_file(home) == {}
    assert session.ask(session.build_request(HI)).text
    assert session.backend.billing_account() != class_account


def test_the_last_login_selects_the_server(
    session: Session, server: ClassServer, key: str, home: Path
) -> None:
    run_command(session, "login --server http://127.0.0.1:9/v1", "")
    log_in(session, server, key)
    assert session.backend.server is None
    assert read_settings_file(home) == {"class_server": server.url}
    run_command(session, "login --server http://127.0.0.1:9/v1", "")
    assert session.backend.class_server is None
    assert read_settings_file(home) == {"base_url": "http://127.0.0.1:9/v1"}


def test_two_servers_in_one_place_are_one_error(
    session: Session, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.settings.base_url = "http://127.0.0.1:9/v1"
    session.settings.class_server = "http://127.0.0.1:9"
    with pytest.raises(InvalidOptionError, match=r"Cfai.class_server and Cfai.base_url"):
        session.ask(session.build_request(HI))
    monkeypatch.setenv("CFAI_BASE_URL", "http://127.0.0.1:8/v1")
    assert session.backend.class_server is None
    assert session.backend.server
    monkeypatch.setenv("CFAI_CLASS_SERVER", "http://127.0.0.1:8")
    with pytest.raises(InvalidOptionError, match="CFAI_CLASS_SERVER and CFAI_BASE_URL"):
        session.ask(session.build_request(HI))
    monkeypatch.delenv("CFAI_BASE_URL")
    assert session.backend.class_server.url == "http://127.0.0.1:8"
    assert session.backend.server is None


@pytest.mark.parametrize("variable", ["CFAI_BASE_URL", "CFAI_CLASS_SERVER"])
def test_login_names_a_variable_that_sets_another_server(
    session: Session, server: ClassServer, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(InvalidOptionError, match=variable):
        log_in(session, server)


def test_a_course_with_a_gateway_rejects_a_class_server(
    server: ClassServer, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cfai.toml").write_text('gateway = "physics"')
    monkeypatch.chdir(tmp_path)
    session = Session(load_settings(home), home)
    with pytest.raises(CoursePolicyError, match="physics"):
        log_in(session, server)
    session.close()


def test_a_course_file_cannot_set_the_class_server(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cfai.toml").write_text('class_server = "https://class.example"')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidOptionError, match="class_server is not allowed in"):
        load_settings(home)


def test_logout_deletes_the_key(
    session: Session, server: ClassServer, cloudflare: Standin, key: str, home: Path
) -> None:
    log_in(session, server, key)
    output = run_command(session, "logout")
    assert "is still selected: %cfai login --class off" in output
    assert not (home / "credentials.json").exists()
    with pytest.raises(MissingCredentialsError, match="There is no key for the class server"):
        session.ask(session.build_request(HI))
    assert cloudflare.requests == ()


def test_status_and_doctor_show_the_student_and_a_masked_key(
    session: Session, server: ClassServer, cloudflare: Standin, key: str, name: str
) -> None:
    log_in(session, server, key)
    for command in ("status", "doctor", "panel"):
        output = run_command(session, command)
        assert key not in output
        assert f"cfs_…{key[-4:]}" in output
        assert server.url.removeprefix("http://") in output
        assert (name in output) == (command != "panel")
    server.admin("DELETE", f"students/{name}")
    assert "Your key was revoked" in run_command(session, "status")
    assert "Your key was revoked" in run_command(session, "doctor")


def test_a_stored_key_belongs_to_its_host(home: Path) -> None:
    store, key = CredentialStore(home, {}), class_key()
    store.save_class_key("https://class.example/physics", Secret(key))
    assert store.class_key("https://CLASS.example")[0].reveal() == key
    for other in (
        "http://class.example",
        "https://class.example:444",
        "https://class.example.org",
    ):
        assert not store.class_key(other)[0]
    store.save(account_id(), Secret("t"))
    assert store.class_key("https://class.example")[0].reveal() == key


def test_a_key_in_the_environment_is_for_the_address_in_the_environment(
    session: Session, server: ClassServer, cloudflare: Standin, key: str, monkeypatch
) -> None:
    session.settings.class_server = server.url
    monkeypatch.setenv("CFAI_API_KEY", key)
    with pytest.raises(MissingCredentialsError):
        session.ask(session.build_request(HI))
    monkeypatch.setenv("CFAI_CLASS_SERVER", server.url)
    assert session.ask(session.build_request(HI)).text
    for wrong, error in ((token(), "API token"), (admin_key(), "admin key"), ("sk-x", "student")):
        monkeypatch.setenv("CFAI_API_KEY", wrong)
        with pytest.raises(InvalidOptionError, match=error):
            session.ask(session.build_request(HI))
    assert len(cloudflare.requests) == 1


def test_the_magic_asks_for_the_key(
    server: ClassServer,
    cloudflare: Standin,
    key: str,
    shell: InteractiveShell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda *_args: key)
    shell.run_line_magic("load_ext", "cfai_magics")
    result = shell.run_line_magic("cfai", f"login --class {server.url}")
    shell.run_cell_magic("cfai", "", "Hello")
    shell.run_line_magic("unload_ext", "cfai_magics")
    output = capsys.readouterr().out + str(result)
    assert "Your budget: 300 neurons a day" in output
    assert "%cfai login --class off" in output
    assert "Hello" in output
    assert key not in output
    assert len(cloudflare.requests) == 1
