"""Test `%%cfai` in a real kernel against the stand-in."""

from collections.abc import Iterator

import pytest

from tests.kernels import Kernel
from tests.standin import Fault, Standin, Switches

ANSWER = "# Sky\n\nBlue *scatters* most.\n"
PROMPT = (
    '{"a": 1}\n  const f = (x: {y: number}) => `${x.y}`;\n$\\frac{1}{2}$ {% raw %} it\'s "so"\n'
)


@pytest.fixture
def cloudflare(module_cloudflare: Standin) -> Standin:
    module_cloudflare.clear()
    module_cloudflare.switches = Switches(answer=ANSWER)
    return module_cloudflare


@pytest.fixture
def kernel(module_kernel: Kernel, cloudflare: Standin) -> Iterator[Kernel]:
    yield module_kernel
    module_kernel.run("%cfai budget reopen")


def test_an_answer_is_one_markdown_output_and_one_footer(kernel: Kernel) -> None:
    cell = kernel.run("%%cfai\nWhy is the sky blue?")
    answer, footer = cell.outputs
    assert answer["data"] == {"text/markdown": ANSWER, "text/plain": ANSWER}
    assert "neurons billed" in footer["data"]["text/plain"]
    assert footer["data"]["text/plain"].startswith("gemma-4-26b-a4b-it · ")


def test_the_answer_reports_the_billed_neurons(kernel: Kernel, cloudflare: Standin) -> None:
    before = cloudflare.billed
    kernel.run("%%cfai\nWhy?")
    assert kernel.run("print(_cfai.neurons, _cfai.cost_basis)").text.split() == [
        str(cloudflare.billed - before),
        "billed",
    ]


@pytest.mark.parametrize("end", ["", "\n", "\n\n", " \n", "\r\n"], ids=repr)
def test_the_prompt_is_sent_as_typed_up_to_its_last_character(
    kernel: Kernel, cloudflare: Standin, end: str
) -> None:
    kernel.run(f"%%cfai\n{PROMPT}{end}")
    assert cloudflare.requests[-1].json["messages"] == [
        {"role": "user", "content": PROMPT.rstrip()}
    ]


def test_a_cell_sends_only_the_required_fields(kernel: Kernel, cloudflare: Standin) -> None:
    kernel.run("%%cfai\nHi")
    received = cloudflare.requests[-1]
    assert received.path.endswith("/ai/v1/chat/completions")
    assert received.json == {
        "model": "@cf/google/gemma-4-26b-a4b-it",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 2048,
        "stream": True,
        "chat_template_kwargs": {"enable_thinking": False},
    }


def test_every_option_reaches_the_request(kernel: Kernel, cloudflare: Standin) -> None:
    line = (
        '-m llama-3.2-3b-instruct -s "Don\'t shout" -t 0.5 --max-tokens 9 --top-p 0.9 --seed 7 '
        "--stop END --stop it's -p top_k=40 -p note=text --no-stream"
    )
    kernel.run(f"%%cfai {line}\nHi")
    assert cloudflare.requests[-1].json == {
        "model": "@cf/meta/llama-3.2-3b-instruct",
        "messages": [
            {"role": "system", "content": "Don't shout"},
            {"role": "user", "content": "Hi"},
        ],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["END", "it's"],
        "stream": False,
        "top_k": 40,
        "note": "text",
    }


def test_the_answer_is_stored_in_both_variables(kernel: Kernel) -> None:
    kernel.run("%%cfai -o why\nWhy?")
    shown = kernel.run("print(why is _cfai, why.model, why.finish_reason); why")
    assert shown.outputs[0]["text"] == "True @cf/google/gemma-4-26b-a4b-it stop\n"
    assert shown.mime("text/markdown") == [ANSWER]


def test_reasoning_is_shown_folded_above_the_answer(kernel: Kernel, cloudflare: Standin) -> None:
    cloudflare.switch(thought="First, <light>.")
    cell = kernel.run("%%cfai --think\nWhy?")
    assert cloudflare.requests[-1].json["chat_template_kwargs"] == {"enable_thinking": True}
    reasoning, answer, _ = (output["data"] for output in cell.outputs)
    assert "First, &lt;light&gt;." in reasoning["text/html"]
    assert answer["text/markdown"] == ANSWER


