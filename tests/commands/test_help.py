"""`%cfai help` is a cheat sheet with correct examples."""

import ast
import shlex
from html import escape

import pytest

import cfai_magics
from cfai_magics.chat.options import ASK_OPTIONS, OptionParser
from cfai_magics.commands import COMMANDS, load_command
from cfai_magics.commands.help import CELLS, PYTHON, START, create_cheat_sheet

CELL_OPTIONS = [example for example in CELLS if example.startswith("%%cfai ")]
COMMAND_EXAMPLES = [example for example in START if example.startswith("%cfai ")]


def test_the_cheat_sheet_has_every_command() -> None:
    sheet = create_cheat_sheet()
    html = sheet._repr_html_()
    for name, summary in COMMANDS.items():
        assert f"  %cfai {name} " in str(sheet)
        assert f"<code>%cfai {name}</code>" in html
        assert summary in str(sheet)
        assert escape(summary, quote=False) in html


@pytest.mark.parametrize("example", CELL_OPTIONS)
def test_the_options_of_each_cell_are_valid(example: str) -> None:
    OptionParser("%%cfai", ASK_OPTIONS).parse_args(shlex.split(example)[1:])


@pytest.mark.parametrize("example", COMMAND_EXAMPLES)
def test_the_options_of_each_command_are_valid(example: str) -> None:
    _, name, *words = shlex.split(example)
    OptionParser(name, load_command(name).OPTIONS).parse_args(words)


@pytest.mark.parametrize("example", PYTHON)
def test_each_function_is_public(example: str) -> None:
    called = {
        node.func.id
        for node in ast.walk(ast.parse(example))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    imported = {
        name.name
        for node in ast.walk(ast.parse(example))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert called | imported <= set(cfai_magics.__all__)
