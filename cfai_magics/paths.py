"""Parse the paths that users type."""

from pathlib import Path

from .errors import InvalidOptionError
from .texts import shorten

MAX_SHOWN_CHARS = (
    60  # of a path in an error, because a long text may have been meant for another option
)


def parse_user_path(value: str | Path) -> Path:
    """Return a path with ~ expanded; raises InvalidOptionError if it is not a valid path."""
    try:
        path = Path(value).expanduser()
        path.exists()  # OSError if it is too long or not allowed
    except (OSError, RuntimeError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        text = str(value)
        shortened = shorten(text, MAX_SHOWN_CHARS)
        raise InvalidOptionError(
            f"{shortened} is not a valid path: {reason}", "Check the path."
        ) from None
    if "\0" in str(path):
        raise InvalidOptionError("A path holds a null character", "Check the path.")
    return path
