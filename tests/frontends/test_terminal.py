"""Test IPython in a real terminal."""

import os
import sys
from collections.abc import Iterator

import pexpect
import pytest

from cfai_magics.prompt.cell_context import INTRODUCTION
from tests.standin import Standin
from tests.terminals import end

pytestmark = pytest.mark.slow

PROMPT = r"In \[\d+\]: "


@pytest.fixture
def terminal(account: Standin) -> Iterator[pexpect.spawn]:
    arguments = ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor"]
    environ = {**os.environ, "TERM": "dumb"}  # without a waiting line
    child = pexpect.spawn(
        sys.executable, arguments, encoding="utf-8", timeout=60, echo=False, env=environ
    )
    child.expect(PROMPT)
    child.sendline("%load_ext cfai_magics")
    child.expect(PROMPT)
    assert child.before.strip() == "", "loading is silent"
    yield child
    end(child)


def test_deltas_are_printed_with_the_footer_below(
    terminal: pexpect.spawn, account: Standin
) -> None:
    account.switch(answer="Blue **scatters** most.")
    terminal.sendline("get_ipython().run_cell_magic('cfai', '', 'Why?')")
    terminal.expect(PROMPT)
    lines = terminal.before.strip().splitlines()
    assert lines[0] == "Blue **scatters** most."
    assert "neurons billed" in lines[1]
    assert len(lines) == 2


def test_a_typed_line_and_a_typed_cell_send_the_same_body(
    terminal: pexpect.spawn, account: Standin
) -> None:
    terminal.sendline("%cfai ask What is a neuron?")
    terminal.expect(PROMPT)
    for line in ("%%cfai", "What is a neuron?", "", ""):
        terminal.sendline(line)
    terminal.expect("neurons billed")
    terminal.expect(PROMPT)
    first, second = (request.body_bytes for request in account.requests)
    assert first == second
    assert b"What is a neuron?" in first


@pytest.mark.parametrize("command", ["usage", "status", "models gemma-4", "usage --account"])
def test_tables_start_below_the_prompt(terminal: pexpect.spawn, command: str) -> None:
    terminal.sendline("%cfai ask Hi")
    terminal.expect("neurons billed")
    terminal.expect(PROMPT)
    terminal.sendline(f"%cfai {command}")
    terminal.expect(PROMPT)
    prompt, header, *_ = terminal.before.replace("\r", "").strip().split("\n")
    assert prompt.strip() == "Out[3]:"
    assert header.startswith(("model ", "setting ", "name "))


def test_an_empty_table_is_one_line(terminal: pexpect.spawn) -> None:
    terminal.sendline("%cfai thread")
    terminal.expect(PROMPT)
    assert "Out[2]: No conversations yet. -c continues kernel " in terminal.before
    terminal.sendline("%cfai usage")
    terminal.expect(PROMPT)
    assert terminal.before.startswith("Out[3]: No calls today (UTC).")


def test_an_error_has_two_lines(terminal: pexpect.spawn) -> None:
    terminal.sendline("%cfai nonsense")
    terminal.expect(PROMPT)
    assert terminal.before.strip().splitlines() == [
        "InvalidOptionError: Unknown command 'nonsense'.",
        "%cfai help lists the commands.",
    ]


def test_ctrl_c_keeps_the_partial_answer_and_the_next_cell_runs(
    terminal: pexpect.spawn, account: Standin
) -> None:
    account.switch(answer="word " * 5_000, tokens_per_second=50)
    terminal.sendline("get_ipython().run_cell_magic('cfai', '', 'Go on')")
    terminal.expect("word word")
    terminal.sendintr()
    terminal.expect("InterruptedAnswerError: Interrupted")
    terminal.expect(PROMPT)
    account.switch(answer="Here again.", tokens_per_second=0)
    terminal.sendline("get_ipython().run_cell_magic('cfai', '', 'And now?')")
    terminal.expect("Here again.")
    terminal.expect(PROMPT)
    terminal.sendline("print(len(_cfai.text))")
    terminal.expect("11")


def test_code_is_printed_and_inserted_at_the_next_prompt(
    terminal: pexpect.spawn, account: Standin
) -> None:
    account.switch(answer="So:\n\n```python\nx = 6 * 7\n```\n")
    terminal.sendline("get_ipython().run_cell_magic('cfai', '-f code', 'Multiply.')")
    terminal.expect("The code is at the next prompt; press Enter to run it.")
    assert "x = 6 * 7" in terminal.before
    assert "So:" not in terminal.before
    terminal.sendline("")
    terminal.expect(PROMPT)


