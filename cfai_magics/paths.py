"""Parse the paths that users type."""

from pathlib import Path

from .errors import InvalidOptionError
from .i18n import _
from .texts import shorten

# Of a path in an error. A long text may be the value of another option.
MAX_SHOWN_CHARS = 60


def parse_user_path(value: str | Path) -> Path:
    """Return a path with ~ expanded. Raises InvalidOptionError if it is not a valid path."""
    try:
        path = Path(value).expanduser()
        path.exists()  # OSError if it is too long or not allowed
    except (OSError, RuntimeError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        text = str(value)
        shortened = shorten(text, MAX_SHOWN_CHARS)
        raise InvalidOptionError(
            _("{path} is not a valid path: {reason}").format(path=shortened, reason=reason),
            _("Check the path."),
        ) from None
    if "\0" in str(path):
        raise InvalidOptionError(_("The path contains a null character"), _("Check the path."))
    return path
