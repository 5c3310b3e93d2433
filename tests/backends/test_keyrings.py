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
    """Stores texts in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("none there")


class Dropping(Memory):
    """Drops new texts and returns an older one."""

    def set_password(self, _service: str, _username: str, _password: str) -> None:
        pass


class Cutting(Memory):
    """Truncates long texts, like some credential managers."""

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password[:40])


class Refusing(Memory):
    """Rejects all texts."""

    def set_password(self, _service: str, _username: str, _password: str) -> None:
        raise PasswordSetError("no")


class Locked(Memory):
    """The user has closed its password dialog."""

    def get_password(self, _service: str, _username: str) -> str | None:
        raise KeyringLocked("Failed to unlock the collection!")

    set_password = get_password  # type: ignore[assignment]
    delete_password = get_password  # type: ignore[assignment]


class Broken(Memory):
    """Its service is not running."""

    def get_password(self, _service: str, _username: str) -> str | None:
        raise InitError("Failed to connect")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[KeyringBackend], KeyringBackend]]:
    before = keyring.get_keyring()

    def chosen(backend: KeyringBackend) -> KeyringBackend:
        keyring.set_keyring(backend)
        return backend

    yield chosen
    keyring.set_keyring(before)


def earlier(home: Path) -> Path:
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


UNFAITHFUL = [null.Keyring, fail.Keyring, Dropping, Cutting, Refusing, Locked, Broken]


@pytest.mark.parametrize(
    "backend", UNFAITHFUL, ids=lambda kind: kind.__qualname__ + kind.__module__[-5:]
)
def test_what_no_keyring_holds_is_kept_in_the_file(
    home: Path, use: Callable[[KeyringBackend], KeyringBackend], backend: type[KeyringBackend]
) -> None:
    path = earlier(home)
    use(backend())
    store = CredentialStore(home, {})
    secret = Secret(token())
    assert store.save("b" * 32, secret) == f"the file {path} (only you can read it)"
    found = CredentialStore(home, {}).find()
    assert (found.account_id, found.api_token) == ("b" * 32, secret)
    assert found.source == f"the file {path}"
    key = Secret("another-key")
    assert store.save_server_key("http://127.0.0.1:9/v1", key).startswith("the file")
    assert CredentialStore(home, {}).server_key("http://127.0.0.1:9/v1") == key
    assert CredentialStore(home, {}).find().account_id == "b" * 32


def test_an_older_entry_of_a_keyring_that_drops_does_not_win_over_the_new_file(
    home: Path, use: Callable[[KeyringBackend], KeyringBackend]
) -> None:
    backend = Dropping()
    backend.kept[KEY] = json.dumps({"account_id": "c" * 32, "api_token": "older"})
    use(backend)
    CredentialStore(home, {}).save("b" * 32, Secret(token()))
    assert CredentialStore(home, {}).find().account_id == "b" * 32
    assert backend.kept == {}


@pytest.mark.parametrize("backends", [(Memory,), (null.Keyring, Memory), (Memory, Memory)])
def test_a_keyring_that_holds_them_takes_the_place_of_the_file(
    home: Path,
    use: Callable[[KeyringBackend], KeyringBackend],
    backends: tuple[type[KeyringBackend], ...],
) -> None:
    path = earlier(home)
    use(chain(*(kind() for kind in backends)))
    store = CredentialStore(home, {})
    kept_in = store.save("b" * 32, Secret(token()))
    # A chain stores a text in its first backend only, which may drop the text here.
    is_held = backends[0] is not null.Keyring
    assert kept_in.startswith("the system's keyring" if is_held else "the file")
    assert path.exists() != is_held
    assert store.find().account_id == "b" * 32


def test_logging_out_empties_every_backend_of_a_chain(
    home: Path, use: Callable[[KeyringBackend], KeyringBackend]
) -> None:
    both = Memory(), Memory()
    for letter, backend in zip("bc", both, strict=True):
        backend.kept[KEY] = json.dumps({"account_id": letter * 32, "api_token": letter})
    use(chain(*both))
    assert CredentialStore(home, {}).delete() == ["Removed from the system's keyring."]
    assert [backend.kept for backend in both] == [{}, {}]


@pytest.mark.parametrize("backend", [Locked, Broken])
def test_a_keyring_that_cannot_be_read_is_named(
    home: Path, use: Callable[[KeyringBackend], KeyringBackend], backend: type[KeyringBackend]
) -> None:
    use(backend())
    why = "is locked" if backend is Locked else r"can't be read \(InitError\)"
    with pytest.raises(
        MissingCredentialsError, match=f"No Cloudflare account is set. The system's keyring {why}"
    ):
        CredentialStore(home, {}).find()
    path = earlier(home)
    assert CredentialStore(home, {}).find().account_id == "a" * 32
    with pytest.raises(
        StorageError, match=f"{path}. The system's .*: it may still contain"
    ) as caught:
        CredentialStore(home, {}).delete()
    assert "Unlock it" in caught.value.hint
    assert not path.exists()


def test_a_file_that_cannot_be_deleted_is_named(
    home: Path, use: Callable[[KeyringBackend], KeyringBackend]
) -> None:
    (home / FILE_NAME).mkdir(parents=True)
    use(Memory())
    store = CredentialStore(home, {})
    told = store.save("b" * 32, Secret(token()))
    assert (
        told == f"the system's keyring (delete {home / FILE_NAME}, which has earlier credentials)"
    )
    assert store.find().account_id == "b" * 32


# --- login by users


@pytest.mark.parametrize("backend", ["null", "fail"])
def test_logging_in_at_the_shell_says_truly_where_the_token_is(
    cloudflare: Standin, home: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    path = earlier(home)
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
    told = " ".join(child.before.split())
    assert f"Saved in the file {path} (only you can read it)." in told
    assert cloudflare.token not in told
    kept = json.loads(path.read_text())
    assert kept["account_id"] == cloudflare.account_id
    assert kept["api_token"] == cloudflare.token


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 100_000, id="deep"),
        pytest.param("{", id="broken"),
        pytest.param("[]", id="a list"),
        pytest.param('{"account_id": 5, "api_token": "t"}', id="a number"),
        pytest.param('{"account_id": "%s", "api_token": ["t"]}' % ("a" * 32), id="a list of one"),
        pytest.param('{"account_id": "../x", "api_token": "SECRET"}', id="no account id"),
        pytest.param(
            '{"account_id": "%s", "api_token": "SECRET\\r\\nX: y"}' % ("a" * 32), id="two lines"
        ),
        pytest.param('{"account_id": "%s", "api_token": "SECRETé"}' % ("a" * 32), id="accents"),
    ],
)
def test_damaged_credentials_are_one_line_that_shows_none_of_them(home: Path, text: str) -> None:
    path = earlier(home)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MissingCredentialsError) as caught:
        CredentialStore(home, {}).find()
    told = str(caught.value)
    assert told == f"The credentials in the file {path} are damaged. Run %cfai login again."
    assert "SECRET" not in told


def test_a_byte_order_mark_does_no_harm(home: Path) -> None:
    path = earlier(home)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert CredentialStore(home, {}).find().account_id == "a" * 32


@pytest.mark.parametrize("kind", ["a folder", "a pipe"])
def test_what_is_no_file_in_its_place_is_named(home: Path, kind: str) -> None:
    home.mkdir()
    make = os.mkdir if kind == "a folder" else os.mkfifo
    make(home / FILE_NAME)
    with pytest.raises(
        StorageError, match=r"can't be read: it is .* Delete the file and run %cfai login"
    ):
        CredentialStore(home, {}).find()


@pytest.mark.parametrize("bad", ["SECRET\nX: y", "SECRETé", "SEC RET"])
def test_a_token_of_the_environment_that_no_header_takes_is_refused(home: Path, bad: str) -> None:
    environ = {"CLOUDFLARE_ACCOUNT_ID": account_id(), "CLOUDFLARE_API_TOKEN": bad}
    with pytest.raises(
        InvalidOptionError, match="value of CLOUDFLARE_API_TOKEN contains"
    ) as caught:
        CredentialStore(home, environ).find()
    assert "SEC" not in str(caught.value)
