"""The language changes what users read, never what is sent, recorded or stored."""

import json
from pathlib import Path

import pytest

from tests.kernels import Kernel, running_kernel
from tests.standin import Standin

pytestmark = pytest.mark.slow
SETUP = """
%load_ext cfai_magics
import json
rows = [{"name": f"n{number}", "value": number} for number in range(500)]
long = "word " * 50_000
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
def find(name: str) -> list:
    "Find rows by name."
    return rows * 40
"""
CELLS = (
    "%%cfai -m gemma-4-26b-a4b-it -s 'Be brief.'\nWhy?",
    "%%cfai\nSummarize {{rows}} and {{long}} {{as is}}",
    "%%cfai -c talk\nFirst.",
    "%%cfai -c talk\nSecond.",
    "%%cfai -f json\nList them.",
    "%%cfai -f table\nList them.",
    "%%cfai --schema CITY -f json\nName a city.",
    "%%cfai --tools find --allow-tools --max-steps 2\nFind n1.",
    "%%cfai -n 2\nAgain?",
    "%cfai explain",
    "%cfai doctor",
    "%cfai status",
    "1 / 0",
    "%cfai fix",
)


def run_cells(account: Standin, home: Path, language: str) -> tuple[list[object], str]:
    """Return the bodies of the requests, and the output, of the cells in a language."""
    home.mkdir()
    before = len(account.requests)
    with running_kernel(LANGUAGE=language, CFAI_HOME=str(home)) as kernel:
        kernel.run(SETUP)
        text = ""
        for cell in CELLS:
            calls = [{"name": "find", "arguments": {"name": "n1"}}] if "--tools" in cell else []
            account.switch(tool_calls=calls)
            text += describe(kernel, cell)
    return [request.json for request in account.requests[before:]], text


def describe(kernel: Kernel, cell: str) -> str:
    result = kernel.run(cell)
    return result.text + "".join(result.traceback)


def test_requests_are_equal_in_all_languages(account: Standin, tmp_path: Path) -> None:
    english, english_text = run_cells(account, tmp_path / "en", "en")
    chinese, chinese_text = run_cells(account, tmp_path / "zh", "zh_CN")
    assert json.dumps(chinese, sort_keys=True) == json.dumps(english, sort_keys=True)
    assert len(english) > len(CELLS) // 2
    assert not any("\u4e00" <= char <= "\u9fff" for char in english_text)
    for phrase in ("个 token", "已计费", "只发送了前", "去重后"):
        assert phrase in chinese_text
