"""Answered `%%cfai` cells as a real kernel saves them, and the size of their outputs."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from tests.standin import Standin

LOAD = "%load_ext cfai_magics"
IMAGES = ("image/png", "image/jpeg")
BLOCK = """\
## Part {n}

Light from the sun has every color, and the air scatters the short waves more than the long ones. \
That is why some blue reaches the eye from every side of the sky, and why the sun itself looks a \
little yellow. In the evening, the light crosses more air, so that most of the blue is scattered \
away before it arrives.

- **Rayleigh scattering:** it is stronger for short waves, because it grows with the fourth power \
of the frequency.
- **Mie scattering:** it is almost the same for all colors, so clouds look white.

```python
def scattering(wavelength):
    return 1 / wavelength ** 4


print(scattering(450) / scattering(700))
```

"""


def answer_text(characters: int, number: int = 1) -> str:
    """Return a Markdown answer of about this length; the number makes it unique."""
    text = ""
    while len(text) < characters:
        text += BLOCK.replace("{n}", str(number))
        number += 1
    return text[:characters].rstrip()


@dataclass(frozen=True)
class Kind:
    """A kind of answer: the cell that asks for it, and what the stand-in answers."""

    source: str
    answers: Sequence[str] = ()
    thought: str = ""

    @property
    def text_bytes(self) -> int:
        """The size of the answers and the reasoning."""
        return sum(len(text.encode()) for text in (*self.answers, self.thought))


def plain(text: str) -> Kind:
    """Return a cell with one answer."""
    return Kind("%%cfai --max-tokens 9000\nWhy is the sky blue?", [text])


def kinds(characters: int) -> dict[str, Kind]:
    """Return the kinds of answers, each of about this length; images have their own size."""
    text = answer_text(characters)
    rows = "\n".join(f"| planet {n} | {n * 1234} | {n % 7} |" for n in range(characters // 22))
    table = f"| name | radius | moons |\n|---|---|---|\n{rows}"
    return {
        "plain": plain(text),
        "reasoning": Kind(
            "%%cfai --think --max-tokens 9000\nWhy is the sky blue?",
            [text],
            answer_text(characters, 9),
        ),
        "columns": Kind(
            "%%cfai -n 3 --max-tokens 9000\nWhy is the sky blue?",
            [answer_text(characters, number) for number in (1, 20, 300)],
        ),
        "image": Kind("%%cfai --task image\na lighthouse"),
        "thread": Kind("%%cfai -c lesson --max-tokens 9000\nWhy is the sky blue?", [text]),
        "table": Kind("%%cfai --max-tokens 9000\nList the planets as a table.", [table]),
    }


def run_cells(cloudflare: Standin, home: Path, cells: Iterable[Kind]) -> list[Any]:
    """Run each cell in one kernel, with the answers of its kind; return the answered cells.

    `home` is the state folder of the kernel.
    """
    asked = list(cells)
    sources = [LOAD, *(kind.source for kind in asked)]
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    client = NotebookClient(notebook, kernel_name="python3")
    loading, *answered = notebook.cells
    environ = {**os.environ, **cloudflare.environ(), "CFAI_HOME": str(home)}
    with client.setup_kernel(env=environ):
        client.execute_cell(loading, 0)
        for index, (cell, kind) in enumerate(zip(answered, asked, strict=True), start=1):
            cloudflare.switch(answer=tuple(kind.answers) or None, thought=kind.thought)
            client.execute_cell(cell, index)
    return answered


def saved_bytes(cell: Any) -> int:
    """Return the size of a cell's outputs as compact JSON."""
    return len(json.dumps(cell["outputs"], ensure_ascii=False, separators=(",", ":")).encode())


def shown_bytes(cell: Any, kind: Kind) -> int:
    """Return the size of the text and the images of an answer.

    An image counts as base64, the only form that a notebook can store.
    """
    bundles = [output.get("data", {}) for output in cell["outputs"]]
    images = sum(len(bundle[mime]) for bundle in bundles for mime in IMAGES if mime in bundle)
    return kind.text_bytes + images
