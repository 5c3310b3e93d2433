"""Split Markdown into blocks, find code and tables, and remove external content."""

import re
from bisect import bisect_left, bisect_right
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from .escaping import LINE_END_PATTERN, format_html_code_block, normalize_text

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

CODE_TOKEN_TYPES = {"fence", "code_block"}
# Markdown that does not match this pattern does not need to be rewritten.
NEEDS_REWRITING_PATTERN = re.compile(r"[\\`~$<!\]@&:]|\t| {4}|www\.", re.IGNORECASE)
LANGUAGE_PATTERN = re.compile(r"[A-Za-z0-9_+#.-]{1,40}(?![^\s])")
# Code that would be active if read as text. In lists and quotes, parsers disagree about what is
# code.
AMBIGUOUS_CODE_PATTERN = re.compile(
    r"<[a-z/!?]|!\[|\]\(|^[ \t>]*\[[^\]\n]*\]:|`{3}|~{3}|@@|@\\|&#|&\w+;|\\[()\[\]]"
    r"|\\(?:begin|end)\b|ftp://|\$\$",
    re.IGNORECASE | re.MULTILINE,
)
COMMAND_OR_URL_PATTERN = re.compile(r"\\[a-z]|://|www\.", re.IGNORECASE)  # unsafe in formulas
FENCE_PATTERN = re.compile(r"`{3,}|~{3,}")
BACKTICK_RUN_PATTERN = re.compile(r"`{3,}")
DIAGRAM_LANGUAGE = "mermaid"  # front ends render diagrams, including external images and HTML


@cache
def _get_parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