def test_format_text_prints_the_text_and_raw_prints_the_json(
    kernel: Kernel, cloudflare: Standin
) -> None:
    text, footer = kernel.run("%%cfai -f text\nWhy?").outputs
    assert text["text"] == f"{ANSWER}\n"
    assert "neurons billed" in footer["data"]["text/plain"]
    raw = kernel.run("%%cfai -f raw --footer off\nWhy?").outputs
    assert len(raw) == 1
    assert '"chat.completion"' in raw[0]["text"]
    assert cloudflare.requests[-1].json["stream"] is False


def test_an_answer_in_a_loop_leaves_the_rest_of_the_cell_alone(kernel: Kernel) -> None:
    cell = kernel.run(
        "for n in range(2):\n"
        "    print('question', n)\n"
        "    get_ipython().run_cell_magic('cfai', '--footer short', 'Why?')\n"
    )
    assert [output.get("text", "answer") for output in cell.outputs] == [
        *("question 0\n", "answer", "answer"),
        *("question 1\n", "answer", "answer"),
    ]


@pytest.mark.parametrize(
    ("code", "ename", "message"),
    [
        ("%%cfai --nonsense\nHi", "InvalidOptionError", "unrecognized arguments: --nonsense"),
        ("%%cfai stray words\nHi", "InvalidOptionError", "stray words"),
        ("%%cfai -m nosuchmodel\nHi", "ModelNotFoundError", "nosuchmodel"),
        (
            "%%cfai -m gemma-4-26b-a4b\nHi",
            "ModelNotFoundError",
            "Did you mean gemma-4-26b-a4b-it",
        ),
        ("%%cfai --temprature 0\nHi", "InvalidOptionError", "Did you mean --temperature?"),
        ("%cfai modles", "InvalidOptionError", "Did you mean %cfai models?"),
        ("%%cfai -p x\nHi", "InvalidOptionError", "K=V"),
        ("%%cfai -p model=x\nHi", "InvalidOptionError", "Use -m"),
        ("%%cfai -o not-a-name\nHi", "InvalidOptionError", "not a valid variable name"),
        ("%%cfai -o class\nHi", "InvalidOptionError", "not a valid variable name"),
        ("%%cfai -t nan\nHi", "InvalidOptionError", "--temperature nan is out of range"),
        ("%%cfai -p min_p=-Infinity\nHi", "InvalidOptionError", "infinity"),
        ("%%cfai --max-tokens 0\nHi", "InvalidOptionError", "--max-tokens 0 is too small"),
        ("%%cfai -t hot\nHi", "InvalidOptionError", "'hot' is not a number"),
        ("%%cfai\n \n", "InvalidOptionError", "The prompt is empty"),
        ("%%cfai --plain -f json\nHi", "InvalidOptionError", "--plain works only if"),
        ("%%cfai --plain -f json -n 2\nHi", "InvalidOptionError", "--plain works only if"),
        ("%cfai nonsense", "InvalidOptionError", "%cfai help lists the commands"),
        ("%cfai use", "InvalidOptionError", "the following arguments are required: model"),
    ],
)
def test_invalid_input_gives_a_two_line_error_and_sends_nothing(
    kernel: Kernel, cloudflare: Standin, code: str, ename: str, message: str
) -> None:
    cell = kernel.run(code)
    assert cell.ename == ename
    assert len(cell.traceback) == 1
    assert message in cell.traceback[0]
    assert cell.outputs == []
    assert cloudflare.requests == ()


