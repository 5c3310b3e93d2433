"""Test variables in prompts, with the namespace of a real kernel."""

from pathlib import Path

import pytest

from tests.kernels import Kernel, running_kernel
from tests.standin import Standin

pytestmark = pytest.mark.slow


@pytest.fixture
def cloudflare(module_cloudflare: Standin) -> Standin:
    module_cloudflare.clear()
    return module_cloudflare


@pytest.fixture
def kernel(module_kernel: Kernel, cloudflare: Standin) -> Kernel:
    return module_kernel


def sent(cloudflare: Standin) -> str:
    content = cloudflare.requests[-1].json["messages"][-1]["content"]
    assert isinstance(content, str)
    return content


def number(kernel: Kernel) -> int:
    """Return the number of the next cell."""
    reply = kernel.client.execute_interactive("", timeout=60, output_hook=lambda _: None)
    return int(reply["content"]["execution_count"]) + 1


def test_a_field_is_replaced_and_other_text_is_unchanged(
    kernel: Kernel, cloudflare: Standin
) -> None:
    kernel.run("who = 'Ada'; price = 1234.5")
    kernel.run('%%cfai\nI am {{who}} ({who}), {{price:,.2f}} {"a": {"b": 1}} {% if %}\n')
    assert sent(cloudflare) == 'I am Ada ({who}), 1,234.50 {"a": {"b": 1}} {% if %}'


def test_the_line_end_after_the_last_field_is_not_a_part(
    kernel: Kernel, cloudflare: Standin
) -> None:
    kernel.run("who = 'Ada'")
    kernel.run("%%cfai\nI am {{who}}\n")
    assert sent(cloudflare) == "I am Ada"
    assert "Sent prompt: 2 parts" in kernel.run("%cfai sent").outputs[0]["data"]["text/html"]


def test_names_in_comprehensions_and_functions_are_resolved(
    kernel: Kernel, cloudflare: Standin
) -> None:
    kernel.run("k = 2\ndef twice(n): return n * k")
    kernel.run("%%cfai\n{{[twice(n) + k for n in range(2)]}}")
    assert sent(cloudflare) == "[2, 4]"


def test_raw_sends_double_braces_unchanged(kernel: Kernel, cloudflare: Standin) -> None:
    kernel.run("%%cfai --raw\n{{nope}} {{1 +}}")
    assert sent(cloudflare) == "{{nope}} {{1 +}}"


@pytest.mark.parametrize("text", ["{{nope}}", "{{1/0}}", "{{Out[99999]}}", "{{Err[99999]}}"])
def test_a_failed_field_is_a_two_line_error_and_sends_nothing(
    kernel: Kernel, cloudflare: Standin, text: str
) -> None:
    cell = kernel.run(f"%%cfai\nHi {text}")
    assert cell.ename == "VariableError"
    assert text in cell.traceback[0]
    assert len(cell.traceback) == 1
    assert cloudflare.requests == ()


def test_in_out_and_err_use_the_cell_numbers_of_the_notebook(
    kernel: Kernel, cloudflare: Standin
) -> None:
    first = number(kernel)
    kernel.run("%time 6 * 7  # as typed")
    kernel.run("6 * 7")
    kernel.run("def f(n):\n    return 1 / n\nf(0)")
    kernel.run("pass")
    kernel.run(f"%%cfai\n{{{{In[{first}]}}}}|{{{{Out[{first + 1}]}}}}|{{{{Err[{first + 2}]}}}}")
    source, value, traceback = sent(cloudflare).split("|")
    assert source == "%time 6 * 7  # as typed"
    assert value == "42"
    assert traceback.splitlines()[0] == "Traceback (most recent call last):"
    assert f'File "In[{first + 2}]", line 3' in traceback
    assert "return 1 / n" in traceback
    assert traceback.endswith("ZeroDivisionError: division by zero")
    assert "IPython" not in traceback
    kernel.run("%%cfai\n{{Err}}")
    assert sent(cloudflare) == traceback


def test_the_last_error_may_be_a_syntax_error(kernel: Kernel, cloudflare: Standin) -> None:
    kernel.run("x = = 1")
    kernel.run("%%cfai\n{{Err}}")
    assert "SyntaxError: invalid syntax" in sent(cloudflare)


def test_errors_of_the_magic_are_not_the_last_error(kernel: Kernel, cloudflare: Standin) -> None:
    kernel.run("int('a')")
    kernel.run("%%cfai --nonsense\nHi")
    kernel.run("%%cfai\n{{Err}}")
    assert sent(cloudflare).endswith("ValueError: invalid literal for int() with base 10: 'a'")


def test_user_variables_take_precedence(kernel: Kernel, cloudflare: Standin) -> None:
    kernel.run("Err = 'mine'")
    kernel.run("%%cfai\n{{Err}}")
    assert sent(cloudflare) == "mine"
    kernel.run("del Err")


def test_truncated_and_unparsed_fields_are_noted_below_the_answer(
    kernel: Kernel, cloudflare: Standin
) -> None:
    kernel.run("import pandas as pd\ndf = pd.DataFrame({'n': range(100)})")
    cell = kernel.run("%%cfai\n{{df}} {{df.head(}}")
    assert "[the first 30 of 100 rows]" in sent(cloudflare)
    assert "{{df}}: only the first 30 of 100 rows were sent; %config Cfai.table_rows" in cell.text
    assert "it is not a Python expression: {{df.head(}}" in cell.text
    kernel.run("%config Cfai.table_rows = 100")
    assert "only the first" not in kernel.run("%%cfai\n{{df}}").text


def test_an_answer_is_sent_as_its_text(kernel: Kernel, cloudflare: Standin) -> None:
    cloudflare.switch(answer="**Blue**")
    kernel.run("%%cfai -o why\nWhy?")
    kernel.run("%%cfai\nShorter: {{why}}")
    assert sent(cloudflare) == "Shorter: **Blue**"


def test_an_error_shows_other_files_relative_to_home(
    account: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def f():\n    raise ValueError('no') from KeyError(1)\n")
    with running_kernel() as kernel:
        kernel.run("%load_ext cfai_magics")
        kernel.run("import mine; mine.f()")
        kernel.run("%%cfai\n{{Err}}")
    prompt = sent(account)
    assert 'File "~/mine.py", line 2, in f' in prompt
    assert "The above exception was the direct cause" in prompt
    assert str(tmp_path) not in prompt
