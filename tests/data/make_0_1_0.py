"""Made tests/data/0.1.0 with version 0.1.0 (commit 32f9017). Kept to show how; not to run again.

`python -m tests.data.make_0_1_0 FOLDER` used the front ends of `tests.transcript` to fill a
folder of state and to run a notebook. What it writes with a later version is in later formats.
"""

import shutil
import sqlite3
import sys
from contextlib import closing
from itertools import count
from pathlib import Path
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.transcript.frontends import KernelFrontEnd, ShellFrontEnd
from tests.transcript.record import Cleaner
from tests.transcript.world import Step, World, new_world

ELSEWHERE = "/home/user"
TOKEN = "not-a-real-token"  # put in place of the stand-in's
LESSON = (
    "%load_ext cfai_magics\n%cfai replay auto",
    "%%cfai\nWhy is the sky blue?",
    "%%cfai --think\nHow many legs has a spider?",
    "%%cfai -c\nName a color.",
    "%%cfai -c\nAnd another?",
    "%%cfai -n 2 -t 0,1\nHeads or tails?",
    "CITY = {'type': 'object', 'properties': {'city': {'type': 'string'}}}",
    "%%cfai --schema CITY -o capital\nWhich city is the capital of Italy?",
    "%%cfai --task embed\na cat\na dog",
    "%%cfai --task translate --from en --to de\nGood morning",
    "import cfai_magics\ncfai_magics.ask('Name three rivers.')",
)
ANSWERS = {
    "sky": "It *scatters*.",
    "spider": "Eight.",
    "Name a color": "Blue.",
    "another": "Red.",
    "Heads": "heads",
    "capital": '{"city": "Rome"}',
    "rivers": "Rhine, Po, Ebro.",
    "light": "A wave.",
    "sound": "Waves too.",
    "Rome": "An old one.",
    "Oslo": "A northern one.",
}


def answer(prompt: str) -> str:
    """Return the fixed answer to a question."""
    return next((text for words, text in ANSWERS.items() if words in prompt), "None.")


SAYS = {"answer": answer, "thought": "A spider is no insect."}
COMMANDS = (
    "login",
    "use llama-3.2-3b-instruct --keep",
    "use gemma-4-26b-a4b-it --keep",
    "models gemma --refresh",
    "budget 5000",
    "ask 'What is light?' -c physics",
    "ask 'And sound?' -c physics",
    "usage --account",
)
MAPS = (
    "%load_ext cfai_magics\nimport cfai_magics",
    "cfai_magics.map('What is {text}?', ['Rome', 'Oslo'], max_tokens=20)",
)
QUEUED = (
    "cfai_magics.map('{text}?', ['a'], max_tokens=9, queue=True, "
    "model='@cf/meta/llama-3.3-70b-instruct-fp8-fast')"
)


def make(world: World, folder: Path) -> None:
    """Fill the world's folder of state, run the notebook there, and copy both."""
    clean = Cleaner(world)
    world.account_in_environment = False
    shell = ShellFrontEnd(world, clean)
    for words in COMMANDS:
        typed = ["<account>", "<token>"] if words == "login" else []
        world.begin(step := Step(words, SAYS, typed=typed))
        shell.run(step)
    with KernelFrontEnd(world, clean) as kernel:
        for code in MAPS:
            world.begin(step := Step(code, SAYS, parallel=True))
            kernel.run(step)
        world.begin(step := Step(QUEUED, {"batch_polls": 10**9}, interrupt="@3 0 of 1"))
        kernel.run(step)
    lesson(world)
    copy(world, folder)


def lesson(world: World) -> None:
    """Write the notebook with its outputs, and its recording beside it."""
    world.begin(Step("", SAYS))
    path = world.work / "lesson.ipynb"
    cells = [new_markdown_cell("# A lesson of version 0.1.0"), *map(new_code_cell, LESSON)]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    notebook = new_notebook(cells=cells)
    nbformat.write(notebook, path)
    client = NotebookClient(notebook, timeout=120)
    client.execute(env=world.environ(JPY_SESSION_NAME=str(path)), cwd=str(world.work))
    nbformat.write(notebook, path)


def copy(world: World, folder: Path) -> None:
    """Copy what was made, without the token and without the names of this machine."""
    for path in world.home.glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            if path.stem == "ledger":
                for table in ("calls", "totals"):
                    statement = f"UPDATE {table} SET notebook = replace(notebook, ?, ?)"
                    connection.execute(statement, (str(world.work), ELSEWHERE))
                connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(world.home, folder / "home", ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    shutil.copy(world.work / "lesson.ipynb", folder)
    shutil.copy(world.work / "lesson.cfai.jsonl", folder)
    for path in (folder / "home" / "credentials.json", folder / "lesson.ipynb"):
        text = path.read_text(encoding="utf-8").replace(world.standin.token, TOKEN)
        path.write_text(text.replace(str(world.work), ELSEWHERE), encoding="utf-8")


if __name__ == "__main__":
    # The account's hash is in the tables, so its id is the same each time.
    numbers = count()
    fixed = {16: lambda: "0" * 32, 24: lambda: f"{next(numbers):048x}"}
    with (
        patch("secrets.token_hex", lambda size: fixed.get(size, lambda: "0" * 16)()),
        new_world() as found,
    ):
        make(found, Path(sys.argv[1]))
