"""Kernels, terminals and pipes until the first token of an answer arrives."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pexpect
import pytest

from tests.forked import run_script
from tests.kernels import PATIENCE, Kernel
from tests.standin import Fault, Standin
from tests.terminals import end

pytestmark = pytest.mark.slow

LINE = "gemma-4-26b-a4b-it is answering…"
THREADS = "import threading; print(sorted(type(t).__name__ for t in threading.enumerate()))"
SHELL = [sys.executable, "-m", "cfai_magics", "ask", "Why?"]


@pytest.fixture
def kernel(module_kernel: Kernel, module_cloudflare: Standin) -> Kernel:
    module_cloudflare.clear()
    module_cloudflare.switch(answer="Blue.", delay_before_first=1.5)
    return module_kernel


def read_bundles(kernel: Kernel, code: str) -> list[tuple[str, dict[str, Any]]]:
    """Run the code; return the type and the data of each message with an output."""
    message_id, _cell = kernel.start(code)
    bundles = []
    while True:
        message = kernel.client.get_iopub_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") != message_id:
            continue
        content = message["content"]
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            return bundles
        if "data" in content:
            bundles.append((message["msg_type"], content["data"]))


def test_an_output_counts_the_seconds_and_then_shows_the_answer(kernel: Kernel) -> None:
    (first_type, first), (second_type, second), *others = read_bundles(kernel, "%%cfai\nWhy?")
    assert (first_type, second_type) == ("display_data", "update_display_data")
    assert [first["text/plain"], second["text/plain"]] == [LINE, f"{LINE} 1 s"]
    assert 'role="status"' in first["text/html"]
    assert "answering" not in str(others)
    cell = kernel.run("%%cfai\nWhy?")
    assert cell.mime("text/markdown") == ["Blue."]
    assert "answering" not in str(cell.outputs)
    assert "Timer" not in kernel.run(THREADS).text


def test_columns_count_the_seconds(kernel: Kernel) -> None:
    bundles = read_bundles(kernel, "%%cfai -n 2\nWhy?")
    assert bundles[0][1]["text/html"].count(LINE) == 2
    assert bundles[1][1]["text/html"].count(f"{LINE} 1 s") == 2
    assert "answering" not in str(bundles[-2:])


def test_a_map_names_its_model(kernel: Kernel) -> None:
    kernel.run("import cfai_magics")
    code = '_ = cfai_magics.map("Why {{x}}?", [{"x": 1}], fresh=True)'
    texts = [data["text/plain"] for _, data in read_bundles(kernel, code)]
    assert any(f"0 of 1 · {LINE} 1 s" in text for text in texts)
    assert "answering" not in texts[-1]


def test_an_interrupted_wait_ends_with_the_cell(
    kernel: Kernel, module_cloudflare: Standin
) -> None:
    module_cloudflare.switch(delay_before_first=600.0)
    running = kernel.start("%%cfai\nWhy?")
    kernel.until_shown(running, LINE)
    cell = kernel.interrupt(running)
    assert cell.ename == "InterruptedAnswerError"
    assert cell.text.startswith("No answer received.\n")
    assert "answering" not in cell.text
    assert "Timer" not in kernel.run(THREADS).text


def test_a_failed_request_ends_the_wait(kernel: Kernel, module_cloudflare: Standin) -> None:
    module_cloudflare.switch(delay_before_headers=1.0, error=Fault.of(5006))
    cell = kernel.run("%%cfai\nWhy?")
    assert cell.ename
    assert "answering" not in cell.text
    assert "Timer" not in kernel.run(THREADS).text


def test_where_updates_are_lost_no_line_is_shown(kernel: Kernel) -> None:
    kernel.run("import ipywidgets\nout = ipywidgets.Output()")
    code = 'with out:\n    get_ipython().run_cell_magic("cfai", "", "Why?")'
    assert "answering" not in str(read_bundles(kernel, code))


FORK = """
import json
from cfai_magics.display import streaming
from tests.forked import forked

streaming.WAITING_DELAY = 0.0
lines = []
live = streaming.NotebookStream("full", publish=lambda bundle, *_: lines.append(bundle))
live.start_waiting("m")
while not lines:
    pass

def work():
    import threading
    live.stop_waiting()
    return [type(thread).__name__ for thread in threading.enumerate()]

child = forked(work)
live.stop_waiting()
print(json.dumps(child.result()))
"""


def test_a_forked_child_does_not_count() -> None:
    assert run_script(FORK, {"PYTHONWARNINGS": "ignore"}) == ["_MainThread"]


@pytest.fixture
def slow_account(account: Standin) -> Standin:
    account.switch(answer="Blue.", delay_before_first=1.5)
    return account


@pytest.fixture
def terminal(slow_account: Standin) -> Iterator[pexpect.spawn]:
    environ = {**os.environ, "TERM": "xterm", "PYTHONUNBUFFERED": "1"}
    child = pexpect.spawn(SHELL[0], SHELL[1:], encoding="utf-8", timeout=60, env=environ)
    yield child
    end(child)


def test_the_shell_shows_a_spinner_in_a_terminal(terminal: pexpect.spawn) -> None:
    terminal.expect_exact(f"| {LINE}")
    terminal.expect_exact(f"{LINE} 1 s")
    terminal.expect(r"\r +\r")
    terminal.expect_exact("Blue.")
    terminal.expect("neurons billed")
    terminal.expect(pexpect.EOF)
    assert "answering" not in terminal.before


def test_ctrl_c_clears_the_spinner(terminal: pexpect.spawn) -> None:
    terminal.expect_exact(LINE)
    terminal.sendintr()
    terminal.expect(r" +\rgemma-4-26b-a4b-it · about")
    terminal.expect("cfai: Interrupted before any text was received")
    terminal.expect(pexpect.EOF)


def test_plain_answers_have_no_spinner(slow_account: Standin) -> None:
    environ = {**os.environ, "TERM": "xterm"}
    arguments = [*SHELL[1:], "--plain"]
    output, code = pexpect.run(
        f"{SHELL[0]} {' '.join(arguments)}", env=environ, withexitstatus=True, timeout=60
    )
    assert code == 0
    assert output.decode().startswith("Blue.\r\n")


def test_pipes_have_no_spinner(slow_account: Standin) -> None:
    result = subprocess.run(SHELL, capture_output=True, check=True, stdin=subprocess.DEVNULL)
    assert result.stdout.decode() == "Blue.\n"
    assert "answering" not in result.stderr.decode()
