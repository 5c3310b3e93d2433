"""Test `%cfai fix`, `%cfai explain` and `%cfai sent` in a real kernel."""

import pytest

from tests.kernels import Cell, Kernel, running_kernel
from tests.standin import Standin

pytestmark = pytest.mark.slow

BROKEN = "def mean(values):\n    return sum(values) / len(values)\n\nmean([])"
FIXED = "It divided by zero.\n\n```python\nprint('fixed')\n```"
SECRET = "my private notes"


@pytest.fixture(scope="module")
def module_kernel(module_kernel: Kernel) -> Kernel:
    module_kernel.run("%config Cfai.system = 'Speak like a pirate'")
    module_kernel.run(f"secret = {SECRET!r}")
    return module_kernel


@pytest.fixture
def account(module_cloudflare: Standin) -> Standin:
    module_cloudflare.clear()
    module_cloudflare.switch(answer=None)
    return module_cloudflare


@pytest.fixture
def kernel(module_kernel: Kernel, account: Standin) -> Kernel:
    return module_kernel


def fail(kernel: Kernel, code: str = BROKEN) -> int:
    """Run a cell that fails; return its number."""
    kernel.run(code)
    reply = kernel.client.execute_interactive("", timeout=60, output_hook=lambda _: None)
    return int(reply["content"]["execution_count"])


def sent(account: Standin) -> list[str]:
    return [message["content"] for message in account.requests[-1].json["messages"]]


def box(cell: Cell) -> str:
    (html,) = [html for html in cell.mime("text/html") if html.startswith("<details>")]
    return html


def test_fix_sends_the_failed_cell_and_its_traceback_and_nothing_else(
    kernel: Kernel, account: Standin
) -> None:
    number = fail(kernel)
    kernel.run("other = 'not sent'")
    account.switch(answer=FIXED)
    cell = kernel.run("%cfai fix")
    system, prompt = sent(account)
    assert "correct Python cells" in system
    assert prompt.startswith(f"The cell:\n\n{BROKEN}\n\nIt failed with:\n\nTraceback")
    assert 'File "the cell", line 2, in mean' in prompt
    assert f"In[{number}]" not in prompt  # the request must be the same in every cell
    assert prompt.rstrip().endswith("ZeroDivisionError: division by zero")
    for secret in ("pirate", SECRET, "not sent", "IPython"):
        assert secret not in system + prompt
    assert cell.mime("text/markdown") == [FIXED]
    explanation = box(cell)
    assert f"In[{number}]" in explanation
    assert "return sum(values) / len(values)" in explanation


def test_fix_offers_the_corrected_cell_below_and_runs_nothing(
    kernel: Kernel, account: Standin
) -> None:
    fail(kernel)
    account.switch(answer=FIXED)
    outputs: list[str] = []
    reply = kernel.client.execute_interactive(
        "%cfai fix", timeout=60, output_hook=lambda message: outputs.append(str(message))
    )
    (payload,) = reply["content"]["payload"]
    assert (payload["source"], payload["text"]) == ("set_next_input", "print('fixed')")
    assert payload["replace"] is False
    assert not [text for text in outputs if "'text': 'fixed" in text]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("x = = 1", "SyntaxError"),
        ("%%time\n1 / 0", "ZeroDivisionError"),
        ("%nonsense", "UsageError"),
        ("import json\njson.loads('{')", "JSONDecodeError"),
        ("raise ValueError('no') from KeyError('k')", "ValueError: no"),
        ("async def f():\n    raise OSError('gone')\nawait f()", "OSError: gone"),
        ("raise ExceptionGroup('two', [ValueError(1), TypeError(2)])", "TypeError: 2"),
    ],
)
def test_fix_works_after_any_kind_of_error(
    kernel: Kernel, account: Standin, code: str, error: str
) -> None:
    fail(kernel, code)
    assert kernel.run("%cfai fix").ename == ""
    assert code in sent(account)[1]
    assert error in sent(account)[1]


def test_a_number_selects_another_failed_cell(kernel: Kernel, account: Standin) -> None:
    number = fail(kernel)
    fail(kernel, "int('a')")
    kernel.run(f"%cfai fix {number}")
    assert "ZeroDivisionError" in sent(account)[1]
    kernel.run(f"%cfai explain {number}")
    assert "explain errors" in sent(account)[0]
    assert "ZeroDivisionError" in sent(account)[1]
    kernel.run("%cfai explain -m llama-3.2-3b-instruct")
    assert "invalid literal" in sent(account)[1]
    assert account.requests[-1].json["model"] == "@cf/meta/llama-3.2-3b-instruct"


