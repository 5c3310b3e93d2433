"""Credentials: where they are read and saved, and which values are valid."""

import json
import stat
from pathlib import Path

import pytest

from cfai_magics.backends.credentials import (
    ACCOUNT_VARIABLE,
    FILE_NAME,
    TOKEN_VARIABLE,
    CredentialStore,
    Keyring,
    Secret,
    parse_account_id,
    parse_token,
)
from cfai_magics.errors import (
    InvalidAccountIdError,
    InvalidOptionError,
    MissingCredentialsError,
    StorageError,
)
from cfai_magics.secret_patterns import looks_like_account_id
from tests.canaries import account_id, admin_key, class_key, token


class Memory:
    """A keyring in memory."""

    name = "the memory"

    def __init__(self, text: str | None = None) -> None:
        self.text = text

    def get(self) -> str | None:
        return self.text

    def set(self, text: str) -> None:
        self.text = text

    def delete(self) -> None:
        self.text = None


class Closed(Memory):
    """A keyring that rejects all changes."""

    def set(self, _text: str, /) -> None:
        raise StorageError("It is closed")

    def delete(self) -> None:
        raise StorageError("It is closed")


def credentials_json(letter: str, **changes: str) -> str:
    """Return the stored JSON of an account whose id repeats one letter."""
    return json.dumps({"account_id": letter * 32, "api_token": f"{letter}-token", **changes})


def environ(letter: str) -> dict[str, str]:
    return {ACCOUNT_VARIABLE: letter * 32, TOKEN_VARIABLE: f"{letter}-token"}


def write(home: Path, text: str, mode: int = 0o600) -> Path:
    home.mkdir(exist_ok=True)
    path = home / FILE_NAME
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_environment_overrides_keyring_and_keyring_overrides_file(home: Path) -> None:
    write(home, credentials_json("a"))
    stores = {
        "the environment": CredentialStore(home, environ("c"), Memory(credentials_json("b"))),
        "the memory": CredentialStore(home, {}, Memory(credentials_json("b"))),
        f"the file {home / FILE_NAME}": CredentialStore(home, {}, Memory()),
    }
    for (source, store), letter in zip(stores.items(), "cba", strict=True):
        credentials = store.find()
        assert (credentials.source, credentials.account_id) == (source, letter * 32)
        assert credentials.api_token == Secret(f"{letter}-token")


@pytest.mark.parametrize(
    ("variable", "source"),
    [
        (ACCOUNT_VARIABLE, f"{ACCOUNT_VARIABLE} (account ID) and the memory (token)"),
        (TOKEN_VARIABLE, f"the memory (account ID) and {TOKEN_VARIABLE} (token)"),
    ],
)
def test_both_sources_of_mixed_credentials_are_shown(
    home: Path, variable: str, source: str
) -> None:
    variables = {variable: environ("c")[variable]}
    assert CredentialStore(home, variables, Memory(credentials_json("b"))).find().source == source


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        pytest.param(None, "account", id="nothing stored"),
        pytest.param(credentials_json("b", api_token=""), "API token", id="no token"),
        pytest.param(credentials_json("b", account_id=""), "account ID", id="no account ID"),
    ],
)
def test_the_error_names_the_missing_value(home: Path, text: str | None, missing: str) -> None:
    for store in (
        CredentialStore(home, {}, Memory(text)),
        CredentialStore(write(home, text or "").parent, {}, Memory()),
    ):
        with pytest.raises(MissingCredentialsError, match=f"No Cloudflare {missing} is set"):
            store.find()


def test_empty_variables_are_ignored(home: Path) -> None:
    blank = {ACCOUNT_VARIABLE: " ", TOKEN_VARIABLE: ""}
    assert (
        CredentialStore(home, blank, Memory(credentials_json("b"))).find().source == "the memory"
    )


def test_an_invalid_account_id_error_names_its_variable(home: Path) -> None:
    store = CredentialStore(home, {**environ("c"), ACCOUNT_VARIABLE: token()}, Memory())
    with pytest.raises(
        InvalidAccountIdError, match=f"{ACCOUNT_VARIABLE} .* looks like an API token"
    ):
        store.find()


def test_without_a_keyring_credentials_are_saved_in_a_private_file(home: Path) -> None:
    store = CredentialStore(home, {}, Closed())
    assert store.save("a" * 32, Secret("a-token")) == (
        f"the file {home / FILE_NAME} (only you can read it)"
    )
    assert stat.S_IMODE((home / FILE_NAME).stat().st_mode) == 0o600
    assert store.find().api_token == Secret("a-token")
    assert [path.name for path in home.iterdir()] == [FILE_NAME]


def test_a_file_that_others_can_read_is_made_private(home: Path) -> None:
    path = write(home, credentials_json("a"), mode=0o644)
    CredentialStore(home, {}, Memory()).find()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_saving_to_the_keyring_deletes_the_file(home: Path) -> None:
    write(home, credentials_json("a"))
    memory = Memory()
    store = CredentialStore(home, {}, memory)
    assert store.save("b" * 32, Secret("b-token")) == "the memory"
    assert not list(home.iterdir())
    assert store.find().account_id == "b" * 32


