"""Find, store and delete credentials.

Credentials are read from the environment, the keyring or a file, and stored in the keyring or the
file.
"""

import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from .. import runtime, state_files
from ..errors import (
    InvalidAccountIdError,
    InvalidOptionError,
    MissingCredentialsError,
    StorageError,
)
from ..i18n import _, mark
from ..secret import Environment, Secret, call_without_traceback, get_environment

KEYRING_SERVICE = "cfai-magics"
KEYRING_ENTRY = "credentials"
UNLOCK_HINT = mark("Unlock it, then try again.")
ACCOUNT_VARIABLE = "CLOUDFLARE_ACCOUNT_ID"
TOKEN_VARIABLE = "CLOUDFLARE_API_TOKEN"  # noqa: S105 - the name of a variable
FILE_NAME = "credentials.json"
KERNEL_MEMORY = Path("/tmp/cfai")  # noqa: S108 - Pyodide has only one user
PRINTABLE = re.compile(r"[!-~]*")  # characters allowed in an HTTP header
LOGIN_HINT = mark("Run %cfai login again.")
CLASS_LOGIN_HINT = mark(
    "To use a class server, run %cfai login --class ADDRESS with a student's key."
)
MAX_BYTES = 100_000
EMPTY_SECRET = Secret("")
INVALID_SECRET = Secret(" ")  # replaces a value that is not a string


class KeyringBackend(Protocol):
    """The interface for a keyring that stores a single string.

    `name` is translated when it is displayed.
    """

    @property
    def name(self) -> str:
        """The name of the keyring."""

    def get(self) -> str | None:
        """Return the stored text, or None if nothing is stored. Raises StorageError on failure."""

    def set(self, text: str) -> None:
        """Store the text. Raises StorageError on failure."""

    def delete(self) -> None:
        """Delete the stored text. Raises StorageError on failure."""


class Keyring:
    """The system keyring, accessed through the keyring library.

    If the library is not installed, the keyring is treated as empty.
    """

    name = mark("the system keyring")

    def get(self) -> str | None:
        """Return the stored text, or None if no text is stored or no keyring is installed.

        Raises:
            StorageError: The keyring is locked or cannot be read.
        """
        try:
            import keyring
        except ImportError:
            return None
        try:
            return keyring.get_password(KEYRING_SERVICE, KEYRING_ENTRY)
        except keyring.errors.NoKeyringError:
            return None
        except keyring.errors.KeyringLocked:
            raise StorageError(_("The system keyring is locked"), _(UNLOCK_HINT)) from None
        except Exception as error:  # noqa: BLE001 - each backend raises its own errors
            raise StorageError(
                _("The system keyring can't be read ({error})").format(error=type(error).__name__),
                _(UNLOCK_HINT),
            ) from None

    def set(self, text: str) -> None:
        """Store the text. Raises StorageError if no keyring is available."""
        try:
            import keyring

            keyring.set_password(KEYRING_SERVICE, KEYRING_ENTRY, text)
        except Exception as error:
            raise StorageError(_("No keyring is available")) from error

    def delete(self) -> None:
        """Delete the stored text. Raises StorageError if the text cannot be deleted."""
        try:
            import keyring

            current = keyring.get_keyring()
            # A chained keyring deletes only from its first backend.
            for backend in getattr(current, "backends", (current,)):
                if backend.get_password(KEYRING_SERVICE, KEYRING_ENTRY) is not None:
                    backend.delete_password(KEYRING_SERVICE, KEYRING_ENTRY)
        except Exception as error:
            raise StorageError(
                _("The keyring did not delete the credentials"), _delete_entry_hint()
            ) from error


def _create_keyring() -> KeyringBackend:
    if not runtime.IS_BROWSER:
        return Keyring()
    from .page_keyring import PageKeyring

    return PageKeyring()


