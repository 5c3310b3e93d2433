"""Text of models, servers and files cannot control a terminal in any output."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from cfai_magics.display.tables import Table
from cfai_magics.display.text import TextStreamDisplay
from cfai_magics.errors import CfaiError, InvalidOptionError
from cfai_magics.terminal import sanitize_json, sanitize_line, sanitize_text
from cfai_magics.types.messages import Answer, TextDelta
from tests.kernels import Kernel
from tests.standin import Fault, Standin
from tests.terminals import end

pytestmark = pytest.mark.slow

ATTACK = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31mred\x1b[0m\r\x08\x7f\u202etxt\u2066\u2069"
CLEAN = "]52;c;ZXZpbA==[2J31mred[0mtxt"
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
PROMPT = r"In \[\d+\]: "
FORMS = ["markdown", "text", "raw", "code", "json", "html", "latex"]
CODE = f"Say:\n\n```python\nx = '{ATTACK}'\n```\n"


@pytest.fixture(autouse=True)
def dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use terminals without a waiting line, whose CR would be found as a control character."""
    monkeypatch.setenv("TERM", "dumb")


def answer_for(form: str) -> str:
    """Return an answer in an output format that contains the attack."""
    if form == "json":
        return json.dumps({"x": ATTACK}, ensure_ascii=False)
    return CODE if form == "code" else f"<p>$x$ {ATTACK}</p>"


def unsafe_in(screen: str) -> list[str]:
    """Return the terminal control characters in `screen`, except its line ends CR LF."""
    return UNSAFE.findall(screen.replace("\r\n", "\n"))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        pytest.param(ATTACK, CLEAN, id="all kinds"),
        pytest.param("a\r\nb\tc\n", "a\nb\tc\n", id="lines and tabs stay"),
        pytest.param("naïve 日本語 עברית 👩\u200d🚀 ❤\ufe0f", None, id="languages and emoji stay"),
        pytest.param("half \ud83d", "half ", id="half a surrogate pair"),
        pytest.param("", "", id="empty"),
    ],
)
def test_sanitized_text_loses_only_control_characters(text: str, clean: str | None) -> None:
    assert sanitize_text(text) == (text if clean is None else clean)


def test_a_line_stays_one_line() -> None:
    assert sanitize_line("a\nb\x1b[1A\x85c\u2028d\te") == "a b[1A c d e"


def test_json_stays_the_same_json() -> None:
    text = json.dumps({ATTACK: [ATTACK]}, ensure_ascii=False)
    assert unsafe_in(sanitize_json(text)) == []
    assert json.loads(sanitize_json(text)) == {ATTACK: [ATTACK]}


def test_a_sequence_split_across_deltas_is_removed() -> None:
    out = io.StringIO()
    live = TextStreamDisplay("off", print, out)
    for character in ATTACK:
        live.add(TextDelta(character))
    assert out.getvalue() == CLEAN


def test_an_error_is_clean_in_every_form() -> None:
    error = InvalidOptionError(f"No model {ATTACK}", f"Nearest: {ATTACK}")
    error.hint += ATTACK
    assert unsafe_in(str(error)) == []
    assert unsafe_in("".join(error._render_traceback_())) == []
    error = CfaiError(ATTACK, f"a\n{ATTACK}")
    assert str(error).count("\n") == 1
    assert "\n" not in error.format_line()


def test_a_table_has_one_line_per_row_and_aligned_columns() -> None:
    shown = str(Table(("name", "n"), ((f"a{ATTACK}\nb", "1"), ("c", "2")), ATTACK))
    assert unsafe_in(shown) == []
    _, first, second, _ = shown.splitlines()
    assert first.index("1") > 0
    assert first.rindex("1") == second.rindex("2")


def test_the_answer_itself_keeps_its_text() -> None:
    answer = Answer("m", text=ATTACK)
    bundle, _ = answer._repr_mimebundle_()
    assert answer.text == str(answer) == ATTACK
    assert bundle["text/plain"] == CLEAN


# --- the shell


@pytest.mark.parametrize("form", FORMS)
def test_the_shell_on_a_terminal_shows_clean_text(account: Standin, form: str) -> None:
    account.switch(answer=answer_for(form))
    words = ["-m", "cfai_magics", "ask", "Hi", "-f", form]
    child = pexpect.spawn(sys.executable, words, encoding="utf-8", timeout=60)
    child.expect(pexpect.EOF)
    assert "red" in child.before
    assert "neurons billed" in child.before
    assert unsafe_in(child.before) == []


