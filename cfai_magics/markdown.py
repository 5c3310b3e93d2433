"""Owns what we know of Markdown: where a finished block ends, and what may be loaded."""

import re
from bisect import bisect_left, bisect_right
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from .escaping import LINE_END, block_code, normalized
from .formulas import open_formula
from .inlines import safe_inlines

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

CODE_BLOCKS = {"fence", "code_block"}
# What Markdown that needs no rewriting has none of.
SIGN = re.compile(r"[\\`~$<!\]@&:]|\t| {4}|www\.", re.IGNORECASE)
LANGUAGE = re.compile(r"[A-Za-z0-9_+#.-]{1,40}(?![^\s])")
# Code inside a list or quote, where parsers differ, that would be more if one saw text in it.
MEANS_MORE = re.compile(
    r"<[a-z/!?]|!\[|\]\(|^[ \t>]*\[[^\]\n]*\]:|`{3}|~{3}|@@|@\\|&#|&\w+;|\\[()\[\]]"
    r"|\\(?:begin|end)\b|ftp://|\$\$",
    re.IGNORECASE | re.MULTILINE,
)
REACHES_OUT = re.compile(r"\\[a-z]|://|www\.", re.IGNORECASE)  # together with formulas
FENCE = re.compile(r"`{3,}|~{3,}")
BACKTICKS = re.compile(r"`{3,}")
DRAWN = "mermaid"  # a language that front ends draw, with images and HTML from elsewhere in it


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


@cache
def _block_parser() -> "MarkdownIt":
    """Return a parser of blocks alone, which takes a fraction of the time.

    HTML is text to it, as it is in what is shown.
    """
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    made.core.ruler.enableOnly(["normalize", "block"])
    return made


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
    lines = _lines(text)
    tokens = _block_parser().parse(_with_newlines(lines))
    starts = [0, *(token.map[0] for token in tokens if token.level == 0 and token.map)]
    # No formula goes on beyond a code block.
    code = [token.map[1] for token in tokens if token.type in CODE_BLOCKS and token.map]
    behind = max((end for end in code if end <= starts[-1]), default=0)
    begin = open_formula("".join(map(normalized, lines[behind : starts[-1]])))
    start = starts[-1]
    if begin is not None:
        ends = list(accumulate(len(normalized(line)) for line in lines[behind:start]))
        start = starts[bisect_right(starts, behind + bisect_right(ends, begin)) - 1]
    return "".join(lines[:start]), "".join(lines[start:])


def _lines(text: str) -> list[str]:
    """Return the lines with their ends, cut where `normalized` sees ends."""
    ends = [end.end() for end in LINE_END.finditer(text)]
    return [text[begin:end] for begin, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def _with_newlines(lines: list[str]) -> str:
    return "".join(normalized(line) for line in lines)


def without_remote_content(text: str) -> str:
    """Return Markdown that loads nothing from elsewhere and runs nothing when it is shown.

    It shows the same under every parser: code blocks are fenced anew, formulas are written between
    dollar signs on one line, and of all else that could load or run something only this is left:
    links to http, https and mailto, and images whose data stand in them.
    """
    text = normalized(text)
    if not SIGN.search(text):
        return text
    lines = _lines(text)
    places = [0, *accumulate(map(len, lines))]
    tokens = _block_parser().parse(text)
    blocks = sorted({places[token.map[0]] for token in tokens if token.map})

    def running(begin: int, end: int) -> str:
        first, last = places[begin], places[end]
        inside = blocks[bisect_right(blocks, first) : bisect_left(blocks, last)]
        return safe_inlines(text[first:last], [place - first for place in inside])

    parts: list[str] = []
    done = 0
    for token in tokens:
        if token.type not in CODE_BLOCKS or not token.map:
            continue
        begin, end = token.map
        parts.append(running(done, begin))
        if token.level == 0:
            parts += [_blank_line_after(parts), _fenced(token.content, _language(token), "")]
            parts.append(_end_of_block(lines, end))
        elif token.type == "fence":
            parts.append(_nested_fence(token, lines[begin:end]))
        else:
            parts.append(running(begin, end))
        done = end
    parts.append(running(done, len(lines)))
    return "".join(parts)


def _blank_line_after(parts: list[str]) -> str:
    """Return the line ends that are missing to an empty line before a code block."""
    before = "".join(parts[-4:])
    ends = before[len(before.rstrip()) :].count("\n")
    return "\n" * (2 - ends) if before.strip() and ends < 2 else ""  # noqa: PLR2004


def _end_of_block(lines: list[str], end: int) -> str:
    """Return what comes between a code block and the line behind it: an empty line, if any."""
    if end >= len(lines):
        return "\n" if lines[-1].endswith("\n") else ""
    return "\n\n" if lines[end].strip() else "\n"


def _fenced(code: str, language: str, prefix: str) -> str:
    """Return a code block that all parsers see begin and end at the same places."""
    longest = max(map(len, BACKTICKS.findall(code)), default=2)
    fence = "`" * (longest + 1)
    content = code if not code or code.endswith("\n") else f"{code}\n"
    inner = "".join(f"{prefix}{line}" for line in content.splitlines(keepends=True))
    return f"{fence}{language}\n{inner}{prefix}{fence}"


def _language(token: "Token") -> str:
    named = LANGUAGE.match(token.info.strip())
    return "" if named is None or named[0].lower().startswith(DRAWN) else named[0]


def _nested_fence(token: "Token", block: list[str]) -> str:
    """Return a code block inside a list or quote, as HTML if it could be taken for text."""
    opening = FENCE.search(block[0])
    before = block[0][: opening.start()] if opening else ""
    prefix = re.sub(r"[^\s>]", " ", before)
    code = token.content
    is_only_code = not MEANS_MORE.search(code) and not ("$" in code and REACHES_OUT.search(code))
    written = _fenced(code, _language(token), prefix) if is_only_code else block_code(code, prefix)
    return before + written + ("\n" if block[-1].endswith("\n") else "")
