"""Random account ids, tokens and keys, and a walk over the objects that may contain one."""

import secrets
import string


def account_id() -> str:
    """Return 32 hexadecimal characters."""
    return secrets.token_hex(16)


def token() -> str:
    """Return a token of the newer kind."""
    return f"cfut_{secrets.token_hex(24)}"


def older_token() -> str:
    """Return a token of the older kind: 40 characters of at least three kinds."""
    ends = "".join(map(secrets.choice, (string.digits, string.ascii_lowercase)))
    letters = string.ascii_letters + string.digits + "-_"
    middle = "".join(secrets.choice(letters) for _ in range(37))
    return f"{ends}{middle}{secrets.choice(string.ascii_uppercase)}"


def class_key() -> str:
    """Return a student's key of a class server."""
    return f"cfs_{secrets.token_urlsafe(32)}"


def admin_key() -> str:
    """Return a teacher's key of a class server."""
    return f"cfsa_{secrets.token_urlsafe(32)}"


def reachable(thing: object) -> list[object]:
    """Return the object and all objects with attributes that its attributes refer to."""
    found: dict[int, object] = {}
    waiting = [thing]
    while waiting:
        each = waiting.pop()
        if id(each) not in found and hasattr(each, "__dict__") and not isinstance(each, type):
            found[id(each)] = each
            waiting += vars(each).values()
    return list(found.values())
