"""Files of version 0.1.0 open with all their data: see tests/data/0.1.0/README.md."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transcript.frontends import KernelFrontEnd
from tests.transcript.record import Cleaner
from tests.transcript.world import Step, World, new_world

pytestmark = pytest.mark.slow

DATA = Path(__file__).parent / "data" / "0.1.0"
MODEL = "@cf/google/gemma-4-26b-a4b-it"
# Cells of the notebook, and texts of their recorded answers.
RECORDED_CELLS = {
    "%%cfai\nWhy is the sky blue?": ["It *scatters*."],
    "%%cfai --think\nHow many legs has a spider?": ["Eight.", "A spider is no insect."],
    "%%cfai -c colors\nName a color.": ["Blue."],
    "%%cfai -c colors\nAnd another?": ["Red."],
    "%%cfai -n 2 -t 0,1\nHeads or tails?": ["4 answers", "heads", "0 neurons in total (replayed)"],
    "%%cfai --schema CITY -o capital\nWhich city is the capital of Italy?": ["Rome"],
    "%%cfai --task embed\na cat\na dog": ["2 vectors of 1,024 numbers", "0.32"],
    "%%cfai --task translate --from en --to de\nGood morning": ["None."],
    "import cfai_magics; cfai_magics.ask('Name three rivers.')": ["Rhine, Po, Ebro."],
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Yield the state and the notebook of version 0.1.0, one hour after they were written."""
    with new_world() as prepared:
        shutil.copytree(DATA / "home", prepared.home)
        for name in ("lesson.ipynb", "lesson.cfai.jsonl"):
            shutil.copy(DATA / name, prepared.work)
        prepared.account_in_environment = False
        prepared.begin_part(1)
        yield prepared
        assert prepared.standin.requests == (), "a request was sent"


@pytest.fixture(scope="module")
def kernel(world: World) -> Iterator[KernelFrontEnd]:
    with KernelFrontEnd(world, Cleaner(world)) as front_end:
        for code in (
            "%load_ext cfai_magics",
            "%cfai replay only",
            "CITY = {'type': 'object', 'properties': {'city': {'type': 'string'}}}",
        ):
            front_end.run(Step(code))
        yield front_end


def run_command(world: World, words: str) -> str:
    """Run a shell command, which must succeed; return its output."""
    command = [sys.executable, "-m", "cfai_magics", *words.split()]
    process = subprocess.run(
        command, cwd=world.work, env=world.environ(), capture_output=True, text=True, check=True
    )
    return process.stdout


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        ("status", ["…0000", "credentials.json", "settings.toml", "from 12 Oct 2026"]),
        ("usage all --by model", ["gemma-4-26b-a4b-it", "m2m100-1.2b", "bge-m3"]),
        ("usage all --by task", ["Text Generation", "Translation", "Text Embeddings"]),
        ("usage all --by notebook", ["lesson.ipynb"]),
        ("usage all --by day", ["2026-10-12"]),
        ("budget", ["5,000"]),
        ("thread", ["physics", "~/work/lesson.ipynb", "2026-10-12 06:08:10 UTC"]),
        ("thread show physics", ["> What is light?", "A wave.", "> And sound?", "Waves too."]),
        ("map", ["2 map answers", "1 batch"]),
        ("models glm-5.3", ["glm-5.3-flash", "13.64", "45.45", "paid"]),
        ("report lesson.ipynb", [MODEL, "@cf/baai/bge-m3", "m2m100"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_commands_show_the_stored_data(world: World, words: str, facts: list[str]) -> None:
    shown = run_command(world, words)
    assert [fact for fact in facts if fact not in shown] == [], shown


def test_usage_csv_has_one_line_per_call_with_the_same_columns(world: World) -> None:
    lines = run_command(world, "usage all --csv").splitlines()
    assert lines[0] == (
        "id,started,day,account,model,task,status,basis,neurons,tokens_in,tokens_cached,"
        "tokens_out,seconds,first_token_seconds,notebook,kernel,thread,request"
    )
    rows = [line for line in lines if "2026-10-12" in line]
    assert len(rows) == 17
    assert sum("interrupted" in row for row in rows) == 1


@pytest.mark.parametrize("code", RECORDED_CELLS, ids=lambda code: code.replace("\n", " "))
def test_recorded_answers_are_replayed(kernel: KernelFrontEnd, code: str) -> None:
    shown = "\n".join(kernel.run(Step(code)))
    assert "error" not in shown.split("metadata")[0], shown
    assert [text for text in RECORDED_CELLS[code] if text not in shown] == [], shown
    assert '"replayed"' in shown, shown
    assert '"date": "2026-10-12"' in shown, "the date of the recording is missing"


def test_a_changed_prompt_is_compared_with_the_recorded_one(kernel: KernelFrontEnd) -> None:
    shown = "\n".join(kernel.run(Step("%%cfai --think\nHow many legs has a spinner?")))
    assert " has a spinner?” instead of “" in shown


def test_a_map_continues_with_its_stored_answers(world: World) -> None:
    code = "cfai_magics.map('What is {text}?', ['Rome', 'Oslo'], max_tokens=20)"
    with KernelFrontEnd(world, Cleaner(world)) as kernel:
        kernel.run(Step("%load_ext cfai_magics\nimport cfai_magics\n%cfai replay off"))
        shown = "\n".join(kernel.run(Step(code)))
    assert "2 already answered. No requests are needed." in shown
    assert "'answer': 'An old one.'" in shown
    assert "'answer': 'A northern one.'" in shown


def test_report_reads_the_metadata_of_notebook_outputs(world: World) -> None:
    rows = [
        line
        for line in run_command(world, "report lesson.ipynb --csv").splitlines()
        if MODEL in line
    ]
    notebook = json.loads((DATA / "lesson.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    metadata = [o["metadata"]["application/vnd.cfai+json"] for o in outputs if o.get("metadata")]
    hashes = {each["request"] for each in metadata if each.get("model") == MODEL}
    assert len(hashes) >= 6
    assert all(any(each in row for row in rows) for each in hashes)
