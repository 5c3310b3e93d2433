"""A frontend for tests of commands that use only its session."""

from dataclasses import MISSING, fields
from typing import Any

from cfai_magics.chat.frontend import Frontend
from cfai_magics.session.session import Session


def bare_frontend(session: Session, **given: Any) -> Frontend:
    """Return a frontend that has only its session and the given fields."""
    needed = {each.name: None for each in fields(Frontend) if each.default is MISSING}
    return Frontend(**{**needed, "session": session, **given})
