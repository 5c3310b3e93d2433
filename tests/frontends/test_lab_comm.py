"""Test the comm to JupyterLab with a real kernel: its messages, without secrets."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from cfai_magics.chat.options import ASK_OPTIONS
from cfai_magics.commands import COMMANDS
from cfai_magics.frontends.lab_comm import HANDLERS, PROTOCOL_VERSION, TARGET_NAME
from tests.canaries import class_key, token
from tests.class_server import ClassServer
from tests.kernels import PATIENCE, Kernel, running_kernel
from tests.standin import Standin

pytestmark = pytest.mark.slow

CONTRACT = json.loads(
    (Path(__file__).parents[1] / "contract" / "messages.json").read_text(encoding="utf-8")
)
FROM_KERNEL: dict[str, Any] = CONTRACT["from_kernel"]
TO_KERNEL: dict[str, Any] = CONTRACT["to_kernel"]
MODEL = "@cf/google/gemma-4-26b-a4b-it"


class Page:
    """The comm of one JupyterLab page."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.sent: list[Any] = []
        self.received: list[tuple[str, dict[str, Any]]] = []

    def send(self, data: Any) -> None:
        self.sent.append(data)
        content = {"comm_id": TARGET_NAME, "data": data}
        client = self.kernel.client
        client.shell_channel.send(client.session.msg("comm_msg", content))

    def ask(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Send a message; return the response with its id, or after a hello the next state."""
        self.send(data)
        message_id = data.get("id")
        while True:
            kind, response = self.next()
            if kind == "comm_msg" and response.get("id") == message_id:
                return response

    def next(self) -> tuple[str, dict[str, Any]]:
        while True:
            if self._receive(self.kernel.client.get_iopub_msg(timeout=PATIENCE)):
                return self.received[-1]

    def _receive(self, message: Mapping[str, Any]) -> bool:
        """Store a message of this comm; return False for other messages, such as of widgets."""
        content = message["content"]
        if content.get("comm_id") != TARGET_NAME:
            return False
        self.received.append((message["msg_type"], content["data"]))
        return True

    def run(self, code: str) -> list[dict[str, Any]]:
        """Run a cell; return the comm messages received meanwhile."""
        before, message_id = len(self.received), self.kernel.client.execute(code)
        while True:
            message = self.kernel.client.get_iopub_msg(timeout=PATIENCE)
            self._receive(message)
            if message["parent_header"].get("msg_id") != message_id:
                continue
            assert message["msg_type"] != "error", message["content"]
            if message["content"].get("execution_state") == "idle":
                return [data for _, data in self.received[before:]]


@pytest.fixture
def page(account: Standin) -> Iterator[Page]:
    with running_kernel() as kernel:
        yield Page(kernel)


def shape(value: Any) -> Any:
    """Return the structure of a message: names and types, without the values."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if type(value) in (int, float) else type(value).__name__


def test_the_comm_opens_and_closes_with_the_extension(page: Page) -> None:
    hello = FROM_KERNEL["hello"]
    for _ in range(2):
        assert page.run("%load_ext cfai_magics") == [hello]
        assert page.received[-1][0] == "comm_msg"
        page.run("%unload_ext cfai_magics")
        assert page.received[-1][0] == "comm_close"
    page.run("import comm; assert not comm.get_comm_manager().comms")
    page.run("%load_ext cfai_magics")
    page.run("%reload_ext cfai_magics")
    assert [kind for kind, _ in page.received[-2:]] == ["comm_close", "comm_msg"]
    assert page.ask(TO_KERNEL["hello"])["type"] == "state"


def test_nbclient_reports_no_unknown_comm(
    account: Standin, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [
        "%load_ext cfai_magics",
        "%%cfai\nHi",
        "%reload_ext cfai_magics",
        "%unload_ext cfai_magics",
    ]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources)))
    NotebookClient(notebook, kernel_name="python3").execute()
    assert notebook.cells[1].outputs
    assert "comm" not in caplog.text


