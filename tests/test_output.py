"""Output that cannot be written or encoded ends no command with a traceback."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.standin import Standin

pytestmark = pytest.mark.slow

LONG = "line one\n" * 2_000
EMOJI = "smile \N{GRINNING FACE} done"
FULL_DISK = "cfai: The output can't be written: No space left on device."
COMMANDS = {
    "answer": ["ask", "Hi"],
    "JSON": ["ask", "Hi", "-f", "json"],
    "response": ["ask", "Hi", "-f", "raw"],
    "comparison": ["ask", "Hi", "-n", "2"],
    "usage": ["usage"],
    "models": ["models"],
    "help": ["help"],
}


def run_cfai(words: list[str], redirection: str = "", **variables: str) -> tuple[int, bytes, str]:
    command = f'"$0" -m cfai_magics "$@" {redirection}'
    run = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command, sys.executable, *words],
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return run.returncode, run.stdout, run.stderr.decode(errors="replace")


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_closed_pipe_ends_a_command_quietly(account: Standin, words: list[str]) -> None:
    account.switch(answer=LONG)
    code, output, errors = run_cfai(words, "| head -1")
    assert code == 0
    assert output.count(b"\n") == 1
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    assert ("neurons" in errors) == (words[0] == "ask")  # the footer


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_characters_that_the_encoding_lacks_are_replaced(
    account: Standin, words: list[str], encoding: str
) -> None:
    account.switch(answer=json.dumps(EMOJI, ensure_ascii=False))
    code, output, errors = run_cfai(words, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (code, "Traceback" in errors) == (0, False)
    text = output.decode(encoding)
    if words[0] == "ask":
        assert "smile ? done" in text
        assert "neurons" in errors


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_full_disk_is_reported_in_two_lines(account: Standin, words: list[str]) -> None:
    account.switch(answer="ok")
    code, _output, errors = run_cfai(words, "> /dev/full")
    assert code == 1
    assert [line for line in errors.splitlines() if line.startswith("cfai: ")] == [FULL_DISK]
    assert "Traceback" not in errors


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_closed_stream_is_ignored(account: Standin, words: list[str], redirection: str) -> None:
    account.switch(answer="ok")
    code, output, errors = run_cfai(words, redirection)
    assert (code, "Traceback" in errors) == (0, False)
    assert bool(output) == (redirection == "2>&-")


def test_login_without_input_gives_one_message(home: Path) -> None:
    code, output, errors = run_cfai(["login"], "< /dev/null")
    assert (code, output) == (1, b"")
    assert "Warning" not in errors
    assert errors.splitlines()[-2:] == [
        "cfai: This front end can't ask for input.",
        "Set CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN, or run cfai login in a terminal.",
    ]
    assert len(re.findall("^cfai: ", errors, re.MULTILINE)) == 1
    assert not home.exists()


def test_login_reads_piped_lines(cloudflare: Standin, home: Path) -> None:
    lines = f"{cloudflare.account_id}\\n{cloudflare.token}\\n"
    code, output, errors = run_cfai(
        ["login"], f"< <(printf '{lines}')", CLOUDFLARE_API_BASE_URL=cloudflare.base_url
    )
    assert (code, "Warning" in errors) == (0, False)
    assert cloudflare.token.encode() not in output
    assert (home / "credentials.json").exists()
