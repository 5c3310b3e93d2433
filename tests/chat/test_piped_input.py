"""Test `cfai ask` with piped text: words and text form one prompt."""

import io
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from cfai_magics.chat.piped_input import MAX_STDIN_BYTES, merge_piped_text, read_piped_text
from cfai_magics.cli import main
from cfai_magics.errors import InvalidOptionError
from tests.standin import Standin

pytestmark = pytest.mark.slow

ASK = [sys.executable, "-m", "cfai_magics", "ask"]


def ask(*words: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([*ASK, *words], capture_output=True, check=False, timeout=60, **options)


def prompt_sent(account: Standin) -> Any:
    return account.requests[-1].json["messages"][-1]["content"]


PIPED = {
    "after the words": (["Summarize"], b"text\n", "Summarize\n\ntext"),
    "in place of a dash": (["Translate", "-", "now"], b"text\n", "Translate text now"),
    "only a dash": (["-"], b"q\n", "q"),
    "without words": ([], b"q\n", "q"),
    "several lines": (["Why"], b"a\n\n b\n\n", "Why\n\na\n\n b"),
    "Windows line ends": (["Why"], b"a\r\nb\r\n", "Why\n\na\nb"),
    "a byte order mark": (["Why"], b"\xef\xbb\xbfa", "Why\n\na"),
    "braces": (["Why"], b"{{1 + 1}} {name} {{", "Why\n\n{{1 + 1}} {name} {{"),
    "braces among the words": (["{{1 + 1}}", "-"], b"{{x}}", "{{1 + 1}} {{x}}"),
    "options after a dash": (["-", "--max-tokens", "9"], b"q", "q"),
    "only options": (["--max-tokens", "9"], b"q", "q"),
    "a dash inside a quoted word": (["5 - 3"], b"q", "5 - 3\n\nq"),
    "other scripts": (["為何"], "天空\n".encode(), "為何\n\n天空"),
    "two dashes among the words": (
        ["git", "checkout", "--", "file"],
        b"q",
        "git checkout -- file\n\nq",
    ),
    "two dashes before the words": (["--", "-h?"], b"q", "-h?\n\nq"),
    "empty text": (["Why"], b"", "Why"),
    "only a line end": (["Why"], b"\n", "Why"),
}


@pytest.mark.parametrize(("words", "piped", "sent"), PIPED.values(), ids=PIPED)
def test_piped_text_and_words_make_one_prompt(
    account: Standin, words: list[str], piped: bytes, sent: str
) -> None:
    result = ask(*words, input=piped)
    assert (result.returncode, result.stdout != b"") == (0, True)
    assert prompt_sent(account) == sent


INVALID = {
    "neither words nor text": ([], b"", "A prompt or piped text is required"),
    "only white space": ([], b" \n\n", "A prompt or piped text is required"),
    "a dash without text": (["-"], b"", "standard input is empty"),
    "a dash between words without text": (["5", "-", "3"], b"\n", "standard input is empty"),
    "two dashes": (["-", "or", "-"], b"q", "can be used only once"),
    "latin-1": (["Why"], b"caf\xe9", "not UTF-8 text (byte 4)"),
    "utf-16": (["Why"], "hi".encode("utf-16"), "not UTF-8 text (byte 1)"),
    "a truncated character": (["Why"], "é".encode()[:1], "not UTF-8 text (byte 1)"),
    "binary": (["Why"], b"a\0b", "binary"),
    "too long": (["Why"], b"x" * (MAX_STDIN_BYTES + 1), "longer than 4,000,000 bytes"),
}


@pytest.mark.parametrize(("words", "piped", "message"), INVALID.values(), ids=INVALID)
def test_invalid_input_prints_a_two_line_error_and_sends_nothing(
    account: Standin, words: list[str], piped: bytes, message: str
) -> None:
    result = ask(*words, input=piped)
    assert result.returncode == 1
    assert result.stderr.count(b"\n") == 2
    assert message in result.stderr.decode()
    assert account.requests == ()


def test_text_of_the_maximum_size_is_sent_in_full(account: Standin) -> None:
    text = "x" * MAX_STDIN_BYTES
    assert (
        merge_piped_text(["Why"], lambda: read_piped_text(io.StringIO(text))) == f"Why\n\n{text}"
    )
    assert ask("Why", "--dry-run", input=text.encode()).returncode == 0
    assert account.requests == ()


@pytest.mark.parametrize("words", [["Why"], ["Why", "--dry-run"]], ids=str)
def test_a_closed_standard_input_is_ignored(account: Standin, words: list[str]) -> None:
    result = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *ASK, *words], capture_output=True, check=False, timeout=60
    )
    assert result.returncode == 0
    sent = [each.json["messages"][-1]["content"] for each in account.requests]
    assert sent == ["Why"] * (len(words) == 1)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        pytest.param(["Why"], 0, "", id="words"),
        pytest.param([], 1, "A prompt or piped text is required", id="no words"),
        pytest.param(["-"], 1, "no text is piped in", id="a dash"),
    ],
)
def test_a_terminal_is_not_read(
    account: Standin, words: list[str], code: int, message: str
) -> None:
    controller, terminal = pty.openpty()
    try:
        result = ask(*words, stdin=terminal)
    finally:
        os.close(controller)
        os.close(terminal)
    assert result.returncode == code
    assert message in result.stderr.decode()
    sent = [each.json["messages"][-1]["content"] for each in account.requests]
    assert sent == ([] if code else words)


