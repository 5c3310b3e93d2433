"""Graders and pipelines run a notebook with its recording, as the documentation page says.

Every test runs the commands of `docs/graders-and-pipelines.md`.
"""

import csv
import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import nbformat
import pytest

from tests.pipelines.conftest import ANSWER, Run
from tests.pipelines.page import blocks, to_notebook, write_edited
from tests.standin import Standin

pytestmark = pytest.mark.slow

CHECK = {
    "schema_version": 3,
    "grade_id": "q1",
    "grade": True,
    "solution": False,
    "locked": True,
    "task": False,
    "points": 2,
}
MISS = (
    "NotRecordedError: This request is not recorded; the closest recording in ps1.cfai.jsonl "
    "differs: message 1 (user): “…s the sky red?” instead of “…s the sky blue?”.\n"
    "Nothing was sent."
)
NEXT_STEP = "%cfai replay auto makes such requests and records their answers."


def requires(package: str) -> pytest.MarkDecorator:
    """Skip a test in environments without the package."""
    try:
        is_missing = not version(package)
    except PackageNotFoundError:
        is_missing = True
    return pytest.mark.skipif(is_missing, reason=f"make test-pipelines installs {package}")


def answers(path: Path) -> list[str]:
    """Return the Markdown in the outputs of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return [o.data["text/markdown"] for o in outputs if "text/markdown" in o.get("data", {})]


def errors(path: Path) -> list[str]:
    """Return the errors in the outputs of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return [f"{o.ename}: {o.evalue}" for o in outputs if o.output_type == "error"]


def test_jupyter_execute_replays_and_fails_at_a_question_that_is_not_recorded(
    recorded: Path, run: Run, replay: str
) -> None:
    (command,) = blocks("nbclient", "sh")
    done = run(command, recorded, setup=replay)
    assert "No handler found for comm target" not in done.stderr
    assert answers(recorded / "executed.ipynb") == [ANSWER]
    write_edited(recorded / "ps1.ipynb", recorded / "ps1.ipynb", "sky blue", "sky red")
    failed = run(command, recorded, setup=replay, check=False)
    assert failed.returncode == 1
    assert f"{MISS} {NEXT_STEP}" in failed.stderr


def test_nbclient_replays_and_fails_at_a_question_that_is_not_recorded(
    recorded: Path, run: Run, replay: str
) -> None:
    (recorded / "run.py").write_text(blocks("nbclient", "python")[0], encoding="utf-8")
    run("python run.py", recorded, setup=replay)
    assert answers(recorded / "executed.ipynb") == [ANSWER]
    write_edited(recorded / "ps1.ipynb", recorded / "ps1.ipynb", "sky blue", "sky red")
    failed = run("python run.py", recorded, setup=replay, check=False)
    assert failed.returncode == 1
    assert f"{MISS} {NEXT_STEP}" in failed.stderr


def test_a_notebook_that_changes_its_folder_keeps_its_recording(
    recorded: Path, run: Run, replay: str
) -> None:
    load = '"%load_ext cfai_magics"'
    moved = '"%load_ext cfai_magics\\n", "%cd -q .."'
    write_edited(recorded / "ps1.ipynb", recorded / "ps1.ipynb", load, moved)
    run(blocks("nbclient", "sh")[0], recorded, setup=replay)
    assert answers(recorded / "executed.ipynb") == [ANSWER]


@requires("papermill")
def test_papermill_records_parameters_and_fails_at_a_value_that_is_not_recorded(
    lesson: Path, run: Run, replay: str, cloudflare: Standin
) -> None:
    nbformat.write(to_notebook(blocks("papermill", "python")[0]), lesson / "ps1.ipynb")
    record, command = blocks("papermill", "sh")
    cloudflare.switch(answer=["Rain falls.", "Snow melts."])
    run(record, lesson, setup=replay)
    assert len(cloudflare.requests) == 2
    run(command, lesson, setup=replay)
    assert answers(lesson / "executed.ipynb") == ["Snow melts."]
    failed = run(command.replace("snow", "hail"), lesson, setup=replay, check=False)
    assert failed.returncode == 1
    assert "“Explain hail.” instead of “Explain " in failed.stderr
    assert NEXT_STEP in errors(lesson / "executed.ipynb")[0]
    elsewhere = command.replace("ps1.ipynb", "--cwd lesson lesson/ps1.ipynb", 1)
    run(elsewhere, lesson.parent, setup=replay)
    assert answers(lesson.parent / "executed.ipynb") == ["Snow melts."]
    assert len(cloudflare.requests) == 2


