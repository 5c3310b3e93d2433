"""Escape untrusted text for HTML and Markdown, so that it is displayed literally.

MathJax processes the text of a page after Markdown and HTML are rendered. A dollar sign or
backslash that does not start a formula is therefore put in a separate element, where MathJax
can't pair it with another dollar sign or backslash.
"""

import re
from html import escape

DOLLAR_HTML = "<span>&#36;</span>"
BACKSLASH_HTML = "<span>&#92;</span>"
ISOLATED_SIGN_HTML = {"$": DOLLAR_HTML, "\\": BACKSLASH_HTML}
MATH_START_REGEX = r"\\(?=[()\[\]]|begin\b|end\b|(?:eq)?ref\b)"
MATH_SIGN_PATTERN = re.compile(rf"\$|{MATH_START_REGEX}")

# Line ends and control characters that are interpreted differently by different parsers.
LINE_END_PATTERN = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
CONTROL_CHAR_PATTERN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")

SPECIAL_CHAR_PATTERN = re.compile(r"[!-/:-@\[-`{-~](?<![-,;])")  # special ASCII punctuation
# Code that would be active if a parser did not recognize it as code.
AMBIGUOUS_INLINE_CODE_PATTERN = re.compile(
    r"[<$`|\n]|!\[|\]\(|\]:|@@|@\\|\\@|~~~|ftp://|&#|&\w+;|\\[()\[\]]|\\(?:begin|end)\b",
    re.IGNORECASE,
)
MARKDOWN_SIGN_PATTERN = re.compile(r"[\\`*_{}\[\]<>#|!~&$]|:(?=//)|(?<=www)\.|(?<=[\w.])@|@(?=@)")
BACKSLASH_ESCAPABLE = frozenset("`*_{}>#|!~")
BLOCK_START_PATTERN = re.compile(r"(\s*)([-+=:]|\d{1,9}[.)])")


def normalize_text(text: str) -> str:
    """Replace line ends with newlines and control characters with U+FFFD, and return the text."""
    return CONTROL_CHAR_PATTERN.sub("\ufffd", LINE_END_PATTERN.sub("\n", text))


def encode_entities(text: str) -> str:
    """Return text with all characters that are special in HTML or Markdown as numeric entities."""
    return SPECIAL_CHAR_PATTERN.sub(lambda match: f"&#{ord(match[0])};", text)


def escape_html(text: str) -> str:
    """Escape text for HTML, so that no part of it is read as a tag or formula."""
    return MATH_SIGN_PATTERN.sub(isolate_math_sign, escape(text))


def isolate_math_sign(match: re.Match[str]) -> str:
    """Return the matched dollar sign or backslash in a separate HTML element."""
    return ISOLATED_SIGN_HTML[match[0]]


def escape_markdown(text: str) -> str:
    """Return text as one line that is escaped for use in Markdown, including table cells."""
    line = " ".join(normalize_text(text).split("\n"))
    block_start = BLOCK_START_PATTERN.match(line)
    escaped_start = (
        f"{block_start[1]}{block_start[2][:-1]}\\{block_start[2][-1]}" if block_start else ""
    )
    return escaped_start + MARKDOWN_SIGN_PATTERN.sub(
        _escape_sign, line[block_start.end() if block_start else 0 :]
    )


def _escape_sign(match: re.Match[str]) -> str:
    character = match[0]
    if character in ISOLATED_SIGN_HTML:
        return ISOLATED_SIGN_HTML[character]
    return f"\\{character}" if character in BACKSLASH_ESCAPABLE else f"&#{ord(character)};"


def format_inline_code(code: str) -> str:
    """Return inline code for Markdown, or an HTML code element if backticks would be ambiguous."""
    line = " ".join(normalize_text(code).split("\n"))
    if not line.strip() or AMBIGUOUS_INLINE_CODE_PATTERN.search(line) or line.endswith("\\"):
        return f"<code>{encode_entities(line)}</code>"
    return f"`{line}`"


def format_html_code_block(code: str, prefix: str) -> str:
    """Return an HTML code block for use inside a list or quote.

    Each line except the first starts with `prefix`.
    """
    lines = [encode_entities(line) or "&#32;" for line in code.removesuffix("\n").split("\n")]
    return f"<pre><code>{f'{chr(10)}{prefix}'.join(lines)}</code></pre>"
