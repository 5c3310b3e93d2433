"""What an API token and an account id look like, wherever they stand."""

import re

from ..secret import Secret

ACCOUNT_ID = re.compile(r"[0-9a-f]{32}")
ACCOUNT_ID_INSIDE = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
NEW_TOKEN = re.compile(r"(?<![\w-])cf[a-z]{1,2}t_[\w-]{16,}")
# Tokens of the older kind have 40 characters; upper case, lower case and digits tell them from
# hashes, names and paths, and the signs of base64 around them from pictures.
OLD_TOKEN = re.compile(
    r"(?<![\w/@.+-])(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[\w-]{40}(?![\w/.+=-])"
)


def looks_like_account_id(text: str) -> bool:
    """Whether a text has the form of an account id: 32 hexadecimal characters."""
    return bool(ACCOUNT_ID.fullmatch(text.lower()))


def account_id_in(text: str) -> bool:
    """Whether something in the text has the form of an account id."""
    return bool(ACCOUNT_ID_INSIDE.search(text.lower()))


def new_token_in(text: str | Secret) -> bool:
    """Whether something in the text has the newer form of an API token, which none else has."""
    return bool(NEW_TOKEN.search(text.reveal() if isinstance(text, Secret) else text))


def token_in(text: str) -> bool:
    """Whether something in the text has the form of an API token."""
    return new_token_in(text) or bool(OLD_TOKEN.search(text))
