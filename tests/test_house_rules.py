"""Rules for the whole package: README tables, public names, loading, docstrings."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

import cfai_magics
from cfai_magics.chat.options import ASK_OPTIONS, Option
from cfai_magics.commands import COMMANDS

ROOT = Path(__file__).parents[1]
MAX_MODULES_ADDED = 60


def option_row(option: Option) -> str:
    names = ", ".join(f"`{flag}`" for flag in option.flags)
    keywords = option.argparse_kwargs
    value = keywords.get("metavar") or "\\|".join(keywords.get("choices", ()))
    return f"| {names}{f' {value}' if value else ''} | {keywords['help']} |"


def tables() -> dict[str, list[str]]:
    return {
        "options": ["| option | what it does |", "|---|---|", *map(option_row, ASK_OPTIONS)],
        "commands": [
            "| command | what it does |",
            "|---|---|",
            *(f"| `{name}` | {summary} |" for name, summary in COMMANDS.items()),
        ],
    }


@pytest.mark.parametrize("name", tables())
def test_the_readme_tables_equal_the_declarations(name: str) -> None:
    expected = "\n".join(tables()[name])
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", readme, re.DOTALL)
    assert found, f"README.md has no {name} table"
    assert found[1] == expected, f"Put this between the {name} marks of README.md:\n{expected}"


def test_the_public_names_are_sorted_and_exist() -> None:
    assert cfai_magics.__all__ == sorted(cfai_magics.__all__)
    assert all(getattr(cfai_magics, name) is not None for name in cfai_magics.__all__)
    assert set(cfai_magics.__all__) <= set(dir(cfai_magics))
    with pytest.raises(AttributeError, match="nothing"):
        cfai_magics.nothing  # noqa: B018


def test_loading_prints_nothing_and_imports_few_modules() -> None:
    code = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
shell.run_line_magic("load_ext", "cfai_magics")
print(*sorted(set(sys.modules) - before))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = run.stdout.split()
    assert run.stderr == ""
    assert 0 < len(added) <= MAX_MODULES_ADDED
    heavy = {"httpx", "ipywidgets", "keyring", "sqlite3", "markdown_it", "tenacity", "ssl"}
    assert not heavy & set(added)


def tables_of(shell: InteractiveShell) -> dict[str, object]:
    return {
        "line": dict(shell.magics_manager.magics["line"]),
        "cell": dict(shell.magics_manager.magics["cell"]),
        "registry": dict(shell.magics_manager.registry),
        "configurables": list(shell.configurables),
        "events": {name: list(hooks) for name, hooks in shell.events.callbacks.items()},
        "transformers": list(shell.input_transformers_cleanup + shell.input_transformers_post),
        "hooks": {
            name: list(hook) if hasattr(hook, "__iter__") else hook
            for name, hook in shell.hooks.items()
        },
        "matchers": list(shell.Completer.custom_matchers),
        "names": set(shell.user_ns),
    }


def test_unloading_restores_the_shells_tables(shell: InteractiveShell) -> None:
    # IPython loads storemagic on first use
    shell.find_line_magic("load_ext").__call__("storemagic")
    before = tables_of(shell)
    for _ in range(2):
        shell.run_line_magic("load_ext", "cfai_magics")
        assert "cfai" in shell.magics_manager.magics["cell"]
        shell.run_line_magic("reload_ext", "cfai_magics")
        assert "cfai" in shell.magics_manager.magics["line"]
        shell.run_line_magic("unload_ext", "cfai_magics")
        assert tables_of(shell) == before


def test_unloading_restores_a_magic_of_the_same_name(shell: InteractiveShell) -> None:
    def cfai(_line: str) -> str:
        return "another one"

    shell.register_magic_function(cfai, "line")
    shell.run_line_magic("load_ext", "cfai_magics")
    shell.run_line_magic("unload_ext", "cfai_magics")
    assert shell.run_line_magic("cfai", "") == "another one"


def test_loading_twice_equals_loading_once(shell: InteractiveShell) -> None:
    cfai_magics.load_ipython_extension(shell)
    once = tables_of(shell)
    cfai_magics.load_ipython_extension(shell)
    assert tables_of(shell) == once
    cfai_magics.unload_ipython_extension(shell)
    cfai_magics.unload_ipython_extension(shell)


def modules() -> list[Path]:
    """Return all modules except the one that the build writes."""
    return sorted({*(ROOT / "cfai_magics").rglob("*.py")} - {ROOT / "cfai_magics/_version.py"})


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_a_docstring(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "Begin with one sentence on what the module does"


def test_the_oldest_tested_versions_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    bounds = re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join(project["dependencies"]), re.MULTILINE)
    tested = dict(re.findall(r"([\w-]+)==([\d.]+)(?=[\s\\])", makefile))
    required = {name: bound for name, bound in bounds if name != "keyring"}  # on macOS, Windows
    assert tested.keys() == required.keys()
    for name, bound in required.items():
        assert f"{tested[name]}.".startswith(f"{bound}."), name