def test_an_open_pipe_is_awaited_with_a_notice(account: Standin) -> None:
    with subprocess.Popen(
        [*ASK, "Why"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert b"</dev/null" in process.stderr.readline()
        assert account.requests == ()
        process.stdin.write(b"text")
        process.stdin.close()
        process.stderr.read()
    assert process.returncode == 0
    assert prompt_sent(account) == "Why\n\ntext"


def test_ctrl_c_while_reading_sends_nothing(account: Standin) -> None:
    with subprocess.Popen(
        [*ASK, "Why"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert b"standard input" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        output = process.stderr.read().decode()
    assert process.returncode == 130
    assert output == "cfai: Interrupted while reading standard input.\nNothing was sent.\n"
    assert account.requests == ()


def test_an_unreadable_standard_input_is_ignored(account: Standin) -> None:
    with Path(os.devnull).open("wb") as unreadable:
        assert ask("Why", stdin=unreadable).returncode == 0
    assert prompt_sent(account) == "Why"


def test_other_commands_do_not_read_standard_input(account: Standin, tmp_path: Path) -> None:
    result = subprocess.run(
        ["sh", "-c", '"$0" -m cfai_magics map; cat', sys.executable],
        input=b"the rest",
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert result.stdout.endswith(b"the rest")
    assert main(["plan", "-"]) == 1
    assert account.requests == ()


AMBIGUOUS = [
    ["-c", "Why", "is", "it", "blue"],
    ["--thread", "Why", "is", "it", "blue"],
    ["--thr", "Why", "is", "it", "blue"],
    ["-x", "-c", "Why", "is", "it", "blue"],
    ["-xc", "Why", "is", "it", "blue"],
    ["is", "it", "-c", "Why"],
    ["-c", "-5", "is", "what"],
    ["-c", "- 5", "is", "what"],
    ["-c", "-"],
]


@pytest.mark.parametrize("words", AMBIGUOUS, ids=" ".join)
def test_a_word_after_the_thread_option_is_rejected_as_ambiguous(
    account: Standin, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["ask", *words]) == 1
    output = capsys.readouterr().err
    assert "could be its NAME or part of the prompt.\nUse -c=NAME, or put -c at" in output
    assert account.requests == ()


@pytest.mark.parametrize(
    ("words", "thread", "prompt"),
    [
        (["-c=sky", "Why", "blue"], "sky", "Why blue"),
        (["--thread=sky", "Why", "blue"], "sky", "Why blue"),
        (["Why", "blue", "-c=sky"], "sky", "Why blue"),
        (["-csky", "Why", "blue"], "sky", "Why blue"),
        (["-c=", "Why", "blue"], "main", "Why blue"),
        (["Why", "blue", "-c"], "main", "Why blue"),
        (["-c", "-x", "Why", "blue"], "main", "Why blue"),
        (["-c", "--", "Why", "-c", "blue"], "main", "Why -c blue"),
        (["--", "-c", "Why"], "", "-c Why"),
    ],
    ids=str,
)
def test_a_thread_name_follows_an_equals_sign(
    account: Standin,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    thread: str,
    prompt: str,
) -> None:
    assert main(["ask", "--footer", "full", *words]) == 0
    assert prompt_sent(account) == prompt
    assert (f"Conversation {thread}, turn 1." in capsys.readouterr().err) == bool(thread)


def test_a_cell_reads_no_piped_text(account: Standin, shell: InteractiveShell) -> None:
    shell.run_line_magic("load_ext", "cfai_magics")
    shell.run_line_magic("cfai", "ask What is 5 - 3?")
    assert prompt_sent(account) == "What is 5 - 3?"
    for line in ("ask -", "ask", "ask -c Why is it blue?", "ask --thread Why"):
        with pytest.raises(InvalidOptionError):
            shell.run_line_magic("cfai", line)
    assert len(account.requests) == 1
    shell.run_cell_magic("cfai", "-c sky", "Why is it blue?")
    shell.run_line_magic("cfai", "ask -c=sky And red?")
    prompts = [m["content"] for m in account.requests[-1].json["messages"] if m["role"] == "user"]
    assert prompts == ["Why is it blue?", "And red?"]
    shell.run_line_magic("unload_ext", "cfai_magics")