def test_every_message_matches_the_contract(page: Page, account: Standin) -> None:
    page.run("%load_ext cfai_magics")
    page.run("%%cfai\nWhy?")
    page.run("%cfai usage --account")
    page.run("%cfai budget 2000")
    responses = {name: page.ask(message) for name, message in TO_KERNEL.items() if name != "hello"}
    responses["state"] = page.ask(TO_KERNEL["hello"])
    responses["refused"] = page.ask({"version": PROTOCOL_VERSION, "type": "nonsense", "id": "a-5"})
    assert set(responses) == set(FROM_KERNEL) - {"hello"}
    assert set(TO_KERNEL) - {"hello"} == set(HANDLERS)
    listed = responses["models"]["models"]
    responses["models"]["models"] = [model for model in listed if model["name"] == MODEL]
    for name, message in responses.items():
        assert shape(message) == shape(FROM_KERNEL[name]), name
    assert responses["state"]["day"]["billed"] == pytest.approx(account.billed)
    assert sum(responses["today"]["hours"]) == pytest.approx(account.billed)
    assert responses["today"]["models"][0]["name"] == MODEL
    assert responses["today"]["budgets"][0]["neurons"] == 2000


def test_a_student_receives_the_class_budget(page: Page, account: Standin) -> None:
    with ClassServer(account) as server:
        key = server.add_student("Ada", budget=300)
        server.chat(key)  # on another device
        elsewhere = server.settled(key)["spent"]
        environ = {"CFAI_CLASS_SERVER": server.url, "CFAI_API_KEY": key}
        page.run(f"import os\nos.environ.update({environ})\n%load_ext cfai_magics")
        state = page.ask(TO_KERNEL["hello"])
        assert (state["payer"], state["day"]) == ("class", None), "the budget is not known yet"
        page.run("%%cfai\nWhy?")
        page.run("%cfai budget 400")
        today = page.ask(TO_KERNEL["today"])
        state = page.ask(TO_KERNEL["hello"])
    assert shape(state) == shape(CONTRACT["state_of_a_student"])
    assert state["payer"] == "class"
    assert (state["day"]["limit"], state["day"]["source"]) == (300, "class")
    assert state["day"]["elsewhere"] == pytest.approx(elsewhere)
    assert shape(today) == shape(FROM_KERNEL["today"])
    assert [(each["source"], each["neurons"]) for each in today["budgets"]] == [
        ("user", 400),
        ("class", 300),
    ]


def test_unknown_versions_and_message_types_are_ignored_or_refused(page: Page) -> None:
    page.run("%load_ext cfai_magics")
    for invalid in CONTRACT["ignored"]:
        page.send(invalid)
    page.send({**TO_KERNEL["today"], "version": 2})
    for name in ("use", "estimate", "complete"):
        invalid = {"version": PROTOCOL_VERSION, "type": name, "id": f"invalid {name}"}
        assert page.ask(invalid)["type"] == "refused"
    assert page.ask(TO_KERNEL["hello"])["type"] == "state"


def test_the_usage_increases_while_an_answer_streams(page: Page, account: Standin) -> None:
    page.run("%load_ext cfai_magics")
    page.ask(TO_KERNEL["hello"])
    account.switch(answer="word " * 300, tokens_per_second=150)
    states = page.run("%%cfai\nTell a story.")
    running = [state["day"]["running"] for state in states]
    assert len(set(running)) >= 3
    assert running[-1] == 0
    used = [sum(state["day"][part] for part in ("billed", "running")) for state in states[:-1]]
    assert used == sorted(used)
    assert states[-1]["day"]["billed"] == pytest.approx(account.billed)


def test_a_later_page_receives_the_state_immediately(page: Page) -> None:
    page.run("%load_ext cfai_magics")
    state = page.ask(TO_KERNEL["hello"])
    assert page.ask(TO_KERNEL["hello"]) == state


def test_a_model_selected_in_the_page_is_the_kernel_default(page: Page, account: Standin) -> None:
    page.run("%load_ext cfai_magics")
    page.ask(TO_KERNEL["hello"])
    selected = "@cf/meta/llama-3.2-1b-instruct"
    page.ask({**TO_KERNEL["use"], "model": selected})
    assert page.received[-2][1]["model"] == selected, "all pages receive the state"
    page.run("%%cfai\nHi")
    assert account.requests[-1].json["model"] == selected
    assert page.ask({**TO_KERNEL["use"], "model": "no-such"})["type"] == "refused"