def test_a_failed_cell_is_corrected_and_explained(
    terminal: pexpect.spawn, account: Standin
) -> None:
    terminal.sendline("1 / 0")
    terminal.expect(PROMPT)
    account.switch(answer="By zero.\n\n```python\n1 / 1\n```")
    terminal.sendline("%cfai fix")
    terminal.expect("By zero.")
    terminal.expect("The code is at the next prompt; press Enter to run it.")
    terminal.sendline("")
    terminal.expect(PROMPT)
    terminal.sendline("%cfai explain")
    terminal.expect("neurons billed")
    prompt = account.requests[-1].json["messages"][1]["content"]
    assert "1 / 0" in prompt
    assert prompt.rstrip().endswith("ZeroDivisionError: division by zero")
    assert 'File "the cell"' in prompt


def test_tab_completes_a_model_name(account: Standin) -> None:
    arguments = ["-m", "IPython", "--no-banner", "--colors=nocolor"]
    child = pexpect.spawn(sys.executable, arguments, encoding="utf-8", timeout=60)
    child.expect("In .*: ")
    child.send("%load_ext cfai_magics\r")
    child.expect(r"In .*\[.*2.*: ")
    child.send("%cfai use gemma-4\t")
    child.expect("-26b-a4b-it")  # the terminal may not redraw the typed text
    end(child)


def test_the_panel_is_text(terminal: pexpect.spawn, account: Standin) -> None:
    terminal.sendline("%cfai panel")
    terminal.expect("neurons used")
    terminal.expect(PROMPT)


def test_several_answers_are_printed_one_after_the_other(
    terminal: pexpect.spawn, account: Standin
) -> None:
    account.switch(answer="Blue.")
    terminal.sendline("get_ipython().run_cell_magic('cfai', '-n 2', 'Why?')")
    terminal.expect(PROMPT)
    lines = [line for line in terminal.before.strip().splitlines() if line]
    assert [line.partition(" · ")[0] for line in lines] == [
        *("--- 1 of 2", "Blue.", "×2", "each 1→3 tokens", "gemma-4-26b-a4b-it"),
    ]


def test_ctrl_c_stops_several_answers(terminal: pexpect.spawn, account: Standin) -> None:
    account.switch(answer="word " * 5_000, tokens_per_second=50)
    terminal.sendline("get_ipython().run_cell_magic('cfai', '-n 3', 'Go on')")
    terminal.expect("word word")
    assert account.wait_for(lambda c: len(c.requests) == 3)
    terminal.sendintr()
    terminal.expect(r"InterruptedAnswerError: Interrupted after \d of 3 answers")
    terminal.expect(PROMPT)
    assert account.wait_for(lambda c: c.disconnects == 3)


def test_a_tool_call_needs_confirmation(terminal: pexpect.spawn, account: Standin) -> None:
    account.switch(answer="Done.", tool_calls=[{"name": "hello", "arguments": {"to": "you"}}])
    terminal.sendline("hello = lambda to: 'Hello ' + to")
    terminal.expect(PROMPT)
    terminal.sendline("get_ipython().run_cell_magic('cfai', '--tools hello', 'Greet')")
    terminal.expect(r"Allow the model to call hello\(to='you'\)\?")
    terminal.sendline("y")
    terminal.expect(r"hello\(to='you'\) → Hello you")
    terminal.expect("Done.")
    terminal.expect(PROMPT)


def test_the_cells_above_are_sent_with_what_they_printed(
    terminal: pexpect.spawn, account: Standin
) -> None:
    for line in ("print('printed')", "40 + 2", "1 / 0", "%cfai ask --context above What is it?"):
        terminal.sendline(line)
        terminal.expect(PROMPT)
    content = account.requests[0].json["messages"][0]["content"]
    introduction, *cells, failed = content.split("<cell>\n")
    assert introduction == INTRODUCTION
    assert cells == [
        "print('printed')\n<output>\nprinted\n</output>\n</cell>\n\n",
        "40 + 2\n<output>\n42\n</output>\n</cell>\n\n",
    ]
    assert failed.count("ZeroDivisionError") == 1
    assert failed.endswith("</cell>\n\nWhat is it?")
