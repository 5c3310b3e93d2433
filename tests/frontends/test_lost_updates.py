"""Answers are complete where front ends ignore updates of outputs."""

from typing import Any

import pytest

from tests.kernels import PATIENCE, Kernel
from tests.standin import Standin

pytestmark = pytest.mark.slow

ANSWER = "One paragraph.\n\n" * 200 + "The end."
SETUP = """
import ipywidgets, cfai_magics
out = ipywidgets.Output()
button = ipywidgets.Button()

def ask(*_):
    get_ipython().run_cell_magic("cfai", {line!r}, "Hi")

def ask_in_output(*_):
    with out:
        ask()
"""
PLACES = {
    "output widget": "ask_in_output()",
    "interact": "_ = ipywidgets.interact(lambda x: ask(), x=2)",
    "button": "button.on_click(ask)",
    "button with an output widget": "button.on_click(ask_in_output)",
}


@pytest.fixture
def kernel(module_kernel: Kernel, module_cloudflare: Standin) -> Kernel:
    module_cloudflare.clear()
    module_cloudflare.switch(answer=ANSWER)
    return module_kernel


def read_outputs(kernel: Kernel, message_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the type and content of each output, until the kernel is idle."""
    outputs = []
    while True:
        message = kernel.client.get_iopub_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") != message_id:
            continue
        content = message["content"]
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            return outputs
        if message["msg_type"] in {"display_data", "update_display_data", "error"}:
            outputs.append((message["msg_type"], content))


def run(kernel: Kernel, code: str, line: str) -> list[tuple[str, dict[str, Any]]]:
    """Run the code, and click the button if it has a handler."""
    kernel.run(SETUP.format(line=line))
    outputs = read_outputs(kernel, kernel.start(code)[0])
    if "on_click" in code:
        model_id = kernel.run("print(button.model_id)").text.strip()
        data = {"method": "custom", "content": {"event": "click"}}
        message = kernel.client.session.msg("comm_msg", {"comm_id": model_id, "data": data})
        kernel.client.shell_channel.send(message)
        outputs = read_outputs(kernel, message["header"]["msg_id"])
    return outputs


@pytest.mark.parametrize("line", ["", "-n 2", "-f json"])
@pytest.mark.parametrize("code", PLACES.values(), ids=PLACES)
def test_the_whole_answer_is_shown_without_updates(kernel: Kernel, code: str, line: str) -> None:
    outputs = run(kernel, code, line)
    assert {kind for kind, _ in outputs} == {"display_data"}
    answers = [
        content["data"]
        for _, content in outputs
        if "application/vnd.jupyter.widget-view+json" not in content["data"]
    ]
    assert len(answers) == 2
    assert "The end." in answers[0].get("text/markdown", answers[0].get("text/html"))
    assert "billed" in answers[1]["text/plain"]


def test_reasoning_is_shown_above_the_answer(kernel: Kernel, module_cloudflare: Standin) -> None:
    module_cloudflare.switch(answer=ANSWER, thought="Let me think.")
    outputs = run(kernel, "ask_in_output()", "--think")
    assert [kind for kind, _ in outputs] == ["display_data"] * 3
    assert "Let me think." in outputs[0][1]["data"]["text/html"]


def test_answers_in_cells_are_still_updated(kernel: Kernel) -> None:
    outputs = run(kernel, "ask()", "")
    assert "update_display_data" in {kind for kind, _ in outputs}
    outputs = run(kernel, "with out:\n    pass\nask()", "")
    assert "update_display_data" in {kind for kind, _ in outputs}


def test_the_progress_of_a_map_is_complete(kernel: Kernel) -> None:
    run(kernel, "", "")
    code = 'with out:\n    _ = cfai_magics.map("Hi {{x}}", [{"x": 1}, {"x": 2}])'
    cell = kernel.run(code)
    streams = [output["text"] for output in cell.outputs if "text" in output]
    assert "2 of 2" in "".join(streams).split("\r")[-2]
