"""Keep IPython from changing a question: its help syntax `?` and the prompts `>>>` in a cell."""

import re
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.core.inputtransformer2 import (
    EscapedCommand,
    MagicAssign,
    SystemAssign,
    TokenTransformBase,
    TransformerManager,
)
from IPython.core.magic import MagicAlias

from ..notebook import CELL_MAGIC, WRAPPER_MAGICS, split_magic

MAGIC_NAME = CELL_MAGIC.removeprefix("%%")
QUESTION = r"(?P<name>{names})\s+(?:ask|explain)\b"
# A question may be the argument of another magic, such as %time.
QUESTION_PATTERN = rf"(?:%\w+\s.*%|[%!]!?)\s*{QUESTION}"
AUTOMAGIC_PATTERN = rf"{QUESTION}.*\?\s*$"


def _match_question(pattern: str, text: str) -> re.Match[str] | None:
    """Match a question with `%cfai`, or with an alias of it from `%alias_magic`."""
    names = [MAGIC_NAME, *(n for n in _get_magics("line") if _resolve(n, "line") == MAGIC_NAME)]
    return re.match(pattern.replace("{names}", "|".join(map(re.escape, names))), text)


def _resolve(name: str, kind: str) -> str:
    """Return the name of the magic that an alias calls, or the name itself."""
    magics = _get_magics(kind)
    visited = set()  # an alias may call itself
    while name not in visited and isinstance(alias := magics.get(name), MagicAlias):
        visited.add(name)
        name = alias.magic_name
    return name


def _get_magics(kind: str) -> dict[str, Any]:
    """Return the line magics or the cell magics by name."""
    shell = get_ipython()
    return shell.magics_manager.magics[kind] if shell is not None else {}


class Question(TokenTransformBase):
    """A line such as `%cfai ask What is a neuron?`, which asks in place of showing help."""

    priority = 4  # before HelpEnd, which has 5 and also starts at the start of the line

    def __init__(self, start: tuple[int, int], command: TokenTransformBase) -> None:
        super().__init__(start)
        self._command = command

    @classmethod
    def find(cls, tokens_by_line: Any) -> "Question | None":
        """Return the transformer for the first question, or None."""
        for tokens in tokens_by_line:
            for transformer in (EscapedCommand, MagicAssign, SystemAssign):
                command = transformer.find([tokens])
                if command and _match_question(QUESTION_PATTERN, _get_text(tokens, command)):
                    return cls(tokens[0].start, command)
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines with a call of the magic in place of the question."""
        transformed: list[str] = self._command.transform(lines)
        return transformed


def _get_text(tokens: Any, command: TokenTransformBase) -> str:
    """Return the text of a line from the start of a command in it."""
    start = command.start_line + 1, command.start_col
    line: str = next(token.line for token in tokens if token.start == start)
    return line[command.start_col :]


class AutomagicQuestion(TokenTransformBase):
    """A first line such as `cfai ask What is a neuron?`, to which this transformer adds the %."""

    priority = 4

    @classmethod
    def find(cls, tokens_by_line: Any) -> "AutomagicQuestion | None":
        """Return the transformer if the first line is such a question, or None."""
        if not tokens_by_line or not tokens_by_line[0]:
            return None
        token, shell = tokens_by_line[0][0], get_ipython()
        question = _match_question(AUTOMAGIC_PATTERN, token.line)
        if question is None or shell is None:
            return None
        is_magic = shell.automagic and question["name"] not in shell.user_ns
        return cls(token.start) if is_magic else None

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines with a % before the first one."""
        return ["%" + lines[0], *lines[1:]]


TOKEN_TRANSFORMERS = (Question, AutomagicQuestion)


def keep_cell_text(lines: list[str]) -> list[str]:
    """Turn a `%%cfai` cell into a call of the magic before IPython changes or tokenizes its body.

    IPython removes prompts such as `>>>` from each line of a cell, also below other magics. Under
    `%%time`, it reads the body as Python, which fails for a text such as "Why? :)" (IPython 9.18).

    Args:
        lines: The lines of the cell, with their line ends.
    """
    call = _to_call("".join(lines))
    return lines if call is None else [call]


def _to_call(source: str) -> str | None:
    """Return a call of the cell magic in the first line, or None if it does not run `%%cfai`."""
    name, line, body = split_magic(source)
    if not name.startswith("%%") or name.endswith("?"):
        return None
    target = f"%%{_resolve(name.removeprefix('%%'), 'cell')}"
    if target != CELL_MAGIC:  # a magic that runs the rest of the cell
        call = _to_call(body)
        if call is None:
            return None
        if target in WRAPPER_MAGICS:  # other magics may read the text, such as %%writefile
            body = call
    return f"get_ipython().run_cell_magic({name.removeprefix('%%')!r}, {line!r}, {body!r})\n"


# IPython checks with the other transformers whether a typed cell is complete: a cell magic is
# complete after an empty line.
keep_cell_text.has_side_effects = True  # type: ignore[attr-defined]


def install(manager: TransformerManager) -> None:
    """Add the transformers of this module."""
    manager.cleanup_transforms.insert(0, keep_cell_text)
    manager.token_transformers.extend(TOKEN_TRANSFORMERS)


def remove(manager: TransformerManager) -> None:
    """Remove the transformers of this module."""
    manager.cleanup_transforms.remove(keep_cell_text)
    for transformer in TOKEN_TRANSFORMERS:
        manager.token_transformers.remove(transformer)
