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

from ..errors import BadOption, NoCredentials, NotAnAccountId, StoreError, TokenOnLine
from .secret_forms import NEW_TOKEN, OLD_TOKEN, looks_like_account_id, token_in
from .vault import Keyring, Vault

ACCOUNT_VARIABLE = "CLOUDFLARE_ACCOUNT_ID"
TOKEN_VARIABLE = "CLOUDFLARE_API_TOKEN"  # noqa: S105 - the name of a variable
FILE_NAME = "credentials.json"
HIDDEN = "<API token, not shown>"


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
    if re.search(r"[^!-~]", typed):
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

    def find(self) -> Credentials:
        """Return the credentials in use: the environment wins, then the keyring, then the file.

        Raises NoCredentials when the account id or the token is in none of them.
        """
        account_id, account_source = self._account_in_environment(), ACCOUNT_VARIABLE
        token, token_source = self._token_in_environment(), TOKEN_VARIABLE
        if not (account_id and token):
            kept, source = self._kept()
            if source and not kept:
                raise NoCredentials(f"The credentials in {self._path} are damaged")
            if not account_id:
                account_id, account_source = str(kept.get("account_id", "")), source
            if not token and kept.get("api_token"):
                token, token_source = Secret(str(kept["api_token"])), source
        if not account_id or not token:
            missing = "account id" if token else "API token" if account_id else "account"
            raise NoCredentials(f"No Cloudflare {missing} is set")
        return Credentials(account_id, token, _sources(account_source, token_source))

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
        typed = self._environ.get(TOKEN_VARIABLE, "").strip()
        return Secret(typed) if typed else None

    def _kept(self) -> tuple[dict[str, Any], str]:
        """Return what is kept, and where."""
        in_vault = _parsed(self._vault.get())
        if in_vault:
            return in_vault, self._vault.name
        if not self._path.exists():
            return {}, ""
        try:
            mode = stat.S_IMODE(self._path.stat().st_mode)
            if os.name == "posix" and mode & 0o077:
                self._path.chmod(0o600)
            kept = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise StoreError(
                f"The credentials in {self._path} can't be read: {error.strerror}",
                "Delete it and run %cfai login again.",
            ) from None
        return _parsed(kept), f"the file {self._path}" if kept else ""

    def server_key(self, base_url: str) -> Secret:
        """Return the key kept for another server at this very address; an empty one if none."""
        kept, _ = self._kept()
        fits = kept.get("server") == base_url
        return Secret(str(kept.get("server_key") or "") if fits else "")

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
        try:
            self._vault.put(text.reveal())
        except StoreError:
            self._write(text)
            return f"the file {self._path}, which only you can read"
        self._path.unlink(missing_ok=True)
        return self._vault.name

    def _write(self, text: Secret) -> None:
        partial = self._path.with_name(f".{FILE_NAME}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.unlink(missing_ok=True)  # left by a process of the same number that was killed
            with os.fdopen(
                os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
            ) as f:
                f.write(text.reveal())
            partial.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise StoreError(
                f"The credentials can't be kept in {self._path}: {error.strerror}",
                f"Set {ACCOUNT_VARIABLE} and {TOKEN_VARIABLE} instead.",
            ) from None

    def forget(self) -> list[str]:
        """Forget what is kept; return what was done, a sentence a place."""
        done = []
        if self._path.exists():
            self._unlink()
            done.append(f"Forgotten from the file {self._path}.")
        if self._vault.get() is not None:
            self._vault.delete()
            done.append(f"Forgotten from {self._vault.name}.")
        if any(self._environ.get(name) for name in (ACCOUNT_VARIABLE, TOKEN_VARIABLE)):
            done.append(f"{ACCOUNT_VARIABLE} and {TOKEN_VARIABLE} still stand in the environment.")
        return done or ["Nothing was kept."]

    def _unlink(self) -> None:
        try:
            self._path.unlink()
        except OSError as error:
            raise StoreError(
                f"{self._path} can't be deleted: {error.strerror}", "Delete it by hand."
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
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
