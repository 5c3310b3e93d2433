"""The quickstarts are one in two languages, and what they show beside `%%cfai` works as typed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any

import nbformat
import pytest

from tests.kernels import running_kernel
from tests.notebooks import NOTEBOOKS
from tests.standin import Standin

pytestmark = pytest.mark.slow

QUICKSTARTS = [path for path in NOTEBOOKS if path.stem.startswith("quickstart")]
CLOUDFLARE = "https://api.cloudflare.com/client/v4"
ANSWER = "- *Rayleigh* 散射"

each_quickstart = pytest.mark.parametrize("path", QUICKSTARTS, ids=lambda path: path.stem)
needs_curl = pytest.mark.skipif(which("curl") is None, reason="this machine has no curl")


def cells(path: Path) -> list[nbformat.NotebookNode]:
    return list(nbformat.read(path, as_version=4).cells)


def fenced(path: Path, language: str, begin: str) -> str:
    """Return the one block of code in this language that begins so."""
    text = "\n".join(cell.source for cell in cells(path))
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if block.startswith(begin)]
    return str(found)


def led_to(server: Standin, text: str) -> str:
    """Return a block that asks the stand-in instead of Cloudflare."""
    assert text.count(CLOUDFLARE) == 1
    return text.replace(CLOUDFLARE, server.base_url)


def printed(*command: str) -> str:
    """Run a program as the reader of the notebook would, and return what it printed."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": programs, "PYTHONUTF8": "1"}
    ran = subprocess.run(command, env=environ, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode()


def asked(server: Standin) -> dict[str, Any]:
    """Return the one request since the last look, whichever way its answer was to come."""
    (request,) = server.requests
    server.clear()
    assert request.path.endswith("/ai/v1/chat/completions")
    return {name: value for name, value in request.json.items() if name != "stream"}


def form(value: Any) -> Any:
    """Return what a JSON value is made of: its names, and one of each list."""
    if isinstance(value, dict):
        return {name: form(each) for name, each in value.items()}
    return [form(value[0])] if isinstance(value, list) else type(value).__name__


def without_prompt(cell: nbformat.NotebookNode) -> str:
    source = str(cell.source)
    return source.partition("\n")[0] if source.startswith("%%cfai") else source


def test_both_have_the_same_cells_and_the_same_code() -> None:
    english, chinese = map(cells, QUICKSTARTS)
    assert [(c.id, c.cell_type) for c in english] == [(c.id, c.cell_type) for c in chinese]
    codes = [
        [without_prompt(cell) for cell in each if cell.cell_type == "code"]
        for each in (english, chinese)
    ]
    assert codes[0] == codes[1]
    assert codes[0][2] == "%%cfai", "the first question needs no option"


@needs_curl
@each_quickstart
def test_curl_and_the_openai_client_send_what_the_cell_sends(path: Path, account: Standin) -> None:
    account.switch(answer=ANSWER)
    reply = json.loads(printed("sh", "-c", led_to(account, fenced(path, "sh", "curl "))))
    assert reply["choices"][0]["message"]["content"] == ANSWER
    by_curl = asked(account)
    client = led_to(account, fenced(path, "python", "import os"))
    assert printed(sys.executable, "-c", client).strip() == ANSWER
    by_client = asked(account)
    (shown,) = [cell.source for cell in cells(path) if cell.id == "dry-run"]
    with running_kernel() as kernel:
        kernel.run("%load_ext cfai_magics")
        dry = kernel.run(shown).text
        assert account.requests == ()
        kernel.run(shown.replace(" --dry-run", ""))
    assert asked(account) == by_curl == by_client
    assert json.loads(dry.partition("\n\n")[0]) == {**by_curl, "stream": True}


@each_quickstart
def test_simple_one_apis_config_is_written_as_shown(
    path: Path, account: Standin, home: Path
) -> None:
    told = printed("sh", "-c", fenced(path, "sh", "cfai export"))
    (written,) = home.glob("*.json")
    assert str(written) in told
    assert account.token not in told
    made, shown = json.loads(written.read_text()), json.loads(fenced(path, "json", "{"))
    assert form(made) == form(shown)
    assert made["server_port"] == shown["server_port"]
    service, example = (each["services"]["openai"][0] for each in (made, shown))
    assert service["credentials"]["api_key"] == account.token
    assert set(example["models"]) <= set(service["models"])
    assert set(example["embedding_models"]) <= set(service["embedding_models"])
    assert f"{shown['server_port']}/v1" in "".join(cell.source for cell in cells(path))


@each_quickstart
def test_with_the_account_its_questions_go_to_workers_ai(path: Path, account: Standin) -> None:
    questions = [cell.source for cell in cells(path) if cell.cell_type == "code"]
    questions.remove("%cfai local")
    with running_kernel(JPY_SESSION_NAME=str(path)) as kernel:
        kernel.run(questions[0])
        kernel.run("%cfai replay off")
        shown = [kernel.run(source) for source in questions[1:]]
    assert [cell.ename for cell in shown] == [""] * len(shown)
    assert len(account.requests) == 3
    assert "neurons billed" in shown[0].text
    assert "replayed" not in "".join(cell.text for cell in shown)


@each_quickstart
def test_its_first_answer_streams_from_the_small_model_beside_the_recording(
    path: Path, small_model: Path, home: Path
) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / small_model.name).symlink_to(small_model)
    load, local, ask = [cell.source for cell in cells(path) if cell.cell_type == "code"][:3]
    with running_kernel(JPY_SESSION_NAME=str(path)) as kernel:
        kernel.run(load)
        assert "no account, no neurons" in kernel.run(local).text
        told = kernel.run(ask).text
    assert "SmolLM2-135M-Instruct on this machine · " in told
    assert "replayed" not in told
