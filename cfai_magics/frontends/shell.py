"""Create the shell front end, which writes answers to stdout and notes to stderr."""

import sys
from collections.abc import Sequence

from ..chat.frontend import AnswerDisplay, ComparisonDisplay, Frontend
from ..chat.piped_input import read_piped_text
from ..display.grid import TextGrid
from ..display.streaming import create_terminal_progress
from ..errors import InterruptedAnswerError
from ..i18n import _, mark
from ..output import write_text
from ..prompt.output_formats import OutputFormat
from ..session.session import Session
from ..types.answer_set import AnswerSet, Variant
from ..types.messages import Answer
from .user_io import confirm, create_text_display, read_account_id, read_secret

# Parts of messages that do not apply to the shell. In each language, their wording must match
# the complete messages.
NOTEBOOK_ONLY_TEXTS = (mark("(in a shell: cfai login)"), InterruptedAnswerError.default_hint)
SHELL_REPLACEMENTS = (
    (" → _cfai.reasoning", ""),
    ("%cfai replay auto PATH", "CFAI_REPLAY=auto:PATH"),
    ("%cfai replay auto", "CFAI_REPLAY=auto:PATH"),
    ("%%cfai?", "cfai ask -h"),
    ("%%cfai", "cfai ask"),
    ("%cfai", "cfai"),
)


def create_shell_frontend(session: Session) -> Frontend:
    """Return the front end for the shell, which writes answers to stdout and notes to stderr."""

    def print_to_stderr(line: str) -> None:
        write_text(sys.stderr, to_shell_syntax(f"{line}\n"))

    def create_answer_display(output_format: OutputFormat, footer_style: str) -> AnswerDisplay:
        return create_text_display(output_format, footer_style, print_to_stderr)

    def discard_result(_name: str, _answer: Answer | AnswerSet) -> None:
        """Do nothing, because the shell has no variables for answers."""

    def create_comparison_display(
        variants: Sequence[Variant], output_format: OutputFormat, footer_style: str
    ) -> ComparisonDisplay:
        is_plain = output_format.name == "text"
        return TextGrid(variants, footer_style, print_to_stderr, is_plain=is_plain)

    return Frontend(
        session=session,
        create_answer_display=create_answer_display,
        print=print_to_stderr,
        start_progress=create_terminal_progress,
        prompt_secret=read_secret,
        prompt_account_id=read_account_id,
        confirm=confirm,
        store_result=discard_result,
        create_comparison_display=create_comparison_display,
        is_one_shot=True,
        read_stdin=lambda: read_piped_text(sys.stdin),
    )


def to_shell_syntax(text: str) -> str:
    """Replace each magic in the text with the equivalent shell command, and return the text.

    Parts that apply only to notebooks are removed.
    """
    for notebook_text in NOTEBOOK_ONLY_TEXTS:
        # In Chinese, there is no space between sentences.
        for separator in ("\n", " ", ""):
            text = text.replace(f"{separator}{_(notebook_text)}", "")
    for magic_text, shell_text in SHELL_REPLACEMENTS:
        text = text.replace(magic_text, shell_text)
    return text
