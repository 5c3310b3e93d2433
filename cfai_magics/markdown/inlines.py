"""Rewrite inline Markdown so that it runs no code and loads no external content.

Each rule applies everywhere, including in code and tables, so that the result does not depend on
how a parser splits the text. If only some parsers treat a piece of text as code, those parsers
display the entities in the text literally.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from html import unescape
from urllib.parse import quote

from .escaping import BACKSLASH_HTML, DOLLAR_HTML, encode_entities, format_inline_code
from .formulas import get_line_before, parse_formula

SIGN_PATTERN = re.compile(
    r"\\|`+|~{3,}|\$|<|!\[|\](?=[(:])|@{2,}|@(?=\\)|&(?=[#a-z])|ftp(?=://)|https?://|www\.",
    re.IGNORECASE,
)
PLAIN_URL_REGEX = r"(?:https?://|mailto:)[\w\-.~:/?#@!&*+,;%]{1,2000}"
URL_REGEX = r"(?:https?://|mailto:)(?:[^\s<>\\()]|\\[!-/:-@\[-`{-~]){0,2000}"
URL_PARENTHESES_REGEX = r"(?:\([^\s<>\\()]{0,300}\)[^\s<>\\()]{0,300}){0,4}"
LINK_TITLE_REGEX = r"""(?:"[^"\n]{0,300}"|'[^'\n]{0,300}'|\([^()\n]{0,300}\))"""
# Excludes "=", so that the text is harmless even if a parser reads it as a tag.
AUTOLINK_PATTERN = re.compile(rf"<({PLAIN_URL_REGEX})>", re.ASCII | re.IGNORECASE)
# These autolinks are rewritten, because mistune reads <p@b.c> as an HTML paragraph.
OTHER_AUTOLINK_PATTERN = re.compile(
    rf"<(?:({URL_REGEX})|([\w.+-]{{1,64}}@[\w.-]{{1,255}}))>", re.IGNORECASE
)
LINK_PATTERN = re.compile(
    rf"\]\([ \t]*<?({URL_REGEX}{URL_PARENTHESES_REGEX})>?"
    rf"(?:[ \t]*[ \t\n][ \t]*{LINK_TITLE_REGEX})?[ \t]*\)",
    re.IGNORECASE,
)
LINK_DEFINITION_PATTERN = re.compile(
    rf"\]:[ \t]*(?:\n[ \t>]*)?<?({URL_REGEX}{URL_PARENTHESES_REGEX})>?"
    rf"(?:[ \t]+{LINK_TITLE_REGEX})?[ \t]*(?=\n|\Z)",
    re.IGNORECASE,
)
LINK_LABEL_PATTERN = re.compile(r"[ \t>]*\[[^\[\]]+")
DATA_IMAGE_PATTERN = re.compile(
    r"!\[([^\[\]\n]*)\]\([ \t]*<?data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})>?"
    r"[ \t]*\)",
    re.IGNORECASE,
)
LINE_BREAK_TAG_PATTERN = re.compile(r"<br ?/?>", re.IGNORECASE)
# Matches brackets, and skips escapes and formulas, because brackets inside them do not count.
BRACKET_PATTERN = re.compile(r"\\[\s\S]|\$\$?(?:\\[\s\S]|[^$\\])*\$\$?|(\[)|(\])")
LINE_START_PATTERN = re.compile(r"[ \t>*+\-\d.)]*")
UNSAFE_ALT_TEXT_PATTERN = re.compile(r"[^\w .,-]")
# Elements without attributes that are empty or contain plain text. Models write such elements in
# tables and formulas, and the `escaping` module generates them.
HARMLESS_TAG_PATTERN = re.compile(
    r"<br ?/?>(?=[ \t]*[^\s<])|<(su[bp])>[\w+\-., ]{1,40}</\1>"
    r"|<span>&#(?:36|92);</span>|<code>(?:[\w ,;-]|&#\d{2,3};){0,2000}</code>",
    re.IGNORECASE,
)
ENTITY_PATTERN = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]*);", re.IGNORECASE)
TEX_ENVIRONMENT_PATTERN = re.compile(r"\\(?:begin|end)\b|\\(?:eq)?ref\b")
ESCAPED_SIGN_PATTERN = re.compile(r"\\([!-/:-@\[-`{-~])")
URL_END_PATTERN = re.compile(r"\s|\Z")
URL_START_PATTERN = re.compile(r"://|www\.", re.IGNORECASE)
SPACE_PATTERN = re.compile(r"\s")
URL_SAFE_CHARS = ":/?#@!&+,;=%"
BACKSLASH_ESCAPE_REPLACEMENTS = {  # for a backslash and the character after it
    "$": DOLLAR_HTML,
    "<": "&lt;",
    **{sign: encode_entities(sign) for sign in "@()[]"},
}


