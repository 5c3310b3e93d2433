"""Null, chained, lossy and locked keyrings: the file stays until a keyring has its contents."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pexpect
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.backends.chainer import ChainerBackend
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError, PasswordSetError

from cfai_magics.backends.credentials import FILE_NAME, CredentialStore, Secret
from cfai_magics.errors import InvalidOptionError, MissingCredentialsError, StorageError
from tests.canaries import account_id, token
from tests.standin import Standin

KEY = ("cfai-magics", "credentials")


class Memory(KeyringBackend):
    """A keyring that stores texts in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError("no such entry")


class Dropping(Memory):
    """A keyring that drops new texts and returns an older one."""

    def set_password(self, _service: str, _username: str, _password: str) -> None:
        pass


class Cutting(Memory):
    """A keyring that truncates long texts, as some credential managers do."""

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password[:40])


class Refusing(Memory):
    """A keyring that rejects all texts."""

    def set_password(self, _service: str, _username: str, _password: str) -> None:
        raise PasswordSetError("no")


class Locked(Memory):
    """A locked keyring, after the user has closed the password dialog."""

    def get_password(self, _service: str, _username: str) -> str | None:
        raise KeyringLocked("Failed to unlock the collection!")

    set_password = get_password  # type: ignore[assignment]
    delete_password = get_password  # type: ignore[assignment]


class Broken(Memory):
    """A keyring whose service is not running."""

    def get_password(self, _service: str, _username: str) -> str | None:
        raise InitError("Failed to connect")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[KeyringBackend], KeyringBackend]]:
    before = keyring.get_keyring()

    def select(backend: KeyringBackend) -> KeyringBackend:
        keyring.set_keyring(backend)
        return backend

    yield select
    keyring.set_keyring(before)


def write_earlier_file(home: Path) -> Path:
    home.mkdir(exist_ok=True)
    path = home / FILE_NAME
    path.write_text(json.dumps({"account_id": "a" * 32, "api_token": "earlier"}))
    path.chmod(0o600)
    return path


def chain(*backends: KeyringBackend) -> ChainerBackend:
    class Chain(ChainerBackend):
        @property
        def backends(self) -> list[KeyringBackend]:  # type: ignore[override]
            return list(backends)

    return Chain()


UNUSABLE = [null.Keyring, fail.Keyring, Dropping, Cutting, Refusing, Locked, Broken]


@pytest.mark.parametrize(
    "backend", UNUSABLE, ids=lambda kind: kind.__qualname__ + kind.__module__[-5:]
)
def test_credentials_that_a_keyring_cannot_store_go_to_the_file(
    home: Path, use: Callable[[KeyringBackend], KeyringBackend], backend: type[KeyringBackend]
) -> None:
    path = write_earlier_file(home)
    use(backend())
    store = CredentialStore(home, {})
    secret = Secret(token())
    assert store.save("b" * 32, secret) == f"the file {path} (only you can read it)"
    credentials = CredentialStore(home, {}).find()
    assert (credentials.account_id, credentials.api_token) == ("b" * 32, secret)
    assert credentials.source == f"the file {path}"
    key = Secret("another-key")
    assert store.save_server_key("http://127.0.0.1:9/v1", key).startswith("the file")
    assert CredentialStore(home, {}).server_key("http://127.0.0.1:9/v1") == key
    assert CredentialStore(home, {}).find().account_id == "b" * 32


def test_a_new_file_overrides_an_older_entry_of_a_dropping_keyring(
    home: Path, use: Callable[[KeyringBackend], KeyringBackend]
) -> None:
    backend = Dropping()
    backend.entries[KEY] = json.dumps({"account_id": "c" * 32, "api_token": "older"})
    use(backend)
    CredentialStore(home, {}).save("b" * 32, Secret(token()))
    assert CredentialStore(home, {}).find().account_id == "b" * 32
    assert backend.entries == {}


@pytest.mark.parametrize("backends", [(Memory,), (null.Keyring, Memory), (Memory, Memory)])
def test_a_keyring_that_stores_the_credentials_replaces_the_file(
    home: Path,
    use: Callable[[KeyringBackend], KeyringBackend],
    backends: tuple[type[KeyringBackend], ...],
) -> None:
    path = write_earlier_file(home)
    use(chain(*(kind() for kind in backends)))
    store = CredentialStore(home, {})
    location = store.save("b" * 32, Secret(token()))
    # A chain stores a text only in its first backend; null.Keyring drops the text.
    is_stored = backends[0] is not null.Keyring
    assert location.startswith("the system keyring" if is_stored else "the file")
    assert path.exists() != is_stored
    assert store.find().account_id == "b" * 32


