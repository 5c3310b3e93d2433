"""Detect API tokens, keys of class servers and account IDs in text and notebooks."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .errors import TokenInCommandError
from .i18n import _, mark
from .notebook import read_notebook
from .secret import Secret, call_without_traceback

ACCOUNT_ID_PATTERN = re.compile(r"[0-9a-f]{32}")
ACCOUNT_ID_IN_TEXT_PATTERN = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
# Prefixes are in any case. A letter before the prefix makes it another word, unless the letter
# belongs to an escape sequence of JSON or Python, or of a URL. The pattern starts with the letters
# of the prefix, which makes the search in 8 MB four times as fast.
PREFIX_START = (
    r"[cC][fF](?:(?<![\w-]..)|(?<=\\[bfnrt]..)|(?<=\\u[\da-fA-F]{4}..)|(?<=%[\da-fA-F]{2}..))"
)
# A piece of a class key has a digit, or lowercase and uppercase letters. Names such as
# cfs_bandwidth_slack_timer, of Linux, do not.
KEY_PIECE = r"(?=[\w-]{0,42}\d|(?=[\w-]{0,42}[a-z])[\w-]{0,42}[A-Z])[\w-]{16,}"
CLASS_KEY_PATTERN = re.compile(rf"{PREFIX_START}[sS]_{KEY_PIECE}", re.ASCII)
ADMIN_KEY_PATTERN = re.compile(rf"{PREFIX_START}[sS][aA]_{KEY_PIECE}", re.ASCII)
PREFIXED_TOKEN_PATTERN = re.compile(rf"{PREFIX_START}[a-zA-Z]{{1,2}}[tT]_[\w-]{{16,}}", re.ASCII)
# Older tokens have 40 characters. To exclude hashes, names and paths, the pattern requires
# uppercase letters, lowercase letters and digits. To exclude encoded images, it allows no base64
# characters on either side.
UNPREFIXED_TOKEN_PATTERN = re.compile(
    r"(?:(?<![\w/@.+-])|(?<=\\[bfnrt]))"
    r"(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[\w-]{40}(?![\w/.+=-])",
    re.ASCII,
)
TOKEN_PREFIX_PATTERN = re.compile(rf"{PREFIX_START}(?:[a-zA-Z]{{1,2}}[tT]|[sS][aA]?)_", re.ASCII)
WORD_PATTERN = re.compile(r"[\w-]+")
MAX_ACCOUNT_ID_CHARS = 33  # with one character too many
MAX_WRONG_CHARS = 4  # in an account ID with mistakes
MIN_TOKEN_CHARS = 12  # a shorter piece of a token is useless
# Names of environment variables with secrets, and with settings of this package and Cloudflare.
SECRET_VARIABLE_PATTERN = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|AUTH|^CF_|^CFAI_|^CLOUDFLARE_", re.IGNORECASE
)
# A string with digits that is assigned to a name such as password, api_key or a dict's "token".
SECRET_LITERAL_PATTERN = re.compile(
    r"((?:key|token|secret|passwd|password|passphrase|credential)s?[\"'\]]*\s*[=:]\s*[\"'])"
    r"(?=[^\"'\s]*\d)[^\"'\s]{8,}(?=[\"'])",
    re.IGNORECASE,
)
# Keys of OpenAI, GitHub, Hugging Face, Slack, Amazon and Google, and private keys.
OTHER_KEY_PATTERN = re.compile(
    r"(?<![\w-])(?:sk-[\w-]{20,}|gh[pousr]_\w{36,}|github_pat_\w{22,}|hf_[a-zA-Z]{30,}"
    r"|xox[abprs]-[\w-]{10,}|AKIA[A-Z\d]{16}(?!\w)|AIza[\w-]{35})"
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----",
    re.ASCII,
)
MIN_VARIABLE_CHARS = 12  # shorter values, such as a user name, are not secrets or too common
PIP_VARIABLE_PREFIX = "PIP_"  # pip needs its options, such as the URL of a private index


class TokenKind(NamedTuple):
    """A kind of token. All texts are English and are translated when they are displayed.

    Attributes:
        pattern: The format of the token.
        name: The name with an article.
        placeholder: The text that is shown instead of the token.
        command_hint: The next step if the token was typed in a command.
        notebook_hint: The next step if a notebook contains the token.
    """

    pattern: re.Pattern[str]
    name: str
    placeholder: str
    command_hint: str
    notebook_hint: str


CLASS_KEY = TokenKind(
    CLASS_KEY_PATTERN,
    mark("a class key"),
    mark("<class key, not shown>"),
    mark(
        "The key is now in the history, and in the notebook if you typed it in one. Ask your "
        "teacher to renew it. Run %cfai login --class ADDRESS, which asks for the new key and "
        "hides it as you type."
    ),
    mark(
        "Ask your teacher to renew the class key, remove it from the notebook, and run %cfai "
        "login --class ADDRESS with the new one."
    ),
)
ADMIN_KEY = TokenKind(
    ADMIN_KEY_PATTERN,
    mark("the admin key of a class server"),
    mark("<admin key, not shown>"),
    mark(
        "The key is now in the history, and in the notebook if you typed it in one. Create a new "
        "admin key and deploy the class server again."
    ),
    mark(
        "Create a new admin key, deploy the class server again, and remove the old key from the "
        "notebook."
    ),
)
API_TOKEN = TokenKind(
    PREFIXED_TOKEN_PATTERN,
    mark("an API token"),
    mark("<API token, not shown>"),
    TokenInCommandError.default_hint,
    mark(
        "Revoke it on the dashboard's API Tokens page, remove it from the notebook, and run %cfai "
        "login with a new one."
    ),
)
CLASS_SERVER_KINDS = (CLASS_KEY, ADMIN_KEY)
TOKEN_KINDS = (
    *CLASS_SERVER_KINDS,
    *(API_TOKEN, API_TOKEN._replace(pattern=UNPREFIXED_TOKEN_PATTERN)),
)


def looks_like_account_id(text: str) -> bool:
    """Return whether the text has the format of an account ID: 32 hexadecimal characters."""
    return bool(ACCOUNT_ID_PATTERN.fullmatch(text.lower()))


def contains_account_id(text: str) -> bool:
    """Return whether part of the text has the format of an account ID."""
    return bool(ACCOUNT_ID_IN_TEXT_PATTERN.search(text.lower()))


def contains_prefixed_token(text: str | Secret) -> bool:
    """Return whether the text contains an API token in the newer, unambiguous format (cf…t_)."""
    return bool(PREFIXED_TOKEN_PATTERN.search(text.reveal() if isinstance(text, Secret) else text))


def find_token(text: str) -> TokenKind | None:
    """Return the kind of the token that the text contains, or None if it contains no token."""
    for kind in TOKEN_KINDS:
        if kind.pattern.search(text):
            return kind
    return None


def count_secrets(text: str) -> int:
    """Return the number of different secrets in a text.

    Secrets are API tokens and keys, values of environment variables such as OPENAI_API_KEY, and
    strings that are assigned to names such as password.
    """

    def count() -> int:
        remaining, number = text, 0
        for value in filter(_is_secret_value, _secret_variables()):
            number += value in remaining
            remaining = remaining.replace(value, " ")
        for pattern in (*(kind.pattern for kind in TOKEN_KINDS), OTHER_KEY_PATTERN):
            number += len({match[0] for match in pattern.finditer(remaining)})
            remaining = pattern.sub(" ", remaining)
        return number + len({match[0] for match in SECRET_LITERAL_PATTERN.finditer(remaining)})

    return call_without_traceback(count)


def contains_token(text: str) -> bool:
    """Return whether part of the text looks like an API token or a key of a class server."""
    return find_token(text) is not None


def may_contain_secret(text: str) -> bool:
    """Return whether part of the text may be an account ID or a token, or a piece of a token.

    This check is stricter than `contains_token`. An account ID with one wrong, missing or
    additional character is not a secret, but a text of 37 hexadecimal characters may be a global
    API key of Cloudflare.
    """
    if contains_account_id(text) or contains_token(text) or TOKEN_PREFIX_PATTERN.search(text):
        return True
    return any(map(_may_be_secret, WORD_PATTERN.findall(text)))


def _may_be_secret(word: str) -> bool:
    if len(word) > MAX_ACCOUNT_ID_CHARS:
        return True
    other_characters = sum(char not in "0123456789abcdef" for char in word)
    return (
        len(word) >= MIN_TOKEN_CHARS
        and other_characters > MAX_WRONG_CHARS
        and word not in (word.lower(), word.upper())
    )


def build_child_environment() -> dict[str, str]:
    """Return the environment variables for a child process that needs no secrets.

    Variables are left out if their name suggests a secret, or if they contain a token.
    """
    return call_without_traceback(
        lambda: {
            name: value
            for name, value in os.environ.items()
            if name.startswith(PIP_VARIABLE_PREFIX)
            or not (SECRET_VARIABLE_PATTERN.search(name) or contains_token(value))
        }
    )


def replace_environment_secrets(text: str, placeholder: str) -> str:
    """Return the text without the values of environment variables whose name suggests a secret."""

    def replace() -> str:
        replaced = text
        for value in sorted(filter(_is_secret_value, _secret_variables()), key=len, reverse=True):
            replaced = replaced.replace(value, placeholder)
        return replaced

    return call_without_traceback(replace)


def _secret_variables() -> Iterator[str]:
    return (value for name, value in os.environ.items() if SECRET_VARIABLE_PATTERN.search(name))


def _is_secret_value(value: str) -> bool:
    is_address = value.startswith(("/", "http://", "https://"))
    return len(value) >= MIN_VARIABLE_CHARS and not is_address and not re.search(r"\s", value)


class SecretFinding(NamedTuple):
    """The location and kind of a secret in a notebook, and the next step, without the secret."""

    location: str
    kind: str
    hint: str


def scan_notebook(
    path: Path, known_secrets: Sequence[tuple[str, Secret]] = ()
) -> list[SecretFinding]:
    """Return the locations of secrets in a notebook file.

    Args:
        path: The notebook file.
        known_secrets: Names and values of secrets to find. Text that looks like an API token or
            a key of a class server is always found.

    Raises:
        InvalidOptionError: The file can't be read or is not a notebook.
    """
    findings: dict[SecretFinding, None] = {}
    for location, text in _iter_texts(read_notebook(path)):
        name = next((name for name, secret in known_secrets if secret.is_in(text)), "")
        kind = find_token(text) or (API_TOKEN if name else None)
        if kind:
            name = name or _("what looks like {token}").format(token=_(kind.name))
            findings[SecretFinding(location, name, _(kind.notebook_hint))] = None
    return list(findings)


def _iter_texts(notebook: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the location and text of each string in a notebook."""
    for number, cell in enumerate(notebook["cells"], start=1):
        cell = cell if isinstance(cell, dict) else {"source": cell}  # noqa: PLW2901 - a malformed cell
        for key, value in cell.items():
            location = (
                _("cell {number}").format(number=number)
                if key == "source"
                else _("cell {number}, {key}").format(number=number, key=key)
            )
            yield from ((location, text) for text in _iter_strings(value))
    notebook_metadata = {part: value for part, value in notebook.items() if part != "cells"}
    yield from ((_("the notebook's metadata"), text) for text in _iter_strings(notebook_metadata))


def _iter_strings(value: Any) -> Iterator[str]:
    """Yield the strings in a JSON value, including keys. A list of strings is joined into one."""
    remaining = [value]  # a loop, because nested values may exceed Python's recursion limit
    while remaining:
        item = remaining.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list) and item and all(isinstance(each, str) for each in item):
            yield "".join(item)
        elif isinstance(item, list):
            remaining += item
        elif isinstance(item, dict):
            yield from item
            remaining += item.values()
