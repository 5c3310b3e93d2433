"""A lesson recorded in one kernel runs in another without credentials and network."""

import json
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook

from cfai_magics.types.provenance import METADATA_MIME_TYPE
from tests.kernels import Kernel, running_kernel
from tests.standin import Fault, Standin

pytestmark = pytest.mark.slow

CELLS = (
    "%load_ext cfai_magics",
    "%%cfai\nWhy is the sky blue?",
    "from cfai_magics import ask\nask('Name three rivers.')",
    "[ask('Heads or tails?').text for _ in range(3)]",
    "_",
)


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "lesson.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in CELLS]), path)
    return path


@pytest.fixture
def recorded(notebook: Path, cloudflare: Standin) -> Iterator[Path]:
    """The notebook and its cassette, recorded in a kernel that has ended."""
    cloudflare.switch(answer=["Blue *scatters*.", "Rhine, Po, Ebro.", "heads", "tails", "edge"])
    with running_kernel(**cloudflare.environ(), JPY_SESSION_NAME=str(notebook)) as kernel:
        kernel.run("%load_ext cfai_magics")
        assert "auto: recorded" in kernel.run("%cfai replay auto").text
        for source in CELLS[1:]:
            assert kernel.run(source).ename == ""
    assert len(cloudflare.requests) == 5
    content = notebook.with_suffix(".cfai.jsonl").read_text(encoding="utf-8")
    keys = [json.loads(line)["key"] for line in content.splitlines()]
    assert keys == sorted(keys)  # sorted when the kernel ended
    assert "replace_from" not in content
    return notebook


def execute(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=120, resources=resources).execute()
    return notebook


def test_a_lesson_replays_from_its_cassette_without_credentials(
    recorded: Path, cloudflare: Standin
) -> None:
    with running_kernel(JPY_SESSION_NAME=str(recorded)) as kernel:
        kernel.run(CELLS[0])
        answer, footer = kernel.run(CELLS[1]).outputs
        assert answer["data"]["text/markdown"] == "Blue *scatters*."
        footer_text = footer["data"]["text/plain"]
        assert footer_text.startswith("gemma-4-26b-a4b-it · ")
        assert " · replayed, recorded " in footer_text
        assert " neurons if sent again" in footer_text
        assert kernel.run(CELLS[2]).mime("text/markdown") == ["Rhine, Po, Ebro."]
        assert "Already recorded" in kernel.run("%%cfai --dry-run\nWhy is the sky blue?").text
        assert "replayed" not in kernel.run("%%cfai --dry-run\nWhy is it not red?").text
    assert len(cloudflare.requests) == 5


def repeat_request(kernel: Kernel) -> str:
    return kernel.run(CELLS[3]).text


def test_each_run_of_a_cell_replays_the_same_answers_in_order(recorded: Path) -> None:
    with running_kernel(JPY_SESSION_NAME=str(recorded)) as kernel:
        kernel.run(CELLS[0])
        kernel.run(CELLS[2])
        assert [repeat_request(kernel) for _ in range(2)] == ["['heads', 'tails', 'edge']"] * 2


def test_widget_messages_do_not_start_a_new_cell(notebook: Path, cloudflare: Standin) -> None:
    # Comms run on a subshell of the kernel, as in JupyterLab.
    new_comm = "comm.base_comm.BaseComm('t', comm_id='c', primary=False)"
    cell = (
        f"import comm\ntest_comm = {new_comm}\ntest_comm.on_msg(print)\ntexts = []\n"
        "for _ in range(3):\n    texts.append(ask('Heads or tails?').text)\n"
        "    test_comm.handle_msg({})\ntexts"
    )
    cloudflare.switch(answer=["heads", "tails", "edge"])
    with running_kernel(**cloudflare.environ(), JPY_SESSION_NAME=str(notebook)) as kernel:
        kernel.run(CELLS[0])
        kernel.run("from cfai_magics import ask\n%cfai replay auto")
        for _ in range(2):
            assert "['heads', 'tails', 'edge']" in kernel.run(cell).text
    assert len(cloudflare.requests) == 3


def test_a_changed_prompt_error_shows_the_difference(recorded: Path) -> None:
    with running_kernel(JPY_SESSION_NAME=str(recorded)) as kernel:
        kernel.run(CELLS[0])
        cell = kernel.run("%%cfai\nWhy is the sky red?")
        assert cell.ename == "MissingCredentialsError"
        assert "“…s the sky red?” instead of “…s the sky blue?”" in cell.traceback[0]
        kernel.run("%cfai replay only")
        cell = kernel.run("%%cfai\nWhy is the sky red?")
        assert cell.ename == "NotRecordedError"
        assert len(cell.traceback) == 1


