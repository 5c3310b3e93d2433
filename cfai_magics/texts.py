"""Shorten and align text, read error messages, and format fractions as percentages."""


def shorten(text: str, max_chars: int) -> str:
    """Return the text, cut to `max_chars` characters including a final "…" if it is longer."""
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def shorten_line(text: str, max_chars: int) -> str:
    """Return the text on one line, shortened to `max_chars` characters."""
    return shorten(" ".join(text.split()), max_chars)


def get_error_message(error: BaseException) -> str:
    """Return the text of an error, or "" if the `__str__` of its class fails."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a user's class can raise any error
        return ""


def text_width(text: str) -> int:
    """Return the text's width in monospace columns. East Asian wide characters take two."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(char) else 1 + (east_asian_width(char) in ("W", "F")) for char in text
    )


def pad_right(text: str, width: int) -> str:
    """Return the text, padded on the right with spaces to `width` columns."""
    return text + " " * (width - text_width(text))


def pad_left(text: str, width: int) -> str:
    """Return the text, padded on the left with spaces to `width` columns."""
    return " " * (width - text_width(text)) + text


def format_percent(fraction: float) -> str:
    """Return a fraction as a whole percentage: 0.5 gives "50 %"."""
    return f"{fraction * 100:.0f} %"
