"""Test conversations in a real kernel."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels import Cell, Kernel, running_kernel
from tests.standin import Fault, Standin

pytestmark = pytest.mark.slow


@pytest.fixture
def kernel(account: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    account.switch(answer=lambda prompt: f"Re: {prompt}")
    monkeypatch.chdir(tmp_path)
    with running_kernel(JPY_SESSION_NAME=f"{Path.home()}/lesson.ipynb") as started:
        started.run("%load_ext cfai_magics")
        yield started


def ask(kernel: Kernel, text: str, line: str = "-c", cell_id: str = "") -> Cell:
    return kernel.run(f"%%cfai {line}\n{text}", cell_id or text)


def sent(account: Standin) -> list[str]:
    return [message["content"] for message in account.requests[-1].json["messages"]]


def test_a_cell_without_a_thread_sends_no_history(kernel: Kernel, account: Standin) -> None:
    ask(kernel, "one", line="")
    ask(kernel, "two", line="")
    assert sent(account) == ["two"]


def test_a_thread_sends_its_earlier_turns_and_shows_their_cost(
    kernel: Kernel, account: Standin
) -> None:
    assert "Conversation ~/lesson.ipynb, turn 1." in ask(kernel, "one").html
    cell = ask(kernel, "two", line="-c -s Kindly")
    assert sent(account) == ["Kindly", "one", "Re: one", "two"]
    assert "1 earlier turn resent: about " in cell.html
    assert "an estimated" in cell.html
    assert "resent" not in cell.text
    ask(kernel, "three", line="-c other")
    assert sent(account) == ["three"]


def test_a_rerun_cell_replaces_its_turn_and_names_outdated_turns(
    kernel: Kernel, account: Standin
) -> None:
    for text in ("one", "two", "three"):
        ask(kernel, text)
    cell = ask(kernel, "one, but other", cell_id="one")
    assert sent(account) == ["one, but other"]
    assert "turn 1 of 3: replaced with the new answer." in cell.text
    assert "outdated answer: turn 2 (two), turn 3 (three). Run their cells" in cell.text
    assert "outdated answer: turn 3 (three). Run its cell again." in ask(kernel, "two").text
    assert "outdated answer" not in ask(kernel, "three").text
    assert sent(account)[:2] == ["one, but other", "Re: one, but other"]


def test_an_unchanged_answer_makes_no_turn_outdated(kernel: Kernel) -> None:
    ask(kernel, "one")
    ask(kernel, "two")
    assert "outdated answer" not in ask(kernel, "one").text


def test_each_call_in_a_loop_has_its_own_turn(kernel: Kernel, account: Standin) -> None:
    loop = "for q in ('a', 'b'):\n    get_ipython().run_cell_magic('cfai', '-c', q)"
    for _ in range(2):
        kernel.run(loop, "loop")
        assert sent(account) == ["a", "Re: a", "b"]


def test_without_cell_ids_every_turn_is_new(kernel: Kernel, account: Standin) -> None:
    for _ in range(2):
        kernel.run("%%cfai -c\ngo on")
    assert sent(account) == ["go on", "Re: go on", "go on"]


def test_a_failed_turn_is_left_out_of_the_history(kernel: Kernel, account: Standin) -> None:
    account.switch(error=Fault.of(5006))
    assert ask(kernel, "one").ename == "BadRequestError"
    account.switch(error=None)
    ask(kernel, "two")
    assert sent(account) == ["two"]
    assert kernel.run("%cfai thread keep").ename == "InvalidOptionError"


def test_an_interrupted_turn_is_left_out_unless_it_is_saved(
    kernel: Kernel, account: Standin
) -> None:
    ask(kernel, "one")
    account.switch(answer="word " * 5_000, tokens_per_second=50)
    running = kernel.start("%%cfai -c\ntwo", "two")
    kernel.until_shown(running, "word word")
    output = kernel.interrupt(running).text
    assert "was not saved; %cfai thread keep saves it." in output
    account.switch(answer="Here.", tokens_per_second=0)
    ask(kernel, "three")
    assert sent(account)[2:] == ["three"]
    assert ", turn 3." in kernel.run("%cfai thread keep").text
    ask(kernel, "four")
    assert sent(account)[4:] == ["two", sent(account)[5], "four"]
    assert sent(account)[5].startswith("word word")


def test_turns_beyond_the_context_window_are_left_out_and_noted(
    kernel: Kernel, account: Standin
) -> None:
    account.switch(answer="x" * 40_000)
    line = "-c -m llama-3.3-70b-instruct-fp8-fast --max-tokens 12000"
    ask(kernel, "one", line=line)
    ask(kernel, "two", line=line)
    cell = ask(kernel, "three", line=line)
    assert [text[:3] for text in sent(account)] == ["two", "xxx", "thr"]
    assert "The oldest turn was not sent: the model's context window is 24,000 tokens" in cell.text
    assert "1 earlier turn resent" in cell.html


def test_threads_are_listed_shown_forked_exported_and_reset(
    kernel: Kernel, account: Standin, tmp_path: Path
) -> None:
    ask(kernel, "one")
    ask(kernel, "two")
    assert "starts with 1 turn" in kernel.run("%cfai thread fork other --at 1").text
    ask(kernel, "three")
    assert sent(account) == ["one", "Re: one", "three"]
    listed = kernel.run("%cfai thread").text
    assert "~/lesson.ipynb" in listed
    assert "-c continues other." in listed
    markdown = kernel.run("%cfai thread show ~/lesson.ipynb").mime("text/markdown")[0]
    assert "> two\n\nRe: two" in markdown
    assert "of other to other.md" in kernel.run("%cfai thread export").text
    assert "Re: three" in (tmp_path / "other.md").read_text(encoding="utf-8")
    kernel.run("%cfai thread export --to talk.json")
    messages = json.loads((tmp_path / "talk.json").read_text(encoding="utf-8"))["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    assert "Deleted 2 turns of other." in kernel.run("%cfai thread reset").text
    kernel.run("%cfai thread use ~/lesson.ipynb")
    ask(kernel, "four")
    assert len(sent(account)) == 5


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("thread show nothing", "There is no conversation 'nothing'"),
        ("thread fork", "The copy needs a name"),
        ("thread fork b --at 7", "There is no turn 7 for --at.\nThe conversation has 1 turn."),
        ("thread fork ~/lesson.ipynb", "The conversation '~/lesson.ipynb' already exists"),
        ("thread export --to talk.docx", "does not end in .md or .json"),
        ("thread export --to taken.md", "taken.md already exists"),
        ("thread export --to no/such/talk.md", "can't be written"),
        ("thread keep", "There is no unfinished turn to keep"),
        ("thread nonsense", "invalid choice"),
    ],
)
def test_invalid_thread_commands_raise_an_option_error(
    kernel: Kernel, tmp_path: Path, command: str, message: str
) -> None:
    ask(kernel, "one")
    (tmp_path / "taken.md").write_text("mine")
    cell = kernel.run(f"%cfai {command}")
    assert cell.ename == "InvalidOptionError"
    assert message in cell.traceback[0]
    assert (tmp_path / "taken.md").read_text() == "mine"


def test_a_thread_that_cannot_be_saved_loses_no_answer(
    kernel: Kernel, account: Standin, home: Path
) -> None:
    ask(kernel, "one")
    account.switch(
        answer=lambda _: (home / "threads.sqlite").write_bytes(b"no database" * 500) and "Here."
    )
    cell = ask(kernel, "two")
    assert cell.ename == "StorageError"
    assert cell.mime("text/markdown") == ["Here."]
    assert kernel.run("print(_cfai.text)").text == "Here.\n"
