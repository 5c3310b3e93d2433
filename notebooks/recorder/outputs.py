"""Save the outputs of a lesson that is run with the answers from its cassette."""

import json
import os
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

from cfai_magics.replay.record_mode import CASSETTE_SUFFIX, MODE_VARIABLE

CELL_SECONDS = 120
UNREACHABLE_PROXY = "http://127.0.0.1:9"  # no server listens on this port
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
CHINESE_SUFFIX = ".zh-CN"  # of the names of lessons whose outputs are in Chinese
DATE_OF_CALL = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+]+")  # the date of a recording has no time
SECONDS = re.compile(r"\d+\.\d (?:s|秒)\b")


def replay(lesson: Path) -> nbformat.NotebookNode:
    """Return a lesson with the outputs of a run without account, network and local model.

    The lesson runs in a copy of its folder with an empty home folder, so the outputs are the same
    on each machine. Cells may fail.
    """
    notebook = nbformat.read(lesson, as_version=4)
    nbformat.validate(notebook)
    with TemporaryDirectory() as home:
        folder = Path(home, "lesson")
        shutil.copytree(lesson.parent, folder, symlinks=True)
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            allow_errors=True,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
        )
        cassette = lesson.with_suffix(CASSETTE_SUFFIX).name
        client.execute(
            env={
                **os.environ,
                **dict.fromkeys(PROXY_VARIABLES, UNREACHABLE_PROXY),
                **dict.fromkeys(map(str.lower, PROXY_VARIABLES), UNREACHABLE_PROXY),
                "CFAI_HOME": home,
                "LANGUAGE": "zh_CN" if lesson.stem.endswith(CHINESE_SUFFIX) else "en",
                MODE_VARIABLE: f"only:{folder / cassette}",
                "CFAI_REPLAY_INSTANT": "1",
            }
        )
    return notebook


def save_outputs(lesson: Path) -> bool:
    """Replay a lesson and save its outputs in the file. Return whether the file changed.

    Outputs that differ only in the time of the run stay as they are.
    """
    notebook = nbformat.read(lesson, as_version=4)
    changed = False
    for saved, new in zip(notebook.cells, replay(lesson).cells, strict=True):
        if saved.cell_type != "code" or summarize_outputs(saved) == summarize_outputs(new):
            continue
        saved.outputs, saved.execution_count = new.outputs, new.execution_count
        changed = True
    if changed:
        nbformat.write(notebook, lesson)
    return changed


def summarize_outputs(cell: nbformat.NotebookNode) -> tuple[Any, ...]:
    """Return a cell's outputs without the parts that differ between two runs.

    These are dates and times, and tracebacks, which differ between versions of Python.
    """
    text = SECONDS.sub("", json.dumps(cell.outputs, ensure_ascii=False, sort_keys=True))
    return cell.execution_count, *json.loads(text, object_hook=_drop_variable_parts)


def _drop_variable_parts(value: dict[str, Any]) -> dict[str, Any]:
    return {
        name: each
        for name, each in value.items()
        if name != "traceback" and not (name == "date" and DATE_OF_CALL.fullmatch(str(each)))
    }
