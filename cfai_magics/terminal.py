"""Remove control characters from untrusted text before it is printed.

A terminal interprets control characters: ESC and CSI begin sequences that set colors, titles or
the clipboard; CR and BS overwrite text that was printed before. Bidirectional overrides reorder
the rest of a line (CVE-2021-42574). JupyterLab interprets colors, CR and BS in text/plain and
streams too.
"""

import re
import sys
from typing import TextIO

# C0 and C1 without tab and line feed; DEL; embeddings, overrides and isolates of bidirectional
# text; lone surrogates, which no output can encode. Removing single characters, not sequences,
# needs no state: a sequence that is split across two deltas of a stream is harmless as well.
UNSAFE_CHAR_PATTERN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
LINE_BREAK_PATTERN = re.compile(r"[\n\t\x0b\x0c\x85\u2028\u2029]+")


def sanitize_text(text: str) -> str:
    """Return the text without control characters, except line feeds and tabs."""
    return UNSAFE_CHAR_PATTERN.sub("", text)


def sanitize_line(text: str) -> str:
    """Return the text as `sanitize_text` does, on one line, as for a table cell or a name."""
    return sanitize_text(LINE_BREAK_PATTERN.sub(" ", text))


def sanitize_json(text: str) -> str:
    r"""Return JSON text with the unsafe characters as \uXXXX, which is the same JSON."""
    return UNSAFE_CHAR_PATTERN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def sanitize_for_stream(stream: TextIO, text: str) -> str:
    """Return the text to write to a stream: sanitized, unless stdout is a file or pipe.

    In a file or pipe the text is data and stays unchanged. Terminals, notebooks and all other
    streams get it without control characters.
    """
    if stream is sys.__stdout__ and not stream.isatty():
        return text
    return sanitize_text(text)
