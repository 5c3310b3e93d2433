r"""Find formulas in Markdown, distinguish them from prices, and normalize them.

`$…$` and `\(…\)` are inline formulas, and `$$…$$`, `\[…\]` and `\begin{align}…` are display
formulas. Dollar signs are delimiters if they follow pandoc's rule: no space follows the opening
sign, no space precedes the closing sign, and no digit follows the closing sign. Amounts of money
that match this rule are still treated as text.
"""

import re
from typing import NamedTuple

MAX_FORMULA_CHARS = 8_000
MAX_LINE_LOOKBEHIND = 1_000  # the maximum number of characters that `get_line_before` reads
CLOSING_DELIMITERS = {"$$": "$$", "\\(": "\\)", "\\[": "\\]"}
ENVIRONMENT_START_PATTERN = re.compile(r"\\begin\{([a-zA-Z]+\*?)\}")
# LaTeX environments that MathJax and KaTeX render.
SUPPORTED_ENVIRONMENTS = {
    *("align", "alignat", "aligned", "alignedat", "array", "bmatrix", "cases", "dcases"),
    *("displaymath", "eqnarray", "equation", "flalign", "gather", "gathered", "matrix"),
    *("multline", "pmatrix", "rcases", "smallmatrix", "split", "subarray", "vmatrix"),
}
# TeX with effects outside the formula, such as links, styles, files, fonts and macro definitions.
UNSAFE_TEX_PATTERN = re.compile(
    r"\\(?:href|url|require|include\w*|input|unicode|style|class|cssid|html\w*|data|bbox|mmltoken"
    r"|def|[egx]def|let|futurelet|newcommand|renewcommand|providecommand|newenvironment"
    r"|renewenvironment|declare\w*|csname|catcode|write|openin|special|verb|lstinline|texttip"
    r"|mathtip|action|toggle)(?![a-z])"
    r"|://|url\s*\(|javascript|vbscript|data:|www\.",
    re.IGNORECASE,
)
OPENER_PATTERN = re.compile(r"\\\\|\\\$|\$\$|\\\[|\\begin\{")
ESCAPE_SEQUENCES = {"\\\\", "\\$"}
# A TeX comment ends before the formula does. In "5 % of", the sign is not a comment.
COMMENT_PATTERN = re.compile(
    r"(^|(?<!\\)(?:\\\\)+|[^\d\s](?=[ \t]))[ \t]*%[^\n]*(?=\n)"
    r"|(\\(?:begin|end)\{[a-z]+\*?\})%[^\n]*(?=\n)|(\{)%[ \t]*(?=\n)",
    re.IGNORECASE | re.MULTILINE,
)
PERCENT_PATTERN = re.compile(r"(?<!\\)((?:\\\\)*)%")
QUOTED_LINE_PATTERN = re.compile(r"[ \t]*>")
QUOTE_PREFIX_PATTERN = re.compile(r"\n[ \t]*(?:>[ \t]?)+")
BLANK_REST_PATTERN = re.compile(r"[ \t]*(?:\n|\Z)")
BLANK_LINE_PATTERN = re.compile(r"\n[ \t>]*\n")
CLOSING_DOLLAR_PATTERN = re.compile(r"[^\\$]*(?:\\.[^\\$]*)*\$", re.DOTALL)
# JupyterLab counts braces, except for escaped braces and those in \begin{…} and \end{…}.
BRACE_PATTERN = re.compile(r"\\(?:begin|end)\{[a-z]*\*?\}|\\[{}$]|([{}])", re.IGNORECASE)
BEGIN_OR_END_PATTERN = re.compile(r"\\(begin|end)\{([a-z]*\*?)\}", re.IGNORECASE)
COMMAND_PATTERN = re.compile(r"\\[a-zA-Z]+\s*(?:\{[^{}]*\})?|\\.")
TWO_WORDS_PATTERN = re.compile(r"[^\W\d_]{2,}[,;:]?\s+[^\W\d_]{2,}")
LETTERS_PATTERN = re.compile(r"[^\W\d_]{2,}")
AMOUNT_PATTERN = re.compile(r"[-+]?\d[\d.,]*")
OPERATOR_END_PATTERN = re.compile(r"(?<![\\^_])[-\u2013\u2014+*/=<>≤≥≈×·÷→~|]\Z")
OPERAND_PATTERN = re.compile(r"[^\W\d]|[\\({]")
OPENING_SIGN_PATTERN = re.compile(r"""\s[(\["'“\u2018„«*_]+\Z""")
TABLE_ROW_END_PATTERN = re.compile(r"\|[ \t]*\n[ \t>]*\|")
SEPARATOR_PATTERN = re.compile(r"[\s\-\u2013\u2014,;.:/|]+")  # between ratings, such as "$$, $$"
RATING_TEXT_PATTERN = re.compile(  # such as " place and a " in "a $$ place and a $$ bar"
    r"[ \t](?!.* [-\u2212] )(?=[^\\^_=+*/<>{}]*\Z)(?=.*(?:[^\W\d_]{3}|\b(?:or|to)\b)).*[ \t]",
    re.DOTALL,
)
SHELL_VARIABLE_PATTERN = re.compile(r"\{?[A-Z_]{2,}|[({]")
MARKDOWN_SIGN_SPACING = (  # spaces hide Markdown signs from other parsers; TeX ignores them
    (re.compile(r"<(?=\S)"), "< "),
    (re.compile(r"!(?=\[)"), "! "),
    (re.compile(r"\](?=[(:\[])"), "] "),
    (re.compile(r"([~@])(?=\\*\1)"), r"\1 "),
    (re.compile(r"(@\\*)(?=@)"), r"\1 "),
)


