"""Test the shell command `cfai`, as a process and as a function."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cfai_magics import __version__
from cfai_magics.chat.options import OptionParser
from cfai_magics.cli import main
from cfai_magics.commands import COMMANDS, load_command
from cfai_magics.commands.help import EXAMPLES, GROUPS
from tests.standin import Standin

ROOT = Path(__file__).parents[1]


def test_ask_prints_the_answer_on_stdout_and_the_footer_on_stderr(account: Standin) -> None:
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


def test_a_missing_account_gives_a_two_line_error_with_a_shell_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ask", "Hi"]) == 1
    output = capsys.readouterr().err
    assert output.count("\n") == 2
    assert output.count("cfai login") == 1
    assert "%cfai" not in output


@pytest.mark.parametrize("words", [["{}"], ["login", "{}"], ["ask", "Hi", "-s", "{}"]], ids=str)
def test_a_token_argument_is_rejected_and_not_printed(
    words: list[str], account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(account.token) for word in words]) == 1
    output = capsys.readouterr().err
    assert "Revoke it" in output
    assert account.token not in output
    assert account.requests == ()


def test_ctrl_c_exits_with_code_130(account: Standin) -> None:
    account.switch(answer="word " * 5_000, tokens_per_second=50)
    command = [sys.executable, "-m", "cfai_magics", "ask", "Go on"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(9) == "word word"
        process.send_signal(signal.SIGINT)
        output = process.stderr.read()
    assert process.returncode == 130
    assert output.splitlines()[-1] == "cfai: Interrupted."


@pytest.mark.parametrize(("module", "can_interrupt"), [("tests.conftest", True), ("os", False)])
def test_tests_interrupt_child_processes_if_the_runner_ignores_interrupts(
    module: str, can_interrupt: bool
) -> None:
    child = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    code = f"import subprocess, sys, {module}; subprocess.run([sys.executable, '-c', {child!r}])"
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]  # like nohup and a job with &
    command = [*ignoring, sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout == f"{can_interrupt}\n"


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        pytest.param([], 0, "list the commands", id="no arguments"),
        pytest.param(["--help"], 0, "Examples\n  cfai ask Why is the sky blue", id="examples"),
        pytest.param(["--help"], 0, "list the commands", id="help"),
        pytest.param(["--version"], 0, __version__, id="version"),
        pytest.param(["ask", "-h"], 0, "usage: cfai ask", id="help of a command"),
        pytest.param(["nonsense"], 1, "Unknown command 'nonsense'", id="an unknown command"),
        pytest.param(["ask"], 1, "A prompt or piped text is required", id="a missing prompt"),
        pytest.param(["models", "gemma-4"], 0, "gemma-4-26b-a4b-it", id="models offline"),
        pytest.param(["logout"], 0, "", id="logout without credentials"),
        pytest.param(["local", "no.gguf"], 1, "no.gguf", id="a missing model file"),
        pytest.param(
            ["local", "serve", "--port", "99999"], 1, "not a valid port", id="an invalid port"
        ),
        pytest.param(["help"], 0, "cfai ask -h lists the options", id="a hint on options"),
    ],
)
def test_each_command_has_its_exit_code_and_output(
    words: list[str], code: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    captured = capsys.readouterr()
    assert expected in captured.out + captured.err


def test_each_command_is_in_one_group_of_the_help() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_options_of_each_example_are_valid(example: str) -> None:
    name, *words = example.partition("cfai ")[2].split()
    OptionParser(name, load_command(name).OPTIONS).parse_args(words)


def test_shell_errors_suggest_the_replay_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CFAI_REPLAY", f"only:{tmp_path}/none.jsonl")
    assert main(["ask", "Hi"]) == 1
    assert "CFAI_REPLAY=auto:PATH makes such requests" in capsys.readouterr().err
    assert main(["verify"]) == 1
    assert "CFAI_REPLAY=auto:PATH creates one" in capsys.readouterr().err


def test_use_saves_the_model(home: Path, account: Standin) -> None:
    assert main(["use", "llama-3.2-3b-instruct"]) == 0
    assert main(["ask", "Hi"]) == 0
    assert account.requests[-1].json["model"] == "@cf/meta/llama-3.2-3b-instruct"


def test_models_falls_back_to_the_built_in_list_with_a_note(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models"]) == 0
    assert (
        "Built-in list from 26 Nov 2026; cfai login gets the current one."
        in capsys.readouterr().out
    )


def test_models_requests_the_list_once_per_day(
    account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "free", "vision"]) == 0
    assert "List from today." in capsys.readouterr().out
    request_count = len(account.requests)
    assert request_count > 0
    assert main(["models"]) == 0
    assert len(account.requests) == request_count
    assert main(["models", "--refresh"]) == 0
    assert len(account.requests) == 2 * request_count


def test_raw_prints_the_json(account: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Hi", "-f", "raw", "--footer", "off"]) == 0
    assert '"object": "chat.completion"' in capsys.readouterr().out


def test_a_shell_continues_a_thread(account: Standin, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "one", "-c"]) == 0
    assert main(["ask", "--footer", "full", "two", "-c"]) == 0
    assert [m["content"] for m in account.requests[-1].json["messages"]][::2] == ["one", "two"]
    assert "Conversation main, turn 2." in capsys.readouterr().err
    assert main(["thread", "show", "main"]) == 0
    assert "> one" in capsys.readouterr().out
    assert main(["thread", "use", "main"]) == 1
    assert (
        "A shell has no current conversation, so name one with -c=NAME." in capsys.readouterr().err
    )


def test_the_option_sent_prints_the_messages(
    account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "why?", "--sent"]) == 0
    output = capsys.readouterr().err
    assert "share of cost" in output
    assert "--- cell\nwhy?" in output
    assert main(["sent"]) == 1
    assert "In a shell, add --sent to cfai ask." in capsys.readouterr().err
    assert main(["fix"]) == 1
    assert "This command works only in a notebook or in IPython" in capsys.readouterr().err
