"""The commands about a failed cell: correct it, explain it."""

from argparse import Namespace

from ..asking.door import Door, Workspace
from ..asking.question import Asking
from ..errors import BadOption
from ..forms.form import FORMS, Form
from ..notebook.failures import Failure
from ..prompt.parts import Part, Prompt, Question

CORRECT = (
    "You correct Python cells of a Jupyter notebook. Say in one or two sentences what was wrong, "
    "then give the whole corrected cell in one fenced code block."
)
EXPLAIN_ERROR = (
    "You explain errors in Python cells of a Jupyter notebook to a learner: what the error means, "
    "where in the cell it comes from, and how to correct it."
)
EXPLAIN_CODE = (
    "You explain Python cells of a Jupyter notebook to a learner, step by step and in short."
)


def fix(door: Door, options: Namespace) -> None:
    """Send a failed cell with its traceback, and offer the corrected cell below."""
    failure = _workspace(door).failure(options.number)
    if failure is None:
        raise BadOption(_none_failed(options.number), "Run the cell that fails first.")
    _ask(door, options, CORRECT, _failed(failure), FORMS["correction"])


def explain(door: Door, options: Namespace) -> None:
    """Explain a failed cell, or what a cell does that did not fail."""
    workspace = _workspace(door)
    failure = workspace.failure(options.number)
    if failure is not None:
        _ask(door, options, EXPLAIN_ERROR, _failed(failure), FORMS["markdown"])
        return
    source = workspace.source(options.number) if options.number else ""
    if not source.strip():
        raise BadOption(_none_failed(options.number), "%cfai explain 3 explains In[3].")
    cell = Part("cell", source, f"In[{options.number}]")
    _ask(door, options, EXPLAIN_CODE, (cell,), FORMS["markdown"])


def _workspace(door: Door) -> Workspace:
    if door.workspace is None:
        raise BadOption("A shell has no cells", "Use it in a notebook or in IPython.")
    return door.workspace


def _none_failed(number: int | None) -> str:
    return f"In[{number}] did not fail" if number else "No cell has failed so far"


def _failed(failure: Failure) -> tuple[Part, ...]:
    """Return the cell and its traceback: nothing else is sent.

    The cell goes by no number: the same question has the same recorded answer wherever it stands.
    """
    traceback = failure.traceback.replace(f'File "In[{failure.number}]"', 'File "the cell"')
    return (
        Part("cell", f"The cell:\n\n{failure.source.rstrip()}\n", f"In[{failure.number}]"),
        Part("traceback", f"\nIt failed with:\n\n{traceback}\n", failure.last_line),
    )


def _ask(door: Door, options: Namespace, system: str, parts: tuple[Part, ...], form: Form) -> None:
    prompt = Prompt(Question(parts), (Part("system", system),))
    request = door.session.request(prompt.messages, options.model)
    model = door.session.model(request.model)
    asking = Asking(door, form, prompt, request, model, shows_sent=True)
    asking.ask(door.session.settings.footer, "")
