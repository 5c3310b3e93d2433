r"""Tells formulas from prices, and writes a formula so that every front end sees the same one.

`$…$` and `\(…\)` are formulas in a line, `$$…$$`, `\[…\]` and `\begin{align}…` displayed ones. A
dollar sign opens or closes one as in pandoc: something stands right behind the first and right
before the last, and no digit follows. Amounts of money that fit this all the same are text.
"""

import re
from typing import NamedTuple

LONGEST = 8_000  # characters of a formula
LONGEST_LINE = 1_000  # characters before a sign that are looked at
BRACKETS = {"$$": "$$", "\\(": "\\)", "\\[": "\\]"}
ENVIRONMENT = re.compile(r"\\begin\{([a-zA-Z]+\*?)\}")
# Environments of LaTeX that MathJax and KaTeX draw.
ENVIRONMENTS = {
    *("align", "alignat", "aligned", "alignedat", "array", "bmatrix", "cases", "dcases"),
    *("displaymath", "eqnarray", "equation", "flalign", "gather", "gathered", "matrix"),
    *("multline", "pmatrix", "rcases", "smallmatrix", "split", "subarray", "vmatrix"),
}
# What makes a formula reach beyond itself: links, styles, files, fonts, and new names for these.
REACHES_OUT = re.compile(
    r"\\(?:href|url|require|include\w*|input|unicode|style|class|cssid|html\w*|data|bbox|mmltoken"
    r"|def|[egx]def|let|futurelet|newcommand|renewcommand|providecommand|newenvironment"
    r"|renewenvironment|declare\w*|csname|catcode|write|openin|special|verb|lstinline|texttip"
    r"|mathtip|action|toggle)(?![a-z])"
    r"|://|url\s*\(|javascript|vbscript|data:|www\.",
    re.IGNORECASE,
)
OPENER = re.compile(r"\\\\|\\\$|\$\$|\\\[|\\begin\{")
ESCAPES = {"\\\\", "\\$"}
COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*")
QUOTED_LINE = re.compile(r"[ \t]*>")
QUOTE_SIGNS = re.compile(r"\n[ \t]*(?:>[ \t]?)+")
REST_IS_BLANK = re.compile(r"[ \t]*(?:\n|\Z)")
BLANK = re.compile(r"\n[ \t>]*\n")
CLOSING_DOLLAR = re.compile(r"[^\\$]*(?:\\.[^\\$]*)*\$", re.DOTALL)
# As JupyterLab counts them: an escaped brace is none, nor are those of an environment.
BRACE = re.compile(r"\\(?:begin|end)\{[a-z]*\*?\}|\\[{}$]|([{}])", re.IGNORECASE)
BEGIN_OR_END = re.compile(r"\\(begin|end)\{([a-z]*\*?)\}", re.IGNORECASE)
COMMAND = re.compile(r"\\[a-zA-Z]+\s*(?:\{[^{}]*\})?|\\.")
WORDS = re.compile(r"[^\W\d_]{2,}[,;:]?\s+[^\W\d_]{2,}")
WORD = re.compile(r"[^\W\d_]{2,}")
AMOUNT = re.compile(r"[-+]?\d[\d.,]*")
SHELL_NAME = re.compile(r"\{?[A-Z_]{2,}|[({]")
MEANS_MORE = (  # to a parser that does not know formulas; TeX does not mind the spaces
    (re.compile(r"<(?=\S)"), "< "),
    (re.compile(r"!(?=\[)"), "! "),
    (re.compile(r"\](?=[(:\[])"), "] "),
    (re.compile(r"([~@])(?=\\*\1)"), r"\1 "),
    (re.compile(r"(@\\*)(?=@)"), r"\1 "),
)


class Formula(NamedTuple):
    """A formula as it is written for all front ends, and where it ends in its text."""

    tex: str
    end: int


def formula_at(text: str, begin: int, block_end: int) -> Formula | None:
    """Return the formula that begins at a dollar sign or backslash; None where none does.

    One that is displayed may go on where Markdown sees another block, for a line of it may begin
    with a sign of Markdown; one in a line ends in the block where it begins.
    """
    last = begin + LONGEST
    if text.startswith("$$", begin):
        return _bracketed(text, begin, "$$", last)
    if text[begin] == "$":
        return _between_dollars(text, begin, min(last, block_end))
    opening = text[begin : begin + 2]
    if opening in BRACKETS:
        return _bracketed(text, begin, opening, last if opening == "\\[" else min(last, block_end))
    return _environment(text, begin, last)


def open_formula(text: str) -> int | None:
    """Return where a displayed formula begins that more text may still close; None where none."""
    place = 0
    while opener := OPENER.search(text, place):
        begin, place = opener.start(), opener.end()
        if opener[0] in ESCAPES:
            continue
        found = formula_at(text, begin, len(text))
        if found:
            place = found.end
        elif _may_go_on(text, begin):
            return begin
        elif opener[0] == "$$":
            place = begin + 1
    return None


