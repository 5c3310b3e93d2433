"""The quickstarts have the same cells in two languages, and their other examples work as typed."""

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


def fenced(path: Path, language: str, start: str) -> str:
    """Return the only code block in this language that starts with `start`."""
    text = "\n".join(cell.source for cell in cells(path))
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (block,) = [each for each in blocks if each.startswith(start)]
    return str(block)


def with_standin_address(server: Standin, text: str) -> str:
    """Return a code block with the address of the stand-in instead of Cloudflare's."""
    assert text.count(CLOUDFLARE) == 1
    return text.replace(CLOUDFLARE, server.base_url)


def run_program(*command: str) -> str:
    """Run a program like a reader of the notebook; return its output."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": programs, "PYTHONUTF8": "1"}
    process = subprocess.run(command, env=environ, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr.decode()
    return process.stdout.decode()


def take_request(server: Standin) -> dict[str, Any]:
    """Return the body of the only request since the last call, without `stream`."""
    (request,) = server.requests
    server.clear()
    assert request.path.endswith("/ai/v1/chat/completions")
    return {name: value for name, value in request.json.items() if name != "stream"}


def structure(value: Any) -> Any:
    """Return the structure of a JSON value: its keys, its types, and one item per list."""
    if isinstance(value, dict):
        return {name: structure(each) for name, each in value.items()}
    return [structure(value[0])] if isinstance(value, list) else type(value).__name__


def without_prompt(cell: nbformat.NotebookNode) -> str:
    source = str(cell.source)
    return source.partition("\n")[0] if source.startswith("%%cfai") else source


def test_both_quickstarts_have_the_same_cells_and_code() -> None:
    english, chinese = map(cells, QUICKSTARTS)
    assert [(c.id, c.cell_type) for c in english] == [(c.id, c.cell_type) for c in chinese]
    codes = [
        [without_prompt(cell) for cell in each if cell.cell_type == "code"]
        for each in (english, chinese)
    ]
    assert codes[0] == codes[1]
    assert codes[0][2] == "%%cfai", "the first prompt needs no option"


@needs_curl
@each_quickstart
def test_curl_and_the_openai_client_send_the_same_body_as_the_cell(
    path: Path, account: Standin
) -> None:
    account.switch(answer=ANSWER)
    reply = json.loads(
        run_program("sh", "-c", with_standin_address(account, fenced(path, "sh", "curl ")))
    )
    assert reply["choices"][0]["message"]["content"] == ANSWER
    by_curl = take_request(account)
    client = with_standin_address(account, fenced(path, "python", "import os"))
    assert run_program(sys.executable, "-c", client).strip() == ANSWER
    by_client = take_request(account)
    (shown,) = [cell.source for cell in cells(path) if cell.id == "dry-run"]
    with running_kernel() as kernel:
        kernel.run("%load_ext cfai_magics")
        dry = kernel.run(shown).text
        assert account.requests == ()
        kernel.run(shown.replace(" --dry-run", ""))
    assert take_request(account) == by_curl == by_client
    assert json.loads(dry.partition("\n\n")[0]) == {**by_curl, "stream": True}


@each_quickstart
def test_export_writes_the_simple_one_api_config_as_shown(
    path: Path, account: Standin, home: Path
) -> None:
    output = run_program("sh", "-c", fenced(path, "sh", "cfai export"))
    (written,) = home.glob("*.json")
    assert str(written) in output
    assert account.token not in output
    config, shown = json.loads(written.read_text()), json.loads(fenced(path, "json", "{"))
    assert structure(config) == structure(shown)
    assert config["server_port"] == shown["server_port"]
    service, example = (each["services"]["openai"][0] for each in (config, shown))
    assert service["credentials"]["api_key"] == account.token
    assert set(example["models"]) <= set(service["models"])
    assert set(example["embedding_models"]) <= set(service["embedding_models"])
    assert f"{shown['server_port']}/v1" in "".join(cell.source for cell in cells(path))


@each_quickstart
def test_prompts_are_sent_to_workers_ai_with_an_account(path: Path, account: Standin) -> None:
    sources = [cell.source for cell in cells(path) if cell.cell_type == "code"]
    sources.remove("%cfai local")
    with running_kernel(JPY_SESSION_NAME=str(path)) as kernel:
        kernel.run(sources[0])
        kernel.run("%cfai replay off")
        shown = [kernel.run(source) for source in sources[1:]]
    assert [cell.ename for cell in shown] == [""] * len(shown)
    assert len(account.requests) == 3
    assert "neurons billed" in shown[0].text
    assert "replayed" not in "".join(cell.text for cell in shown)


@each_quickstart
def test_the_first_answer_streams_from_the_small_model(
    path: Path, small_model: Path, home: Path
) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / small_model.name).symlink_to(small_model)
    load, local, ask = [cell.source for cell in cells(path) if cell.cell_type == "code"][:3]
    with running_kernel(JPY_SESSION_NAME=str(path)) as kernel:
        kernel.run(load)
        assert "no account, no neurons" in kernel.run(local).text
        output = kernel.run(ask).text
    assert "SmolLM2-135M-Instruct on this machine · " in output
    assert "replayed" not in output