def neutralize_inlines(text: str, block_starts: Sequence[int] = ()) -> str:
    """Rewrite inline Markdown so that it is safe in any parser.

    Args:
        text: Markdown without code blocks.
        block_starts: The start positions of the blocks in `text`, sorted.
    """
    return _escape_open_labels(_InlineRewriter(text, block_starts).rewrite())


def _escape_open_labels(text: str) -> str:
    """Escape each bracket that starts a line and is never closed.

    marked and mistune would search for the closing bracket, and for the URL of a link definition,
    in the code block that follows. Brackets in formulas do not count, because JupyterLab removes
    formulas before it calls marked.
    """
    open_brackets: list[int] = []
    for match in BRACKET_PATTERN.finditer(text):
        if match[1]:
            open_brackets.append(match.start(1))
        elif match[2]:
            open_brackets.clear()
    parts, end = [], len(text)
    while open_brackets and LINE_START_PATTERN.fullmatch(get_line_before(text, open_brackets[-1])):
        parts += [text[open_brackets[-1] + 1 : end], "&#91;"]
        end = open_brackets.pop()
    return "".join([text[:end], *reversed(parts)])


class _InlineRewriter:
    """The state of a single pass over text: the output so far and the position in the input."""

    def __init__(self, text: str, block_starts: Sequence[int]) -> None:
        self._text = text
        self._position = 0
        self._parts: list[str] = []
        self._url_end = 0  # end of the last bare URL
        self._is_in_url = False  # whether the last written word contains a URL
        self._backtick_runs: dict[int, list[int]] | None = None
        self._block_starts = block_starts

    def rewrite(self) -> str:
        """Rewrite the text, and return the result."""
        text = self._text
        while match := SIGN_PATTERN.search(text, self._position):
            self._write(text[self._position : match.start()])
            self._position = match.end()
            sign = match[0]
            rewrite_sign = REWRITE_RULES.get(sign[0], _InlineRewriter.rewrite_url)
            self._write(rewrite_sign(self, match.start(), sign))
        self._write(text[self._position :])
        return "".join(self._parts)

    def _write(self, part: str) -> None:
        if part:
            self._parts.append(part)
            words = SPACE_PATTERN.split(part)
            self._is_in_url = bool(URL_START_PATTERN.search(words[-1])) or (
                self._is_in_url and len(words) == 1
            )

    def rewrite_backslash(self, start: int, _sign: str) -> str:
        next_char = self._text[start + 1 : start + 2]
        if self._is_in_url:  # backslashes in URLs are not escapes, so MathJax sees them
            return BACKSLASH_HTML
        if next_char in {"(", "["} or TEX_ENVIRONMENT_PATTERN.match(self._text, start):
            formula = self._take_formula(start)
            if formula or next_char not in {"(", "["}:
                return formula or BACKSLASH_HTML
        if not ESCAPED_SIGN_PATTERN.match(self._text, start):
            return "\\"
        self._position = start + 2
        if next_char == "\\":
            following_char = self._text[start + 2 : start + 3]
            starts_markup = following_char in {*"()[]$!<"} or self._text.startswith(
                ("begin", "end", "ref", "eqref"), start + 2
            )
            return BACKSLASH_HTML if starts_markup else "\\\\"
        return BACKSLASH_ESCAPE_REPLACEMENTS.get(next_char, f"\\{next_char}")

    def rewrite_dollar(self, start: int, _sign: str) -> str:
        return self._take_formula(start) or ("%24" if start < self._url_end else DOLLAR_HTML)

    def _take_formula(self, start: int) -> str:
        """Return the normalized formula that starts at `start`, or "" if none starts there."""
        if self._is_in_url:  # in an attribute, quotes in the formula could end the attribute
            return ""
        formula = parse_formula(self._text, start, self._get_block_end(start))
        if formula is None:
            return ""
        self._position = formula.end
        previous_part = self._parts[-1] if self._parts else ""
        return f" {formula.tex}" if previous_part.endswith(("$", "\\")) else formula.tex

    def rewrite_backticks(self, start: int, sign: str) -> str:
        closing_position = self._find_closing_backticks(start, len(sign))
        if closing_position < 0:
            return sign if len(sign) < 3 else "&#96;" * len(sign)  # noqa: PLR2004 - a fence
        code = self._text[start + len(sign) : closing_position]
        self._position = closing_position + len(sign)
        code = " ".join(
            line.strip(" \t") if line_index else line
            for line_index, line in enumerate(code.split("\n"))
        )
        if code.startswith(" ") and code.endswith(" ") and code.strip():
            code = code[1:-1]
        return format_inline_code(code)

    def _find_closing_backticks(self, start: int, length: int) -> int:
        """Return the position of the closing backticks in the same block, or -1 if not found."""
        if self._backtick_runs is None:
            self._backtick_runs = {}
            for run in re.finditer("`+", self._text):
                self._backtick_runs.setdefault(len(run[0]), []).append(run.start())
        runs = self._backtick_runs.get(length, [])
        run_index = bisect_left(runs, start + length)
        block_end = self._get_block_end(start)
        return runs[run_index] if run_index < len(runs) and runs[run_index] < block_end else -1

    def _get_block_end(self, position: int) -> int:
        next_block = bisect_right(self._block_starts, position)
        return (
            self._block_starts[next_block]
            if next_block < len(self._block_starts)
            else len(self._text)
        )

    def rewrite_less_than(self, start: int, _sign: str) -> str:
        link = AUTOLINK_PATTERN.match(self._text, start)
        if link and not re.search(r"@@|~~~|!\[", link[1]):
            self._position = link.end()
            return link[0]
        other_link = OTHER_AUTOLINK_PATTERN.match(self._text, start)
        if other_link:
            self._escape_trailing_exclamation()
            self._position = other_link.end()
            url = other_link[1] or f"mailto:{other_link[2]}"
            return f"[{encode_entities(other_link[1] or other_link[2])}]({encode_url(url)})"
        tag = HARMLESS_TAG_PATTERN.match(self._text, start)
        if tag:
            self._position = tag.end()
            return tag[0]
        line_break = LINE_BREAK_TAG_PATTERN.match(self._text, start)
        if line_break:  # the end of a line, where <br> could start an HTML block
            self._position = line_break.end()
            return "  "
        return "&lt;"

    def rewrite_image(self, start: int, _sign: str) -> str:
        self._escape_trailing_exclamation()
        match = DATA_IMAGE_PATTERN.match(self._text, start)
        if match and not self._is_in_url:  # if in a URL, the brackets could be part of the URL
            self._position = match.end()
            alt_text, image_format, content = match.groups()
            alt_text = UNSAFE_ALT_TEXT_PATTERN.sub(" ", alt_text)
            return f"![{alt_text}](data:image/{image_format.lower()};base64,{content})"
        return "[image" if self._text.startswith("]", self._position) else "[image: "

    def _escape_trailing_exclamation(self) -> None:
        """Escape an exclamation mark that would turn the following link into an image."""
        if self._parts and self._parts[-1].endswith("!"):
            self._parts[-1] = self._parts[-1][:-1].removesuffix("\\") + "&#33;"

    def rewrite_bracket(self, start: int, _sign: str) -> str:
        if self._text[start + 1] == "(":
            link = LINK_PATTERN.match(self._text, start)
            if link is None:
                self._position = start + 2
                return "]\\("
            self._position = link.end()
            return f"]({encode_url(link[1])})"
        label = LINK_LABEL_PATTERN.fullmatch(get_line_before(self._text, start))
        definition = LINK_DEFINITION_PATTERN.match(self._text, start) if label else None
        if definition is None:
            self._position = start + 2
            return "]\\:"
        self._position = definition.end()
        return f"]: {encode_url(definition[1])}\n"

    def rewrite_at_signs(self, _start: int, sign: str) -> str:
        return "&#64;" * len(sign)  # JupyterLab uses @@0@@ as a placeholder for a formula

    def rewrite_tildes(self, _start: int, sign: str) -> str:
        return "&#126;" * len(sign)

    def rewrite_entity(self, start: int, _sign: str) -> str:
        match = ENTITY_PATTERN.match(self._text, start)
        if match is None:
            return "&"
        self._position = match.end()
        character = unescape(match[0])
        return {"$": DOLLAR_HTML, "\\": BACKSLASH_HTML}.get(character, match[0])

    def rewrite_url(self, start: int, sign: str) -> str:
        if sign.lower() == "ftp":
            self._position = start + len("ftp:")
            return f"{sign}&#58;"
        if start >= self._url_end:
            end = URL_END_PATTERN.search(self._text, start)
            self._url_end = end.start() if end else len(self._text)
        return sign


def encode_url(url: str) -> str:
    """Percent-encode the characters in a URL that are special in Markdown, HTML or JupyterLab."""
    unescaped = ESCAPED_SIGN_PATTERN.sub(r"\1", url).encode("utf-8", "replace").decode("utf-8")
    return (
        quote(unescaped, safe=URL_SAFE_CHARS).replace("@@", "%40%40").replace("~~~", "%7E%7E%7E")
    )


REWRITE_RULES = {
    "\\": _InlineRewriter.rewrite_backslash,
    "$": _InlineRewriter.rewrite_dollar,
    "`": _InlineRewriter.rewrite_backticks,
    "<": _InlineRewriter.rewrite_less_than,
    "!": _InlineRewriter.rewrite_image,
    "]": _InlineRewriter.rewrite_bracket,
    "@": _InlineRewriter.rewrite_at_signs,
    "~": _InlineRewriter.rewrite_tildes,
    "&": _InlineRewriter.rewrite_entity,
}