def test_logging_out_empties_every_backend_of_a_chain(
    home: Path, use: Callable[[KeyringBackend], KeyringBackend]
) -> None:
    backends = Memory(), Memory()
    for letter, backend in zip("bc", backends, strict=True):
        backend.entries[KEY] = json.dumps({"account_id": letter * 32, "api_token": letter})
    use(chain(*backends))
    assert CredentialStore(home, {}).delete() == ["Removed from the system keyring."]
    assert [backend.entries for backend in backends] == [{}, {}]


@pytest.mark.parametrize("backend", [Locked, Broken])
def test_an_unreadable_keyring_is_named_in_the_error(
    home: Path, use: Callable[[KeyringBackend], KeyringBackend], backend: type[KeyringBackend]
) -> None:
    use(backend())
    reason = "is locked" if backend is Locked else r"can't be read \(InitError\)"
    with pytest.raises(
        MissingCredentialsError,
        match=f"No Cloudflare account is set. The system keyring {reason}",
    ):
        CredentialStore(home, {}).find()
    path = write_earlier_file(home)
    assert CredentialStore(home, {}).find().account_id == "a" * 32
    with pytest.raises(
        StorageError, match=f"{path}. The system .*, so it may still contain"
    ) as caught:
        CredentialStore(home, {}).delete()
    assert "Unlock it" in caught.value.hint
    assert not path.exists()


def test_a_file_that_cannot_be_deleted_is_reported(
    home: Path, use: Callable[[KeyringBackend], KeyringBackend]
) -> None:
    (home / FILE_NAME).mkdir(parents=True)
    use(Memory())
    store = CredentialStore(home, {})
    location = store.save("b" * 32, Secret(token()))
    assert (
        location
        == f"the system keyring (delete {home / FILE_NAME}, which contains earlier credentials)"
    )
    assert store.find().account_id == "b" * 32


# --- login by users


@pytest.mark.parametrize("backend", ["null", "fail"])
def test_shell_login_reports_where_the_token_is_saved(
    cloudflare: Standin, home: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    path = write_earlier_file(home)
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", cloudflare.base_url)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", f"keyring.backends.{backend}.Keyring")
    child = pexpect.spawn(
        sys.executable, ["-m", "cfai_magics", "login"], encoding="utf-8", timeout=60
    )
    child.expect("Account ID: ")
    child.sendline(cloudflare.account_id)
    child.expect("API token: ")
    child.sendline(cloudflare.token)
    child.expect(pexpect.EOF)
    output = " ".join(child.before.split())
    assert f"Saved in the file {path} (only you can read it)." in output
    assert cloudflare.token not in output
    credentials = json.loads(path.read_text())
    assert credentials["account_id"] == cloudflare.account_id
    assert credentials["api_token"] == cloudflare.token


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 100_000, id="deep"),
        pytest.param("{", id="broken"),
        pytest.param("[]", id="a list"),
        pytest.param('{"account_id": 5, "api_token": "t"}', id="a number as account ID"),
        pytest.param(
            '{"account_id": "%s", "api_token": ["t"]}' % ("a" * 32), id="a list as token"
        ),
        pytest.param('{"account_id": "../x", "api_token": "SECRET"}', id="invalid account ID"),
        pytest.param(
            '{"account_id": "%s", "api_token": "SECRET\\r\\nX: y"}' % ("a" * 32), id="two lines"
        ),
        pytest.param('{"account_id": "%s", "api_token": "SECRETé"}' % ("a" * 32), id="accents"),
    ],
)
def test_damaged_credentials_raise_an_error_that_does_not_show_them(home: Path, text: str) -> None:
    path = write_earlier_file(home)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MissingCredentialsError) as caught:
        CredentialStore(home, {}).find()
    message = str(caught.value)
    assert message == f"The credentials in the file {path} are damaged.\nRun %cfai login again."
    assert "SECRET" not in message


def test_a_byte_order_mark_is_ignored(home: Path) -> None:
    path = write_earlier_file(home)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert CredentialStore(home, {}).find().account_id == "a" * 32


@pytest.mark.parametrize("kind", ["a folder", "a pipe"])
def test_a_folder_or_pipe_in_place_of_the_file_is_reported(home: Path, kind: str) -> None:
    home.mkdir()
    make = os.mkdir if kind == "a folder" else os.mkfifo
    make(home / FILE_NAME)
    with pytest.raises(
        StorageError, match=r"(?s)can't be read: it is .*\nDelete the file and run %cfai login"
    ):
        CredentialStore(home, {}).find()


@pytest.mark.parametrize("bad", ["SECRET\nX: y", "SECRETé", "SEC RET"])
def test_an_environment_token_invalid_in_a_header_is_rejected(home: Path, bad: str) -> None:
    environ = {"CLOUDFLARE_ACCOUNT_ID": account_id(), "CLOUDFLARE_API_TOKEN": bad}
    with pytest.raises(
        InvalidOptionError, match="value of CLOUDFLARE_API_TOKEN contains"
    ) as caught:
        CredentialStore(home, environ).find()
    assert "SEC" not in str(caught.value)
