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

from ..notebook import CELL_MAGIC, split_cell, split_magic

# A question may be the argument of another magic, such as %time.
QUESTION_PATTERN = re.compile(r"(?:%\w+\s.*%|[%!]!?)\s*cfai\s+(?:ask|explain)\b")
AUTOMAGIC_PATTERN = re.compile(r"cfai\s+(?:ask|explain)\b.*\?\s*$")


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
                if command and QUESTION_PATTERN.match(_get_text(tokens, command)):
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
        tokens = tokens_by_line[0] if tokens_by_line else ()
        if not tokens or not AUTOMAGIC_PATTERN.match(tokens[0].line):
            return None
        shell = get_ipython()
        is_magic = shell is not None and shell.automagic and "cfai" not in shell.user_ns
        return cls(tokens[0].start) if is_magic else None

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines with a % before the first one."""
        return ["%" + lines[0], *lines[1:]]


TOKEN_TRANSFORMERS = (Question, AutomagicQuestion)


def keep_cell_text(lines: list[str]) -> list[str]:
    """Turn a `%%cfai` cell into a call of the magic before IPython changes or tokenizes its body.

    IPython removes prompts such as `>>>`. Under `%%time`, it reads the body as Python, which
    fails for a text such as "Why? :)" (IPython 9.18).

    Args:
        lines: The lines of the cell, with their line ends.
    """
    source = "".join(lines)
    return lines if split_cell(source) is None else [_to_call(source)]


def _to_call(source: str) -> str:
    name, line, body = split_magic(source)
    if name != CELL_MAGIC:  # a magic that runs the rest of the cell
        body = _to_call(body)
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
