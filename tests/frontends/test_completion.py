"""Test completion with IPython's completer and in a real kernel."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from cfai_magics.chat.options import ASK_OPTIONS
from cfai_magics.commands import COMMANDS, load_command
from cfai_magics.pricing.catalog import save_cached
from cfai_magics.prompt.history import Turn
from cfai_magics.storage.conversations import ConversationStore
from cfai_magics.types.usage import Model
from tests.frontends.conftest import cfai_completions
from tests.kernels import Kernel, running_kernel

FLAGS = [option.flags[-1] for option in ASK_OPTIONS]
GEMMA = "gemma-4-26b-a4b-it"
MAX_HELP_LENGTH = 90  # next to a sidebar in a window of 1280 pixels


@pytest.fixture
def loaded(shell: InteractiveShell) -> Iterator[InteractiveShell]:
    shell.run_line_magic("load_ext", "cfai_magics")
    yield shell
    shell.run_line_magic("unload_ext", "cfai_magics")


def descriptions(shell: InteractiveShell, code: str) -> list[str]:
    return [completion.type for completion in cfai_completions(shell, code)]


def texts(shell: InteractiveShell, code: str, cursor: int | None = None) -> list[str]:
    return [completion.text for completion in cfai_completions(shell, code, cursor)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("%%cfai ", FLAGS),
        ("%%cfai -", FLAGS),
        ("%%cfai -m", ["-m"]),
        ("%%cfai -c ", FLAGS),
        ("%%cfai --to", ["--top-p", "--tools", "--to"]),
        ("%%cfai --think --s", [flag for flag in FLAGS if flag.startswith("--s")]),
        ("%%cfai -f ma", ["markdown"]),
        ("%%cfai --footer=s", ["short"]),
        ("%%cfai -m gemma-4", [GEMMA]),
        ("%%cfai --model=gemma-4", [GEMMA]),
        ("%%cfai -m @cf/google/gemma-4", [f"@cf/google/{GEMMA}"]),
        ('%%cfai -s "a b" -m gemma-4', [GEMMA]),
        ("%cfai ", list(COMMANDS)),
        ("%cfai thread ex", ["export"]),
        ("%cfai lo", ["login", "logout", "local"]),
        ("%cfai use gemma-4", [GEMMA]),
        ("%cfai use --", ["--keep"]),
        ("%cfai ask -m gemma-4", [GEMMA]),
        ("%cfai ask -c ", FLAGS),
        ("a = 1\n  answer = %cfai use gemma-4", [GEMMA]),
    ],
)
def test_options_commands_and_values_are_completed(
    loaded: InteractiveShell, code: str, expected: list[str]
) -> None:
    assert texts(loaded, code) == expected


@pytest.mark.parametrize(
    "code",
    [
        "%%cfai",
        "%%cfair -",
        "%cfai-",
        "%cfai nonsense ",
        "%%cfai -s ",
        "%%cfai -m nosuchmodel",
        "%%cfai\n-",
        "1\n%%cfai -",
        "f(%cfai ",
        "# %cfai ",
        "cfai ",
    ],
)
def test_other_text_has_no_completions(loaded: InteractiveShell, code: str) -> None:
    assert cfai_completions(loaded, code) == []


def test_the_cell_body_does_not_affect_completion(loaded: InteractiveShell) -> None:
    code = '%%cfai --thi\nIt\'s `code` and "more"'
    assert texts(loaded, code, code.index("\n")) == ["--think"]


def test_a_completion_replaces_only_the_current_word(loaded: InteractiveShell) -> None:
    code = "%%cfai --model=gemma-4"
    (gemma,) = cfai_completions(loaded, code)
    assert (code[: gemma.start], gemma.end) == ("%%cfai --model=", len(code))


def test_models_are_completed_with_their_cached_prices(
    loaded: InteractiveShell, home: Path
) -> None:
    models = [
        Model("@cf/a/one", "Text Generation", neurons_in=1.25, neurons_out=2000.0),
        Model("@cf/a/two", "Text Generation", neurons_out=0.5, paid_plan_only=True),
        Model("@cf/a/three", "Text Generation"),
        Model("@cf/a/four", "Text-to-Image", neurons_in=1.0),
    ]
    save_cached(home, models, "2026-11-01")
    assert texts(loaded, "%%cfai -m ") == ["one", "two", "three"]
    assert descriptions(loaded, "%%cfai -m ") == [
        "1.2 → 2,000 neurons/1k",
        "0.5 neurons/1k, paid plan",
        "price unknown",
    ]


@pytest.mark.parametrize(
    "line", ["%%cfai -c ", "%%cfai --thread=", "%%cfai -c=", "%cfai ask -c=", "%cfai thread use "]
)
def test_threads_are_completed_with_their_number_of_turns(
    loaded: InteractiveShell, home: Path, line: str
) -> None:
    with ConversationStore(home) as threads:
        threads.save("lesson", Turn("Why?", "So.", asked_at="1"))
        threads.save("lesson", Turn("And?", "So.", asked_at="2"))
        threads.save("a b.ipynb", Turn("Why?", "So.", asked_at="3"))
    completed = dict(zip(texts(loaded, line), descriptions(loaded, line), strict=True))
    assert completed['"a b.ipynb"'] == "1 turn"
    assert completed["lesson"] == "2 turns"
    assert texts(loaded, f"{line}les") == ["lesson"]


def test_completing_threads_creates_no_files(loaded: InteractiveShell, home: Path) -> None:
    cfai_completions(loaded, "%%cfai -c ")
    assert not home.exists()


def test_options_and_commands_are_completed_with_their_help(loaded: InteractiveShell) -> None:
    help_texts = [option.argparse_kwargs["help"] for option in ASK_OPTIONS]
    assert descriptions(loaded, "%%cfai ") == help_texts
    assert descriptions(loaded, "%cfai ") == list(COMMANDS.values())


def test_help_texts_fit_in_the_list_of_jupyterlab() -> None:
    options = [option for name in COMMANDS for option in load_command(name).OPTIONS]
    help_texts = [option.argparse_kwargs["help"] for option in (*ASK_OPTIONS, *options)]
    too_long = [text for text in (*help_texts, *COMMANDS.values()) if len(text) > MAX_HELP_LENGTH]
    assert too_long == []


def test_a_kernel_completes_models_without_account_and_network() -> None:
    with running_kernel(CLOUDFLARE_API_BASE_URL="http://127.0.0.1:9") as kernel:
        kernel.run("%load_ext cfai_magics")
        code = "%%cfai -m gemma-4 --think\nIt's so."
        reply = kernel.client.complete(code, code.index(" --think"), reply=True, timeout=60)
    content = reply["content"]
    assert content["matches"] == [GEMMA]
    assert code[content["cursor_start"] : content["cursor_end"]] == "gemma-4"


def test_completions_of_a_kernel_have_constant_types(tmp_path: Path) -> None:
    (tmp_path / "city.json").touch()
    (tmp_path / "folder").mkdir()
    expected = {
        "%cfai ": {"command"},
        "%cfai thread ": {"option", "value"},
        "%%cfai ": {"option"},
        "%%cfai --footer ": {"value"},
        "%%cfai -m ": {"model"},
        "%%cfai --tools ": {"function"},
        "%%cfai --schema ": {"variable", "file", "folder"},
    }
    with running_kernel(CLOUDFLARE_API_BASE_URL="http://127.0.0.1:9") as kernel:
        kernel.run(f"%load_ext cfai_magics\n%cd -q {tmp_path}\nshape = {{}}\ndef f(): 'Return f.'")
        types = {code: types_in_kernel(kernel, code) for code in expected}
    assert types == expected


def types_in_kernel(kernel: Kernel, code: str) -> set[str]:
    content = kernel.client.complete(code, reply=True, timeout=60)["content"]
    return {shown["type"] for shown in content["metadata"]["_jupyter_types_experimental"]}