def test_a_pipe_receives_the_unchanged_answer_and_a_clean_footer(account: Standin) -> None:
    account.switch(answer=ATTACK)
    run = subprocess.run(
        [sys.executable, "-m", "cfai_magics", "ask", "Hi"], capture_output=True, check=True
    )
    assert run.stdout.decode() == f"{ATTACK}\n"
    assert unsafe_in(run.stderr.decode()) == []


def test_the_error_message_of_a_server_is_clean(account: Standin) -> None:
    account.switch(error=Fault.of(5006, message=f"Bad {ATTACK}"))
    child = pexpect.spawn(
        sys.executable, ["-m", "cfai_magics", "ask", "Hi"], encoding="utf-8", timeout=60
    )
    child.expect(pexpect.EOF)
    assert "red" in child.before
    assert unsafe_in(child.before) == []


# --- IPython in a terminal


@pytest.fixture
def terminal(account: Standin) -> Iterator[Callable[[str], str]]:
    arguments = ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor"]
    child = pexpect.spawn(sys.executable, arguments, encoding="utf-8", timeout=60, echo=False)

    def run(line: str) -> str:
        child.sendline(line)
        child.expect(PROMPT)
        return str(child.before)

    child.expect(PROMPT)
    run("%load_ext cfai_magics")
    yield run
    end(child)


@pytest.mark.parametrize("form", FORMS)
def test_ipython_in_a_terminal_shows_clean_text(
    terminal: Callable[[str], str], account: Standin, form: str
) -> None:
    account.switch(answer=answer_for(form))
    shown = terminal(f"get_ipython().run_cell_magic('cfai', '-f {form}', 'Hi')")
    shown += terminal("_cfai")
    shown += terminal("%cfai sent")
    assert "red" in shown
    assert unsafe_in(shown) == []


def test_tables_threads_and_errors_are_clean_in_a_terminal(
    terminal: Callable[[str], str], account: Standin
) -> None:
    account.switch(answer=ATTACK)
    name = f"{ATTACK.encode()!r}.decode()"
    shown = terminal(f"name = {name}.replace(chr(8), '')")
    shown += terminal("get_ipython().run_cell_magic('cfai', f'-c=\"{name}\"', 'Hi')")
    for command in ("thread", 'thread show "{name}"', "usage", "status", "use {name}", "{name}"):
        shown += terminal(f"get_ipython().run_line_magic('cfai', f'{command}')")
    account.switch(error=Fault.of(5006, message=f"Bad {ATTACK}"))
    shown += terminal("get_ipython().run_cell_magic('cfai', '', 'Hi')")
    assert "BadRequestError" in shown
    assert shown.count("red") > 3
    assert unsafe_in(shown) == []


# --- a notebook


@pytest.mark.parametrize("form", FORMS)
def test_a_notebook_receives_clean_plain_text_and_streams(
    module_kernel: Kernel, module_cloudflare: Standin, form: str
) -> None:
    module_cloudflare.clear()
    module_cloudflare.switch(answer=answer_for(form))
    cell = module_kernel.run(f"%%cfai -f {form}\nHi")
    assert "red" in cell.text
    assert unsafe_in(cell.text) == []
    assert unsafe_in(module_kernel.run("_cfai").text) == []
    shown = module_kernel.run("%%cfai -n 2\nHi")
    assert "red" in "".join(shown.mime("text/plain"))
    assert unsafe_in("".join(shown.mime("text/plain"))) == []


def test_an_error_in_a_notebook_is_clean(
    module_kernel: Kernel, module_cloudflare: Standin
) -> None:
    module_cloudflare.clear()
    module_cloudflare.switch(error=Fault.of(5006, message=f"Bad {ATTACK}"))
    cell = module_kernel.run("%%cfai\nHi")
    assert "red" in "".join(cell.traceback)
    assert unsafe_in("".join(cell.traceback)) == []


def test_a_course_file_with_an_attack_is_reported_in_clean_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: Standin
) -> None:
    # TOML allows C0 control characters only as escapes, but C1 characters unescaped.
    (tmp_path / "cfai.toml").write_text(
        'system = "\\u001b[2J\\u009b31mred"\n"\\u001b]0;x\\u0007" = 1\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    child = pexpect.spawn(
        sys.executable, ["-m", "cfai_magics", "status"], encoding="utf-8", timeout=60
    )
    child.expect(pexpect.EOF)
    assert "cfai.toml" in child.before
    assert unsafe_in(child.before) == []