def test_all_requests_return_one_panel_that_closes_with_the_extension(page: Page) -> None:
    page.run("from comm import get_comm_manager")
    page.run("%load_ext cfai_magics")
    view = page.ask(TO_KERNEL["panel"])["view"]
    assert page.ask(TO_KERNEL["panel"])["view"] == view
    is_open = f"{view['model_id']!r} in get_comm_manager().comms"
    page.run(f"assert {is_open}")
    page.run("%unload_ext cfai_magics")
    page.run(f"assert not {is_open}")


def test_messages_are_in_the_language_of_the_page(page: Page, account: Standin) -> None:
    page.run("%load_ext cfai_magics")
    page.ask({**TO_KERNEL["hello"], "locale": "zh_CN"})
    request = {**TO_KERNEL["use"], "model": "no-such"}
    chinese = page.ask(request)["why"]
    page.ask(TO_KERNEL["hello"])
    english = page.ask(request)["why"]
    assert "no-such" in chinese
    assert "模型" in chinese
    assert "模型" not in english


def test_a_course_limits_the_models_of_the_page(page: Page, tmp_path: Path) -> None:
    (tmp_path / "cfai.toml").write_text('allowed_models = ["gemma-4-26b-a4b-it"]\n')
    page.run(f"import os; os.chdir({str(tmp_path)!r})")
    page.run("%load_ext cfai_magics")
    listed = page.ask(TO_KERNEL["models"])["models"]
    assert [model["name"] for model in listed] == [MODEL]
    request = {**TO_KERNEL["use"], "model": "@cf/meta/llama-3.2-1b-instruct"}
    response = page.ask(request)
    assert response["type"] == "refused"
    assert "cfai.toml allows only" in response["why"]


def test_no_token_account_or_prompt_is_sent_over_the_comm(page: Page, account: Standin) -> None:
    canary, other = f"canary{token()}", token()
    page.run("%load_ext cfai_magics")
    page.ask(TO_KERNEL["hello"])
    account.switch(answer=f"The answer {canary}.")
    page.run(f"secret = {canary!r}")
    page.run(f"%%cfai -s 'Keep {canary}' -c {canary} -o out\nWhy {canary}? {{{{secret}}}}")
    page.run(f"%config Cfai.system = {canary!r}")
    page.run(f"get_ipython().run_line_magic('config', 'Cfai.model = \"{other}\"')")
    for message in TO_KERNEL.values():
        page.ask(message)
    page.run("%cfai logout")
    messages = json.dumps([page.received, page.sent])
    assert "billed" in messages
    for secret in (account.token, account.account_id, canary, other):
        assert secret not in messages
    assert "canary" not in messages


def test_an_estimate_runs_no_code_of_the_cell(page: Page, account: Standin, home: Path) -> None:
    page.run("%load_ext cfai_magics")
    page.ask(TO_KERNEL["hello"])
    page.run(
        "calls = []\n"
        "class Canary:\n"
        "    def __getattribute__(self, name): calls.append(name)\n"
        "def boom(*_): calls.append('boom')\n"
        "canary = Canary()\n"
        "before = {**globals()}"
    )
    line = "-s '{boom()} {{boom()}} $canary' -c {boom()} --image canary --image boom() -o canary"
    source = f"%%cfai {line} -p k={{boom()}}\n{{{{boom()}}}} {{boom()}} $canary {{{{canary.x}}}}"
    response = page.ask({**TO_KERNEL["estimate"], "source": source})
    assert response["estimate"]["expressions"]
    for other in ("--schema canary", "--tools boom", "--tools canary.x", "--task image"):
        request = {**TO_KERNEL["estimate"], "source": f"%%cfai {other}\n{{{{boom()}}}}"}
        assert page.ask(request)["estimate"] is None
    page.run(
        "assert calls == []\n"
        "assert canary is before['canary'] and '_cfai' not in globals()\n"
        "assert not any('%%cfai' in source for source in In[:-1])"
    )
    assert account.requests == ()
    assert not (home / "threads.sqlite").exists()


def test_an_estimate_returns_no_text_of_the_cell(page: Page) -> None:
    page.run("%load_ext cfai_magics")
    canary = "canary7b1f"
    for line in (
        "",
        f"-s {canary}",
        f"--{canary}",
        f"-m {canary}",
        f"-n {canary}",
        f"-f {canary}",
    ):
        source = f"%%cfai {line}\n{canary} {{{{{canary}}}}}"
        response = page.ask({**TO_KERNEL["estimate"], "source": source})
        assert response["type"] == "estimate"
    assert canary not in json.dumps(page.received)


