"""Parse paths typed by users."""

from pathlib import Path

from .errors import InvalidOptionError
from .i18n import _
from .texts import shorten

# Maximum length of a path in an error message. Longer text may be another option's value.
MAX_SHOWN_CHARS = 60


def parse_user_path(value: str | Path) -> Path:
    """Return the path with ~ expanded. Raises InvalidOptionError if it is not a valid path."""
    try:
        path = Path(value).expanduser()
        path.exists()  # raises OSError if it is too long or not allowed
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
