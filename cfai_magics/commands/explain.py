"""Explain the error in a failed cell, or what the code in a cell does."""

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
from ..prompt.builder import Part
from ..prompt.output_formats import OUTPUT_FORMATS

OPTIONS = CELL_OPTIONS
EXPLAIN_ERROR_PROMPT = (
    "You explain errors in Python cells of a Jupyter notebook to a learner: what the error means, "
    "where in the cell it comes from, and how to correct it."
)
EXPLAIN_CODE_PROMPT = (
    "You explain Python cells of a Jupyter notebook to a learner, step by step and in short."
)


def run(frontend: Frontend, options: Namespace) -> None:
    """Explain the error in a cell, or explain the code if the cell did not fail."""
    notebook_state = require_notebook_state(frontend)
    cell_error = notebook_state.get_cell_error(options.number)
    if cell_error is not None:
        ask_about_cell(
            frontend,
            options.model,
            EXPLAIN_ERROR_PROMPT,
            build_error_parts(cell_error),
            OUTPUT_FORMATS["markdown"],
        )
        return
    source = notebook_state.get_cell_source(options.number) if options.number else ""
    if not source.strip():
        raise InvalidOptionError(
            no_error_message(options.number), _("%cfai explain 3 explains In[3].")
        )
    cell = Part("cell", source, f"In[{options.number}]")
    ask_about_cell(
        frontend, options.model, EXPLAIN_CODE_PROMPT, (cell,), OUTPUT_FORMATS["markdown"]
    )
