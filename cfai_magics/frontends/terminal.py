"""Create the front end for IPython in a terminal. This front end prints all output."""

from collections.abc import Sequence

from ..chat.frontend import AnswerDisplay, ComparisonDisplay, Frontend
from ..display.streaming import create_terminal_progress
from ..prompt.output_formats import OutputFormat
from ..session.session import Session
from ..types.answer_set import Variant
from .ipython_state import IPythonState
from .user_io import StoreResult, confirm, print_line, read_account_id, read_secret


def create_terminal_frontend(
    session: Session, store_result: StoreResult, notebook_state: IPythonState
) -> Frontend:
    """Return the front end for IPython in a terminal."""

    def create_answer_display(output_format: OutputFormat, footer_style: str) -> AnswerDisplay:
        from .user_io import create_text_display

        return create_text_display(output_format, footer_style, print_line)

    def create_comparison_display(
        variants: Sequence[Variant], output_format: OutputFormat, footer_style: str
    ) -> ComparisonDisplay:
        from ..display.grid import TextGrid

        is_plain = output_format.name == "text"
        return TextGrid(variants, footer_style, print_line, is_plain=is_plain)

    return Frontend(
        session=session,
        create_answer_display=create_answer_display,
        print=print_line,
        start_progress=create_terminal_progress,
        prompt_secret=read_secret,
        prompt_account_id=read_account_id,
        confirm=confirm,
        store_result=store_result,
        create_comparison_display=create_comparison_display,
        notebook_state=notebook_state,
    )
