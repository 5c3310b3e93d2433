"""Remove control characters from untrusted text before it is printed.

Terminals interpret control characters: ESC and CSI start sequences that set colors, the title or
the clipboard, and CR and BS overwrite text printed earlier. Bidirectional overrides reorder the
rest of a line (CVE-2021-42574). JupyterLab also interprets colors, CR and BS in text/plain output
and in streams.
"""

import re

# C0 and C1 except tab and line feed; DEL; bidirectional embeddings, overrides and isolates; lone
# surrogates, which no output can encode. Removing characters instead of whole sequences requires
# no state, so a sequence split across two stream deltas is harmless too.
UNSAFE_CHAR_PATTERN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
LINE_BREAK_PATTERN = re.compile(r"[\n\t\x0b\x0c\x85\u2028\u2029]+")


def sanitize_text(text: str) -> str:
    """Return the text without control characters, except line feeds and tabs."""
    return UNSAFE_CHAR_PATTERN.sub("", text)


def sanitize_line(text: str) -> str:
    """Return the sanitized text on one line, for example for a table cell or a name."""
    return sanitize_text(LINE_BREAK_PATTERN.sub(" ", text))


def sanitize_json(text: str) -> str:
    r"""Return equivalent JSON text, with unsafe characters escaped as \uXXXX."""
    return UNSAFE_CHAR_PATTERN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
