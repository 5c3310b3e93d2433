"""The files and commands of `docs/graders-and-pipelines.md`."""

import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

PAGE = Path(__file__).parents[2] / "docs/graders-and-pipelines.md"
BLOCK = re.compile(r"^(`{3,})(\w+)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
NEW_CELLS = {"[raw]": new_raw_cell, "[markdown]": new_markdown_cell}


def blocks(section: str, language: str) -> list[str]:
    """Return the code blocks in a language in the section whose title starts with this text."""
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")
    (text,) = (part for part in sections if part.startswith(section))
    return [code for _fence, name, code in BLOCK.findall(text) if name == language]


def to_notebook(text: str) -> nbformat.NotebookNode:
    """Return the notebook of a block with cells, which start with `# %%`."""
    notebook = new_notebook(metadata={"kernelspec": KERNELSPEC})
    for part in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        label, _newline, source = part.partition("\n")
        cell = NEW_CELLS.get(label.strip(), new_code_cell)(source.strip())
        if label.strip() == "parameters":
            cell.metadata["tags"] = ["parameters"]
        notebook.cells.append(cell)
    return notebook


def write_edited(notebook: Path, edited: Path, old: str, new: str) -> None:
    """Write a copy of a notebook in which a text is replaced."""
    text = notebook.read_text(encoding="utf-8")
    assert old in text
    edited.parent.mkdir(parents=True, exist_ok=True)
    edited.write_text(text.replace(old, new), encoding="utf-8")
