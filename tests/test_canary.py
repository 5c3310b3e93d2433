"""Notebooks, outputs, exports, history and logs contain no token."""

import stat
from inspect import getsource
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook

from tests.canaries import class_key, older_token, reachable, token
from tests.kernels import Cell, Kernel, running_kernel
from tests.standin import Standin
from tests.standin.state import EVERYTHING

pytestmark = pytest.mark.slow

HINTS = {
    "Account ID: ": "Enter the account ID again",
    "API token: ": "Enter the API token again",
}
SECRET_NAMES = ["token", "older token", "part of a token", "words with a token", "class key"]

CELLS = (
    "%xmode Verbose",
    "import logging; logging.basicConfig(filename='debug.log', level=logging.DEBUG)",
    "%load_ext cfai_magics",
    "%cfai status",
    "%cfai replay auto lesson.cfai.jsonl",
    "%%cfai\nHello",
    "_cfai",
    "from cfai_magics.api import get_current_session\nsession = get_current_session()",
    "store = session.backend.credential_store",
    "session, vars(session), session.backend, store, store.find()",
    "client = session.backend.client()\nclient, vars(client)",
    f"{getsource(reachable)}\nprint([(each, vars(each)) for each in reachable(client)])",
    "%config Cfai",
    "%cfai models gemma --refresh",
    "%%cfai -m @cf/no/such\nHello",
    "session.backend.client().stream(request=None).__enter__()",  # its traceback shows locals
    "session.backend.client().run('@cf/x', object())",
    "%cfai use gemma-4-26b-a4b-it --keep",
    "%history",
    "%unload_ext cfai_magics",
)


