"""Create the notebook front end, which shows answers, notes and progress as cell output."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..chat.frontend import AnswerDisplay, ComparisonDisplay, Frontend
from ..display.streaming import (
    NotebookStream,
    ProgressWriter,
    UpdatableOutput,
    create_notebook_progress,
    create_terminal_progress,
    loses_updates,
)
from ..output import write_text
from ..prompt.output_formats import OutputFormat
from ..session.session import Session
from .ipython_state import IPythonState
from .user_io import (
    StoreResult,
    confirm,
    print_line,
    read_account_id_in_cell,
    read_line,
    read_secret,
)

if TYPE_CHECKING:
    from ..batch.map_run import MapRunner
    from ..types.answer_set import Variant
    from ..types.tokens import Tokens


def create_notebook_frontend(
    session: Session, store_result: StoreResult, notebook_state: IPythonState
) -> Frontend:
    """Return the front end for a kernel.

    The front end displays answers as cell output, with the footer in a muted color.
    """

    def create_answer_display(output_format: OutputFormat, footer_style: str) -> AnswerDisplay:
        if output_format.name in {"text", "raw"}:
            from .user_io import create_text_display

            return create_text_display(
                output_format,
                footer_style,
                lambda line: UpdatableOutput().show_note(line),
                lambda footer, metadata: UpdatableOutput().show(footer.render(), metadata),
                _show_tokens,
            )
        return NotebookStream(footer_style, output_format, updates=not loses_updates())

    def create_comparison_display(
        variants: "Sequence[Variant]", output_format: OutputFormat, footer_style: str
    ) -> ComparisonDisplay:
        from ..display.grid import NotebookGrid

        return NotebookGrid(variants, footer_style, output_format, updates=not loses_updates())

    def start_progress(title: str) -> ProgressWriter:
        create = create_terminal_progress if loses_updates() else create_notebook_progress
        return create(title)

    return Frontend(
        session=session,
        create_answer_display=create_answer_display,
        print=print_line,
        start_progress=start_progress,
        prompt_secret=read_secret,
        prompt_account_id=read_account_id_in_cell,
        confirm=confirm,
        store_result=store_result,
        create_comparison_display=create_comparison_display,
        notebook_state=notebook_state,
        supports_widgets=True,
    )


def _show_tokens(tokens: "Tokens") -> None:
    from ..display.probabilities import build_tokens_bundle

    UpdatableOutput().show(build_tokens_bundle(tokens))


def create_map_runner(session: Session) -> "MapRunner":
    """Return a map runner that shows progress.

    The progress is shown as cell output in a notebook. It is shown on stderr elsewhere, and where
    updates of outputs are lost.
    """
    from IPython.core.getipython import get_ipython

    from ..batch.map_run import MapRunner
    from ..display.map_progress import create_terminal_writer

    def print_to_stderr(line: str) -> None:
        write_text(sys.stderr, f"{line}\n")

    shell = get_ipython()
    if shell is not None and hasattr(shell, "kernel") and not loses_updates():
        return MapRunner(
            session,
            lambda line: UpdatableOutput().show_note(line),
            UpdatableOutput().show_note,
            read_line,
        )
    return MapRunner(session, print_to_stderr, create_terminal_writer(), read_line)
