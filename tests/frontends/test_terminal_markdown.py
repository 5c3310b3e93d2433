"""Answers in a terminal are Markdown that rich renders; elsewhere, they are plain text."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from cfai_magics.display.terminal_markdown import MarkdownStreamDisplay
from cfai_magics.terminal import UNSAFE_CHAR_PATTERN
from cfai_magics.types.messages import Answer, TextDelta
from tests.standin import Standin
from tests.terminals import end

ANSWER = """\
## Light

The sky **scatters** blue, as `vector<int>`.

| color | nm |
|---|---|
| blue | 450 |

```python
x = 1
```

The end.
"""
WIDTH, HEIGHT = 60, 20
TERMINAL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # styles, and movements of the cursor
SHELL = ["-m", "cfai_magics", "ask", "Why?"]
PROMPT = r"In \[\d+\]: "


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def size(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm-256color", "COLUMNS": WIDTH, "LINES": HEIGHT}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("NO_COLOR", raising=False)


def show(text: str, delta_chars: int = 7) -> str:
    """Return what the display writes to a terminal for an answer."""
    terminal = Terminal()
    live = MarkdownStreamDisplay("off", print, terminal)
    for start in range(0, len(text), delta_chars):
        live.add(TextDelta(text[start : start + delta_chars]))
    live.stop_waiting()
    live.end(Answer("m", text))
    return terminal.getvalue()


def final_lines(written: str) -> list[str]:
    """Return the lines that the terminal shows at the end, without styles.

    The cursor only moves to the start of a line, and up to lines that it then erases.
    """
    lines, row = [""], 0
    for part in re.split(r"(\r\n|\n|\r|\x1b\[[0-9;?]*[A-Za-z])", written):
        if part in ("\n", "\r\n"):
            row += 1
            lines += [""] * (row == len(lines))
        elif part.endswith("A") and part.startswith("\x1b"):
            row -= int(part[2:-1] or 1)
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part != "\r" and not part.startswith("\x1b"):
            lines[row] += part
    return [line.rstrip() for line in lines]


def test_an_answer_is_rendered_once() -> None:
    written = show(ANSWER)
    assert "\x1b[1mscatters\x1b[0m" in written
    lines = [line.strip() for line in final_lines(written) if line]
    assert lines[0] == "Light"
    assert "The sky scatters blue, as vector<int>." in lines
    assert "color  nm" in [re.sub(r"\W+", "  ", line) for line in lines]
    assert "x = 1" in lines
    assert lines[-1] == "The end."
    for text in ("Light", "scatters", "450", "x = 1", "The end."):
        assert "\n".join(lines).count(text) == 1


@pytest.mark.parametrize("delta_chars", [1, 50, 10_000])
def test_the_size_of_deltas_does_not_change_the_result(delta_chars: int) -> None:
    assert final_lines(show(ANSWER, delta_chars)) == final_lines(show(ANSWER))


def test_long_text_is_wrapped_at_words() -> None:
    lines = [line for line in final_lines(show("word " * 100)) if line]
    assert all(re.fullmatch(r"(word ?)+", line) for line in lines)
    assert max(map(len, lines)) <= WIDTH


def test_lines_have_no_padding_at_their_end() -> None:
    assert final_lines(show("Blue."))[-2:] == ["Blue.", ""]
    assert "Blue.\n" in TERMINAL_SEQUENCE.sub("", show("Blue.")).replace("\r", "\n")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("\n\n".join(f"Paragraph {n}." for n in range(200)), id="blocks"),
        pytest.param("```\n" + "".join(f"line {n}\n" for n in range(400)) + "```", id="code"),
    ],
)
def test_a_long_answer_does_not_fill_the_scrollback(answer: str) -> None:
    written = show(answer, 40)
    scrolled = len(final_lines(written))
    assert scrolled < 1.1 * len(answer.splitlines()) + 2 * HEIGHT


HOSTILE = {
    "escape sequences": "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31mred\x1b[0m\r\x08\x7f txt",
    "bidirectional override": "a \u202e b \u2066 c",
    "entities": "a &#x202e; b &#27;[31m c &#13; d &#x9b;31m",
    "entities in code": "`&#x202e;` and\n\n```\n\x1b[2J &#27;[2J\n```",
    "a title of the window": "\x1b]0;title\x07 text",
    "an image": "![alt \x1b[31m](http://example.com/\x1b[31m.png)",
    "a table": "| \x1b[31m a | b |\n|---|---|\n| &#x202e; | \x9b2J |",
    "a language": "```\x1b[31m\nx\n```",
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_an_answer_cannot_control_the_terminal(answer: str) -> None:
    for delta_chars in (1, 1_000):
        text = TERMINAL_SEQUENCE.sub("", show(answer, delta_chars)).replace("\r", "")
        assert UNSAFE_CHAR_PATTERN.findall(text) == []
    allowed = {"m", "h", "l", "K", "A"}
    assert {each[-1] for each in TERMINAL_SEQUENCE.findall(show(answer))} <= allowed


def test_markup_of_rich_is_shown_as_text() -> None:
    shown = "\n".join(final_lines(show("[bold]x[/bold] [link=file:///x]y[/link] :smile: [red]")))
    assert "[bold]x[/bold] [link=file:///x]y[/link] :smile: [red]" in shown


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://example.com", "file:///etc"])
def test_links_show_their_address_and_are_not_active(url: str) -> None:
    written = show(f"[click]({url})")
    assert url in "".join(final_lines(written))
    assert "\x1b]8" not in written


# --- processes


@pytest.mark.slow
def test_the_shell_renders_in_a_terminal(account: Standin) -> None:
    account.switch(answer=ANSWER)
    child = pexpect.spawn(
        sys.executable, SHELL, encoding="utf-8", timeout=60, dimensions=(HEIGHT, WIDTH)
    )
    child.expect(pexpect.EOF)
    lines = final_lines(child.before)
    assert "The sky scatters blue, as vector<int>." in lines
    assert "neurons billed" in "".join(lines[-5:])


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--plain"], ["-f", "text"]], ids=" ".join)
def test_plain_answers_are_not_rendered(account: Standin, words: list[str]) -> None:
    account.switch(answer=ANSWER)
    child = pexpect.spawn(sys.executable, [*SHELL, *words], encoding="utf-8", timeout=60)
    child.expect(pexpect.EOF)
    assert child.before.replace("\r\n", "\n").startswith(ANSWER)


@pytest.mark.slow
def test_a_pipe_receives_the_answer(account: Standin) -> None:
    account.switch(answer=ANSWER)
    result = subprocess.run(
        [sys.executable, *SHELL], capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    assert result.stdout.decode() == f"{ANSWER}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "find_version",
    [
        pytest.param("raise metadata.PackageNotFoundError(name)", id="no rich"),
        pytest.param("return '13.3.5'", id="an old rich"),
    ],
)
def test_without_rich_answers_are_plain(
    account: Standin, tmp_path: Path, find_version: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "from importlib import metadata\n"
        "find = metadata.version\n"
        "def version(name):\n"
        "    if name != 'rich':\n"
        "        return find(name)\n"
        f"    {find_version}\n"
        "metadata.version = version\n"
    )
    account.switch(answer=ANSWER)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    child = pexpect.spawn(sys.executable, SHELL, encoding="utf-8", timeout=60, env=environ)
    child.expect(pexpect.EOF)
    assert ANSWER in child.before.replace("\r\n", "\n")


@pytest.mark.slow
def test_ctrl_c_keeps_the_text_and_the_terminal_in_ipython(account: Standin) -> None:
    account.switch(answer="word " * 5_000, tokens_per_second=50)
    arguments = ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor"]
    child = pexpect.spawn(
        sys.executable, arguments, encoding="utf-8", timeout=60, dimensions=(HEIGHT, WIDTH)
    )
    child.expect(PROMPT)
    child.sendline("%load_ext cfai_magics")
    child.expect(PROMPT)
    child.sendline("get_ipython().run_cell_magic('cfai', '', 'Go on')")
    child.expect("word word")
    child.sendintr()
    while child.expect(["InterruptedAnswerError: Interrupted", "Exception ignored in"]):
        child.sendintr()  # Python has dropped an interrupt in a callback of the garbage collector
    shown = child.before
    assert "\x1b[?25h" in shown, "the cursor is visible again"
    assert "Traceback" not in shown
    assert "word word" in "\n".join(final_lines(shown.rpartition("\x1b[?25h")[2]))
    child.expect(PROMPT)
    end(child)


@pytest.mark.slow
def test_rich_is_imported_only_to_show_an_answer() -> None:
    source = (
        "import sys\n"
        "sys.modules['click'] = None  # with click, httpx imports rich for its own command\n"
        "import cfai_magics, cfai_magics.frontends.shell, cfai_magics.display.text\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'rich'])"
    )
    result = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True)
    assert result.stdout.decode().strip() == "[]"