@cache
def _get_block_parser() -> "MarkdownIt":
    """Return a parser that parses only blocks and is much faster than a full parser.

    The parser treats HTML as text, because HTML is escaped for display.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


class CodeBlock(NamedTuple):
    """The language and text of a code block. The language is "" if none is given."""

    language: str
    text: str


class TableCells(NamedTuple):
    """The column names and rows of a table as text."""

    columns: list[str]
    rows: list[list[str]]


def find_first_code_block(text: str) -> CodeBlock | None:
    """Return the first fenced code block in Markdown, or None if there is no such block."""
    if "```" not in text and "~~~" not in text:
        return None
    for token in _get_parser().parse(text):
        if token.type == "fence":
            return CodeBlock((token.info.split() or [""])[0], token.content)
    return None


def find_first_table(text: str) -> TableCells | None:
    """Return the first table in Markdown, or None if there is no table."""
    rows: list[list[str]] = []
    for token in _get_parser().parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append("".join(_get_token_text(child) for child in token.children or ()))
        elif token.type == "table_close":
            return TableCells(rows[0], rows[1:])
    return None


def _get_token_text(token: "Token") -> str:
    return " " if token.type.endswith("break") else token.content


def split_complete_blocks(text: str) -> tuple[str, str]:
    """Split streamed Markdown into its complete blocks and the rest.

    The rest may still change. It includes the last block and any incomplete display formula.
    """
    from .formulas import find_open_formula

    lines = _split_lines(text)
    tokens = _get_block_parser().parse(_join_normalized(lines))
    block_starts = [0, *(token.map[0] for token in tokens if token.level == 0 and token.map)]
    # A formula cannot continue after a code block.
    code_block_ends = [
        token.map[1] for token in tokens if token.type in CODE_TOKEN_TYPES and token.map
    ]
    last_code_end = max((end for end in code_block_ends if end <= block_starts[-1]), default=0)
    formula_start = find_open_formula(
        "".join(map(normalize_text, lines[last_code_end : block_starts[-1]]))
    )
    open_line = block_starts[-1]
    if formula_start is not None:
        line_ends = list(
            accumulate(len(normalize_text(line)) for line in lines[last_code_end:open_line])
        )
        open_line = block_starts[
            bisect_right(block_starts, last_code_end + bisect_right(line_ends, formula_start)) - 1
        ]
    return "".join(lines[:open_line]), "".join(lines[open_line:])


def _split_lines(text: str) -> list[str]:
    """Split text into lines at the line ends that `normalize_text` replaces.

    Each line includes its line end.
    """
    line_ends = [match.end() for match in LINE_END_PATTERN.finditer(text)]
    return [
        text[start:end]
        for start, end in zip([0, *line_ends], [*line_ends, len(text)], strict=True)
    ]


def _join_normalized(lines: list[str]) -> str:
    return "".join(normalize_text(line) for line in lines)


def strip_remote_content(text: str) -> str:
    """Rewrite Markdown so that it loads no external content and runs no code when displayed.

    All parsers render the result in the same way: code blocks are fenced again, and each formula
    is written on one line between dollar signs. Only http, https and mailto links and images with
    inline data stay active.
    """
    from .inlines import neutralize_inlines

    text = normalize_text(text)
    if not NEEDS_REWRITING_PATTERN.search(text):
        return text
    lines = _split_lines(text)
    line_offsets = [0, *accumulate(map(len, lines))]
    tokens = _get_block_parser().parse(text)
    block_offsets = sorted({line_offsets[token.map[0]] for token in tokens if token.map})

    def rewrite_inlines(first_line: int, end_line: int) -> str:
        start_offset, end_offset = line_offsets[first_line], line_offsets[end_line]
        inner_block_offsets = block_offsets[
            bisect_right(block_offsets, start_offset) : bisect_left(block_offsets, end_offset)
        ]
        return neutralize_inlines(
            text[start_offset:end_offset],
            [offset - start_offset for offset in inner_block_offsets],
        )

    parts: list[str] = []
    next_line = 0
    for token in tokens:
        if token.type not in CODE_TOKEN_TYPES or not token.map:
            continue
        first_line, end_line = token.map
        parts.append(rewrite_inlines(next_line, first_line))
        if token.level == 0:
            parts += [
                _missing_newlines_before_code(parts),
                _format_fence(token.content, _get_language(token), ""),
            ]
            parts.append(_newlines_after_code(lines, end_line))
        elif token.type == "fence":
            parts.append(_format_nested_fence(token, lines[first_line:end_line]))
        else:
            parts.append(rewrite_inlines(first_line, end_line))
        next_line = end_line
    parts.append(rewrite_inlines(next_line, len(lines)))
    return "".join(parts)


def _missing_newlines_before_code(parts: list[str]) -> str:
    """Return the newlines to add before a code block so that an empty line precedes it."""
    before = "".join(parts[-4:])
    newline_count = before[len(before.rstrip()) :].count("\n")
    return "\n" * (2 - newline_count) if before.strip() and newline_count < 2 else ""  # noqa: PLR2004


def _newlines_after_code(lines: list[str], end_line: int) -> str:
    """Return the newlines to add after a code block so that an empty line follows it."""
    if end_line >= len(lines):
        return "\n" if lines[-1].endswith("\n") else ""
    return "\n\n" if lines[end_line].strip() else "\n"


def _format_fence(code: str, language: str, prefix: str) -> str:
    """Return a fenced code block whose start and end are the same in all parsers."""
    max_backticks = max(map(len, BACKTICK_RUN_PATTERN.findall(code)), default=2)
    fence = "`" * (max_backticks + 1)
    content = code if not code or code.endswith("\n") else f"{code}\n"
    prefixed_code = "".join(f"{prefix}{line}" for line in content.splitlines(keepends=True))
    return f"{fence}{language}\n{prefixed_code}{prefix}{fence}"


def _get_language(token: "Token") -> str:
    match = LANGUAGE_PATTERN.match(token.info.strip())
    return "" if match is None or match[0].lower().startswith(DIAGRAM_LANGUAGE) else match[0]


def _format_nested_fence(token: "Token", block_lines: list[str]) -> str:
    """Return a code block for use inside a list or quote.

    The code block is HTML if some parsers could overlook its fence.
    """
    fence_match = FENCE_PATTERN.search(block_lines[0])
    line_prefix = block_lines[0][: fence_match.start()] if fence_match else ""
    prefix = re.sub(r"[^\s>]", " ", line_prefix)
    code = token.content
    is_only_code = not AMBIGUOUS_CODE_PATTERN.search(code) and not (
        "$" in code and COMMAND_OR_URL_PATTERN.search(code)
    )
    code_text = (
        _format_fence(code, _get_language(token), prefix)
        if is_only_code
        else format_html_code_block(code, prefix)
    )
    return line_prefix + code_text + ("\n" if block_lines[-1].endswith("\n") else "")