def test_outputs_of_a_headless_replay_contain_their_provenance(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFAI_REPLAY", f"only:{recorded.with_suffix('.cfai.jsonl')}")
    monkeypatch.setenv("CFAI_REPLAY_INSTANT", "1")
    notebook = execute(recorded)
    answer, _footer = notebook.cells[1].outputs
    provenance = answer.metadata[METADATA_MIME_TYPE]
    assert (provenance["model"], provenance["basis"]) == (
        "@cf/google/gemma-4-26b-a4b-it",
        "replayed",
    )
    assert provenance["recorded"]["neurons"] > 0
    assert "sky" not in repr(provenance)
    (result,) = notebook.cells[2].outputs
    assert result.metadata[METADATA_MIME_TYPE]["parameters"] == {"max_tokens": 2048}
    nbformat.validate(notebook)
    html, _ = HTMLExporter().from_notebook_node(notebook)
    assert "<em>scatters</em>" in html


def test_a_headless_run_fails_at_an_unrecorded_request(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded.with_suffix(".cfai.jsonl").write_bytes(b"")
    monkeypatch.setenv("CFAI_REPLAY", f"only:{recorded.with_suffix('.cfai.jsonl')}")
    with pytest.raises(CellExecutionError, match="NotRecordedError"):
        execute(recorded)


CONVERSATION_CELLS = (
    "%%cfai -c\nName a color.",
    "%%cfai -c\nAnd another?",
    "CITY = {'type': 'object', 'properties': {'city': {'type': 'string'}}}",
    "%%cfai --schema CITY\nWhich city?",
    "_cfai.parsed['city']",
)


def test_conversations_and_schemas_replay_on_another_machine(
    notebook: Path, cloudflare: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"JPY_SESSION_NAME": str(notebook)}
    with running_kernel(**cloudflare.environ(), **variables) as kernel:
        kernel.run(CELLS[0])
        kernel.run("%cfai replay auto")
        cloudflare.switch(answer=["Blue.", "Red."])
        shown = [kernel.run(source).mime("text/markdown") for source in CONVERSATION_CELLS[:2]]
        # This model rejects the schema field, so the answer without it is recorded.
        cloudflare.switch(answer='{"city": "Rome"}', error=Fault.of(5024), errors_before_success=1)
        assert [kernel.run(source).ename for source in CONVERSATION_CELLS[2:4]] == ["", ""]
    monkeypatch.setenv("CFAI_HOME", str(notebook.parent / "another home"))
    with running_kernel(CFAI_REPLAY="only", **variables) as kernel:
        kernel.run(CELLS[0])
        assert [
            kernel.run(source).mime("text/markdown") for source in CONVERSATION_CELLS[:2]
        ] == shown
        assert [kernel.run(source).ename for source in CONVERSATION_CELLS[2:4]] == ["", ""]
        assert kernel.run(CONVERSATION_CELLS[4]).text == "'Rome'"
        assert kernel.run("%%cfai --schema CITY\nWhich town?").ename == "NotRecordedError"


def test_a_replay_can_be_interrupted(notebook: Path, cloudflare: Standin) -> None:
    cloudflare.switch(answer="word " * 40, tokens_per_second=10)
    variables = {"JPY_SESSION_NAME": str(notebook)}
    with running_kernel(**cloudflare.environ(), **variables) as kernel:
        kernel.run(CELLS[0])
        kernel.run("%cfai replay auto")
        assert kernel.run(CELLS[1]).ename == ""
        running = kernel.start(CELLS[1])
        kernel.until_shown(running, "word word")
        cell = kernel.interrupt(running)
        assert cell.ename == "InterruptedAnswerError"
        assert "replayed" in cell.text
        kernel.run("%cfai replay only --instant")
        assert kernel.run(CELLS[1]).mime("text/markdown") == ["word " * 40]
    assert len(cloudflare.requests) == 1


def test_parallel_answers_are_recorded_and_replayed_in_order(
    notebook: Path, cloudflare: Standin
) -> None:
    variables = {"JPY_SESSION_NAME": str(notebook)}
    cell = "%%cfai -n 3 -m gemma-4-26b-a4b-it -m llama-3.2-3b-instruct\nHeads or tails?"
    texts = "[answer.text for answer in _cfai]"
    with running_kernel(**cloudflare.environ(), **variables) as kernel:
        kernel.run(CELLS[0])
        kernel.run("%cfai replay auto")
        cloudflare.switch(answer=[f"answer {n}" for n in range(6)])
        assert kernel.run(cell).ename == ""
        answers = kernel.run(texts).text
        assert kernel.run(cell).ename == ""
        assert kernel.run(texts).text == answers
        more = kernel.run("%%cfai -n 5 --dry-run\nHeads or tails?").text
        assert "5 requests, 3 of them recorded and replayed for free" in more
    assert len(cloudflare.requests) == 6
    with running_kernel(CFAI_REPLAY="only", **variables) as kernel:
        kernel.run(CELLS[0])
        dry_run = kernel.run("%%cfai -n 5 --dry-run\nHeads or tails?").text
        assert "All 5 answers are already recorded: running this cell replays them" in dry_run
        refused = kernel.run("%%cfai --dry-run\nHeads or tail?").text
        assert (
            "The request would be refused. This request is not recorded; the closest recording in"
            in refused
        )
        shown = kernel.run(cell)
        assert shown.ename == ""
        assert "0 neurons in total (replayed)" in shown.text
        assert shown.text.count("replayed, recorded ") == 6
        assert kernel.run(texts).text == answers
        assert kernel.run("%%cfai -n 2\nHeads or tails?").ename == ""
        failed = kernel.run("%%cfai -n 2\nBlack or white?")
        assert (failed.ename, len(failed.traceback)) == ("NotRecordedError", 1)


def test_parallel_replays_stop_immediately_on_interrupt(
    notebook: Path, cloudflare: Standin
) -> None:
    variables = {"JPY_SESSION_NAME": str(notebook)}
    cell = "%%cfai -n 3\nTell me all."
    cloudflare.switch(answer="word " * 12, tokens_per_second=2)
    with running_kernel(**cloudflare.environ(), **variables) as kernel:
        kernel.run(CELLS[0])
        kernel.run("%cfai replay auto")
        assert kernel.run(cell).ename == ""
        running = kernel.start(cell)
        kernel.until_shown(running, "3 answers")
        assert kernel.interrupt(running).ename == "InterruptedAnswerError"
        calls = "get_current_session().accounting.ledger.history.iter_calls()"
        rows = f"[r['status'] for r in {calls}][-3:]"
        kernel.run("from cfai_magics.api import get_current_session")
        assert kernel.run(rows).text == "['replayed', 'replayed', 'replayed']"


def test_a_replay_calls_the_tools_again(notebook: Path, cloudflare: Standin) -> None:
    variables = {"JPY_SESSION_NAME": str(notebook)}
    function = "calls = []\ndef add(a: int, b: int) -> int:\n    calls.append(1)\n    return a + b"
    cell = "%%cfai --tools add --allow-tools\nWhat is 3 + 4?"
    call = {"name": "add", "arguments": {"a": 3, "b": 4}}
    cloudflare.switch(answer="It is 7.", tool_calls=[call])
    with running_kernel(**cloudflare.environ(), **variables) as kernel:
        for source in (CELLS[0], function, "%cfai replay auto"):
            kernel.run(source)
        assert kernel.run(cell).ename == ""
        cost = float(kernel.run("print(_cfai.neurons)").text)
    with running_kernel(CFAI_REPLAY="only", **variables) as kernel:
        kernel.run(CELLS[0])
        kernel.run(function)
        assert kernel.run(cell).mime("text/markdown") == ["It is 7."]
        assert kernel.run("print(len(calls), _cfai.cost_basis)").text.split() == ["1", "replayed"]
        replay_cost = kernel.run("print(_cfai.provenance.recording.neurons)").text
        assert float(replay_cost) == pytest.approx(cost)
    assert len(cloudflare.requests) == 2


def test_images_and_vectors_replay_with_their_provenance(
    notebook: Path, cloudflare: Standin
) -> None:
    variables = {"JPY_SESSION_NAME": str(notebook)}
    cells = ("%%cfai --task image\nA lighthouse", "%%cfai --task embed\none\ntwo")
    with running_kernel(**cloudflare.environ(), **variables) as kernel:
        kernel.run(CELLS[0])
        kernel.run("%cfai replay auto")
        shown = [kernel.run(cell) for cell in cells]
        assert [cell.ename for cell in shown] == ["", ""]
    count = len(cloudflare.requests)
    with running_kernel(CFAI_REPLAY="only", CFAI_REPLAY_INSTANT="1", **variables) as kernel:
        kernel.run(CELLS[0])
        again = [kernel.run(cell) for cell in cells]
        assert [cell.ename for cell in again] == ["", ""]
        assert again[0].outputs[0]["data"] == shown[0].outputs[0]["data"]
        assert all(" · replayed, recorded " in cell.text for cell in again)
        assert "≈ 173 neurons if sent again" in again[0].text
    assert len(cloudflare.requests) == count
