"""Finds, keeps and forgets account id and API token: the only module that sees a secret."""

import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .. import state_files
from ..errors import BadOption, NoCredentials, NotAnAccountId, StoreError, TokenOnLine
from .secret_forms import NEW_TOKEN, OLD_TOKEN, looks_like_account_id, token_in
from .vault import Keyring, Vault

ACCOUNT_VARIABLE = "CLOUDFLARE_ACCOUNT_ID"
TOKEN_VARIABLE = "CLOUDFLARE_API_TOKEN"  # noqa: S105 - the name of a variable
FILE_NAME = "credentials.json"
HIDDEN = "<API token, not shown>"
UNPRINTABLE = re.compile(r"[^!-~]")  # what no header may hold
LOGIN_AGAIN = "Delete it and run %cfai login again."
MAX_BYTES = 100_000


class Secret:
    """A token that shows itself to nobody but the caller of reveal."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the token itself."""
        return self.__value

    def __repr__(self) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.__value

    def __hash__(self) -> int:
        return hash(self.__value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account and its token; `source` names where they were found."""

    account_id: str
    api_token: Secret
    source: str

    @property
    def account_tail(self) -> str:
        """The last 4 characters of the account id: what may be shown of it."""
        return self.account_id[-4:]

    def __repr__(self) -> str:
        return f"Credentials(…{self.account_tail}, from {self.source})"


def refuse_token(line: str) -> None:
    """Raise TokenOnLine where something on the line has the form of an API token."""
    if token_in(line):
        raise TokenOnLine("An API token does not belong on this line, and was not used")


def without_tokens(text: str) -> str:
    """Return the text with whatever has the form of an API token replaced."""
    return OLD_TOKEN.sub(HIDDEN, NEW_TOKEN.sub(HIDDEN, text))


def valid_account_id(text: str) -> str:
    """Return an account id as typed, without spaces around it; NotAnAccountId when it is none."""
    typed = text.strip()
    if looks_like_account_id(typed):
        return typed.lower()
    if token_in(typed):
        raise NotAnAccountId("That looks like an API token, not an account id")
    raise NotAnAccountId("That is no account id")


def valid_token(text: str) -> Secret:
    """Return an API token as typed, without spaces around it; BadOption when it can't be one."""
    typed = text.strip()
    if not typed:
        raise BadOption("No API token was given", "Run %cfai login again.")
    if looks_like_account_id(typed):
        raise BadOption(
            "That looks like an account id, not an API token", "Run %cfai login again."
        )
    if UNPRINTABLE.search(typed):
        raise BadOption(
            "An API token holds no spaces or special characters", "Copy it again, all of it."
        )
    return Secret(typed)


class CredentialStore:
    """Where credentials are found and kept: the environment, the keyring, a file of one's own."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str] = os.environ,
        vault: Vault | None = None,
    ) -> None:
        self._path = home / FILE_NAME
        self._environ = environ
        self._vault = vault or Keyring()
        self._vault_error: StoreError | None = None  # why the keyring could not be read last

    def find(self) -> Credentials:
        """Return the credentials in use: the environment wins, then the keyring, then the file.

        Raises NoCredentials when the account id or the token is in none of them.
        """
        account_id, account_source = self._account_in_environment(), ACCOUNT_VARIABLE
        token, token_source = self._token_in_environment(), TOKEN_VARIABLE
        if not (account_id and token):
            kept, source = self._kept()
            if source and not _is_whole(kept):
                raise NoCredentials(
                    f"The credentials in {source} are damaged", "Run %cfai login again."
                )
            if not account_id:
                account_id, account_source = str(kept.get("account_id") or ""), source
            if not token and kept.get("api_token"):
                token, token_source = Secret(str(kept["api_token"])), source
        if not account_id or not token:
            missing = "account id" if token else "API token" if account_id else "account"
            raise self._none_set(missing)
        return Credentials(account_id, token, _sources(account_source, token_source))

    def _none_set(self, missing: str) -> NoCredentials:
        locked = self._vault_error
        if locked is None:
            return NoCredentials(f"No Cloudflare {missing} is set")
        return NoCredentials(
            f"{locked.cause}, and no Cloudflare {missing} is set elsewhere",
            f"{locked.hint} Or run %cfai login again.",
        )

    def _account_in_environment(self) -> str:
        typed = self._environ.get(ACCOUNT_VARIABLE, "").strip()
        if not typed:
            return ""
        try:
            return valid_account_id(typed)
        except NotAnAccountId as error:
            raise NotAnAccountId(
                f"{ACCOUNT_VARIABLE} in the environment holds something else: {error.cause}"
            ) from None

    def _token_in_environment(self) -> Secret | None:
        typed = Secret(self._environ.get(TOKEN_VARIABLE, "").strip())
        if UNPRINTABLE.search(typed.reveal()):
            raise NoCredentials(
                f"{TOKEN_VARIABLE} in the environment holds spaces or special characters",
                "Copy the API token again, all of it.",
            )
        return typed if typed.reveal() else None

    def _kept(self) -> tuple[dict[str, Any], str]:
        """Return what is kept, and where."""
        self._vault_error = None
        try:
            in_vault = _parsed(self._vault.get())
        except StoreError as error:
            in_vault, self._vault_error = {}, error
        if in_vault:
            return in_vault, self._vault.name
        state_files.tighten_folder(self._path.parent)
        state_files.tighten(self._path)
        try:
            kept = state_files.read(self._path, MAX_BYTES, errors="replace")
        except state_files.Missing:
            kept = ""
        except state_files.Unreadable as why:
            raise StoreError(
                f"The credentials in {self._path} can't be read: {why}", LOGIN_AGAIN
            ) from None
        return _parsed(kept), f"the file {self._path}" if kept else ""

    def server_key(self, base_url: str) -> Secret:
        """Return the key kept for another server at this very address; an empty one if none."""
        kept, _ = self._kept()
        key = kept.get("server_key")
        fits = kept.get("server") == base_url and isinstance(key, str)
        return Secret(str(key) if fits else "")

    def keep(self, account_id: str, token: Secret) -> str:
        """Keep the credentials and return the name of the place: the keyring, else the file."""
        return self._keep(self._with({"account_id": Secret(account_id), "api_token": token}))

    def keep_server_key(self, base_url: str, key: Secret) -> str:
        """Keep another server's key, bound to its address, and return the name of the place."""
        return self._keep(self._with({"server": Secret(base_url), "server_key": key}))

    def _with(self, changes: Mapping[str, Secret]) -> Secret:
        """Return the text of what is kept, with the changes."""
        try:
            kept, _ = self._kept()
        except StoreError:
            kept = {}
        return Secret(json.dumps(kept | {name: new.reveal() for name, new in changes.items()}))

    def _keep(self, text: Secret) -> str:
        if not self._put(text):
            self._write(text)
            return self._file_told()
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return f"{self._vault.name}; delete {self._path}, which holds earlier ones"
        return self._vault.name

    def _put(self, text: Secret) -> bool:
        """Put the text into the keyring, and return whether it holds the text then.

        A backend may take a text and drop it (keyring --disable), cut it, or keep an older one.
        What it holds instead would be found before the file, so it is deleted.
        """
        try:
            self._vault.put(text.reveal())
            held = _parsed(self._vault.get())
        except StoreError:
            held = {}
        if held == _parsed(text.reveal()):
            return True
        with suppress(StoreError):
            if self._vault.get() is not None:
                self._vault.delete()
        return False

    def _file_told(self) -> str:
        """Return the file's name, with who can read it."""
        if state_files.IS_POSIX and stat.S_IMODE(self._path.stat().st_mode) & state_files.OTHERS:
            return f"the file {self._path}, which others on this machine can read"
        return f"the file {self._path}, which only you can read"

    def _write(self, text: Secret) -> None:
        try:
            state_files.write(self._path, text.reveal())
        except OSError as error:
            raise StoreError(
                f"The credentials can't be kept in {self._path}: {state_files.reason(error)}",
                f"Set {ACCOUNT_VARIABLE} and {TOKEN_VARIABLE} instead.",
            ) from None

    def forget(self) -> list[str]:
        """Forget what is kept; return what was done, a sentence a place."""
        done = []
        if os.path.lexists(self._path):
            self._unlink()
            done.append(f"Forgotten from the file {self._path}.")
        try:
            done += self._emptied()
        except StoreError as error:
            error.cause = " ".join([*done, error.cause])
            raise
        if any(self._environ.get(name) for name in (ACCOUNT_VARIABLE, TOKEN_VARIABLE)):
            done.append(f"{ACCOUNT_VARIABLE} and {TOKEN_VARIABLE} still stand in the environment.")
        return done or ["Nothing was kept."]

    def _emptied(self) -> list[str]:
        """Empty the keyring, and return what was done."""
        try:
            if self._vault.get() is None:
                return []
            self._vault.delete()
            rest = self._vault.get()
        except StoreError as error:
            error.cause = f"{error.cause}: it may still hold credentials"
            raise
        if rest is not None:
            raise StoreError(
                f"Credentials are still in {self._vault.name} after deleting them",
                "Delete cfai-magics there by hand.",
            )
        return [f"Forgotten from {self._vault.name}."]

    def _unlink(self) -> None:
        try:
            self._path.unlink()
        except OSError as error:
            raise StoreError(
                f"{self._path} can't be deleted: {state_files.reason(error)}",
                "Delete it by hand.",
            ) from None


def _sources(account: str, token: str) -> str:
    in_environment = [source.startswith("CLOUDFLARE_") for source in (account, token)]
    if all(in_environment):
        return "the environment"
    if account == token:
        return account
    return f"{account} (account id) and {token} (token)"


def _parsed(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_whole(kept: Mapping[str, Any]) -> bool:
    """Whether account id and token are texts that fit into an address and a header, or missing."""
    account, token = (kept.get(name) or "" for name in ("account_id", "api_token"))
    if not (kept and isinstance(account, str) and isinstance(token, str)):
        return False
    return (account == "" or looks_like_account_id(account)) and not UNPRINTABLE.search(token)
