"""The first plain request of a process does not load these modules."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.standin import Standin

pytestmark = pytest.mark.slow

# httpx imports more modules if click is installed. The tests install it; users may not.
RUN_CELLS = """
import sys
sys.modules["click"] = None
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in sys.argv[1:]:
    shell.run_cell(cell, store_history=True).raise_error()
print(*sorted(sys.modules))
"""
LIBRARIES = ("tenacity", "filelock", "csv", "wave", "zipfile", "difflib", "decimal")
OUR_MODULES = (
    "cfai_magics.chat.compare",
    "cfai_magics.chat.tool_loop",
    "cfai_magics.chat.structured_output",
    "cfai_magics.tasks",
    "cfai_magics.batch",
    "cfai_magics.media.images",
    "cfai_magics.widgets",
    "cfai_magics.display.chart",
    "cfai_magics.display.heatmap",
    "cfai_magics.display.grid",
    "cfai_magics.prompt.tools",
)
COMMANDS, ASK = "cfai_magics.commands", "cfai_magics.commands.ask"
ANSWER = "Their skin ripens last."


def modules_after(cells: Sequence[str], folder: Path, **environ: str) -> tuple[str, set[str]]:
    """Run the cells in a new process; return its output and its loaded modules."""
    run = subprocess.run(
        [sys.executable, "-c", RUN_CELLS, *cells],
        capture_output=True,
        text=True,
        env={**os.environ, **environ, "IPYTHONDIR": str(folder / "ipython")},
        cwd=folder,
        check=True,
    )
    *lines, modules = run.stdout.splitlines()
    return "\n".join(lines), set(modules.split())


@pytest.fixture(scope="module")
def modules_added(
    module_cloudflare: Standin, tmp_path_factory: pytest.TempPathFactory
) -> set[str]:
    """Return the modules that one plain request loads in addition to `import httpx`."""
    folder = tmp_path_factory.mktemp("first_cell")
    module_cloudflare.switch(answer=ANSWER)
    environ = {**module_cloudflare.environ(), "CFAI_HOME": str(folder / "home")}
    cells = ("%load_ext cfai_magics", "%%cfai\nWhy do pears ripen from within?")
    output, modules = modules_after(cells, folder, **environ)
    assert ANSWER in output
    assert ASK in modules
    _, baseline = modules_after(("import httpx", "pass"), folder)
    return modules - baseline


def modules_below(prefix: str, modules: set[str]) -> list[str]:
    return sorted(name for name in modules if f"{name}.".startswith(f"{prefix}."))


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_plain_request_does_not_load_the_library(library: str, modules_added: set[str]) -> None:
    assert modules_below(library, modules_added) == []


@pytest.mark.parametrize("prefix", OUR_MODULES)
def test_a_plain_request_does_not_load_unused_parts(prefix: str, modules_added: set[str]) -> None:
    assert modules_below(prefix, modules_added) == []


def test_a_plain_request_loads_no_other_command(modules_added: set[str]) -> None:
    assert modules_below(COMMANDS, modules_added) == [COMMANDS, ASK]
