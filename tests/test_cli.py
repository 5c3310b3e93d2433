"""Test the shell command `cfai`, as a process and as a function."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cfai_magics import __version__
from cfai_magics.cli import main
from tests.standin import Standin


def test_ask_answers_on_stdout_and_tells_the_rest_on_stderr(account: Standin) -> None:
    account.switch(answer="Blue scatters most.")
    run = subprocess.run(
        [sys.executable, "-m", "cfai_magics", "ask", "why", "blue?", "--max-tokens", "50"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "Blue scatters most.\n"
    assert "neurons billed" in run.stderr
    assert account.requests[-1].json["messages"] == [{"role": "user", "content": "why blue?"}]


def test_no_account_is_one_line_that_names_shell_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ask", "Hi"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.count("cfai login") == 1
    assert "%cfai" not in told


@pytest.mark.parametrize("words", [["{}"], ["login", "{}"], ["ask", "Hi", "-s", "{}"]], ids=str)
def test_a_token_among_the_words_is_refused_and_not_repeated(
    words: list[str], account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(account.token) for word in words]) == 1
    told = capsys.readouterr().err
    assert "Revoke it" in told
    assert account.token not in told
    assert account.requests == ()


def test_ctrl_c_ends_with_the_code_that_shells_know(account: Standin) -> None:
    account.switch(answer="word " * 5_000, tokens_per_second=50)
    command = [sys.executable, "-m", "cfai_magics", "ask", "Go on"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(9) == "word word"
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert process.returncode == 130
    assert told.splitlines()[-1] == "cfai: The answer was interrupted."


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        pytest.param([], 0, "list the commands", id="nothing"),
        pytest.param(["--help"], 0, "list the commands", id="help"),
        pytest.param(["--version"], 0, __version__, id="version"),
        pytest.param(["ask", "-h"], 0, "usage: cfai ask", id="help of a command"),
        pytest.param(["nonsense"], 1, "Unknown command 'nonsense'", id="an unknown command"),
        pytest.param(["ask"], 1, "A prompt or piped text is required", id="a missing word"),
        pytest.param(["models", "gemma-4"], 0, "gemma-4-26b-a4b-it", id="models offline"),
        pytest.param(["logout"], 0, "", id="logout with nothing kept"),
        pytest.param(["local", "no.gguf"], 1, "no.gguf", id="a missing model file"),
        pytest.param(["local", "serve", "--port", "99999"], 1, "not a valid port", id="no port"),
        pytest.param(["help"], 0, "cfai ask -h lists the options", id="where options are listed"),
    ],
)
def test_each_call_ends_with_its_code_and_its_words(
    words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    captured = capsys.readouterr()
    assert told in captured.out + captured.err


def test_a_shell_is_told_of_the_variable_that_records(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CFAI_REPLAY", f"only:{tmp_path}/none.jsonl")
    assert main(["ask", "Hi"]) == 1
    assert "CFAI_REPLAY=auto:PATH makes such requests" in capsys.readouterr().err
    assert main(["verify"]) == 1
    assert "CFAI_REPLAY=auto:PATH makes one" in capsys.readouterr().err


def test_use_is_remembered(home: Path, account: Standin) -> None:
    assert main(["use", "llama-3.2-3b-instruct"]) == 0
    assert main(["ask", "Hi"]) == 0
    assert account.requests[-1].json["model"] == "@cf/meta/llama-3.2-3b-instruct"


def test_models_falls_back_to_the_shipped_list_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models"]) == 0
    assert (
        "Built-in list from 2026-10-09; the current one is not available"
        in capsys.readouterr().out
    )


def test_models_asks_cloudflare_once_a_day(
    account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "free", "vision"]) == 0
    assert "List from today." in capsys.readouterr().out
    asked = len(account.requests)
    assert asked > 0
    assert main(["models"]) == 0
    assert len(account.requests) == asked
    assert main(["models", "--refresh"]) == 0
    assert len(account.requests) == 2 * asked


def test_raw_prints_the_json(account: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Hi", "-f", "raw", "--footer", "off"]) == 0
    assert '"object": "chat.completion"' in capsys.readouterr().out


def test_a_shell_continues_a_thread(account: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "one", "-c"]) == 0
    assert main(["ask", "two", "-c"]) == 0
    assert [m["content"] for m in account.requests[-1].json["messages"]][::2] == ["one", "two"]
    assert "Conversation main, turn 2." in capsys.readouterr().err
    assert main(["thread", "show", "main"]) == 0
    assert "> one" in capsys.readouterr().out
    assert main(["thread", "use", "main"]) == 1
    assert (
        "Name the conversation with -c=NAME: a shell has no current one."
        in capsys.readouterr().err
    )


def test_a_shell_shows_what_was_sent_when_asked(
    account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "why?", "--sent"]) == 0
    told = capsys.readouterr().err
    assert "share of cost" in told
    assert "--- cell\nwhy?" in told
    assert main(["sent"]) == 1
    assert "In a shell, add --sent to cfai ask." in capsys.readouterr().err
    assert main(["fix"]) == 1
    assert "A shell has no cells" in capsys.readouterr().err
