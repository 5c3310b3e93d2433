"""Test calls of notebook functions by a model, in a real kernel."""

import json
from typing import Any

import pytest

from tests.kernels import Kernel
from tests.standin import Fault, Standin, Switches

pytestmark = pytest.mark.slow

FUNCTIONS = '''
calls = []

def add(a: int, b: int) -> int:
    """Add two numbers."""
    calls.append((a, b))
    return a + b

def broken() -> None:
    raise ZeroDivisionError("no")

def slow() -> None:
    import time
    print("asleep")
    time.sleep(60)
'''
ADD = {"name": "add", "arguments": {"a": 3, "b": 4}}


@pytest.fixture
def cloudflare(module_cloudflare: Standin) -> Standin:
    module_cloudflare.clear()
    module_cloudflare.switches = Switches(answer="It is 7.", tool_calls=[ADD])
    return module_cloudflare


@pytest.fixture
def kernel(module_kernel: Kernel, cloudflare: Standin) -> Kernel:
    module_kernel.run(FUNCTIONS)  # new functions, not yet approved
    return module_kernel


def tool_results(cloudflare: Standin) -> list[Any]:
    """Return the tool results in the last request."""
    messages = cloudflare.requests[-1].json["messages"]
    return [each["content"] for each in messages if each["role"] == "tool"]


@pytest.mark.parametrize("dialect", ["gemma", "nemotron", "native"])
@pytest.mark.parametrize("stream", ["", "--no-stream"])
def test_a_function_is_called_and_its_result_sent_in_every_dialect(
    kernel: Kernel, cloudflare: Standin, dialect: str, stream: str
) -> None:
    cloudflare.switch(dialect=dialect)
    cell = kernel.run(f"%%cfai --tools add --allow-tools {stream} -o sum7\nWhat is 3 + 4?")
    assert cell.ename == ""
    assert tool_results(cloudflare) == ["7"]
    assert "add(a=3, b=4) → 7" in cell.text
    assert "It is 7." in cell.text
    assert kernel.run("print(calls, sum7.text, sum7.tool_results[0].result)").text == (
        "[(3, 4)] It is 7. 7\n"
    )


