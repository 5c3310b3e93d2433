"""A question has the same request and fingerprint at every entry point."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from nbconvert import PythonExporter
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

import cfai_magics
from cfai_magics.api import get_current_session
from cfai_magics.cli import main
from cfai_magics.errors import InvalidOptionError
from cfai_magics.frontends import extension
from cfai_magics.settings import load_settings
from tests.standin import Standin
from tests.widgets.conftest import enter

QUESTION = "What is a neuron?\n\n  One sentence."


@pytest.fixture
def loaded(shell: InteractiveShell, account: Standin) -> Iterator[InteractiveShell]:
    """Yield IPython with the extension and an account."""
    assert account.base_url
    extension.load(shell)
    yield shell
    extension.unload(shell)


def run_notebook(body: str, folder: Path) -> str:
    path = folder / "lesson.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(f"%%cfai\n{body}")]), path)
    return f"%run {path}"


def run_script(body: str, folder: Path) -> str:
    notebook = new_notebook(cells=[new_code_cell(f"%%cfai\n{body}")])
    path = folder / "lesson.py"
    path.write_text(PythonExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    return f"%run {path}"


def indented(body: str, _folder: Path) -> str:
    return "\n".join(f"  {line}" for line in f"%%cfai\n{body}".split("\n"))


Entry = Callable[[str, Path], str]  # body, folder → code
CELLS: dict[str, Entry] = {
    "a cell": lambda body, _: f"%%cfai\n{body}",
    "blank lines": lambda body, _: f"%%cfai\n{body}".replace("\n\n", "\n  \t\n"),
    "lines at the end": lambda body, _: f"%%cfai\n{body}\n \n\n",
    "Windows line ends": lambda body, _: f"%%cfai\n{body}".replace("\n", "\r\n"),
    "empty lines above": lambda body, _: f"\n\n%%cfai\n{body}",
    "an indented cell": indented,
    "%%time": lambda body, _: f"%%time\n%%cfai\n{body}",
    "%%capture": lambda body, _: f"%%capture\n%%cfai\n{body}",
    "%%timeit": lambda body, _: f"%%timeit -n1 -r1\n%%cfai\n{body}",
    "run_cell_magic": lambda body, _: f"get_ipython().run_cell_magic('cfai', '', {body!r})",
    "run_cell": lambda body, _: f"get_ipython().run_cell({f'%%cfai{chr(10)}{body}'!r})",
    "a function": lambda body, _: (
        f"def f():\n    get_ipython().run_cell_magic('cfai', '', {body!r})\nf()"
    ),
    "an expression": lambda body, _: f"q = {body!r}\n%cfai ask {{{{q}}}}",
    "%run lesson.ipynb": run_notebook,
    "an exported script": run_script,
}


def ask_in(shell: InteractiveShell, code: str) -> None:
    shell.run_cell(code, store_history=True).raise_error()


@pytest.mark.parametrize("entry", CELLS.values(), ids=CELLS)
def test_every_kind_of_cell_sends_the_same_body(
    loaded: InteractiveShell, account: Standin, tmp_path: Path, entry: Entry
) -> None:
    ask_in(loaded, entry(QUESTION, tmp_path))
    (request,) = account.requests
    assert request.json["messages"] == [{"role": "user", "content": QUESTION}]


@pytest.mark.parametrize("recorded", ["a cell", "%%time", "%run lesson.ipynb"])
def test_an_answer_recorded_in_one_kind_of_cell_replays_in_every_other(
    loaded: InteractiveShell, account: Standin, tmp_path: Path, recorded: str
) -> None:
    cassette = tmp_path / "lesson.cfai.jsonl"
    ask_in(loaded, f"%cfai replay auto {cassette}")
    ask_in(loaded, CELLS[recorded](QUESTION, tmp_path))
    ask_in(loaded, f"%cfai replay only {cassette} --instant")
    for entry in CELLS.values():
        del loaded.user_ns["_cfai"]
        ask_in(loaded, entry(QUESTION, tmp_path))
        assert loaded.user_ns["_cfai"].cost_basis == "replayed"
    assert len(account.requests) == 1


def test_a_cell_that_runs_again_from_the_history_replays(
    loaded: InteractiveShell, account: Standin, tmp_path: Path
) -> None:
    ask_in(loaded, f"%cfai replay auto {tmp_path / 'lesson.cfai.jsonl'}")
    ask_in(loaded, f"%%cfai\n{QUESTION}")
    ask_in(loaded, "%rerun 2")
    (request,) = account.requests
    assert request.json["messages"][-1]["content"] == QUESTION
    assert len({line["key"] for line in lines(tmp_path)}) == 1


def lines(folder: Path) -> list[dict[str, object]]:
    content = (folder / "lesson.cfai.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.parametrize("value", ["str()", "chr(32)"])
def test_a_prompt_whose_values_are_empty_is_not_sent(
    loaded: InteractiveShell, account: Standin, value: str
) -> None:
    result = loaded.run_cell(f"get_ipython().run_cell_magic('cfai', '', '{{{{{value}}}}}')")
    assert str(result.error_in_exec) == (
        "The prompt is empty.\nThe values of its expressions contain no text."
    )
    assert account.requests == ()


FUNCTIONS = {
    "a line magic": "    %cfai ask {{topic}}",
    "a line magic in a block": "    if True:\n        %cfai ask {{topic}}",
    "run_line_magic": "    get_ipython().run_line_magic('cfai', 'ask {{topic}}')",
    "run_cell_magic": "    get_ipython().run_cell_magic('cfai', '', '{{topic}}')",
    "%time": "    %time get_ipython().run_line_magic('cfai', 'ask {{topic}}')",
    "a method call": "    get_ipython().run_cell_magic('cfai', '', '{{topic.strip()}}')",
    "a nested scope": "    %cfai ask {{[topic for _ in range(1)][0]}}",
}


@pytest.mark.parametrize("body", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_sends_its_own_variables(
    loaded: InteractiveShell, account: Standin, body: str
) -> None:
    ask_in(loaded, f"topic = 'global'\ndef f(topic):\n{body}\nf('local')")
    assert account.requests[-1].json["messages"][-1]["content"] == "local"
    ask_in(loaded, "%cfai ask {{topic}}")
    assert account.requests[-1].json["messages"][-1]["content"] == "global"


def test_a_function_of_a_module_sends_the_variables_of_its_module(
    loaded: InteractiveShell, account: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "entry_helper.py").write_text(
        "from IPython import get_ipython\ntopic = 'module'\ndef f():\n"
        "    get_ipython().run_cell_magic('cfai', '', '{{topic}} {{mine}}')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    ask_in(loaded, "topic, mine = 'global', 'user'\nfrom entry_helper import f\nf()")
    assert account.requests[-1].json["messages"][-1]["content"] == "module user"


@pytest.mark.parametrize("option", ["--schema", "--tools", "--image"])
def test_options_use_the_variables_of_the_function(
    loaded: InteractiveShell, account: Standin, option: str
) -> None:
    values = {
        "--schema": "{'type': 'object', 'properties': {'mark': {}}}",
        "--tools": "lambda mark: mark",
        "--image": "__import__('PIL.Image').Image.new('RGB', (3, 5))",
    }
    ask_in(
        loaded,
        f"value = 1\ndef f():\n    value = {values[option]}\n"
        f"    return get_ipython().run_cell_magic('cfai', '{option} value --dry-run', 'Hi')\n"
        "preview = f()",
    )
    assert {"--schema": "mark", "--tools": "mark", "--image": "image/png"}[option] in str(
        loaded.user_ns["preview"]
    )
    assert account.requests == ()


FAILING = "class Broken:\n    @property\n    def part(self):\n        return {}\nx = Broken()"
ERRORS = {
    "an error": ("1 / 0", "ZeroDivisionError: division by zero"),
    "an undefined name of the user": ("nope", "NameError: name 'nope' is not defined"),
    "an attribute of the user": ("(1).nope", "AttributeError: 'int' object has no attribute"),
    "several lines": ("int('a\\n b')", "ValueError: invalid literal for int()"),
}


@pytest.mark.parametrize(("code", "message"), ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("option", ["--schema", "--tools", "--image", "{{"])
def test_an_error_of_an_expression_names_it_in_two_lines(
    loaded: InteractiveShell, account: Standin, option: str, code: str, message: str
) -> None:
    loaded.run_cell(FAILING.format(code))
    result = loaded.run_cell(
        "%cfai ask {{x.part}}" if option == "{{" else f"%cfai ask {option} x.part Why"
    )
    error = str(result.error_in_exec)
    source = "{{x.part}}" if option == "{{" else f"{option} x.part"
    expected = message.removeprefix("NameError: ") if option == "{{" else message
    assert error.startswith(f"{source}: {expected}")
    assert error.count("\n") <= 1
    assert account.requests == ()


@pytest.mark.parametrize("option", ["--schema", "--image"])
@pytest.mark.parametrize("value", ["'text'", "1", "type('T', (), {'json': lambda self: 1})()"])
def test_an_existing_file_is_not_an_expression(
    loaded: InteractiveShell,
    account: Standin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    value: str,
) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "city.png")
    (tmp_path / "city.json").write_text('{"type": "object", "properties": {"mark": {}}}')
    name = {"--schema": "city.json", "--image": "city.png"}[option]
    ask_in(loaded, f"import os\nos.chdir({str(tmp_path)!r})\ncity = {value}")
    ask_in(
        loaded,
        f"preview = get_ipython().run_cell_magic('cfai', '{option} {name} --dry-run', 'Hi')",
    )
    assert {"--schema": "mark", "--image": "image/png"}[option] in str(loaded.user_ns["preview"])
    assert account.requests == ()


@pytest.mark.parametrize("option", ["--schema", "--image"])
def test_a_variable_is_used_before_a_file_of_the_same_name(
    loaded: InteractiveShell,
    account: Standin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
) -> None:
    (tmp_path / "city").write_text("not a schema or image")
    monkeypatch.chdir(tmp_path)
    values = {
        "--schema": "{'type': 'object', 'properties': {'mark': {}}}",
        "--image": "__import__('PIL.Image').Image.new('RGB', (3, 5))",
    }
    ask_in(loaded, f"city = {values[option]}\n%cfai ask {option} city --dry-run Hi")
    assert account.requests == ()


@pytest.mark.parametrize("line", ["--image city.png", ""], ids=["--image", "an expression"])
def test_a_question_with_an_image_is_the_same_in_every_kind_of_cell(
    loaded: InteractiveShell,
    account: Standin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "city.png")
    monkeypatch.chdir(tmp_path)
    loaded.push({"city": Image.new("RGB", (2, 2))})
    body = QUESTION if line else f"{{{{city}}}}\n{QUESTION}"
    for cell in (f"%%cfai {line}\n{body}", f"%%time\n%%cfai {line}\n{body}", body + " \n"):
        ask_in(loaded, cell if "%%" in cell else f"%%cfai {line}\n{cell}")
    bodies = [request.body_bytes for request in account.requests]
    assert len(bodies) == 3
    assert len(set(bodies)) == 1
    assert b"image/png" in bodies[0]


QUESTIONS = {
    "%cfai ask What is a neuron?": "What is a neuron?",
    "%cfai ask What is it??": "What is it??",
    "%cfai ask Is 1 + 1 = 3 ?": "Is 1 + 1 = 3 ?",
    "  %cfai  ask -t 0 What's new?": "What's new?",
    "x = 1\nif x:\n    %cfai ask Why?": "Why?",
    "%cfai ask What \\\n is it?": "What is it?",
    "%cfai ask Why\nx = '?'": "Why",
    "%time %cfai ask Why": "Why",
    "%time %cfai ask Why is it?": "Why is it?",
    "%timeit -n 1 -r 1 %cfai ask Why?": "Why?",
    "%%time\n%cfai ask Why?": "Why?",
    "x = %cfai ask What is a neuron?": "What is a neuron?",
    "x = %cfai ask What's new??": "What's new??",
    "if True:\n    x = %cfai ask Why?": "Why?",
    "cfai ask What's a neuron?": "What's a neuron?",
    "cfai ask -t 0 Why?\n": "Why?",
    "cfai ask Why": "Why",
    '%cfai ask He said "no"?': 'He said "no"?',
    '%cfai ask "What is it?"': "What is it?",
    '%cfai ask Say {{ "a" + b }}.': "Say aB.",
    '%cfai ask {{b + " and " + b}}': "B and B",
    '%cfai ask {{"a  b"}} {{b *2}}': "a  b BB",
    '%cfai ask {{ {"k": {"a  b": b}}["k"]["a  b"] }}?': "B?",
    "%cfai ask Explain git checkout -- file": "Explain git checkout -- file",
    "%cfai ask -t 0 -- -h means what?": "-h means what?",
    "%cfai ask -- -- and --": "-- and --",
    "%cfai ask What does i-- do, and --": "What does i-- do, and --",
}


@pytest.mark.parametrize(("code", "sent"), QUESTIONS.items(), ids=QUESTIONS)
def test_a_question_on_a_line_is_sent_as_typed(
    loaded: InteractiveShell, account: Standin, code: str, sent: str
) -> None:
    loaded.push({"b": "B"})
    ask_in(loaded, code)
    assert {each.json["messages"][-1]["content"] for each in account.requests} == {sent}


@pytest.mark.parametrize("function", ["", "def ask():\n    "], ids=["script", "function"])
def test_a_script_reads_the_answers_that_it_stores(
    loaded: InteractiveShell, account: Standin, tmp_path: Path, function: str
) -> None:
    account.switch(answer="Blue.")
    path = tmp_path / "lesson.py"
    path.write_text(
        f"{function}get_ipython().run_cell_magic('cfai', '-o sky', 'Why?')\n"
        f"{'ask()' if function else ''}\ntexts = sky.text, _cfai.text\n"
    )
    ask_in(loaded, f"%run {path}")
    assert loaded.user_ns["texts"] == ("Blue.", "Blue.")
    assert loaded.user_ns["sky"].text == loaded.user_ns["_cfai"].text == "Blue."
    assert len(account.requests) == 1


HELP = {
    "%cfai?": "get_ipython().run_line_magic('pinfo', '%cfai')\n",
    "%%cfai?": "get_ipython().run_line_magic('pinfo', '%%cfai')\n",
    "print?": "get_ipython().run_line_magic('pinfo', 'print')\n",
    "%cfai status print?": "get_ipython().run_line_magic('pinfo', 'print')\n",
    "!cfai ask Why?": "get_ipython().system('cfai ask Why?')\n",
    "x = !cfai ask Why?": "x = get_ipython().getoutput('cfai ask Why?')\n",
    "cfai.ask?": "get_ipython().run_line_magic('pinfo', 'cfai.ask')\n",
    "x = 1\ncfai ask print?": "x = 1\nget_ipython().run_line_magic('pinfo', 'print')\n",
    "text = '''\n%cfai ask Why?\n'''": "text = '''\n%cfai ask Why?\n'''\n",
    "# %cfai ask Why?": "# %cfai ask Why?\n",
}


@pytest.mark.parametrize(("code", "expected"), HELP.items(), ids=HELP)
def test_other_lines_are_transformed_as_before(
    loaded: InteractiveShell, code: str, expected: str
) -> None:
    assert loaded.transform_cell(code) == expected


def test_a_variable_named_cfai_hides_the_magic_without_its_sign(loaded: InteractiveShell) -> None:
    loaded.push({"cfai": 1})
    assert "pinfo" in loaded.transform_cell("cfai ask print?")


@pytest.mark.parametrize("words", ["ls -h", "-t 0 what is --help"])
def test_a_help_flag_after_words_of_a_prompt_is_an_error(
    loaded: InteractiveShell, account: Standin, words: str
) -> None:
    with pytest.raises(InvalidOptionError, match="could be an option or part of the prompt"):
        ask_in(loaded, f"%cfai ask {words}")
    assert account.requests == ()


def test_without_the_extension_ipython_transforms_cells_as_before(
    shell: InteractiveShell,
) -> None:
    manager = shell.input_transformer_manager
    before = [*manager.cleanup_transforms], [*manager.token_transformers]
    extension.load(shell)
    assert ([*manager.cleanup_transforms], [*manager.token_transformers]) != before
    extension.unload(shell)
    assert ([*manager.cleanup_transforms], [*manager.token_transformers]) == before


FIRST_LINES = [
    "%%cfai",
    "%%time\n%%cfai",
    "%%capture\n\n%%time\n%%cfai",
    "\n\n%%cfai",
    "%%timeit -n1 -r1\n%%cfai",
    "%%time\n%%timeit -n1 -r1\n%%cfai",
    "%%ai",
    "%%time\n%%ai",
    "%%once\n%%ai",
]


@pytest.fixture
def aliases(loaded: InteractiveShell) -> None:
    """Define aliases of magics, one of which calls itself."""
    for line in ("ai cfai", "ai2 ai", "once timeit -p '-n1 -r1'", "loop cfai", "loop loop"):
        loaded.run_line_magic("alias_magic", line)


@pytest.mark.usefixtures("aliases")
@pytest.mark.parametrize(
    "prompt",
    [
        ">>> 1 + 1",
        "Example:\n    >>> 1 + 1",
        "In [1]: 1 + 1",
        "   ...: 1 + 1",
        "... x",
        "Why? :)",
        "%%cfai",
        "%%time",
    ],
)
@pytest.mark.parametrize("first_lines", FIRST_LINES)
def test_the_prompts_of_python_and_ipython_are_sent_as_typed(
    loaded: InteractiveShell, account: Standin, prompt: str, first_lines: str
) -> None:
    ask_in(loaded, f"{first_lines}\n{prompt}\n{prompt}\nWhat is this?")
    sent = f"{prompt}\n{prompt}\nWhat is this?"
    assert account.requests[-1].json["messages"][-1]["content"] == sent


def test_a_cell_with_a_question_is_written_to_a_file_as_typed(
    loaded: InteractiveShell, tmp_path: Path
) -> None:
    path = tmp_path / "question.py"
    ask_in(loaded, f"%%writefile {path}\n%%cfai\n>>> 1 + 1\n")
    assert path.read_text() == "%%cfai\n>>> 1 + 1\n"


@pytest.mark.usefixtures("aliases")
@pytest.mark.parametrize(
    ("code", "sent"),
    [
        ("%ai ask What is a neuron?", "What is a neuron?"),
        ("%ai2 ask What is a neuron?", "What is a neuron?"),
        ("%time %ai ask Why?", "Why?"),
        ("x = %ai ask Why?", "Why?"),
        ("ai ask Why?", "Why?"),
        ("%cfai ask What does %ai ask do?", "What does %ai ask do?"),
    ],
)
def test_a_question_with_an_alias_is_sent_as_typed(
    loaded: InteractiveShell, account: Standin, code: str, sent: str
) -> None:
    ask_in(loaded, code)
    assert [each.json["messages"][-1]["content"] for each in account.requests] == [sent]


@pytest.mark.usefixtures("aliases")
@pytest.mark.parametrize("code", ["%loop ask Why", "%%loop\nWhy?\n"])
def test_an_alias_that_calls_itself_sends_nothing(
    loaded: InteractiveShell, account: Standin, code: str
) -> None:
    with pytest.raises(UsageError):
        ask_in(loaded, code)
    assert account.requests == ()


@pytest.mark.parametrize(
    ("typed", "status"),
    [
        ("%%cfai\n", "incomplete"),
        ("%%cfai\nWhy?\n", "incomplete"),
        ("%%cfai\nWhy?\n\n", "complete"),
    ],
)
def test_a_typed_cell_is_complete_after_an_empty_line(
    loaded: InteractiveShell, typed: str, status: str
) -> None:
    assert loaded.check_complete(typed)[0] == status


def ask_shell(monkeypatch: pytest.MonkeyPatch, words: list[str], piped: str | None) -> None:
    """Run the shell command in this process."""
    stdin = None if piped is None else io.TextIOWrapper(io.BytesIO(piped.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["ask", *words]) == 0


def ask_everywhere(
    loaded: InteractiveShell, folder: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> int:
    """Send a question through every entry point; return how often it was sent."""
    session = get_current_session()
    message = {"role": "user", "content": question}
    system = session.settings.system
    messages = [{"role": "system", "content": system}, message] if system else [message]
    loaded.push({"question": question})
    calls: list[Callable[[], object]] = [
        *(partial(ask_in, loaded, entry(question, folder)) for entry in CELLS.values()),
        lambda: ask_in(loaded, "%cfai ask {{question}}"),
        lambda: ask_shell(monkeypatch, [], question),
        lambda: ask_shell(monkeypatch, ["-"], f"{question}\n"),
        lambda: ask_shell(monkeypatch, [], question.replace("\n", "\r\n")),
        lambda: cfai_magics.ask(question),
        lambda: cfai_magics.ask(f"{question} \n"),
        lambda: list(cfai_magics.stream(question)),
        lambda: session.ask(session.build_request(messages)),
        lambda: list(session.stream(session.build_request(messages))),
        lambda: cfai_magics.map("{text}", [question], fresh=True),
    ]
    if not question.startswith("-"):
        calls.append(lambda: ask_shell(monkeypatch, [question], None))
    for call in calls:
        call()
    return len(calls)


LINES = st.sampled_from([*"aä🙂 \t?%!'\"\\#-", "{}", "{x}", "$", "%%cfai", "%%time", "\u2028"])
QUESTION_TEXTS = (
    st.lists(st.one_of(LINES, st.just("\n"), st.text("abc .,:;()[]<>=", max_size=5)), max_size=12)
    .map("".join)
    .filter(str.strip)
)


@pytest.mark.slow
@given(question=QUESTION_TEXTS)
@settings(
    max_examples=8,  # more would exceed the 300 requests per minute of the model
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_entry_point_sends_the_same_bytes_and_replays_the_same_recording(
    loaded: InteractiveShell,
    account: Standin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    question: str,
) -> None:
    account.clear()
    ask_in(loaded, "%cfai replay off")
    monkeypatch.setenv("CFAI_REPLAY", "off")
    count = ask_everywhere(loaded, tmp_path, monkeypatch, question)
    bodies = [request.body_bytes for request in account.requests]
    assert len(bodies) == count
    assert len(set(bodies)) == 1
    cassette = tmp_path / "question.cfai.jsonl"
    cassette.unlink(missing_ok=True)
    ask_in(loaded, f"%cfai replay auto {cassette}")
    cfai_magics.ask(question)
    ask_in(loaded, f"%cfai replay only {cassette} --instant")
    monkeypatch.setenv("CFAI_REPLAY", f"only:{cassette}")
    monkeypatch.setenv("CFAI_REPLAY_INSTANT", "1")
    ask_everywhere(loaded, tmp_path, monkeypatch, question)
    assert len(account.requests) == count + 1


def test_the_defaults_of_the_panel_apply_at_every_entry_point(
    loaded: InteractiveShell,
    account: Standin,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask_in(
        loaded,
        "%%cfai -m llama-3.2-3b-instruct -s 'Be brief.' -t 0.5 --max-tokens 9\n" + QUESTION,
    )
    (explicit,) = account.requests
    panel = cfai_magics.panel()
    names = [name for _line, name in panel.models.model_list.options]
    enter(panel.models.model_list, index=names.index("@cf/meta/llama-3.2-3b-instruct"))
    enter(panel.defaults.system, value="Be brief.")
    enter(panel.defaults.use_model_temperature, value=False)
    enter(panel.defaults.temperature, value=0.5)
    enter(panel.defaults.max_tokens, value="9")
    panel.defaults.save_button.click()
    panel.close()
    assert load_settings(home).system == "Be brief."
    account.clear()
    ask_everywhere(loaded, tmp_path, monkeypatch, QUESTION)
    assert {request.body_bytes for request in account.requests} == {explicit.body_bytes}