def _delete_entry_hint() -> str:
    return _("Delete the entry {entry} from the keyring manually.").format(entry=KEYRING_SERVICE)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account ID and an API token. `source` describes where they were found."""

    account_id: str
    api_token: Secret
    source: str

    @property
    def account_suffix(self) -> str:
        """The last 4 characters of the account ID, which are safe to display."""
        return self.account_id[-4:]

    def __repr__(self) -> str:
        return f"Credentials(…{self.account_suffix}, from {self.source})"


def parse_account_id(text: str | Secret) -> str:
    """Return an account ID in lowercase, without surrounding whitespace.

    Raises:
        InvalidAccountIdError: The text is not a valid account ID.
    """
    # Rebind `text`, because it may contain the token, and tracebacks can show arguments.
    stripped = text = _strip(text)
    cause = call_without_traceback(lambda: _account_id_error(stripped.reveal()))
    if cause:
        raise InvalidAccountIdError(cause)
    return stripped.reveal().lower()


def _account_id_error(text: str) -> str:
    from ..secret_patterns import find_token, looks_like_account_id

    if looks_like_account_id(text):
        return ""
    kind = find_token(text)
    if kind is None:
        return _("Not a valid account ID")
    return _("That looks like {token}, not an account ID").format(token=_(kind.name))


def parse_token(text: str | Secret) -> Secret:
    """Return an API token without surrounding whitespace.

    Raises:
        InvalidOptionError: The text cannot be an API token.
    """
    stripped = text = _strip(text)  # rebind `text`: tracebacks can show arguments
    cause_and_hint = call_without_traceback(lambda: _token_error(stripped.reveal()))
    if cause_and_hint:
        raise InvalidOptionError(*cause_and_hint)
    return stripped


def _token_error(text: str) -> tuple[str, str] | None:
    from ..secret_patterns import CLASS_SERVER_KINDS, find_token, looks_like_account_id

    if not text:
        return _("No API token was given"), _(LOGIN_HINT)
    kind = find_token(text)
    if kind in CLASS_SERVER_KINDS:
        return (
            _("That looks like {token}, not an API token").format(token=_(kind.name)),
            _(CLASS_LOGIN_HINT),
        )
    if looks_like_account_id(text):
        return _("That looks like an account ID, not an API token"), _(LOGIN_HINT)
    if not PRINTABLE.fullmatch(text):
        return (
            _("An API token contains no spaces or special characters"),
            _("Copy the complete API token again."),
        )
    return None


def _strip(text: str | Secret) -> Secret:
    return Secret.from_reader(
        text.strip if isinstance(text, str) else lambda: text.reveal().strip()
    )


class CredentialStore:
    """Finds credentials in the environment, the keyring or a private file.

    New credentials are stored in the keyring or, if that fails, in the file.
    """

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str] | None = None,
        keyring: KeyringBackend | None = None,
    ) -> None:
        # The state folder of a browser is kept in IndexedDB; a key there must end with the kernel.
        self._path = (KERNEL_MEMORY if runtime.IS_BROWSER else home) / FILE_NAME
        self._environ: Environment = get_environment(environ)
        self._keyring = keyring or _create_keyring()
        self._keyring_error: StorageError | None = None  # raised when the keyring was last read

    @property
    def has_environment_token(self) -> bool:
        """Whether the API token is set in the environment, where `delete` can't remove it."""
        return bool(self._environ.get_secret(TOKEN_VARIABLE))

    def find(self) -> Credentials:
        """Return the first credentials found in the environment, the keyring or the file.

        The account ID and the token may come from different places.

        Raises:
            MissingCredentialsError: The account ID or the token is missing or damaged.
        """
        account_id, account_source = self._account_id_from_environ(), ACCOUNT_VARIABLE
        token, token_source = self._token_from_environ(), TOKEN_VARIABLE
        if not (account_id and token):
            stored, source = self._load_stored()
            if source and not _is_valid(stored):
                raise MissingCredentialsError(
                    _("The credentials in {source} are damaged").format(source=source),
                    _(LOGIN_HINT),
                )
            if not account_id:
                account_id, account_source = (
                    stored.get("account_id", EMPTY_SECRET).reveal(),
                    source,
                )
            if not token:
                token, token_source = stored.get("api_token", EMPTY_SECRET), source
        if not account_id or not token:
            if token:
                raise self._missing_error(_("No Cloudflare account ID is set"))
            if account_id:
                raise self._missing_error(_("No Cloudflare API token is set"))
            raise self._missing_error(_("No Cloudflare account is set"))
        return Credentials(account_id, token, _describe_sources(account_source, token_source))

    def _missing_error(self, cause: str) -> MissingCredentialsError:
        keyring_error = self._keyring_error
        if keyring_error is None:
            return MissingCredentialsError(cause)
        return MissingCredentialsError(
            f"{cause}. {keyring_error.cause}",
            _("{hint} Or run %cfai login again.").format(hint=keyring_error.hint),
        )

    def _account_id_from_environ(self) -> str:
        stripped = self._environ.get_secret(ACCOUNT_VARIABLE)
        if not stripped:
            return ""
        try:
            return parse_account_id(stripped)
        except InvalidAccountIdError as error:
            raise InvalidAccountIdError(
                _("The environment variable {variable} is not valid: {cause}").format(
                    variable=ACCOUNT_VARIABLE, cause=error.cause
                )
            ) from None

    def _token_from_environ(self) -> Secret:
        from ..secret_patterns import CLASS_SERVER_KINDS, find_token

        stripped = self._environ.get_secret(TOKEN_VARIABLE)
        if not stripped.matches(PRINTABLE):
            raise InvalidOptionError(
                _("The value of {variable} contains spaces or special characters").format(
                    variable=TOKEN_VARIABLE
                ),
                _("Copy the complete API token again."),
            )
        key = call_without_traceback(lambda: find_token(stripped.reveal()))
        if key in CLASS_SERVER_KINDS:
            raise InvalidOptionError(
                _("The value of {variable} looks like {token}, not an API token").format(
                    variable=TOKEN_VARIABLE, token=_(key.name)
                ),
                _(CLASS_LOGIN_HINT),
            )
        return stripped

    def _load_stored(self) -> tuple[Mapping[str, Secret], str]:
        """Return the stored values and the name of the place where they are stored."""
        self._keyring_error = None
        try:
            from_keyring = call_without_traceback(lambda: _parse_json_object(self._keyring.get()))
        except StorageError as error:
            from_keyring, self._keyring_error = {}, error
        if from_keyring:
            return from_keyring, _(self._keyring.name)
        state_files.restrict_folder(self._path.parent)
        state_files.restrict_file(self._path)
        return call_without_traceback(self._load_file)

    def _load_file(self) -> tuple[Mapping[str, Secret], str]:
        try:
            text = state_files.read_text(self._path, MAX_BYTES, errors="replace")
            return _parse_json_object(text), self._file_name() if text else ""
        except state_files.MissingFileError:
            return {}, ""
        except state_files.UnreadableFileError as error:
            raise StorageError(
                _("The credentials in {path} can't be read: {error}").format(
                    path=self._path, error=error
                ),
                _("Delete the file and run %cfai login again."),
            ) from None

    def _file_name(self) -> str:
        if runtime.IS_BROWSER:
            return _("the memory of this notebook's kernel")
        return _("the file {path}").format(path=self._path)

    def server_key(self, base_url: str) -> Secret:
        """Return the key stored for a server, or an empty Secret if none is stored."""
        stored, _source = self._load_stored()
        is_same_server = stored.get("server") == Secret(base_url)
        return stored.get("server_key", EMPTY_SECRET) if is_same_server else EMPTY_SECRET

    def class_key(self, url: str) -> tuple[Secret, str]:
        """Return the key stored for the host of a class server, and the place where it is stored.

        The key is an empty Secret if none is stored for that host.
        """
        stored, source = self._load_stored()
        if stored.get("class_server") != Secret(_get_origin(url)):
            return EMPTY_SECRET, ""
        return stored.get("class_key", EMPTY_SECRET), source

    def save(self, account_id: str, token: Secret) -> str:
        """Store the credentials, and return the name of the place where they are stored."""
        return self._store(
            self._merge_stored({"account_id": Secret(account_id), "api_token": token})
        )

    def save_server_key(self, base_url: str, key: Secret) -> str:
        """Store the key for a server, and return the name of the place where it is stored."""
        return self._store(self._merge_stored({"server": Secret(base_url), "server_key": key}))

    def save_class_key(self, url: str, key: Secret) -> str:
        """Store the key for the host of a class server, and return where it is stored."""
        origin = Secret(_get_origin(url))
        return self._store(self._merge_stored({"class_server": origin, "class_key": key}))

    def _merge_stored(self, changes: Mapping[str, Secret]) -> Secret:
        """Return the stored values, merged with the changes, as a JSON string."""
        try:
            stored, _source = self._load_stored()
        except StorageError:
            stored = {}
        return Secret.from_reader(lambda: _to_json({**stored, **changes}))

    def _store(self, text: Secret) -> str:
        if not self._store_in_keyring(text):
            self._write_file(text)
            return self._describe_file()
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return _("{keyring} (delete {path}, which contains earlier credentials)").format(
                keyring=_(self._keyring.name), path=self._path
            )
        return _(self._keyring.name)

    def _store_in_keyring(self, text: Secret) -> bool:
        """Store the text in the keyring, and return whether it can be read back unchanged.

        A keyring may discard the text (after `keyring --disable`), truncate it, or keep earlier
        text. In these cases, any text left in the keyring is deleted, because it would take
        precedence over the file.
        """
        try:
            call_without_traceback(lambda: self._keyring.set(text.reveal()))
            stored = call_without_traceback(lambda: _parse_json_object(self._keyring.get()))
        except StorageError:
            stored = {}
        if stored == call_without_traceback(lambda: _parse_json_object(text.reveal())):
            return True
        with suppress(StorageError):
            if call_without_traceback(lambda: self._keyring.get() is not None):
                self._keyring.delete()
        return False

    def _describe_file(self) -> str:
        """Return the name of the file, with a note on who can read it."""
        if runtime.IS_BROWSER:
            return self._file_name()
        if (
            state_files.IS_POSIX
            and stat.S_IMODE(self._path.stat().st_mode) & state_files.OTHERS_MASK
        ):
            return _("{file} (others on this machine can read it)").format(file=self._file_name())
        return _("{file} (only you can read it)").format(file=self._file_name())

    def _write_file(self, text: Secret) -> None:
        try:
            call_without_traceback(lambda: state_files.write_text(self._path, text.reveal()))
        except OSError as error:
            reason = state_files.describe_error(error)
            raise StorageError(
                _("The credentials can't be saved in {path}: {reason}").format(
                    path=self._path, reason=reason
                ),
                _("Set {account_variable} and {token_variable} instead.").format(
                    account_variable=ACCOUNT_VARIABLE, token_variable=TOKEN_VARIABLE
                ),
            ) from None

    def delete(self) -> list[str]:
        """Delete the stored credentials, and return messages about what was deleted."""
        messages = []
        if os.path.lexists(self._path):
            self._delete_file()
            messages.append(_("Removed from {place}.").format(place=self._file_name()))
        try:
            messages += self._clear_keyring()
        except StorageError as error:
            error.cause = " ".join([*messages, error.cause])
            raise
        if any(self._environ.get(name) for name in (ACCOUNT_VARIABLE, TOKEN_VARIABLE)):
            messages.append(
                _(
                    "{account_variable} or {token_variable} is set in the environment. Unset "
                    "both to log out."
                ).format(account_variable=ACCOUNT_VARIABLE, token_variable=TOKEN_VARIABLE)
            )
        return messages or [_("No stored credentials were found.")]

    def _clear_keyring(self) -> list[str]:
        """Delete the credentials from the keyring. Return a list with a message if any existed."""
        try:
            if self._keyring.get() is None:
                return []
            place = _(self._keyring.name)
            self._keyring.delete()
            remaining = self._keyring.get()
        except StorageError as error:
            error.cause = _("{cause}, so it may still contain credentials").format(
                cause=error.cause
            )
            raise
        if remaining is not None:
            raise StorageError(
                _("The credentials could not be deleted from {keyring}").format(
                    keyring=_(self._keyring.name)
                ),
                _delete_entry_hint(),
            )
        return [_("Removed from {place}.").format(place=place)]

    def _delete_file(self) -> None:
        try:
            self._path.unlink()
        except OSError as error:
            raise StorageError(
                _("{path} can't be deleted: {error}").format(
                    path=self._path, error=state_files.describe_error(error)
                ),
                _("Delete the file manually."),
            ) from None


