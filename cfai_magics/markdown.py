"""Owns what we know of Markdown: where a finished block ends, and what may not be loaded."""

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# An image, unless its ! is escaped; what it loads is looked at separately.
IMAGE = re.compile(
    r"(?<!\\)((?:\\\\)*)!\[([^\]\n]*)(\](?:\(\s*<?(data:image/|attachment:))?)?", re.IGNORECASE
)
LOADING_TAG = re.compile(
    r"<(?=/?(?:img|image|picture|source|video|audio|track|i?frame|frameset|object|embed|applet|link"
    r"|style|script|svg|math|input|button|base|meta|form|body|html|head|portal|template)\b"
    r"|[a-z][^<>]*?\b(?:src|srcset|style|background|poster|data|action|formaction|xlink:href"
    r"|on\w+)\s*=|[!?])",
    re.IGNORECASE,
)
MATH_BLOCKS = (("$$", "$$"), (r"\[", r"\]"))


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


class Code(NamedTuple):
    """One code block: its language, "" where none is named, and its text."""

    language: str
    text: str


class Cells(NamedTuple):
    """A table as text."""

    columns: list[str]
    rows: list[list[str]]


def first_code(text: str) -> Code | None:
    """Return the first fenced code block of Markdown; None where there is none."""
    if "```" not in text and "~~~" not in text:
        return None
    for token in _parser().parse(text):
        if token.type == "fence":
            return Code((token.info.split() or [""])[0], token.content)
    return None


def first_table(text: str) -> Cells | None:
    """Return the first table of Markdown; None where there is none."""
    lines: list[list[str]] = []
    for token in _parser().parse(text):
        if token.type == "tr_open":
            lines.append([])
        elif token.type == "inline" and lines:
            lines[-1].append("".join(_shown(child) for child in token.children or ()))
        elif token.type == "table_close":
            return Cells(lines[0], lines[1:])
    return None


def _shown(token: "Token") -> str:
    return " " if token.type.endswith("break") else token.content


def split_finished(text: str) -> tuple[str, str]:
    """Cut Markdown into its finished blocks and the open end, which more text may still change.

    The last block is always open; so is a display formula that has not ended.
    """
    lines = text.splitlines(keepends=True)
    blocks = [token.map[0] for token in _parser().parse(text) if token.level == 0 and token.map]
    start = blocks[-1] if blocks else 0
    finished, rest = "".join(lines[:start]), "".join(lines[start:])
    opened = _open_formula(finished)
    if opened is not None:
        finished, rest = text[:opened], text[opened:]
    return finished, rest


def _open_formula(text: str) -> int | None:
    """Return where the line begins that opens a display formula which has not ended."""
    place = 0
    while True:
        starts = [(text.find(opening, place), opening, end) for opening, end in MATH_BLOCKS]
        found = min((start for start in starts if start[0] >= 0), default=None)
        if found is None:
            return None
        begin, opening, end = found
        closed = text.find(end, begin + len(opening))
        if closed < 0:
            return text.rfind("\n", 0, begin) + 1
        place = closed + len(end)


def without_remote_content(text: str) -> str:
    """Return Markdown that loads nothing from elsewhere when it is shown.

    Images become links, and HTML that could load or run something becomes text. Code stands as it
    is, unless the same block also holds something that would be loaded.
    """
    if "![" not in text and not LOADING_TAG.search(text):
        return text
    lines = text.splitlines(keepends=True)
    code = {
        number
        for token in _parser().parse(text)
        if token.map and _is_only_code(token)
        for number in range(*token.map)
    }
    return "".join(_neutral_run(lines, code))


def _neutral_run(lines: list[str], code: set[int]) -> list[str]:
    """Return the lines, those outside code neutralised together: a tag may span lines."""
    done: list[str] = []
    run: list[str] = []
    for number, line in enumerate(lines):
        if number in code:
            done += [_neutral("".join(run)), line]
            run = []
        else:
            run.append(line)
    return [*done, _neutral("".join(run))]


def _is_only_code(token: "Token") -> bool:
    if token.type in {"fence", "code_block"}:
        return token.level == 0  # nested in a list or quote, other parsers may see it differently
    if token.type != "inline" or not token.children:
        return False
    spans = [child.content for child in token.children if child.type == "code_inline"]
    others = [child for child in token.children if child.type != "code_inline"]
    loads = any(
        child.type in {"image", "html_inline"}
        or "![" in child.content
        or LOADING_TAG.search(child.content)
        for child in others
    )
    return bool(spans) and not loads


def _neutral(text: str) -> str:
    return LOADING_TAG.sub("&lt;", IMAGE.sub(_link, text))


def _link(image: re.Match[str]) -> str:
    slashes, alt, after, kept = image.groups()
    if kept:
        return image[0]
    return f"{slashes}[image{': ' if alt else ''}{alt}{after or ''}"
