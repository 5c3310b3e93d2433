"""Turns a text of elsewhere into HTML or Markdown that shows it as it is: the one place for that.

MathJax reads the text of a page once Markdown and HTML are done. So a dollar sign or backslash
that begins no formula stands in an element of its own, where MathJax pairs it with nothing.
"""

import re
from html import escape

DOLLAR = "<span>&#36;</span>"
BACKSLASH = "<span>&#92;</span>"
ALONE = {"$": DOLLAR, "\\": BACKSLASH}
BEGINS_MATH = r"\\(?=[()\[\]]|begin\b|end\b|(?:eq)?ref\b)"
MATH_IN_HTML = re.compile(rf"\$|{BEGINS_MATH}")

# What line ends and controls become: no two parsers agree on them.
LINE_END = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")

NOT_PLAIN = re.compile(r"[!-/:-@\[-`{-~](?<![-,;])")  # ASCII punctuation that may mean something
# What would be more than code if a parser did not see that it is code.
NOT_ONLY_CODE = re.compile(
    r"[<$`|\n]|!\[|\]\(|\]:|@@|@\\|\\@|~~~|ftp://|&#|&\w+;|\\[()\[\]]|\\(?:begin|end)\b",
    re.IGNORECASE,
)
MARKDOWN_SIGN = re.compile(r"[\\`*_{}\[\]<>#|!~&$]|:(?=//)|(?<=www)\.|(?<=[\w.])@|@(?=@)")
BY_BACKSLASH = frozenset("`*_{}>#|!~")
BEGINS_BLOCK = re.compile(r"(\s*)([-+=:]|\d{1,9}[.)])")


def normalized(text: str) -> str:
    """Return a text whose lines all end in a newline, and that has no other control characters."""
    return CONTROL.sub("\ufffd", LINE_END.sub("\n", text))


def entities(text: str) -> str:
    """Return a text for HTML or Markdown in which no character means anything but itself."""
    return NOT_PLAIN.sub(lambda sign: f"&#{ord(sign[0])};", text)


def html_text(text: str) -> str:
    """Return a text for HTML: neither tags nor formulas in it are any."""
    return MATH_IN_HTML.sub(alone, escape(text))


def alone(sign: re.Match[str]) -> str:
    """Return a dollar sign or backslash in an element of its own."""
    return ALONE[sign[0]]


def markdown_text(text: str) -> str:
    """Return a text for one line of Markdown, or one cell of a table, that shows it as it is."""
    line = " ".join(normalized(text).split("\n"))
    begin = BEGINS_BLOCK.match(line)
    first = f"{begin[1]}{begin[2][:-1]}\\{begin[2][-1]}" if begin else ""
    return first + MARKDOWN_SIGN.sub(_escaped, line[begin.end() if begin else 0 :])


def _escaped(sign: re.Match[str]) -> str:
    character = sign[0]
    if character in ALONE:
        return ALONE[character]
    return f"\\{character}" if character in BY_BACKSLASH else f"&#{ord(character)};"


def inline_code(code: str) -> str:
    """Return one line of code for Markdown: as HTML where backticks could be read in two ways."""
    line = " ".join(normalized(code).split("\n"))
    if not line.strip() or NOT_ONLY_CODE.search(line) or line.endswith("\\"):
        return f"<code>{entities(line)}</code>"
    return f"`{line}`"


def block_code(code: str, prefix: str) -> str:
    """Return a code block as HTML, for lists and quotes: its other lines bear a prefix."""
    lines = [entities(line) or "&#32;" for line in code.removesuffix("\n").split("\n")]
    return f"<pre><code>{f'{chr(10)}{prefix}'.join(lines)}</code></pre>"
