"""Records the answers of a lesson from the small model, or from the one that a cell's tag names.

A cell tagged `answered-by:PP-OCRv4` or `answered-by:all-MiniLM-L6-v2` is asked while that model is
the one on the kernel's machine; all others ask SmolLM2. CONTRIBUTING.md has how to install them.
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

from .served import MiniLM, Model, Ocr, Serving

TAG = "answered-by:"
MODELS: Mapping[str, Callable[[], Model]] = {each.name: each for each in (Ocr, MiniLM)}
TAKE = """exec('''
from types import SimpleNamespace
from cfai_magics.api import get_current_session
from cfai_magics.secret import Secret
address, key, name, vision = {}
backend = get_current_session().backend
backend.close()
backend.local_server = SimpleNamespace(
    base_url=address, api_key=Secret(key), model_name=name, context_window=None, vision=vision,
    is_running=True, stop=lambda: None,
)
''', {{}})"""
GIVE_BACK = (
    "exec('from cfai_magics.api import get_current_session as at; at().backend.close()', {})"
)


def record(
    lesson: Path, *, anew: bool = False, models: Mapping[str, Callable[[], Model]] = MODELS
) -> Path:
    """Run a lesson and record what is not recorded, or all `anew`; nothing where a cell fails."""
    recording = lesson.with_suffix(CASSETTE_SUFFIX)
    notebook = nbformat.read(lesson, as_version=4)
    with TemporaryDirectory() as folder, ExitStack() as running:
        made = Path(folder, recording.name)
        if recording.exists() and not anew:
            shutil.copy(recording, made)
        names = {name for cell in notebook.cells for name in named(cell)}
        check(names, models)
        served = {name: running.enter_context(Serving(models[name]())) for name in names}
        notebook.cells = [each for cell in notebook.cells for each in prepared(cell, served)]
        execute(notebook, lesson.parent, {"CFAI_HOME": folder, MODE_VARIABLE: f"auto:{made}"})
        shutil.copy(made, recording)
    return recording


def check(names: Collection[str], models: Collection[str]) -> None:
    """Raise InvalidOptionError where one of these names is no model's."""
    unknown = ", ".join(sorted(set(names) - set(models)))
    if unknown:
        raise InvalidOptionError(
            f"No model here is called {unknown}", f"Name one of {', '.join(models)}."
        )


def named(cell: nbformat.NotebookNode) -> list[str]:
    """Return the name of the model that a cell's tag names; nothing where none does."""
    tags = cell.metadata.get("tags", ())
    return [tag.removeprefix(TAG) for tag in tags if tag.startswith(TAG)]


def prepared(
    cell: nbformat.NotebookNode, served: Mapping[str, Serving]
) -> Iterator[nbformat.NotebookNode]:
    """Yield the cell, between two that let its model answer and give the small one its place."""
    found = [served[name] for name in named(cell)]
    for each in found:
        told = (each.base_url, each.key, each.model.name, each.model.vision)
        yield new_code_cell(TAKE.format(told))
    yield cell
    if found:
        yield new_code_cell(GIVE_BACK)


def execute(notebook: nbformat.NotebookNode, folder: Path, environ: Mapping[str, str]) -> None:
    """Run a notebook in its folder, with settings that name the small model and nothing else."""
    small = fetch_model(get_home_folder() / "models")
    update_settings_file(Path(environ["CFAI_HOME"]), {"local": str(small)})
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, **environ})


def main() -> None:
    """Record the lessons that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.recorder", description=__doc__)
    parser.add_argument("lessons", nargs="+", type=Path, metavar="LESSON.ipynb")
    parser.add_argument("--anew", action="store_true", help="ask what is recorded already, too")
    options = parser.parse_args()
    for lesson in options.lessons:
        try:
            print(f"Recorded in {record(lesson, anew=options.anew)}")
        except CfaiError as error:
            parser.error(str(error))