class Formula(NamedTuple):
    """A normalized formula, and the position in the text where the formula ends."""

    tex: str
    end: int


def parse_formula(text: str, start: int, block_end: int) -> Formula | None:
    """Return the formula that starts at a dollar sign or backslash, or None if none starts there.

    A display formula may extend past `block_end`, because one of its lines may look like the
    start of a Markdown block. An inline formula must end before `block_end`.
    """
    max_end = start + MAX_FORMULA_CHARS
    if text.startswith("$$", start):
        return _parse_bracketed(text, start, "$$", max_end)
    if text[start] == "$":
        return _parse_between_dollars(text, start, min(max_end, block_end))
    opening = text[start : start + 2]
    if opening in CLOSING_DELIMITERS:
        return _parse_bracketed(
            text, start, opening, max_end if opening == "\\[" else min(max_end, block_end)
        )
    return _parse_environment(text, start, max_end)


def find_open_formula(text: str) -> int | None:
    """Return the start of a display formula that is not closed yet, or None if there is none."""
    position = 0
    while opener := OPENER_PATTERN.search(text, position):
        start, position = opener.start(), opener.end()
        if opener[0] in ESCAPE_SEQUENCES:
            continue
        formula = parse_formula(text, start, len(text))
        if formula:
            position = formula.end
        elif _can_continue(text, start):
            return start
        elif opener[0] == "$$":
            position = start + 1
    return None


def _can_continue(text: str, start: int) -> bool:
    environment = ENVIRONMENT_START_PATTERN.match(text, start)
    opening = environment[0] if environment else text[start : start + 2]
    closing = f"\\end{{{environment[1]}}}" if environment else CLOSING_DELIMITERS.get(opening)
    if closing is None or len(text) - start > MAX_FORMULA_CHARS:
        return False
    if _find_closing(text, closing, start + len(opening), len(text)) >= 0:
        return False
    starts_line = not environment and not get_line_before(text, start).strip(" \t>")
    return starts_line or not BLANK_LINE_PATTERN.search(text, start)


def _parse_bracketed(text: str, start: int, opening: str, max_end: int) -> Formula | None:
    closing, is_display = CLOSING_DELIMITERS[opening], opening != "\\("
    body_start = start + len(opening)
    end = _find_closing(text, closing, body_start, max_end)
    if end < 0:
        return None
    body = text[body_start:end]
    end += len(closing)
    if opening == "$$" and _is_rating(text, start, body, end):
        return None
    if BLANK_LINE_PATTERN.search(body) and not (
        is_display and _is_alone_on_lines(text, start, end)
    ):
        return None
    return _normalize_formula(text, start, body, end, is_display=is_display)


def _find_closing(text: str, closing: str, start: int, max_end: int) -> int:
    """Return the position of the first unescaped closing delimiter, or -1 if there is none."""
    position = text.find(closing, start, max_end)
    while position > 0 and _is_escaped(text, position, start):
        position = text.find(closing, position + 1, max_end)
    return position


def _is_escaped(text: str, position: int, start: int) -> bool:
    backslash_count = 0
    while position - backslash_count > start and text[position - backslash_count - 1] == "\\":
        backslash_count += 1
    return backslash_count % 2 == 1


def _is_alone_on_lines(text: str, start: int, end: int) -> bool:
    return not get_line_before(text, start).strip(" \t>") and bool(
        BLANK_REST_PATTERN.match(text, end)
    )


def get_line_before(text: str, position: int) -> str:
    """Return the text between the start of the line and a position.

    If this text is very long, return an ellipsis followed by the end of the text.
    """
    min_start = max(0, position - MAX_LINE_LOOKBEHIND)
    line_start = text.rfind("\n", min_start, position) + 1
    return (
        text[line_start:position]
        if line_start or not min_start
        else f"…{text[min_start:position]}"
    )


def _parse_between_dollars(text: str, start: int, max_end: int) -> Formula | None:
    match = CLOSING_DOLLAR_PATTERN.match(text, start + 1, max_end)
    if match is None:
        return None
    end = match.end()
    body = text[start + 1 : end - 1]
    if not body or _is_money(text[start - 1 : start], body, text[end : end + 1]):
        return None
    return (
        None
        if BLANK_LINE_PATTERN.search(body)
        else _normalize_formula(text, start, body, end, is_display=False)
    )


