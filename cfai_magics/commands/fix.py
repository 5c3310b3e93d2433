"""Send a failed cell with its traceback, and offer a corrected cell."""

from argparse import Namespace

from ..chat.cell_question import (
    CELL_OPTIONS,
    ask_about_cell,
    build_error_parts,
    no_error_message,
    require_notebook_state,
)
from ..chat.frontend import Frontend
from ..errors import InvalidOptionError
from ..i18n import _
from ..prompt.output_formats import OUTPUT_FORMATS

OPTIONS = CELL_OPTIONS
FIX_PROMPT = (
    "You correct Python cells of a Jupyter notebook. Say in one or two sentences what was wrong, "
    "then give the whole corrected cell in one fenced code block."
)


def run(frontend: Frontend, options: Namespace) -> None:
    """Send a failed cell with its traceback, and offer a corrected cell below the failed cell."""
    cell_error = require_notebook_state(frontend).get_cell_error(options.number)
    if cell_error is None:
        raise InvalidOptionError(
            no_error_message(options.number), _("Run the cell that fails first.")
        )
    ask_about_cell(
        frontend,
        options.model,
        FIX_PROMPT,
        build_error_parts(cell_error),
        OUTPUT_FORMATS["correction"],
    )