def _may_go_on(text: str, begin: int) -> bool:
    opened = ENVIRONMENT.match(text, begin)
    opening = opened[0] if opened else text[begin : begin + 2]
    closing = f"\\end{{{opened[1]}}}" if opened else BRACKETS.get(opening)
    if closing is None or len(text) - begin > LONGEST:
        return False
    if _find(text, closing, begin + len(opening), len(text)) >= 0:
        return False
    is_alone = not opened and not line_before(text, begin).strip(" \t>")
    return is_alone or not BLANK.search(text, begin)


def _bracketed(text: str, begin: int, opening: str, last: int) -> Formula | None:
    closing, is_display = BRACKETS[opening], opening != "\\("
    inner = begin + len(opening)
    end = _find(text, closing, inner, last)
    if end < 0:
        return None
    body = text[inner:end]
    end += len(closing)
    if BLANK.search(body) and not (is_display and _stands_alone(text, begin, end)):
        return None
    return _written(text, begin, body, end, is_display=is_display)


def _find(text: str, closing: str, begin: int, last: int) -> int:
    """Return where a closing sign stands whose backslash is no escaped one; -1 where none does."""
    found = text.find(closing, begin, last)
    while found > 0 and _is_escaped(text, found, begin):
        found = text.find(closing, found + 1, last)
    return found


def _is_escaped(text: str, place: int, begin: int) -> bool:
    slashes = 0
    while place - slashes > begin and text[place - slashes - 1] == "\\":
        slashes += 1
    return slashes % 2 == 1


def _stands_alone(text: str, begin: int, end: int) -> bool:
    return not line_before(text, begin).strip(" \t>") and bool(REST_IS_BLANK.match(text, end))


def line_before(text: str, place: int) -> str:
    """Return the line's part before a place; of a very long line its end, after a mark of that."""
    begin = max(0, place - LONGEST_LINE)
    line = text.rfind("\n", begin, place) + 1
    return text[line:place] if line or not begin else f"…{text[begin:place]}"


def _between_dollars(text: str, begin: int, last: int) -> Formula | None:
    match = CLOSING_DOLLAR.match(text, begin + 1, last)
    if match is None:
        return None
    end = match.end()
    body = text[begin + 1 : end - 1]
    if not body or _is_money(text[begin - 1 : begin], body, text[end : end + 1]):
        return None
    return None if BLANK.search(body) else _written(text, begin, body, end, is_display=False)


def _is_money(before: str, body: str, after: str) -> bool:
    """Whether dollar signs belong to amounts of money, or to names of a shell."""
    if body[0].isspace() or body[-1].isspace() or after == "$" or _is_amount(body):
        return True
    if body[0] != "\\" and (after.isdigit() or (before.isascii() and before.isalnum())):
        return True  # $5-$10, US$5, 5$; but 2$\times$2
    return bool(SHELL_NAME.match(body)) and (after.isalnum() or after in {"_", "{", "("})


def _is_amount(body: str) -> bool:
    """Whether what stands between two dollar signs is the text between two amounts of money."""
    amount = AMOUNT.match(body)
    if amount is None:
        return False
    rest = body[amount.end() :]
    return bool(WORD.search(COMMAND.sub(" ", rest))) and not re.search(r"[\\^_=]", rest)


def _environment(text: str, begin: int, last: int) -> Formula | None:
    opened = ENVIRONMENT.match(text, begin)
    if opened is None or opened[1].removesuffix("*").lower() not in ENVIRONMENTS:
        return None
    closing = f"\\end{{{opened[1]}}}"
    end = text.find(closing, opened.end(), last)
    if end < 0:
        return None
    end += len(closing)
    body = text[begin:end]
    return None if BLANK.search(body) else _written(text, begin, body, end, is_display=True)


def _written(text: str, begin: int, body: str, end: int, *, is_display: bool) -> Formula | None:
    """Return a formula on one line between dollar signs: no parser can take it for blocks."""
    if "\n" in body and QUOTED_LINE.match(line_before(text, begin)):
        body = QUOTE_SIGNS.sub("\n", body)
    body = " ".join(COMMENT.sub(r"\1", body).split())
    if not is_display:
        body = body.replace("\\\\[", "\\\\ [")  # nbconvert would see a display formula begin
    for sign, apart in MEANS_MORE:
        body = sign.sub(apart, body)
    if (
        not body
        or "`" in body
        or not _is_whole(body)
        or REACHES_OUT.search(body)
        or _is_prose(body)
    ):
        return None
    body += " " if body.endswith("\\") else ""
    mark = "$$" if is_display else "$"
    return Formula(f"{mark}{body}{mark}", end)


def _is_whole(body: str) -> bool:
    """Whether braces and environments in it are closed, so that no parser looks further."""
    depth = 0
    for brace in BRACE.finditer(body):
        if brace[0] == "\\$":
            continue
        depth += {"{": 1, "}": -1}.get(brace[1] or "", 0)
        if depth < 0:
            return False
    opened: list[str] = []
    for match in BEGIN_OR_END.finditer(body):
        if match[1].lower() == "begin":
            opened.append(match[2])
        elif not opened or opened.pop() != match[2]:
            return False
    return depth == 0 and not opened and not CLOSING_DOLLAR.match(body)


def _is_prose(body: str) -> bool:
    return not re.search(r"[\\^_=+*/<>|{}]", body) and bool(WORDS.search(body))