@pytest.fixture(params=["API token", "class key"])
def secret(
    request: pytest.FixtureRequest, account: Standin, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return the secret that the environment has: the token of the account, or a class key."""
    if request.param == "API token":
        return account.token
    key = account.issue_token(EVERYTHING, text=class_key())
    monkeypatch.setenv("CFAI_BASE_URL", f"{account.base_url}/accounts/{account.account_id}/ai/v1")
    monkeypatch.setenv("CFAI_API_KEY", key)
    return key


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_no_file_of_a_session_contains_the_secret(
    account: Standin, secret: str, tmp_path: Path
) -> None:
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS])
    NotebookClient(
        notebook, allow_errors=True, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    html, _ = HTMLExporter().from_notebook_node(notebook)
    (tmp_path / "lesson.html").write_text(html, encoding="utf-8")
    errors = [o for cell in notebook.cells for o in cell.outputs if o.output_type == "error"]
    shown = [o.text for cell in notebook.cells for o in cell.outputs if o.output_type == "stream"]
    assert "<an API token>" in "".join(shown), "the object with the token is not in the output"
    assert len(errors) >= 2, "the expected tracebacks are missing"
    paths = files_below(tmp_path)
    names = {path.name for path in paths}
    assert {"debug.log", "settings.toml", "lesson.cfai.jsonl"} <= names
    assert secret != account.token or "catalogue.json" in names
    assert secret in {request.token for request in account.requests}
    for path in paths:
        assert secret.encode() not in path.read_bytes(), path


def test_the_ipython_history_contains_no_secret(
    secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with running_kernel() as kernel:
        for source in CELLS:
            kernel.run(source)
        kernel.run("get_ipython().history_manager.writeout_cache()")
        (history,) = (tmp_path / "ipython").rglob("history.sqlite")
    assert b"%cfai status" in history.read_bytes()
    assert secret.encode() not in history.read_bytes()


def answer_prompts(kernel: Kernel, code: str, *answers: str) -> Cell:
    """Run a cell that asks for input, and type the answers.

    Like JupyterLab, add the answers that the user sees to the cell's outputs.
    """
    running = kernel.start(code, stdin=True)
    cell = running[1]
    cell.may_clear = True
    prompts: list[str] = []
    for answer in answers:
        asked = kernel.client.get_stdin_msg(timeout=60)["content"]
        prompt = asked["prompt"]
        if prompt in prompts:
            kernel.until_shown(running, HINTS[prompt])
        elif not prompts:
            kernel.until_shown(running, "API tokens page")
        prompts.append(prompt)
        assert asked["password"] is (prompt == "API token: ")
        if not asked["password"]:
            cell.outputs.append({"name": "stdin", "text": f"{prompt}{answer}\n"})
        kernel.client.input(answer)
    return kernel.finish(running)


def test_login_hides_the_token_verifies_and_saves_it(
    cloudflare: Standin, home: Path, tmp_path: Path
) -> None:
    with running_kernel(CLOUDFLARE_API_BASE_URL=cloudflare.base_url) as kernel:
        kernel.run("%load_ext cfai_magics")
        assert kernel.run("%%cfai\nHi").ename == "MissingCredentialsError"
        cell = answer_prompts(kernel, "%cfai login", cloudflare.account_id, cloudflare.token)
        assert "Token verified: user token, active" in cell.text
        assert "https://dash.cloudflare.com/profile/api-tokens" in cell.text
        assert f"Account ID: {cloudflare.account_id}" in cell.text
        assert cloudflare.token not in repr(cell)
        assert kernel.run("%%cfai\nHi").mime("text/markdown")
        assert f"…{cloudflare.account_id[-4:]}" in kernel.run("%cfai status").text
        kernel.run("%cfai logout")
        assert kernel.run("%%cfai\nHi").ename == "MissingCredentialsError"


def test_only_the_owner_can_read_saved_credentials(cloudflare: Standin, home: Path) -> None:
    with running_kernel(CLOUDFLARE_API_BASE_URL=cloudflare.base_url) as kernel:
        kernel.run("%load_ext cfai_magics")
        answer_prompts(kernel, "%cfai login", cloudflare.account_id, cloudflare.token)
    with_token = [p for p in files_below(home) if cloudflare.token.encode() in p.read_bytes()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in with_token] == [0o600]


@pytest.mark.parametrize(
    "secret",
    [token(), older_token(), token()[:-9], f"id {token()}", class_key()],
    ids=SECRET_NAMES,
)
def test_login_removes_a_secret_that_was_typed_as_the_account_id(
    cloudflare: Standin, home: Path, secret: str
) -> None:
    with running_kernel(CLOUDFLARE_API_BASE_URL=cloudflare.base_url) as kernel:
        kernel.run("%load_ext cfai_magics")
        answers = (secret, cloudflare.account_id, cloudflare.token)
        cell = answer_prompts(kernel, "%cfai login", *answers)
        assert "Token verified" in cell.text
        assert f"Account ID: {cloudflare.account_id}" in cell.text
        assert secret not in repr(cell)
        kernel.run("get_ipython().history_manager.writeout_cache()")
        assert secret not in kernel.run("%history").text
    assert not [path for path in files_below(home) if secret.encode() in path.read_bytes()]


def test_login_asks_again_only_for_the_wrong_field(cloudflare: Standin, home: Path) -> None:
    wrong_token = cloudflare.token[:-4] + "0000"
    with running_kernel(CLOUDFLARE_API_BASE_URL=cloudflare.base_url) as kernel:
        kernel.run("%load_ext cfai_magics")
        mistyped_id = cloudflare.account_id[:-1]
        answers = (mistyped_id, cloudflare.account_id, wrong_token, cloudflare.token)
        cell = answer_prompts(kernel, "%cfai login", *answers)
    assert cell.ename == ""
    assert "Token verified" in cell.text
    assert f"Account ID: {mistyped_id}\n" in cell.text, "it is shown as typed"
    assert wrong_token not in repr(cell)
    assert cloudflare.token not in repr(cell)


def test_a_login_with_only_wrong_tokens_fails_and_saves_nothing(
    cloudflare: Standin, home: Path
) -> None:
    wrong = [cloudflare.token[:-4] + f"000{number}" for number in range(5)]
    with running_kernel(CLOUDFLARE_API_BASE_URL=cloudflare.base_url) as kernel:
        kernel.run("%load_ext cfai_magics")
        cell = answer_prompts(kernel, "%cfai login", cloudflare.account_id, *wrong)
    assert cell.ename == "AuthenticationError"
    assert not [path for path in files_below(home) if b"cfut_" in path.read_bytes()]


@pytest.mark.parametrize(
    "line",
    ["%cfai login {token}", "%cfai login short", "%%cfai -p api_token={token}\nHi"],
)
def test_a_token_on_a_magic_line_is_rejected_with_a_warning(account: Standin, line: str) -> None:
    with running_kernel() as kernel:
        kernel.run("%load_ext cfai_magics")
        cell = kernel.run(line.format(token=account.token))
    assert cell.ename == "TokenInCommandError"
    assert "Revoke it" in cell.traceback[0]
    assert account.token not in repr(cell)
    assert account.requests == ()


@pytest.mark.parametrize(
    "line",
    [
        "%cfai login {key}",
        "%cfai login --class https://class.example {key}",
        "%cfai login --class https://class.example/?key={key}",
        "%cfai login --server {key}",
        "%cfai use {key}",
        "%%cfai -p user={key}\nHi",
        "%%cfai --gateway {key}\nHi",
    ],
)
def test_a_class_key_on_a_magic_line_is_rejected_with_a_warning(
    account: Standin, line: str
) -> None:
    key = class_key()
    with running_kernel() as kernel:
        kernel.run("%load_ext cfai_magics")
        cell = kernel.run(line.format(key=key))
    assert cell.ename == "TokenInCommandError"
    assert "contains a class key, which was not used" in cell.traceback[0]
    assert "Ask your teacher to renew it" in cell.traceback[0]
    assert key not in repr(cell)
    assert account.requests == ()


def test_login_without_input_suggests_environment_variables(account: Standin) -> None:
    with running_kernel() as kernel:
        kernel.run("%load_ext cfai_magics")
        kernel.client.allow_stdin = False
        cell = kernel.run("%cfai login")
    assert cell.ename == "SetupError"
    assert "CLOUDFLARE_API_TOKEN" in cell.traceback[0]
