"""Make text from models, servers and files safe to show: nothing in it commands a terminal.

A terminal obeys control characters: ESC and CSI begin sequences that set colors, titles or the
clipboard, CR and BS overwrite what stands before them. Bidirectional overrides reorder the rest
of a line (CVE-2021-42574). JupyterLab obeys colors, CR and BS in text/plain and streams too.
"""

import re
import sys
from typing import TextIO

# C0 and C1 without tab and line feed; DEL; embeddings, overrides and isolates of bidirectional
# text; halves of surrogate pairs, which no output can encode. Taking single characters out, not
# sequences, needs no state: a sequence split across two pieces of a stream is harmless as well.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LINE_ENDS = re.compile(r"[\n\t\x0b\x0c\x85\u2028\u2029]+")


def safe_text(text: str) -> str:
    """Return the text without characters that command a terminal; lines and tabs stay."""
    return UNSAFE.sub("", text)


def safe_line(text: str) -> str:
    """Return the text as `safe_text`, on one line: for a cell of a table, or a name."""
    return safe_text(LINE_ENDS.sub(" ", text))


def safe_json(text: str) -> str:
    r"""Return JSON text with the unsafe characters as \uXXXX, which is the same JSON."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def safe_for(out: TextIO, text: str) -> str:
    """Return the text as it may be written to a stream.

    A program's own standard output that leads to a file or pipe gets the text unchanged: it is
    data there. A terminal, a notebook or any other stream gets it without what commands one.
    """
    if out is sys.__stdout__ and not out.isatty():
        return text
    return safe_text(text)