def test_a_failed_save_explains_why_and_leaves_no_token(home: Path) -> None:
    (home / FILE_NAME).mkdir(parents=True)
    secret = token()
    with pytest.raises(StorageError, match="can't be saved in") as caught:
        CredentialStore(home, {}, Closed()).save("a" * 32, Secret(secret))
    assert TOKEN_VARIABLE in caught.value.hint
    assert [path.name for path in home.iterdir()] == [FILE_NAME]
    with pytest.raises(StorageError, match="can't be read"):
        CredentialStore(home, {}, Memory()).find()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"{", b"[]"], ids=repr)
def test_a_damaged_file_is_reported_and_replaced(home: Path, content: bytes) -> None:
    write(home, "").write_bytes(content)
    store = CredentialStore(home, {}, Closed())
    with pytest.raises(MissingCredentialsError, match=r"credentials\.json are damaged"):
        store.find()
    assert store.server_key("http://127.0.0.1:9/v1").reveal() == ""
    store.save("a" * 32, Secret(token()))
    assert store.find().account_id == "a" * 32


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_keyring_entry_is_ignored(home: Path, content: str) -> None:
    with pytest.raises(MissingCredentialsError, match="No Cloudflare account is set"):
        CredentialStore(home, {}, Memory(content)).find()


def test_delete_removes_and_lists_all_stored_credentials(home: Path) -> None:
    memory = Memory(credentials_json("b"))
    path = write(home, credentials_json("a"))
    store = CredentialStore(home, {}, memory)
    assert sorted(store.delete()) == [
        f"Removed from the file {path}.",
        "Removed from the memory.",
    ]
    assert (memory.text, path.exists()) == (None, False)
    assert store.delete() == ["No stored credentials were found."]


def test_the_file_is_deleted_even_if_the_keyring_fails(home: Path) -> None:
    path = write(home, credentials_json("a"))
    with pytest.raises(StorageError):
        CredentialStore(home, {}, Closed(credentials_json("b"))).delete()
    assert not path.exists()


def test_delete_mentions_variables_that_are_still_set(home: Path) -> None:
    (message,) = CredentialStore(home, environ("c"), Memory()).delete()
    assert message.endswith("is set in the environment. Unset both to log out.")


def test_without_a_working_keyring_changes_raise_a_storage_error() -> None:
    keyring = Keyring()  # conftest selects a backend that always fails
    assert keyring.get() is None
    for operation in (lambda: keyring.set("x"), keyring.delete):
        with pytest.raises(StorageError):
            operation()


def test_the_system_keyring_saves_and_deletes_text(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    before = keyring.get_keyring()
    keyring.set_keyring(in_memory_keyring())
    try:
        system_keyring = Keyring()
        system_keyring.set("text")
        assert system_keyring.get() == "text"
        system_keyring.delete()
        assert system_keyring.get() is None
    finally:
        keyring.set_keyring(before)


def in_memory_keyring():
    from keyring.backend import KeyringBackend

    class InMemory(KeyringBackend):
        priority = 0

        def __init__(self) -> None:
            super().__init__()
            self.entries: dict[tuple[str, str], str] = {}

        def get_password(self, service: str, username: str) -> str | None:
            return self.entries.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.entries[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.entries[service, username]

    return InMemory()


def test_an_account_id_is_trimmed_and_lowercased() -> None:
    typed = account_id()
    assert parse_account_id(f" {typed.upper()}\n") == typed
    assert looks_like_account_id(typed)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        pytest.param(token(), "looks like an API token", id="a token"),
        pytest.param(class_key(), "looks like a class key", id="a class key"),
        pytest.param(account_id()[1:], "Not a valid account ID", id="too short"),
        pytest.param(f"{account_id()}0", "Not a valid account ID", id="too long"),
        pytest.param("g" * 32, "Not a valid account ID", id="other letters"),
        pytest.param("", "Not a valid account ID", id="empty"),
    ],
)
def test_an_invalid_account_id_is_rejected_without_repeating_it(typed: str, message: str) -> None:
    with pytest.raises(InvalidAccountIdError, match=message) as caught:
        parse_account_id(typed)
    assert not typed or typed not in str(caught.value)


def test_spaces_around_a_token_are_removed() -> None:
    typed = token()
    assert parse_token(f"\t{typed} \n") == Secret(typed)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        pytest.param(account_id(), "looks like an account ID", id="an account ID"),
        pytest.param(" ", "No API token was given", id="empty"),
        pytest.param(f"{token()} {token()}", "no spaces", id="two words"),
        pytest.param(class_key(), "a class key, not an API token", id="a class key"),
        pytest.param(admin_key(), "the admin key of a class server, not", id="an admin key"),
        pytest.param(f"{token()}…", "special characters", id="an ellipsis"),
    ],
)
def test_an_invalid_token_is_rejected_without_repeating_it(typed: str, message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message) as caught:
        parse_token(typed)
    assert typed.strip() not in str(caught.value) or not typed.strip()
