"""The notebooks in `notebooks/`, and helpers to run and check them."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
FAILS = "raises-exception"  # the tag of cells that show an error


def recording(notebook: Path) -> Path:
    """Return the path of a notebook's recording."""
    return notebook.with_suffix(".cfai.jsonl")


def executed(path: Path) -> nbformat.NotebookNode:
    """Run a notebook in its folder from top to bottom; return it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    resources = {"metadata": {"path": str(path.parent)}}
    options = {"timeout": 120, "kernel_name": "python3", "allow_errors": True}
    NotebookClient(notebook, resources=resources, **options).execute()
    return notebook


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return the code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def unexpected(notebook: nbformat.NotebookNode) -> list[str]:
    """Return cells that failed without the tag, and cells with the tag that did not fail."""
    return [
        cell.source
        for cell in code_cells(notebook)
        if _fails(cell) != (FAILS in cell.metadata.get("tags", ()))
    ]


def _fails(cell: nbformat.NotebookNode) -> bool:
    return any(output.output_type == "error" for output in cell.outputs)
