"""A door for tests of commands that use nothing of it but the session."""

from dataclasses import MISSING, fields
from typing import Any

from cfai_magics.asking.door import Door
from cfai_magics.session import Session


def bare_door(session: Session, **given: Any) -> Door:
    """Return a door that has nothing but its session, and what is given."""
    needed = {each.name: None for each in fields(Door) if each.default is MISSING}
    return Door(**{**needed, "session": session, **given})