def test_a_rejected_request_fails_the_cell_with_a_two_line_error(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(error=Fault.of(4006))
    cell = kernel.run("%%cfai\nHi")
    assert cell.ename == "DailyQuotaError"
    assert len(cell.traceback) == 1
    assert "00:00 UTC" in cell.traceback[0]
    assert "%cfai local" in cell.traceback[0]
    assert len(cloudflare.requests) == 1


def test_an_unknown_model_error_suggests_similar_names(kernel: Kernel) -> None:
    cell = kernel.run("%%cfai -m @cf/google/gemma-4-26b-a4b-i\nHi")
    assert cell.ename == "ModelNotFoundError"
    assert "Did you mean gemma-4-26b-a4b-it" in cell.traceback[0]


def test_an_incomplete_stream_keeps_its_text_and_fails_the_cell(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(done=False, finish_reason="")
    cell = kernel.run("%%cfai -o cut\nHi")
    assert cell.ename == "IncompleteStreamError"
    answer, footer = cell.outputs
    assert answer["data"]["text/markdown"] == ANSWER
    assert "The response ended early." in footer["data"]["text/plain"]
    assert kernel.run("print(cut.text, end='')").text == ANSWER


def test_an_interrupt_closes_the_connection_and_keeps_the_text(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(answer="word " * 5_000, tokens_per_second=50)
    before = cloudflare.disconnects
    running = kernel.start("%%cfai\nGo on")
    kernel.until_shown(running, "word word")
    cell = kernel.interrupt(running)
    assert cell.ename == "InterruptedAnswerError"
    assert len(cell.traceback) == 1
    assert cell.traceback == [
        "InterruptedAnswerError: Interrupted.\nThe partial answer is in _cfai."
    ]
    assert "Interrupted" not in cell.text
    assert "neurons estimated" in cell.text
    assert cloudflare.wait_for(lambda c: c.disconnects > before), "the connection is still open"
    cloudflare.switch(answer=ANSWER, tokens_per_second=0)
    assert (
        kernel.run("print(_cfai.finish_reason, _cfai.text[:9])").text == "interrupted word word\n"
    )
    assert kernel.run("%%cfai\nHi").mime("text/markdown") == [ANSWER]


def test_an_interrupt_before_the_first_word_is_reported(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(delay_before_first=30.0)
    running = kernel.start("%%cfai\nHi")
    assert cloudflare.wait_for(lambda c: c.requests != ())
    cell = kernel.interrupt(running)
    assert cell.ename == "InterruptedAnswerError"
    assert "before any text was received" in cell.traceback[0]
    assert "Interrupted" not in cell.text


def test_an_interrupted_command_shows_one_message(kernel: Kernel, cloudflare: Standin) -> None:
    cloudflare.switch(delay_before_headers=300)
    running = kernel.start("%cfai models --refresh")
    assert cloudflare.wait_for(lambda server: server.requests != ())
    cell = kernel.interrupt(running)
    assert cell.traceback == ["InterruptedAnswerError: Interrupted.\nRun the cell again."]
    assert cell.outputs == []


def test_an_interrupt_between_retries_removes_the_retry_message(
    kernel: Kernel, cloudflare: Standin
) -> None:
    cloudflare.switch(error=Fault.of(3040), retry_after="50")
    running = kernel.start("%%cfai\nHi")
    kernel.until_shown(running, "Capacity temporarily exceeded, please try again; attempt 2")
    cell = kernel.interrupt(running)
    assert "attempt 2" not in cell.text
    assert "No answer received." in cell.text


def test_the_help_lists_the_options(kernel: Kernel) -> None:
    assert kernel.run("%cfai models -h").text.startswith("usage: %cfai models")
    assert kernel.run("%cfai login --help").text.startswith("usage: %cfai login")
    assert "list the commands" in kernel.run("%cfai -h").text
    payload = kernel.client.execute_interactive("%%cfai?", timeout=60, output_hook=lambda _: None)
    text = payload["content"]["payload"][0]["data"]["text/plain"]
    assert "--max-tokens" in text
    assert "Send the cell's text" in text
    assert "%%cfai [options]" in text
    assert text.count("\n  %%cfai") == 2, "two examples"


def test_commands_show_tables(kernel: Kernel, cloudflare: Standin) -> None:
    status = kernel.run("%cfai").text
    (account,) = (line for line in status.splitlines() if line.startswith("account"))
    assert account.split(maxsplit=2)[1:] == [f"…{cloudflare.account_id[-4:]}", "the environment"]
    assert cloudflare.account_id not in status
    models = kernel.run("%cfai models gemma-4 vision")
    assert "gemma-4-26b-a4b-it" in models.text
    assert "<table>" in models.mime("text/html")[0]
    use = kernel.run("%cfai use llama-3.2-3b-instruct").text
    assert "@cf/meta/llama-3.2-3b-instruct" in use
    kernel.run("%%cfai\nHi")
    assert cloudflare.requests[-1].json["model"] == "@cf/meta/llama-3.2-3b-instruct"
    kernel.run("%config Cfai.model = 'gemma-4-26b-a4b-it'")
    kernel.run("%%cfai\nHi")
    assert cloudflare.requests[-1].json["model"] == "@cf/google/gemma-4-26b-a4b-it"


def test_the_python_interface_uses_the_same_session(kernel: Kernel, cloudflare: Standin) -> None:
    cell = kernel.run(
        "from cfai_magics import ask, embed, stream\n"
        "print(ask('Hi', model='llama-3.2-3b-instruct', max_tokens=5).model)\n"
        "with stream('Hi') as pieces:\n    print(''.join(pieces) == pieces.answer.text)\n"
        "print(len(embed(map(str, range(250))).vectors))\n"
    )
    assert cell.traceback == []
    assert cell.text.split() == ["@cf/meta/llama-3.2-3b-instruct", "True", "250"]
    assert [len(r.json["input"]) for r in cloudflare.requests[-3:]] == [100, 100, 50]


def test_code_is_shown_and_offered_in_a_new_cell(kernel: Kernel, cloudflare: Standin) -> None:
    cloudflare.switch(answer="```python\nx = 1\n```")
    reply = kernel.client.execute_interactive(
        "%%cfai -f code\nOne.", timeout=60, output_hook=lambda _: None
    )
    (payload,) = reply["content"]["payload"]
    assert payload["source"] == "set_next_input"
    assert (payload["text"], payload["replace"]) == ("x = 1", False)
    assert "nothing else" in cloudflare.requests[-1].json["messages"][0]["content"]
    cell = kernel.run("%%cfai -f code\nOne.")
    assert cell.mime("text/markdown") == ["```python\nx = 1\n```"]
    assert "copy the code from here" in cell.text
    assert kernel.run("'x' in dir()").text == "False", "the code was executed"


def test_the_panel_has_widgets_and_a_text_form(kernel: Kernel, cloudflare: Standin) -> None:
    cell = kernel.run("%cfai panel")
    assert cell.mime("application/vnd.jupyter.widget-view+json")
    assert "of 10,000 neurons used" in cell.text
    assert kernel.run("import cfai_magics; cfai_magics.panel() is _").text == "True"
    assert kernel.run("cfai_magics.panel().close(); get_ipython().ev('1')").ename == ""


def test_json_and_the_first_code_block_are_parsed(kernel: Kernel, cloudflare: Standin) -> None:
    cloudflare.switch(answer='```json\n{"a": [1]}\n```')
    kernel.run("%%cfai -f json -o found\nOne.")
    assert kernel.run("found.parsed == found.json() == {'a': [1]}").text == "True"
    cloudflare.switch(answer="Nothing of the kind.")
    cell = kernel.run("%%cfai -f json\nOne.")
    assert cell.mime("text/markdown") == ["Nothing of the kind."]
    assert "The answer is not valid JSON" in cell.text
    cloudflare.switch(answer="So:\n```sql\nselect 1\n```\nDone.")
    cell = kernel.run("%%cfai -x -o query\nOne.")
    assert cell.mime("text/markdown") == ["```sql\nselect 1\n```"]
    assert kernel.run("print(query.parsed, end='')").text == "select 1\n"
    assert "messages" in cloudflare.requests[-1].json
    assert len(cloudflare.requests[-1].json["messages"]) == 1, "-x adds no instruction"