def test_a_page_receives_the_completions_of_the_kernel(page: Page) -> None:
    page.run("%load_ext cfai_magics")
    page.run("def tool(): 'Return the forecast.'\ndef töööl(): 'Return it.'\nshape = {}")
    page.run("%%cfai -c 'a lesson'\nWhy?")
    for line in (
        "%cfai ",
        "%cfai thread ",
        "answer = %cfai use gem",
        "%%cfai -",
        "%%cfai --footer=",
        "%%cfai -m gemma-4",
        "%%cfai --tools tool,",
        "%%cfai --schema ",
        "%%cfai --image ",
        "%%cfai -c=",
    ):
        response = page.ask({**TO_KERNEL["complete"], "line": line})
        content = page.kernel.client.complete(line, reply=True, timeout=PATIENCE)["content"]
        types = content["metadata"]["_jupyter_types_experimental"]
        assert types, line
        assert [(item["text"], item["type"]) for item in response["items"]] == [
            (each["text"], each["type"]) for each in types
        ]
        assert all(item["description"] for item in response["items"]), line
        assert response["length"] == content["cursor_end"] - content["cursor_start"], line


def test_completions_have_complete_descriptions(page: Page) -> None:
    page.run("%load_ext cfai_magics")
    page.run("def tool():\n    'Return the forecast.\\nMore.'")
    expected = {
        "%cfai ": list(COMMANDS.values()),
        "%%cfai ": [option.argparse_kwargs["help"] for option in ASK_OPTIONS],
        "%%cfai --tools ": ["Return the forecast."],
        "%%cfai -m gemma-4": ["9.1 → 27.3 neurons/1k"],
    }
    for line, descriptions in expected.items():
        response = page.ask({**TO_KERNEL["complete"], "line": line})
        assert [item["description"] for item in response["items"]] == descriptions


def test_other_lines_have_no_completions_in_a_page(page: Page) -> None:
    page.run("%load_ext cfai_magics")
    for line in ("", "%%cfai", "# %cfai ", "f(%cfai ", "print(1)", "%%cfai -m nosuchmodel"):
        response = page.ask({**TO_KERNEL["complete"], "line": line})
        assert (response["type"], response["items"]) == ("complete", []), line


def test_a_completion_runs_no_code_of_the_line(page: Page, account: Standin, home: Path) -> None:
    page.run("%load_ext cfai_magics")
    page.run(
        "calls = []\n"
        "class Canary:\n"
        "    def __getattribute__(self, name): calls.append(name)\n"
        "def boom(*_): calls.append('boom')\n"
        "canary = Canary()\n"
        "before = {**globals()}"
    )
    words = "-s '{boom()} {{boom()}} $canary' -o canary"
    for end in (
        "-m {boom()}",
        "--image ",
        "--schema ",
        "--tools boom,",
        "-c ",
        "--",
        "{{boom()}}",
    ):
        response = page.ask({**TO_KERNEL["complete"], "line": f"%%cfai {words} {end}"})
        assert response["type"] == "complete"
    page.run(
        "assert calls == []\n"
        "assert canary is before['canary'] and '_cfai' not in globals()\n"
        "assert not any('%%cfai' in source for source in In[:-1])"
    )
    assert account.requests == ()
    assert not (home / "threads.sqlite").exists()


@pytest.mark.parametrize("make_token", [token, class_key])
def test_completions_in_a_page_have_no_tokens(page: Page, make_token: Callable[[], str]) -> None:
    secret = make_token().replace("-", "_")
    page.run("%load_ext cfai_magics")
    page.run(f"def first(): 'Use {secret}.'\ndef second(): 'Return it.'\n{secret} = second")
    items = page.ask({**TO_KERNEL["complete"], "line": "%%cfai --tools "})["items"]
    assert [item["text"] for item in items] == ["first", "second"]
    assert page.ask({**TO_KERNEL["complete"], "line": f"%%cfai --tools {secret},"})["items"] == []
    assert secret not in json.dumps(page.received)
