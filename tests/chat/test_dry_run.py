"""Test `--dry-run`: the request and its estimated cost, without sending it."""

import json
import re
from collections.abc import Callable, Iterator
from html import unescape

import pytest

from tests.canaries import class_key, token
from tests.kernels import Kernel, running_kernel
from tests.standin import Standin, media

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    home = str(tmp_path_factory.mktemp("home"))
    with Standin() as cloudflare, running_kernel(**cloudflare.environ(), CFAI_HOME=home) as kernel:
        kernel.run("%load_ext cfai_magics")
        kernel.cloudflare = cloudflare  # type: ignore[attr-defined]
        yield kernel
        assert cloudflare.requests == (), "a dry run sends nothing"


def test_the_exact_json_is_shown_with_the_tokens_of_each_part(kernel: Kernel) -> None:
    kernel.run("rivers = ['Oder', 'Main']")
    cell = kernel.run(
        "%%cfai --dry-run -s 'Be brief.' -t 0.5 --max-tokens 100\nWhich is longer: {{rivers}}?"
    )
    request, _, table = cell.text.partition("\n\n")
    assert json.loads(request) == {
        "model": "@cf/google/gemma-4-26b-a4b-it",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": 'Which is longer: ["Oder", "Main"]?'},
        ],
        "stream": True,
        "max_tokens": 100,
        "temperature": 0.5,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    kinds = [line.split()[0] for line in table.splitlines()[1:6]]
    assert kinds == ["system", "cell", "variable", "chat", "total"]
    cost = "Estimated cost: ≈ 0.92, at most 3.4 neurons (answer up to 100 tokens)."
    assert cost in table
    (html,) = cell.mime("text/html")
    assert "<table>" in html
    assert html.startswith("<details><summary>Request (JSON)</summary>"), "it is closed"
    shown = html.partition("</summary>")[2].partition("</details>")[0]
    assert json.loads(unescape(re.sub(r"<[^>]+>", "", shown))) == json.loads(request)
    assert '<span style="color:var(--jp-mirror-editor-number-color)">0.5</span>' in shown


def test_the_history_of_a_thread_is_a_separate_part(kernel: Kernel, cloudflare: Standin) -> None:
    kernel.run("import os; before = dict(os.environ)")
    for name, value in cloudflare.environ().items():
        kernel.run(f"os.environ[{name!r}] = {value!r}")
    kernel.run("%%cfai -c rivers\nName one.")
    kernel.run("os.environ.update(before)")
    table = kernel.run("%%cfai -c rivers --dry-run\nAnd another?").text
    assert "history" in table
    assert len(cloudflare.requests) == 1


@pytest.mark.parametrize(
    ("make_token", "placeholder"),
    [(token, "<API token, not shown>"), (class_key, "<class key, not shown>")],
)
def test_images_and_secrets_are_not_shown_in_full(
    kernel: Kernel, make_token: Callable[[], str], placeholder: str
) -> None:
    secret = make_token()
    kernel.run(f"png = {media.png(8, 8, 0)!r}")
    cell = kernel.run(f"%%cfai --dry-run --image png\nMy token is {secret}, is that bad?")
    assert secret not in repr(cell)
    assert placeholder in cell.text
    assert "characters)" in cell.text
    assert "image" in cell.text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--max-neurons 1", "max_tokens was lowered from 2,048 to "),
        ("--max-neurons 0.1", "--max-neurons leaves 0.1 neurons"),
        ("-m @cf/no/price", "cost is unknown, because the model has no known price"),
    ],
)
def test_effects_of_a_limit_or_an_unknown_price_are_shown(
    kernel: Kernel, line: str, message: str
) -> None:
    cell = kernel.run(f"%%cfai --dry-run {line}\nHi")
    assert message in cell.text
    assert cell.ename == ""


def test_a_dry_run_saves_no_answer(kernel: Kernel) -> None:
    kernel.run("_cfai = 'as before'")
    kernel.run("%%cfai --dry-run -o result\nHi")
    assert kernel.run("print(_cfai, 'result' in globals())").text.split() == [
        *("as", "before", "False"),
    ]
