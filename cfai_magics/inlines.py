"""Rewrites the running text of Markdown so that nothing in it loads, runs or reaches elsewhere.

Each rule holds wherever its signs stand, in code and in tables too, so that it matters to no rule
how a parser divides the text: where one sees code that others do not, an entity is shown as such.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from html import unescape
from urllib.parse import quote

from .escaping import BACKSLASH, DOLLAR, entities, inline_code
from .formulas import formula_at, line_before

SIGN = re.compile(
    r"\\|`+|~{3,}|\$|<|!\[|\](?=[(:])|@{2,}|@(?=\\)|&(?=[#a-z])|ftp(?=://)|https?://|www\.",
    re.IGNORECASE,
)
PLAIN_ADDRESS = r"(?:https?://|mailto:)[\w\-.~:/?#@!&*+,;%]{1,2000}"
ADDRESS = r"(?:https?://|mailto:)(?:[^\s<>\\()]|\\[!-/:-@\[-`{-~]){0,2000}"
IN_BRACKETS = r"(?:\([^\s<>\\()]{0,300}\)[^\s<>\\()]{0,300}){0,4}"
TITLE = r"""(?:"[^"\n]{0,300}"|'[^'\n]{0,300}'|\([^()\n]{0,300}\))"""
# Without =, so that it is harmless as a tag too.
AUTOLINK = re.compile(rf"<({PLAIN_ADDRESS})>", re.ASCII | re.IGNORECASE)
# Not as it is: mistune takes <p@b.c> for a paragraph of HTML.
OTHER_AUTOLINK = re.compile(rf"<(?:({ADDRESS})|([\w.+-]{{1,64}}@[\w.-]{{1,255}}))>", re.IGNORECASE)
LINK = re.compile(
    rf"\]\([ \t]*<?({ADDRESS}{IN_BRACKETS})>?(?:[ \t]*[ \t\n][ \t]*{TITLE})?[ \t]*\)",
    re.IGNORECASE,
)
DEFINITION = re.compile(
    rf"\]:[ \t]*(?:\n[ \t>]*)?<?({ADDRESS}{IN_BRACKETS})>?(?:[ \t]+{TITLE})?[ \t]*(?=\n|\Z)",
    re.IGNORECASE,
)
LABEL = re.compile(r"[ \t>]*\[[^\[\]]+")
IMAGE = re.compile(
    r"!\[([^\[\]\n]*)\]\([ \t]*<?data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})>?"
    r"[ \t]*\)",
    re.IGNORECASE,
)
BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
# Escapes and formulas hold no brackets that count.
BRACKET = re.compile(r"\\[\s\S]|\$\$?(?:\\[\s\S]|[^$\\])*\$\$?|(\[)|(\])")
BEGINS_LINE = re.compile(r"[ \t>*+\-\d.)]*")
NOT_IN_NAME = re.compile(r"[^\w .,-]")
# Tags without attributes, whole and with plain text in them: those that models write into tables
# and formulas, and those that `escaping` writes.
HARMLESS_TAG = re.compile(
    r"<br ?/?>(?=[ \t]*[^\s<])|<(su[bp])>[\w+\-., ]{1,40}</\1>"
    r"|<span>&#(?:36|92);</span>|<code>(?:[\w ,;-]|&#\d{2,3};){0,2000}</code>",
    re.IGNORECASE,
)
ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]*);", re.IGNORECASE)
ENVIRONMENT = re.compile(r"\\(?:begin|end)\b|\\(?:eq)?ref\b")
ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
ADDRESS_END = re.compile(r"\s|\Z")
ADDRESS_BEGIN = re.compile(r"://|www\.", re.IGNORECASE)
SPACE = re.compile(r"\s")
SAFE_IN_ADDRESS = ":/?#@!&+,;=%"


def safe_inlines(text: str, blocks: Sequence[int] = ()) -> str:
    """Return running text, without code blocks, that loads and runs nothing under any parser.

    `blocks` is where its blocks begin, in order.
    """
    return _without_open_label(_Rewriting(text, blocks).whole())