@requires("myst-nb")
def test_a_sphinx_build_replays_and_fails_at_a_question_that_is_not_recorded(
    recorded: Path, run: Run, replay: str
) -> None:
    notebook = nbformat.read(recorded / "ps1.ipynb", as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# Lesson"))
    nbformat.write(notebook, recorded / "ps1.ipynb")
    (conf,), (index,) = (blocks("Sphinx", language) for language in ("python", "md"))
    (recorded / "conf.py").write_text(conf, encoding="utf-8")
    (recorded / "index.md").write_text(index, encoding="utf-8")
    command, delete_cache = blocks("Sphinx", "sh")
    run(command, recorded, setup=replay)
    page = (recorded / "_build/html/ps1.html").read_text(encoding="utf-8")
    assert "Air scatters <strong>blue</strong> light." in page
    assert "replayed, recorded " in page
    write_edited(recorded / "ps1.ipynb", recorded / "red.ipynb", "sky blue", "sky red")
    failed = run(command, recorded, setup=replay, check=False)
    assert failed.returncode == 1
    assert f"{MISS} {NEXT_STEP}" in failed.stderr
    (recorded / "red.ipynb").unlink()

    write_edited(recorded / "conf.py", recorded / "conf.py", '"force"', '"cache"')
    run(command, recorded, setup=replay)
    (recorded / "ps1.cfai.jsonl").unlink()
    every_page = command.replace("-W", "-W -E")
    run(every_page, recorded, setup=replay)
    page = (recorded / "_build/html/ps1.html").read_text(encoding="utf-8")
    assert "Air scatters <strong>blue</strong> light." in page
    failed = run(delete_cache + every_page, recorded, setup=replay, check=False)
    assert failed.returncode == 1
    assert "ps1.cfai.jsonl does not exist.\nNothing was sent." in failed.stderr


@requires("nbgrader")
def test_nbgrader_grades_recorded_answers_and_gives_no_points_for_others(
    lesson: Path, run: Run, replay: str, cloudflare: Standin
) -> None:
    cloudflare.switch(answer=ANSWER)
    course = lesson.parent / "course"
    source = course / "source/ps1"
    shutil.copytree(lesson, source)
    notebook = nbformat.read(source / "ps1.ipynb", as_version=4)
    notebook.cells[-1].metadata["nbgrader"] = CHECK
    nbformat.write(notebook, source / "ps1.ipynb")
    (config,) = blocks("nbgrader", "python")
    (course / "nbgrader_config.py").write_text(config, encoding="utf-8")
    generate, grade, regrade = blocks("nbgrader", "sh")
    run(f"jupyter execute source/ps1/ps1.ipynb\n{generate}", course)
    release = course / "release/ps1"
    files = sorted(path.name for path in release.iterdir())
    assert files == ["cfai.toml", "ps1.cfai.jsonl", "ps1.ipynb"]
    submitted = {name: course / "submitted" / name / "ps1" for name in ("ada", "bob", "cyd")}
    for name, folder in submitted.items():
        shutil.copytree(release, folder)
        if name != "ada":
            write_edited(release / "ps1.ipynb", folder / "ps1.ipynb", "sky blue", "sky red")
    run("jupyter execute ps1.ipynb", submitted["cyd"])  # records the student's own question
    assert len(cloudflare.requests) == 2

    run(grade, course, setup=replay)
    assert scores(course) == {"ada": 2, "bob": 0, "cyd": 2}
    graded = {name: course / "autograded" / name / "ps1/ps1.ipynb" for name in submitted}
    assert answers(graded["ada"]) == answers(graded["cyd"]) == [ANSWER]
    assert errors(graded["ada"]) == errors(graded["cyd"]) == []
    assert errors(graded["bob"])[0] == f"{MISS} {NEXT_STEP}"
    run(f"{regrade.rstrip()} --student=cyd\nnbgrader export", course, setup=replay)
    assert scores(course) == {"ada": 2, "bob": 0, "cyd": 0}
    assert errors(graded["cyd"])[0] == f"{MISS} {NEXT_STEP}"
    assert len(cloudflare.requests) == 2


def scores(course: Path) -> dict[str, float]:
    with (course / "grades.csv").open(encoding="utf-8") as file:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}


@requires("otter-grader")
def test_otter_grades_recorded_answers_and_gives_no_points_for_others(
    recorded: Path, run: Run
) -> None:
    (recorded / "cfai.toml").write_text(blocks("Otter", "toml")[0], encoding="utf-8")
    nbformat.write(to_notebook(blocks("Otter", "python")[0]), recorded / "ps1.ipynb")
    assign, grade, debug = blocks("Otter", "sh")
    run(assign, recorded)
    handed_in = recorded / "submitted/ps1.ipynb"
    handed_in.parent.mkdir()
    shutil.copy(recorded / "dist/autograder/ps1.ipynb", handed_in)
    run(grade, recorded)
    assert points(recorded) == [2]
    write_edited(handed_in, handed_in, "sky blue", "sky red")
    run(grade, recorded)
    assert points(recorded) == [0]
    failed = run(debug, recorded, check=False)
    assert failed.returncode != 0
    assert MISS in failed.stderr
    assert "ask the author of the course to record this one" in failed.stderr


def points(folder: Path) -> list[float]:
    tests = json.loads((folder / "results.json").read_text(encoding="utf-8"))["tests"]
    return [test["score"] for test in tests if "score" in test]
