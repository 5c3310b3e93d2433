"""Read the paths that users type."""

from pathlib import Path

from .errors import BadOption

SHOWN = 60  # characters of a path in an error: some are texts that were meant for another option


def user_path(named: str | Path) -> Path:
    """Return a path as typed, with ~ for the home folder; BadOption if it cannot be a path."""
    try:
        path = Path(named).expanduser()
        path.exists()  # OSError if it is too long or not allowed, RuntimeError for ~nobody
    except (OSError, RuntimeError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        text = str(named)
        shown = text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
        raise BadOption(f"{shown} is not a valid path: {why}", "Check the path.") from None
    if "\0" in str(path):
        raise BadOption("A path holds a null character", "Check the path.")
    return path
