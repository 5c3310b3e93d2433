"""What is known of one question before it is asked, and whether its answer may be kept."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..credentials.secret_forms import token_in
from ..errors import NoCredentials
from ..values.provenance import Origin
from .asked import Asked
from .record import Record

if TYPE_CHECKING:
    from .heard import Kept, Take

TAKE = "cfai.take"  # the extension of a request that names who listens to its reply
MOST_BYTES = 4_000_000  # of one recorded answer: what lies in git should be read by people


@dataclass(slots=True)
class Look:
    """What is known of one question before it is asked.

    `record` is the recorded answer to replay; where there is none, `missed` tells what is other
    than in the nearest recorded question, and `take` listens if the answer is to be kept.
    `fallback` is a recorded answer that will do where nobody can be asked.
    """

    asked: Asked
    origin: Origin
    record: Record | None = None
    fallback: Record | None = None
    missed: str = ""
    take: "Take | None" = None
    keep: Callable[[], list[str]] = list
    notes: list[str] = field(default_factory=list)

    @property
    def extensions(self) -> dict[str, Any]:
        """What a request has to bear for its answer to be heard."""
        return {TAKE: self.take} if self.take else {}

    def explained(self, error: NoCredentials) -> NoCredentials:
        """Return the error with why no recorded answer took its place."""
        if not self.missed:
            return error
        return NoCredentials(f"{error.cause}, and the answer is not recorded ({self.missed})")


def untrue(kept: "Kept", look: Look) -> str:
    """Return why an answer is none to keep."""
    if kept.finish == "error":
        return "the model says that it failed"
    lowered = look.take is not None and look.take.limit != look.asked.limit
    if kept.finish == "length" and lowered:
        return "a budget had cut it short"
    return ""


def unfit(record: Record) -> str:
    """Return why a record may not be written."""
    line = record.line()
    if len(line) > MOST_BYTES:
        return f"it has {len(line) / 1e6:,.1f} MB, and a recording takes up to 4 MB of each"
    if token_in(line.decode(errors="replace")) or any(map(token_in, record.texts)):
        return "something in the question or the answer looks like an API token"
    return ""
