"""Record a lesson with answers from SmolLM2, or from the models named in cell tags.

A cell with the tag `answered-by:PP-OCRv4` or `answered-by:all-MiniLM-L6-v2` is answered by that
model, which replaces the kernel's local model while the cell runs. SmolLM2 answers all other
cells. CONTRIBUTING.md describes how to install the models.
"""

import argparse
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from cfai_magics.backends.local_model import fetch_model
from cfai_magics.errors import CfaiError, InvalidOptionError
from cfai_magics.replay.record_mode import CASSETTE_SUFFIX, MODE_VARIABLE
from cfai_magics.settings import get_home_folder, update_settings_file

from .model_server import MiniLM, Model, ModelServer, Ocr
from .outputs import save_outputs

TAG_PREFIX = "answered-by:"
MODELS: Mapping[str, Callable[[], Model]] = {model.name: model for model in (Ocr, MiniLM)}
# Cells that run before and after a tagged cell. `exec` keeps their variables out of the lesson.
SELECT_MODEL = """exec('''
from types import SimpleNamespace
from cfai_magics.api import get_current_session
from cfai_magics.secret import Secret
base_url, key, name, vision = {}
backend = get_current_session().backend
backend.close()
backend.local_server = SimpleNamespace(
    base_url=base_url, api_key=Secret(key), model_name=name, context_window=None, vision=vision,
    is_running=True, stop=lambda: None,
)
''', {{}})"""
RESTORE_MODEL = """exec('''
from cfai_magics.api import get_current_session
get_current_session().backend.close()
''', {})"""


def record(
    lesson: Path, *, record_all: bool = False, models: Mapping[str, Callable[[], Model]] = MODELS
) -> Path:
    """Run a lesson and record its answers. If a cell fails, the cassette stays unchanged.

    Args:
        lesson: The path of the notebook.
        record_all: Record all answers again. By default, only missing answers are recorded.
        models: Functions that create the models, by the model name used in tags.

    Returns:
        The path of the cassette.

    Raises:
        InvalidOptionError: A tag names an unknown model.
        CellExecutionError: A cell failed.
    """
    cassette = lesson.with_suffix(CASSETTE_SUFFIX)
    notebook = nbformat.read(lesson, as_version=4)
    with TemporaryDirectory() as home, ExitStack() as stack:
        # The lesson runs in a copy of its folder: a cell that fails leaves the cassette unchanged.
        folder = Path(home, "lesson")
        shutil.copytree(lesson.parent, folder, symlinks=True)
        new_cassette = folder / cassette.name
        if record_all:
            new_cassette.unlink(missing_ok=True)
        names = {name for cell in notebook.cells for name in model_names(cell)}
        check_model_names(names, models)
        servers = {name: stack.enter_context(ModelServer(models[name]())) for name in names}
        notebook.cells = [new for cell in notebook.cells for new in with_model(cell, servers)]
        environ = {"CFAI_HOME": home, MODE_VARIABLE: f"auto:{new_cassette}"}
        run_notebook(notebook, folder, environ)
        shutil.copy(new_cassette, cassette)
    return cassette


def model_names(cell: nbformat.NotebookNode) -> list[str]:
    """Return the model names in a cell's tags."""
    tags = cell.metadata.get("tags", ())
    return [tag.removeprefix(TAG_PREFIX) for tag in tags if tag.startswith(TAG_PREFIX)]


def check_model_names(names: Collection[str], models: Collection[str]) -> None:
    """Raise InvalidOptionError if any of the names is not a known model."""
    unknown = ", ".join(sorted(set(names) - set(models)))
    if unknown:
        raise InvalidOptionError(
            f"A tag names an unknown model: {unknown}", f"The models are {', '.join(models)}."
        )


def with_model(
    cell: nbformat.NotebookNode, servers: Mapping[str, ModelServer]
) -> Iterator[nbformat.NotebookNode]:
    """Yield the cell.

    If it has a tag, also yield a cell before it that selects the tagged model, and a cell after it
    that restores the small model.
    """
    cell_servers = [servers[name] for name in model_names(cell)]
    for server in cell_servers:
        values = (server.base_url, server.key, server.model.name, server.model.vision)
        yield new_code_cell(SELECT_MODEL.format(values))
    yield cell
    if cell_servers:
        yield new_code_cell(RESTORE_MODEL)


def run_notebook(
    notebook: nbformat.NotebookNode, folder: Path, environ: Mapping[str, str]
) -> None:
    """Run a notebook in `folder`, with the small local model as the only setting."""
    small_model = fetch_model(get_home_folder() / "models")
    update_settings_file(Path(environ["CFAI_HOME"]), {"local": str(small_model)})
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, **environ})


def main() -> None:
    """Record the lessons given on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m notebooks.recorder",
        description="Record the answers of lessons from small local models, and save the outputs.",
    )
    parser.add_argument("lessons", nargs="+", type=Path, metavar="LESSON.ipynb")
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument(
        "--all",
        action="store_true",
        help="record all answers again (default: only missing answers)",
    )
    actions.add_argument(
        "--replay",
        action="store_true",
        help="record nothing, and only save the outputs that the recorded answers give",
    )
    options = parser.parse_args()
    for lesson in options.lessons:
        try:
            if not options.replay:
                print(f"Recorded in {record(lesson, record_all=options.all)}")
            if save_outputs(lesson):
                print(f"Saved the outputs of {lesson}")
        except CfaiError as error:
            parser.error(str(error))