def _is_money(before: str, body: str, after: str) -> bool:
    """Return whether the dollar signs are text, for example, in prices or shell variables."""
    if body[0].isspace() or body[-1].isspace() or after == "$":
        return True
    if _is_text_between_amounts(body) or _is_in_parentheses(body):
        return True
    if body[0] != "\\" and (after.isdigit() or (before.isascii() and before.isalnum())):
        return True  # $5-$10, US$5 and 5$, but not 2$\times$2
    if AMOUNT_PATTERN.match(body) and OPERATOR_END_PATTERN.search(body):
        return bool(OPERAND_PATTERN.match(after))  # $5-$x$, but not $0+$
    return bool(SHELL_VARIABLE_PATTERN.match(body)) and (
        after.isalnum() or after in {"_", "{", "("}
    )


def _is_text_between_amounts(body: str) -> bool:
    """Return whether the body is an amount followed by text.

    For example, in "$5 and $10", the body between the dollar signs is "5 and ". In "$5 ($x$)", it
    is "5 (".
    """
    match = AMOUNT_PATTERN.match(body)
    if match is None:
        return False
    rest = body[match.end() :]
    if OPENING_SIGN_PATTERN.search(rest) or _has_unbalanced_parentheses(rest):
        return True
    return bool(LETTERS_PATTERN.search(COMMAND_PATTERN.sub(" ", rest))) and not re.search(
        r"[\\^_=]", rest
    )


def _has_unbalanced_parentheses(body: str) -> bool:
    """Return whether a parenthesis is not closed or not opened, except in intervals."""
    depth = 0
    for char in "" if re.search(r"[][]", body) else body:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return True
    return depth > 0


def _is_in_parentheses(body: str) -> bool:
    """Return whether each dollar sign is in parentheses, as in "cheap ($), fancy ($$)"."""
    return " " in body and (body[0] == ")" or body[-1] == "(")


def _is_rating(text: str, start: int, body: str, end: int) -> bool:
    """Return whether double dollar signs are text, as in "$$ to $$$" and "$$5 and $$10"."""
    if not body:
        return True
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    if "$" in {before, after} or SEPARATOR_PATTERN.fullmatch(body):
        return True
    if _is_in_parentheses(body) or TABLE_ROW_END_PATTERN.search(body):
        return True
    if AMOUNT_PATTERN.match(body) and (
        after.isdigit() or (body[-1].isspace() and _is_text_between_amounts(body))
    ):
        return True
    return bool(RATING_TEXT_PATTERN.fullmatch(body)) and not _is_alone_on_lines(text, start, end)


def _parse_environment(text: str, start: int, max_end: int) -> Formula | None:
    environment = ENVIRONMENT_START_PATTERN.match(text, start)
    if (
        environment is None
        or environment[1].removesuffix("*").lower() not in SUPPORTED_ENVIRONMENTS
    ):
        return None
    closing = f"\\end{{{environment[1]}}}"
    end = text.find(closing, environment.end(), max_end)
    if end < 0:
        return None
    end += len(closing)
    body = text[start:end]
    return (
        None
        if BLANK_LINE_PATTERN.search(body)
        else _normalize_formula(text, start, body, end, is_display=True)
    )


def _normalize_formula(
    text: str, start: int, body: str, end: int, *, is_display: bool
) -> Formula | None:
    """Return the formula on one line between dollar signs.

    Returns None if the text is not a formula, or if the formula is not safe to display.
    """
    if "\n" in body and QUOTED_LINE_PATTERN.match(get_line_before(text, start)):
        body = QUOTE_PREFIX_PATTERN.sub("\n", body)
    body = PERCENT_PATTERN.sub(r"\1\\%", COMMENT_PATTERN.sub(r"\1\2\3", body))
    body = " ".join(body.split())
    if not is_display:
        body = body.replace("\\\\[", "\\\\ [")  # nbconvert would start a display formula here
    for pattern, replacement in MARKDOWN_SIGN_SPACING:
        body = pattern.sub(replacement, body)
    if (
        not body
        or "`" in body
        or not _is_balanced(body)
        or UNSAFE_TEX_PATTERN.search(body)
        or _is_prose(body)
    ):
        return None
    body += " " if body.endswith("\\") else ""
    delimiter = "$$" if is_display else "$"
    return Formula(f"{delimiter}{body}{delimiter}", end)


def _is_balanced(body: str) -> bool:
    """Return whether braces and environments are balanced.

    Parsers may disagree about where an unbalanced formula ends.
    """
    depth = 0
    for brace_match in BRACE_PATTERN.finditer(body):
        if brace_match[0] == "\\$":
            continue
        depth += {"{": 1, "}": -1}.get(brace_match[1] or "", 0)
        if depth < 0:
            return False
    open_environments: list[str] = []
    for environment_match in BEGIN_OR_END_PATTERN.finditer(body):
        if environment_match[1].lower() == "begin":
            open_environments.append(environment_match[2])
        elif not open_environments or open_environments.pop() != environment_match[2]:
            return False
    return depth == 0 and not open_environments and not CLOSING_DOLLAR_PATTERN.match(body)


def _is_prose(body: str) -> bool:
    return not re.search(r"[\\^_=+*/<>|{}]", body) and bool(TWO_WORDS_PATTERN.search(body))