def _get_origin(url: str) -> str:
    """Return the scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _describe_sources(account_source: str, token_source: str) -> str:
    from_environ = [source.startswith("CLOUDFLARE_") for source in (account_source, token_source)]
    if all(from_environ):
        return _("the environment")
    if account_source == token_source:
        return account_source
    return _("{account_source} (account ID) and {token_source} (token)").format(
        account_source=account_source, token_source=token_source
    )


def _parse_json_object(text: str | None) -> Mapping[str, Secret]:
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    items = value.items() if isinstance(value, dict) else ()
    return {
        name: Secret(item) if isinstance(item, str) else INVALID_SECRET
        for name, item in items
        if item
    }


def _to_json(stored: Mapping[str, Secret]) -> str:
    return json.dumps({name: secret.reveal() for name, secret in stored.items()})


def _is_valid(stored: Mapping[str, Secret]) -> bool:
    """Return whether credentials are stored in a valid format.

    The account ID or the token may be missing.
    """
    from ..secret_patterns import looks_like_account_id

    account, token = stored.get("account_id", EMPTY_SECRET), stored.get("api_token", EMPTY_SECRET)
    is_id = call_without_traceback(lambda: not account or looks_like_account_id(account.reveal()))
    return bool(stored) and is_id and token.matches(PRINTABLE)