def frame(calls: list[Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": {"tool_calls": calls}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


def native(calls: list[Any]) -> str:
    return f"data: {json.dumps({'response': '', 'tool_calls': calls})}\n\n"


def function_call(name: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


MULTIPLY = """
def multiply(a: int, b: int) -> int:
    calls.append(("multiply", a, b))
    return a * b
"""
SUMS = ('{"a": 1, "b": 2}', '{"a": 3, "b": 4}')
SEVERAL = {
    "one index, new ids": [frame([function_call("add", s, id=s, index=0)]) for s in SUMS],
    "no index, no ids": [frame([function_call("add", s)]) for s in SUMS],
    "one frame, null ids": [frame([function_call("add", s, id=None, index=0) for s in SUMS])],
    "native": [native([{"name": "add", "arguments": json.loads(s)}]) for s in SUMS],
}


@pytest.mark.parametrize("frames", SEVERAL.values(), ids=SEVERAL)
def test_each_call_in_an_answer_runs_exactly_once(
    kernel: Kernel, cloudflare: Standin, frames: list[str]
) -> None:
    last = native if "response" in frames[0] else frame
    end = [{"name": "multiply", "arguments": {"a": 5, "b": 6}}]
    kernel.run(MULTIPLY)
    cloudflare.switch(raw_stream=[*frames, last(end), "data: [DONE]\n\n"])
    cell = kernel.run("%%cfai --tools add,multiply --allow-tools\nHi")
    assert tool_results(cloudflare) == ["3", "7", "30"]
    assert "function calls: 3" in cell.html
    assert "empty" not in cell.text
    assert kernel.run("print(calls)").text == "[(1, 2), (3, 4), ('multiply', 5, 6)]\n"
    sent = cloudflare.requests[-1].json["messages"][1]["tool_calls"]
    assert len({each["id"] for each in sent}) == 3


def test_a_call_repeated_within_a_frame_runs_once(kernel: Kernel, cloudflare: Standin) -> None:
    both = json.loads(frame([function_call("add", SUMS[0], id="c1", index=0)])[6:])
    both |= {"response": "", "tool_calls": [{"name": "add", "arguments": json.loads(SUMS[0])}]}
    cloudflare.switch(raw_stream=[f"data: {json.dumps(both)}\n\n", "data: [DONE]\n\n"])
    kernel.run("%%cfai --tools add --allow-tools\nHi")
    assert kernel.run("print(calls)").text == "[(1, 2)]\n"


def test_a_call_with_invalid_json_is_reported_to_the_model(
    kernel: Kernel, cloudflare: Standin
) -> None:
    broken = [frame([function_call("add", '{"a": 1, "b": ', index=0)]), frame([], "stop")]
    cloudflare.switch(raw_stream=broken)
    cell = kernel.run("%%cfai --tools add --allow-tools\nHi")
    assert kernel.run("print(calls)").text == "[]\n"
    assert tool_results(cloudflare)[0].startswith(
        "Error: add was not called: the arguments are not valid JSON"
    )
    assert "It is 7." in cell.text
    assert "empty" not in cell.text
    sent = cloudflare.requests[-1].json["messages"][1]["tool_calls"]
    assert json.loads(sent[0]["function"]["arguments"]) == {}


def test_a_call_cut_by_max_tokens_ends_the_loop_with_a_note(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(raw_stream=[frame([function_call("add", '{"a": 1, "b": ')], "length")])
    cell = kernel.run("%%cfai --tools add --allow-tools\nHi")
    assert len(cloudflare.requests) == 1
    assert "tokens, in a call to add. Raise --max-tokens." in cell.text
    assert kernel.run("print(calls)").text == "[]\n"


def test_a_call_without_a_name_is_reported(kernel: Kernel, cloudflare: Standin) -> None:
    cloudflare.switch(raw_stream=[frame([{"function": {"arguments": "{}"}}], "stop")])
    cell = kernel.run("%%cfai --tools add --allow-tools\nHi")
    assert "The model's function call is not valid, so it was not run." in cell.text
    assert "empty" not in cell.text


def test_a_function_is_described_by_its_hints_and_docstring(
    kernel: Kernel, cloudflare: Standin
) -> None:
    kernel.run("%%cfai --tools add,broken --allow-tools\nHi")
    offered = [tool["function"] for tool in cloudflare.requests[0].json["tools"]]
    assert [each["name"] for each in offered] == ["add", "broken"]
    assert offered[0]["description"] == "Add two numbers."
    assert offered[0]["parameters"]["properties"]["a"] == {"type": "integer"}


def test_each_step_and_the_total_cost_are_shown(kernel: Kernel, cloudflare: Standin) -> None:
    before = cloudflare.billed
    cloudflare.switch(tool_steps=2)
    cell = kernel.run("%%cfai --tools add --allow-tools -o answer\nWhat is 3 + 4?")
    lines = cell.text.splitlines()
    assert [line.partition(" ")[0] for line in lines[:4]] == ["Step", "add(a=3,"] * 2
    assert "neurons billed" in lines[0]
    assert "the total of all steps (steps: 3, function calls: 2)." in cell.html
    neurons, basis, tokens = kernel.run(
        "print(answer.neurons, answer.cost_basis, answer.usage.prompt_tokens)"
    ).text.split()
    assert float(neurons) == pytest.approx(cloudflare.billed - before)
    assert basis == "billed"
    assert int(tokens) == sum(call.prompt_tokens for call in cloudflare.calls[-3:])


def test_the_user_approves_each_function_only_once(kernel: Kernel, cloudflare: Standin) -> None:
    running = kernel.start("%%cfai --tools add\nWhat is 3 + 4?", stdin=True)
    assert kernel.asked().startswith("Allow the model to call add(a=3, b=4)?")
    kernel.client.input("y")
    assert "add(a=3, b=4) → 7" in kernel.finish(running).text
    assert "add(a=3, b=4) → 7" in kernel.run("%%cfai --tools add\nAgain").text
    kernel.run(FUNCTIONS)
    running = kernel.start("%%cfai --tools add\nAnd now?", stdin=True)
    assert "add" in kernel.asked(), "a new function with the same name needs approval"
    kernel.client.input("yes")
    assert kernel.finish(running).ename == ""


def test_a_denied_call_does_not_run_and_is_reported_to_the_model(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(tool_calls=[ADD, ADD])
    running = kernel.start("%%cfai --tools add\nWhat is 3 + 4?", stdin=True)
    kernel.asked()
    kernel.client.input("")
    cell = kernel.finish(running)
    assert tool_results(cloudflare) == ["Error: the user did not allow this call"] * 2
    assert "It is 7." in cell.text
    assert kernel.run("print(calls)").text == "[]\n"


def test_without_user_input_an_error_suggests_allow_tools(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cell = kernel.run("%%cfai --tools add,broken\nHi")
    assert cell.ename == "SetupError"
    assert "Calls to add, broken need your approval" in cell.traceback[0]
    assert "--allow-tools" in cell.traceback[0]
    assert cloudflare.requests == ()


def test_errors_of_calls_are_sent_to_the_model_as_text(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(
        tool_calls=[
            {"name": "broken", "arguments": {}},
            {"name": "nothing", "arguments": {}},
            {"name": "add", "arguments": {"a": 3}},
            {"name": "add", "arguments": {"a": 3, "b": "four"}},
        ]
    )
    cell = kernel.run("%%cfai --tools add,broken --allow-tools\nHi")
    assert tool_results(cloudflare) == [
        "Error: ZeroDivisionError: no",
        "Error: there is no function 'nothing'; there are: add, broken",
        "Error: add was not called: missing a required argument: 'b'",
        "Error: add was not called: b: 'four' is no integer",
    ]
    assert cell.ename == ""


def test_a_long_result_is_truncated_with_a_note(kernel: Kernel, cloudflare: Standin) -> None:
    kernel.run("def add(a, b): return 'x' * 900\n%config Cfai.value_characters = 100")
    cell = kernel.run("%%cfai --tools add --allow-tools\nHi")
    kernel.run("%config Cfai.value_characters = 20000")
    assert tool_results(cloudflare)[0].endswith("[the first 100 of 900 characters]")
    assert "(only the first 100 of 900 characters were sent)" in cell.text


def test_a_model_that_keeps_calling_functions_is_stopped(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(tool_steps=99)
    cell = kernel.run("%%cfai --tools add --allow-tools --max-steps 3 -o part\nHi")
    assert cell.ename == "ToolStepsExceededError"
    assert "The model still calls add after 3 requests" in cell.traceback[0]
    assert len(cloudflare.requests) == 3
    assert kernel.run("print(len(calls), len(part.tool_results))").text == "2 2\n"
    kernel.run("%%cfai --tools add --allow-tools\nHi")
    assert len(cloudflare.requests) == 3 + 8


def test_an_interrupted_function_ends_the_loop_and_keeps_the_usage(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(tool_calls=[{"name": "slow", "arguments": {}}])
    running = kernel.start("%%cfai --tools slow --allow-tools -o part\nHi")
    kernel.until_shown(running, "asleep")
    cell = kernel.interrupt(running)
    assert cell.ename == "InterruptedAnswerError"
    assert "while a function was running" in cell.traceback[0]
    assert kernel.run("print(part.finish_reason, part.cost_basis)").text == "interrupted billed\n"


def test_a_failed_step_keeps_the_usage_of_earlier_steps(
    kernel: Kernel, cloudflare: Standin
) -> None:
    kernel.run(
        "def add(a, b):\n"
        "    import urllib.request, json, os\n"
        "    url = os.environ['CLOUDFLARE_API_BASE_URL'].split('/client')[0]\n"
        "    body = json.dumps({'error': 5006}).encode()\n"
        "    urllib.request.urlopen(urllib.request.Request(url + '/_standin/switches', body))\n"
        "    return 7"
    )
    before = cloudflare.billed
    cell = kernel.run("%%cfai --tools add --allow-tools -o part\nHi")
    assert cell.ename == "BadRequestError"
    assert float(kernel.run("print(part.neurons)").text) == pytest.approx(
        cloudflare.billed - before
    )
    cloudflare.switch(error=None)


def test_the_limit_of_a_cell_applies_to_all_steps_together(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(tool_steps=99, daily_neurons=10_000)
    before = cloudflare.billed
    cell = kernel.run("%%cfai --tools add --allow-tools --max-neurons 6\nHi")
    assert cell.ename == "BudgetExceededError"
    assert "No further request was sent." in cell.traceback[0]
    assert cloudflare.billed - before <= 6
    assert len(cloudflare.requests) > 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--tools nothing", "--tools: the function nothing is not defined"),
        ("--tools calls", "calls is not a function: its type is list"),
        ("--tools add,add", "A function is named twice"),
        ("--tools add -p tools=[]", "remove -p tools"),
        ("--tools 'add(1, 2)'", "is not a valid function name"),
        ("--tools add --schema add", "--tools and --schema can't be combined"),
        ("--tools add -n 2", "--tools works only with a single answer"),
        ("--tools add --max-steps 0", "--max-steps must be at least 1, not 0"),
        ("--allow-tools", "--allow-tools and --max-steps require --tools"),
        ("--max-steps 3", "--allow-tools and --max-steps require --tools"),
        (
            "--tools add -m gemma-2b-it-lora",
            "gemma-2b-it-lora can't call functions.\nModels that can: ",
        ),
    ],
)
def test_invalid_options_are_rejected_before_sending(
    kernel: Kernel, cloudflare: Standin, line: str, message: str
) -> None:
    allow = " --allow-tools" if line.startswith("--tools") else ""
    schema = "add = {'type': 'object'}" if "--schema" in line else "pass"
    kernel.run(schema)
    cell = kernel.run(f"%%cfai {line}{allow}\nHi")
    assert message in cell.traceback[0]
    assert len(cell.traceback) == 1
    assert cloudflare.requests == ()


def test_a_dry_run_shows_the_functions_of_the_first_request(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cell = kernel.run("%%cfai --tools add --dry-run\nHi")
    assert '"name": "add"' in cell.text
    assert "functions" in cell.text
    assert "This is the first of at most 8 requests: each function call adds one." in cell.text
    assert cloudflare.requests == ()


def test_the_sent_prompt_includes_functions_and_calls(kernel: Kernel) -> None:
    kernel.run("%%cfai --tools add --allow-tools\nWhat is 3 + 4?")
    table = kernel.run("%cfai sent").text
    kinds = [line.split()[0] for line in table.splitlines()[1:5]]
    assert kinds == ["cell", "functions", "function", "answer"]


def test_a_thread_saves_only_the_prompt_and_the_final_answer(
    kernel: Kernel, cloudflare: Standin
) -> None:
    kernel.run("%%cfai -c sums --tools add --allow-tools\nWhat is 3 + 4?")
    kernel.run("%%cfai -c sums\nAnd why?")
    sent = cloudflare.requests[-1].json["messages"]
    assert [each["content"] for each in sent] == ["What is 3 + 4?", "It is 7.", "And why?"]


def test_the_shell_rejects_the_tools_option(
    account: Standin, home: object, capsys: pytest.CaptureFixture[str]
) -> None:
    from cfai_magics.cli import main

    assert main(["ask", "--tools", "add", "Hi"]) == 1
    assert "A shell has no Python functions to call" in capsys.readouterr().err


def test_a_busy_model_is_retried_in_later_steps(kernel: Kernel, cloudflare: Standin) -> None:
    cloudflare.switch(error=Fault.of(3040), errors_before_success=1)
    assert "It is 7." in kernel.run("%%cfai --tools add --allow-tools\nHi").text
    assert json.dumps(cloudflare.requests[-1].json).count("tool_call_id") == 1


def test_the_approval_prompt_and_the_step_line_show_all_arguments(
    kernel: Kernel, cloudflare: Standin
) -> None:
    kernel.run("def save(text: str, path: str) -> int:\n    return len(text)")
    arguments = {"text": "a" * 2100, "path": "/etc/passwd   --force\u202e", "more": 1}
    cloudflare.switch(tool_calls=[{"name": "save", "arguments": arguments}])
    running = kernel.start("%%cfai --tools save\nSave it", stdin=True)
    approval_prompt = kernel.asked()
    kernel.client.input("y")
    cell = kernel.finish(running)
    expected = r"…(2,100 characters), path='/etc/passwd   --force\u202e', more=1)"
    assert expected in approval_prompt
    assert expected in cell.text
    assert "--force" in "".join(cell.mime("text/html"))
    assert "/etc/passwd &nbsp; --force" in "".join(cell.mime("text/html"))
