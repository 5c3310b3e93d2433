"""Shorten texts and format fractions as percentages."""


def shorten(text: str, max_chars: int) -> str:
    """Return the text, cut to `max_chars` characters with "…" at the end if it is longer."""
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def shorten_line(text: str, max_chars: int) -> str:
    """Return the text on one line, shortened to `max_chars` characters."""
    return shorten(" ".join(text.split()), max_chars)


def format_percent(fraction: float) -> str:
    """Return a fraction as a whole percentage: 0.5 gives "50 %"."""
    return f"{fraction * 100:.0f} %"