def _without_open_label(text: str) -> str:
    """Write brackets anew that begin a line and are never closed.

    marked and mistune would look for its end, and the address of a definition, in the code block
    that follows. JupyterLab takes formulas out before, and with them the brackets in them.
    """
    opened: list[int] = []
    for sign in BRACKET.finditer(text):
        if sign[1]:
            opened.append(sign.start(1))
        elif sign[2]:
            opened.clear()
    parts, end = [], len(text)
    while opened and BEGINS_LINE.fullmatch(line_before(text, opened[-1])):
        parts += [text[opened[-1] + 1 : end], "&#91;"]
        end = opened.pop()
    return "".join([text[:end], *reversed(parts)])


class _Rewriting:
    """The state of one pass over a text: what is written, and how far it is read."""

    def __init__(self, text: str, blocks: Sequence[int]) -> None:
        self._text = text
        self._place = 0
        self._out: list[str] = []
        self._address_end = 0  # where the bare address ends that was begun last
        self._in_address = False  # whether an address stands in the last word that is written
        self._ticks: dict[int, list[int]] | None = None
        self._blocks = blocks

    def whole(self) -> str:
        """Return the whole text, rewritten."""
        text = self._text
        while match := SIGN.search(text, self._place):
            self._write(text[self._place : match.start()])
            self._place = match.end()
            sign = match[0]
            rule = RULES.get(sign[0], _Rewriting.address)
            self._write(rule(self, match.start(), sign))
        self._write(text[self._place :])
        return "".join(self._out)

    def _write(self, part: str) -> None:
        if part:
            self._out.append(part)
            word = SPACE.split(part)
            self._in_address = bool(ADDRESS_BEGIN.search(word[-1])) or (
                self._in_address and len(word) == 1
            )

    def backslash(self, begin: int, _sign: str) -> str:
        after = self._text[begin + 1 : begin + 2]
        if self._in_address:  # there it would be no escape, and reach MathJax as it is
            return BACKSLASH
        if after in {"(", "["} or ENVIRONMENT.match(self._text, begin):
            formula = self._formula(begin)
            if formula or after not in {"(", "["}:
                return formula or BACKSLASH
        if not ESCAPED.match(self._text, begin):
            return "\\"
        self._place = begin + 2
        if after == "\\":
            follows = self._text[begin + 2 : begin + 3]
            means = follows in {*"()[]$!<"} or self._text.startswith(
                ("begin", "end", "ref", "eqref"), begin + 2
            )
            return BACKSLASH if means else "\\\\"
        return ESCAPES.get(after, f"\\{after}")

    def dollar(self, begin: int, _sign: str) -> str:
        return self._formula(begin) or ("%24" if begin < self._address_end else DOLLAR)

    def _formula(self, begin: int) -> str:
        """Return the formula that begins here, written anew; "" where none does."""
        if self._in_address:  # it would stand in an attribute, which its quotes could end
            return ""
        found = formula_at(self._text, begin, self._block_end(begin))
        if found is None:
            return ""
        self._place = found.end
        before = self._out[-1] if self._out else ""
        return f" {found.tex}" if before.endswith(("$", "\\")) else found.tex

    def ticks(self, begin: int, sign: str) -> str:
        closed = self._closing_ticks(begin, len(sign))
        if closed < 0:
            return sign if len(sign) < 3 else "&#96;" * len(sign)  # noqa: PLR2004 - a fence
        code = self._text[begin + len(sign) : closed]
        self._place = closed + len(sign)
        code = " ".join(
            line.strip(" \t") if at else line for at, line in enumerate(code.split("\n"))
        )
        if code.startswith(" ") and code.endswith(" ") and code.strip():
            code = code[1:-1]
        return inline_code(code)

    def _closing_ticks(self, begin: int, length: int) -> int:
        """Return where as many backticks close the code in the same block; -1 where none."""
        if self._ticks is None:
            self._ticks = {}
            for run in re.finditer("`+", self._text):
                self._ticks.setdefault(len(run[0]), []).append(run.start())
        runs = self._ticks.get(length, [])
        after = bisect_left(runs, begin + length)
        limit = self._block_end(begin)
        return runs[after] if after < len(runs) and runs[after] < limit else -1

    def _block_end(self, place: int) -> int:
        following = bisect_right(self._blocks, place)
        return self._blocks[following] if following < len(self._blocks) else len(self._text)

    def less(self, begin: int, _sign: str) -> str:
        link = AUTOLINK.match(self._text, begin)
        if link and not re.search(r"@@|~~~|!\[", link[1]):
            self._place = link.end()
            return link[0]
        other = OTHER_AUTOLINK.match(self._text, begin)
        if other:
            self._end_sign()
            self._place = other.end()
            address = other[1] or f"mailto:{other[2]}"
            return f"[{entities(other[1] or other[2])}]({safe_address(address)})"
        tag = HARMLESS_TAG.match(self._text, begin)
        if tag:
            self._place = tag.end()
            return tag[0]
        break_ = BREAK.match(self._text, begin)
        if break_:  # at a line's end, where Markdown has its own: alone it begins a block of HTML
            self._place = break_.end()
            return "  "
        return "&lt;"

    def image(self, begin: int, _sign: str) -> str:
        self._end_sign()
        data = IMAGE.match(self._text, begin)
        if data and not self._in_address:  # else its brackets could be part of the address
            self._place = data.end()
            name, kind, content = data.groups()
            name = NOT_IN_NAME.sub(" ", name)
            return f"![{name}](data:image/{kind.lower()};base64,{content})"
        return "[image" if self._text.startswith("]", self._place) else "[image: "

    def _end_sign(self) -> None:
        """Write an exclamation mark anew that would make an image of the link that follows."""
        if self._out and self._out[-1].endswith("!"):
            self._out[-1] = self._out[-1][:-1].removesuffix("\\") + "&#33;"

    def bracket(self, begin: int, _sign: str) -> str:
        if self._text[begin + 1] == "(":
            link = LINK.match(self._text, begin)
            if link is None:
                self._place = begin + 2
                return "]\\("
            self._place = link.end()
            return f"]({safe_address(link[1])})"
        label = LABEL.fullmatch(line_before(self._text, begin))
        definition = DEFINITION.match(self._text, begin) if label else None
        if definition is None:
            self._place = begin + 2
            return "]\\:"
        self._place = definition.end()
        return f"]: {safe_address(definition[1])}\n"

    def at(self, _begin: int, sign: str) -> str:
        return "&#64;" * len(sign)  # JupyterLab marks where it took out a formula as @@0@@

    def tildes(self, _begin: int, sign: str) -> str:
        return "&#126;" * len(sign)

    def entity(self, begin: int, _sign: str) -> str:
        entity = ENTITY.match(self._text, begin)
        if entity is None:
            return "&"
        self._place = entity.end()
        character = unescape(entity[0])
        return {"$": DOLLAR, "\\": BACKSLASH}.get(character, entity[0])

    def address(self, begin: int, sign: str) -> str:
        if sign.lower() == "ftp":
            self._place = begin + len("ftp:")
            return f"{sign}&#58;"
        if begin >= self._address_end:
            end = ADDRESS_END.search(self._text, begin)
            self._address_end = end.start() if end else len(self._text)
        return sign


def safe_address(address: str) -> str:
    """Return an address in which no character means anything to Markdown, HTML or JupyterLab."""
    plain = ESCAPED.sub(r"\1", address).encode("utf-8", "replace").decode("utf-8")
    return quote(plain, safe=SAFE_IN_ADDRESS).replace("@@", "%40%40").replace("~~~", "%7E%7E%7E")


RULES = {
    "\\": _Rewriting.backslash,
    "$": _Rewriting.dollar,
    "`": _Rewriting.ticks,
    "<": _Rewriting.less,
    "!": _Rewriting.image,
    "]": _Rewriting.bracket,
    "@": _Rewriting.at,
    "~": _Rewriting.tildes,
    "&": _Rewriting.entity,
}
ESCAPES = {
    "$": DOLLAR,
    "<": "&lt;",
    **{sign: entities(sign) for sign in "@()[]"},
}  # of what a backslash stands before
