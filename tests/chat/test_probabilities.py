"""Test `--probs` in a kernel, in the shell and in comparisons."""

import json
from collections.abc import Iterator

import pytest

from cfai_magics.cli import main
from tests.kernels import Kernel
from tests.standin import Standin, Switches

pytestmark = pytest.mark.slow


@pytest.fixture
def cloudflare(module_cloudflare: Standin) -> Standin:
    module_cloudflare.clear()
    module_cloudflare.switches = Switches(answer="The Rhine.")
    return module_cloudflare


@pytest.fixture
def kernel(module_kernel: Kernel, cloudflare: Standin) -> Iterator[Kernel]:
    yield module_kernel
    module_kernel.run("%config Cfai.format = 'markdown'")


@pytest.mark.parametrize("words", ["", "--no-stream ", "-t 0.5 ", "-c "])
def test_the_answer_is_shaded_and_kept(kernel: Kernel, words: str) -> None:
    cell = kernel.run(f"%%cfai --probs 3 {words}-o answer\nName a river.")
    answer, _footer = cell.outputs
    html = answer["data"]["text/html"]
    assert html.count('tabindex="0"') == 3
    assert "<details><summary>Tokens with their probabilities as a table</summary>" in html
    assert answer["data"]["text/plain"] == "The Rhine."
    kept = kernel.run("print([(t.text, t.probability) for t in answer.tokens])").text
    assert kept == "[('The ', 0.5), ('Rhin', 0.2), ('e.', 0.5)]\n"
    assert kernel.run("print(len(_cfai.tokens.df()))").text == "9\n"


def test_each_answer_of_a_comparison_is_shaded(kernel: Kernel, cloudflare: Standin) -> None:
    texts = iter(["The Rhine.", "The Main.", "The Oder.", "The Elbe."])
    cloudflare.switch(answer=lambda _: next(texts))
    cell = kernel.run("%%cfai --probs 2 -n 2 -t 0,1 -o spread\nName a river.")
    html = cell.mime("text/html")[0]
    assert html.count('class="cfai-tokens"') == 4
    counts = kernel.run("print([len(answer.tokens) for answer in spread])").text
    assert sorted(json.loads(counts)) == [3, 3, 3, 3]


def test_plain_text_in_a_notebook_has_shaded_tokens_below(kernel: Kernel) -> None:
    cell = kernel.run("%%cfai --probs 2 --plain\nName a river.")
    assert cell.outputs[0]["text"] == "The Rhine.\n"
    assert 'class="cfai-tokens"' in cell.outputs[1]["data"]["text/html"]
    assert "2  “Rhin”       20.0 %  50.0 % “other0” · 20.0 % “Rhin”\n" in cell.text


def test_an_interrupted_answer_has_the_tokens_received(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(answer="word" * 50, error_in_stream_after=4)
    kernel.run("%%cfai --probs 1 -o partial\nGo on.")
    same = "''.join(token.text for token in partial.tokens) == partial.text"
    assert kernel.run(f"print(len(partial.tokens) >= 4, {same})").text == "True True\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--probs 21", "--probs 21 is out of range"),
        ("--probs -1", "--probs -1 is out of range"),
        ("--probs x", "argument --probs: invalid value: 'x'"),
        ("--probs 1 -p logprobs=true", "probs and logprobs can't be combined"),
        ("--probs 1 -f json", "--probs works only if the answer is Markdown or text"),
        ("--probs 1 -x", "--probs works only if the answer is Markdown or text"),
        ("--probs 1 --schema shape", "--probs works only if the answer is Markdown or text"),
        ("--probs 1 --task translate", "--task translate can't be combined with --probs"),
    ],
    ids=str,
)
def test_an_invalid_combination_sends_nothing(
    kernel: Kernel, cloudflare: Standin, words: str, message: str
) -> None:
    kernel.run("shape = {'type': 'object'}")
    assert message in kernel.run(f"%%cfai {words}\nName a river.").traceback[0]
    assert cloudflare.requests == ()


def test_the_format_of_the_settings_counts(kernel: Kernel, cloudflare: Standin) -> None:
    kernel.run("%config Cfai.format = 'json'")
    cell = kernel.run("%%cfai --probs 1\nName a river.")
    assert "--probs works only if the answer is Markdown or text" in cell.traceback[0]
    assert cloudflare.requests == ()
    assert kernel.run("%%cfai --probs 1 --plain\nName a river.").text.startswith("The Rhine.")


@pytest.mark.parametrize("words", ["--probs 2", "--probs 3 -n 2", "--probs 4 -c"])
def test_a_model_that_returned_none_is_asked_again_only_on_purpose(
    kernel: Kernel, cloudflare: Standin, words: str
) -> None:
    cloudflare.switch(logprobs=False)
    kernel.run("%%cfai --probs 1\nName a river.")
    count = len(cloudflare.requests)
    cell = f"%%cfai {words}\nName a river."
    assert "returned no token probabilities at" in kernel.run(cell).traceback[0]
    assert len(cloudflare.requests) == count
    cloudflare.switch(logprobs=True)
    assert 'class="cfai-tokens"' in kernel.run(cell).mime("text/html")[0]


def test_a_dry_run_shows_the_fields(kernel: Kernel, cloudflare: Standin) -> None:
    text = kernel.run("%%cfai --probs 4 --dry-run\nName a river.").text
    request = json.loads(text.partition("\n\n")[0])
    assert (request["logprobs"], request["top_logprobs"]) == (True, 4)
    assert cloudflare.requests == ()


def test_the_last_step_of_a_tool_call_has_tokens(kernel: Kernel, cloudflare: Standin) -> None:
    cloudflare.switch(answer="20 °C.", tool_calls=[{"name": "weather", "arguments": {}}])
    kernel.run("def weather():\n    'Return the weather.'\n    return 20")
    kernel.run("%%cfai --probs 1 --tools weather --allow-tools -o answer\nHow warm is it?")
    assert kernel.run("print([t.text for t in answer.tokens])").text == "['20 °', 'C.']\n"


def test_python_returns_the_tokens(kernel: Kernel) -> None:
    kernel.run("from cfai_magics import ask, stream")
    assert kernel.run("print(len(ask('Name a river.', probs=2).tokens))").text == "3\n"
    kernel.run("with stream('Name a river.', probs=0) as pieces: print(*pieces)")
    assert kernel.run("print(pieces.answer.tokens[0].alternatives)").text == "()\n"


def test_a_shell_prints_the_table_next_to_the_answer(
    account: Standin, capsys: pytest.CaptureFixture[str]
) -> None:
    account.switch(answer="The Rhine.")
    assert main(["ask", "--probs", "1", "Name a river."]) == 0
    output = capsys.readouterr()
    assert output.out == "The Rhine.\n"
    assert output.err.startswith("#  token")
