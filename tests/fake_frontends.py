"""A frontend for tests of commands that use only its session."""

from typing import Any

from cfai_magics.chat.frontend import Frontend
from cfai_magics.session.session import Session


def bare_frontend(session: Session, **given: Any) -> Frontend:
    """Return a frontend that has only its session and the given fields."""
    names = set(Frontend._fields) - set(Frontend._field_defaults)
    needed = dict.fromkeys(names)
    return Frontend(**{**needed, "session": session, **given})
