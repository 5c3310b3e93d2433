"""Keep IPython from changing a question: its help syntax `?` and the prompts `>>>` in a cell."""

import re
from typing import Any

from IPython.core.inputtransformer2 import EscapedCommand, TransformerManager

from ..notebook import CELL_MAGIC, split_cell, split_magic

QUESTION_PATTERN = re.compile(r"[%!]\s*cfai\s+(?:ask|explain)\b")


class QuestionCommand(EscapedCommand):
    """A line such as `%cfai ask What is a neuron?`, which asks in place of showing help."""

    priority = 4  # before HelpEnd, which has 5

    @classmethod
    def find(cls, tokens_by_line: Any) -> "QuestionCommand | None":
        """Return the first line that is a question, or None."""
        for tokens in tokens_by_line:
            command: QuestionCommand | None = super().find([tokens])
            if command is None:
                continue
            start = command.start_line + 1, command.start_col
            text = next(token.line[token.start[1] :] for token in tokens if token.start == start)
            if QUESTION_PATTERN.match(text):
                return command
        return None


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
    manager.token_transformers.append(QuestionCommand)


def remove(manager: TransformerManager) -> None:
    """Remove the transformers of this module."""
    manager.cleanup_transforms.remove(keep_cell_text)
    manager.token_transformers.remove(QuestionCommand)
