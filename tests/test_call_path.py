"""One request resolves its model and record mode once, and builds its body once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels import Kernel, running_kernel
from tests.standin import Standin

COUNT = """
import collections, json, sys, threading
import cfai_magics
from cfai_magics.pricing.catalog import find_model
from cfai_magics.replay.record_mode import resolve_mode
from cfai_magics.workers_ai.endpoints import chat_body

names = {{f.__code__: f.__name__ for f in (find_model, resolve_mode, chat_body)}}
counts = collections.Counter()

def count(frame, event, _argument):
    if event == "call" and frame.f_code in names:
        counts[names[frame.f_code]] += 1

threading.setprofile(count)
sys.setprofile(count)
try:
    {call}
finally:
    sys.setprofile(None)
    threading.setprofile(None)
"""
CALLS = {
    "cell": 'get_ipython().run_cell_magic("cfai", "", "Hi")',
    "cell with options": 'get_ipython().run_cell_magic("cfai", "-m glm-5.2 -t 0.5 -c", "Hi")',
    "line": 'get_ipython().run_line_magic("cfai", "ask Hi")',
    "ask": 'cfai_magics.ask("Hi", model="glm-5.2")',
    "stream": 'list(cfai_magics.stream("Hi"))',
    "error of a cell": 'get_ipython().run_line_magic("cfai", "explain")',
    "recorded": 'get_ipython().run_cell_magic("cfai", "-t 0", "Recorded?")',
}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder: Path = tmp_path_factory.mktemp("path")
    with (
        Standin(plan="paid") as cloudflare,
        running_kernel(**cloudflare.environ(), CFAI_HOME=str(folder)) as kernel,
    ):
        kernel.run("%load_ext cfai_magics")
        kernel.run(f"%cfai replay auto {folder / 'lesson.cfai.jsonl'}")
        kernel.run("%%cfai -t 0\nRecorded?")
        kernel.run("1 / 0")
        yield kernel


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_a_request_resolves_model_and_mode_and_builds_its_body_once(
    kernel: Kernel, call: str
) -> None:
    kernel.run(COUNT.format(call=call))
    counts = json.loads(kernel.run("print(json.dumps(counts))").text)
    assert counts == {"find_model": 1, "resolve_mode": 1, "chat_body": 1}