def test_explain_sends_only_the_code_of_a_successful_cell(
    kernel: Kernel, account: Standin
) -> None:
    number = fail(kernel) + 1
    kernel.run("total = sum(range(10))  # adds up")
    kernel.run(f"%cfai explain {number}")
    assert "explain Python cells" in sent(account)[0]
    assert sent(account)[1] == "total = sum(range(10))  # adds up"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fix 99999", "In[99999] did not fail"),
        ("explain 99999", "In[99999] did not fail"),
        ("fix nonsense", "invalid value: 'nonsense'"),
    ],
)
def test_an_invalid_cell_number_is_rejected_before_sending(
    kernel: Kernel, account: Standin, command: str, message: str
) -> None:
    cell = kernel.run(f"%cfai {command}")
    assert cell.ename == "InvalidOptionError"
    assert message in cell.traceback[0]
    assert account.requests == ()


def test_without_a_failed_cell_or_a_prompt_an_error_is_shown(account: Standin) -> None:
    with running_kernel() as kernel:
        kernel.run("%load_ext cfai_magics")
        assert "No cell has failed so far" in kernel.run("%cfai fix").traceback[0]
        assert "No cell has failed so far" in kernel.run("%cfai explain").traceback[0]
        assert "No prompt has been sent yet" in kernel.run("%cfai sent").traceback[0]
    assert account.requests == ()


# --- the sent prompt


def test_sent_shows_each_part_with_its_share_of_the_cost(kernel: Kernel, account: Standin) -> None:
    kernel.run("rows = list(range(400)); from PIL import Image; dot = Image.new('RGB', (90, 90))")
    kernel.run("%%cfai -c sent\nRemember <b>this</b>.")
    kernel.run("%%cfai -c sent -f json --image dot\nCount {{rows}}, please.")
    cell = kernel.run("%cfai sent")
    rows = [line.split() for line in cell.text.splitlines()[1:9]]
    kinds = ["system", "format", "history", "cell", "variable", "cell", "image", "answer"]
    assert [row[0] for row in rows] == kinds
    tokens = account.requests[-1].json
    assert tokens["messages"][0]["content"].startswith("Speak like a pirate")
    shares = [int(row[-2]) for row in rows]
    assert sum(shares) == pytest.approx(100, abs=4)
    costs = [float(row[-3]) for row in rows]
    neurons = float(kernel.run("print(_cfai.neurons)").text)
    assert sum(costs) == pytest.approx(neurons, rel=0.05)
    html = box(cell)
    assert "Remember &lt;b&gt;this&lt;/b&gt;." in html
    assert "<b>this" not in html
    assert 'src="data:image/png;base64,' in html
    assert "[0, 1, 2" in html


def test_the_tokens_of_the_parts_add_up_to_the_prompt(kernel: Kernel) -> None:
    kernel.run("%%cfai\nOne {{[1, 2, 3]!r}} two {{secret}}")
    rows = [line.split() for line in kernel.run("%cfai sent").text.splitlines()[1:6]]
    tokens = sum(int(row[-4]) for row in rows)
    assert tokens == pytest.approx(int(kernel.run("print(_cfai.usage.prompt_tokens)").text), abs=3)


def test_the_sent_option_shows_the_box_below_the_answer(kernel: Kernel, account: Standin) -> None:
    account.switch(answer="Here.")
    cell = kernel.run("%%cfai --sent\nWhat?")
    assert [sorted(output["data"]) for output in cell.outputs] == [
        ["text/markdown", "text/plain"],
        ["text/html", "text/plain"],
        ["text/html", "text/plain"],
    ]
    assert "Sent prompt: 2 parts, " in box(cell)
    assert cell.outputs[2]["data"]["text/plain"].startswith("part")


def test_an_answer_without_code_offers_no_cell(kernel: Kernel, account: Standin) -> None:
    fail(kernel)
    account.switch(answer="I don't know.")
    cell = kernel.run("%cfai fix")
    assert "The answer has no code block" in cell.text
    assert "new cell below" not in cell.text
