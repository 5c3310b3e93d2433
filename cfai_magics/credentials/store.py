"""Finds, keeps and forgets account id and API token: the only module that sees a secret."""

import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .. import state_files
from ..errors import BadOption, NoCredentials, NotAnAccountId, StoreError, TokenOnLine
from ..secret import Environment, Secret, environment, sealed
from .secret_forms import NEW_TOKEN, OLD_TOKEN, looks_like_account_id, token_in
from .vault import Keyring, Vault

ACCOUNT_VARIABLE = "CLOUDFLARE_ACCOUNT_ID"
TOKEN_VARIABLE = "CLOUDFLARE_API_TOKEN"  # noqa: S105 - the name of a variable
FILE_NAME = "credentials.json"
HIDDEN = "<API token, not shown>"
PRINTABLE = re.compile(r"[!-~]*")  # what a header may hold
LOGIN_AGAIN = "Delete it and run %cfai login again."
MAX_BYTES = 100_000
NOTHING = Secret("")
UNUSABLE = Secret(" ")  # in the place of what is no text


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


def valid_account_id(text: str | Secret) -> str:
    """Return an account id as typed, without spaces around it; NotAnAccountId when it is none."""
    typed = text = _stripped(text)  # it may be the token, and a traceback shows the arguments
    fault = sealed(lambda: _fault_of_account_id(typed.reveal()))
    if fault:
        raise NotAnAccountId(fault)
    return typed.reveal().lower()


def _fault_of_account_id(typed: str) -> str:
    if looks_like_account_id(typed):
        return ""
    if token_in(typed):
        return "That looks like an API token, not an account id"
    return "That is no account id"


def valid_token(text: str | Secret) -> Secret:
    """Return an API token as typed, without spaces around it; BadOption when it can't be one."""
    typed = text = _stripped(text)  # a traceback shows the arguments
    fault = sealed(lambda: _fault_of_token(typed.reveal()))
    if fault:
        raise BadOption(*fault)
    return typed


def _fault_of_token(typed: str) -> tuple[str, str] | None:
    if not typed:
        return "No API token was given", "Run %cfai login again."
    if looks_like_account_id(typed):
        return "That looks like an account id, not an API token", "Run %cfai login again."
    if not PRINTABLE.fullmatch(typed):
        return "An API token holds no spaces or special characters", "Copy it again, all of it."
    return None


def _stripped(text: str | Secret) -> Secret:
    return Secret.of(text.strip if isinstance(text, str) else lambda: text.reveal().strip())


class CredentialStore:
    """Where credentials are found and kept: the environment, the keyring, a file of one's own."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str] | None = None,
        vault: Vault | None = None,
    ) -> None:
        self._path = home / FILE_NAME
        self._environ: Environment = environment(environ)
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
                account_id, account_source = kept.get("account_id", NOTHING).reveal(), source
            if not token:
                token, token_source = kept.get("api_token", NOTHING), source
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
        typed = self._environ.secret(ACCOUNT_VARIABLE)
        if not typed:
            return ""
        try:
            return valid_account_id(typed)
        except NotAnAccountId as error:
            raise NotAnAccountId(
                f"{ACCOUNT_VARIABLE} in the environment holds something else: {error.cause}"
            ) from None

    def _token_in_environment(self) -> Secret:
        typed = self._environ.secret(TOKEN_VARIABLE)
        if not typed.fits(PRINTABLE):
            raise BadOption(
                f"{TOKEN_VARIABLE} in the environment holds spaces or special characters",
                "Copy the API token again, all of it.",
            )
        return typed

    def _kept(self) -> tuple[Mapping[str, Secret], str]:
        """Return what is kept, and where."""
        self._vault_error = None
        try:
            in_vault = sealed(lambda: _parsed(self._vault.get()))
        except StoreError as error:
            in_vault, self._vault_error = {}, error
        if in_vault:
            return in_vault, self._vault.name
        state_files.tighten_folder(self._path.parent)
        state_files.tighten(self._path)
        return sealed(self._in_file)

    def _in_file(self) -> tuple[Mapping[str, Secret], str]:
        try:
            kept = state_files.read(self._path, MAX_BYTES, errors="replace")
            return _parsed(kept), f"the file {self._path}" if kept else ""
        except state_files.Missing:
            return {}, ""
        except state_files.Unreadable as why:
            raise StoreError(
                f"The credentials in {self._path} can't be read: {why}", LOGIN_AGAIN
            ) from None

    def server_key(self, base_url: str) -> Secret:
        """Return the key kept for another server at this very address; an empty one if none."""
        kept, _ = self._kept()
        fits = kept.get("server") == Secret(base_url)
        return kept.get("server_key", NOTHING) if fits else NOTHING

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
        return Secret.of(lambda: _text({**kept, **changes}))

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
            sealed(lambda: self._vault.put(text.reveal()))
            held = sealed(lambda: _parsed(self._vault.get()))
        except StoreError:
            held = {}
        if held == sealed(lambda: _parsed(text.reveal())):
            return True
        with suppress(StoreError):
            if sealed(lambda: self._vault.get() is not None):
                self._vault.delete()
        return False

    def _file_told(self) -> str:
        """Return the file's name, with who can read it."""
        if state_files.IS_POSIX and stat.S_IMODE(self._path.stat().st_mode) & state_files.OTHERS:
            return f"the file {self._path}, which others on this machine can read"
        return f"the file {self._path}, which only you can read"

    def _write(self, text: Secret) -> None:
        try:
            sealed(lambda: state_files.write(self._path, text.reveal()))
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

    def _is_vault_empty(self) -> bool:
        return sealed(lambda: self._vault.get() is None)

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


def _parsed(text: str | None) -> Mapping[str, Secret]:
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    kept = value.items() if isinstance(value, dict) else ()
    return {
        name: Secret(each) if isinstance(each, str) else UNUSABLE for name, each in kept if each
    }


def _text(kept: Mapping[str, Secret]) -> str:
    return json.dumps({name: secret.reveal() for name, secret in kept.items()})


def _is_whole(kept: Mapping[str, Secret]) -> bool:
    """Whether account id and token are texts that fit into an address and a header, or missing."""
    account, token = kept.get("account_id", NOTHING), kept.get("api_token", NOTHING)
    is_id = sealed(lambda: not account or looks_like_account_id(account.reveal()))
    return bool(kept) and is_id and token.fits(PRINTABLE)
