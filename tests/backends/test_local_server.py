"""The real llama.cpp server with the small real model."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cfai_magics.backends.local_server import LocalServer
from cfai_magics.errors import LocalModelError
from cfai_magics.types.messages import Request, TextDelta
from cfai_magics.workers_ai.client import WorkersAI

pytestmark = pytest.mark.slow

MESSAGES = ({"role": "user", "content": "Count to five."},)
REQUEST = Request("any", MESSAGES, temperature=0, max_tokens=24)
PATIENCE = 30  # s for a process to end


@pytest.fixture(scope="module")
def server(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """The llama.cpp server with the small real model."""
    with LocalServer.start(small_model, log_dir=tmp_path_factory.mktemp("logs")) as started:
        yield started


def post(server: LocalServer, **headers: str) -> httpx.Response:
    message = {"role": "user", "content": "Hi"}
    body = {"messages": [message], "max_tokens": 2}
    return httpx.post(
        f"{server.base_url}/chat/completions", json=body, headers=headers, timeout=PATIENCE
    )


def client(server: LocalServer) -> WorkersAI:
    return WorkersAI.openai_compatible(server.base_url, server.api_key.reveal())


def test_the_server_streams_an_answer_with_usage(server: LocalServer) -> None:
    with client(server) as api:
        stream = api.stream(REQUEST)
        deltas = [delta.text for delta in stream if isinstance(delta, TextDelta)]
    assert len(deltas) > 3
    assert 3 < stream.usage.completion_tokens <= 24
    assert stream.usage.prompt_tokens > 5
    assert stream.usage.neurons is None


def test_the_small_model_uses_the_recommended_sampling(server: LocalServer) -> None:
    allowed = {"Authorization": f"Bearer {server.api_key.reveal()}"}
    address = server.base_url.replace("/v1", "/props")
    props = httpx.get(address, headers=allowed, timeout=PATIENCE).json()
    sampling = props["default_generation_settings"]["params"]
    assert sampling["temperature"] == pytest.approx(0.2)
    assert sampling["top_p"] == pytest.approx(0.9)


def test_the_server_embeds_texts(server: LocalServer) -> None:
    with client(server) as api:
        vectors = api.embed(("sun", "moon", "sun"), "any").vectors
    assert len(vectors) == 3
    assert len(vectors[0]) == 576
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-2)


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer wrong"])
def test_requests_without_the_key_are_rejected(server: LocalServer, key: str) -> None:
    assert post(server, Authorization=key).status_code == 401


def test_the_key_is_random_and_hidden_in_every_repr(server: LocalServer) -> None:
    assert len(server.api_key.reveal()) >= 24
    assert server.api_key.reveal() not in repr(server.api_key) + repr(vars(server))


def test_web_pages_cannot_read_an_answer(server: LocalServer) -> None:
    allowed = f"Bearer {server.api_key.reveal()}"
    answer = post(server, Authorization=allowed, Origin="https://elsewhere.example")
    assert answer.status_code == 200
    assert answer.headers.get("Access-Control-Allow-Origin", "") == ""


def test_the_server_listens_only_on_the_loopback_address(server: LocalServer) -> None:
    address = httpx.URL(server.base_url)
    assert address.host == "127.0.0.1"
    listening = Path("/proc/net/tcp")
    if not listening.exists():
        pytest.skip("only Linux lists listening sockets in a file")
    assert address.port is not None
    port = f":{address.port:04X}"
    sockets = [line.split()[1] for line in listening.read_text().splitlines()[1:]]
    assert {socket for socket in sockets if socket.endswith(port)} == {f"0100007F{port}"}


def test_a_terminal_interrupt_does_not_stop_the_server(server: LocalServer) -> None:
    os.kill(server.process.pid, signal.SIGINT)
    assert post(server, Authorization=f"Bearer {server.api_key.reveal()}").status_code == 200
    assert server.is_running


def has_ended(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":  # a zombie: it has ended, but its parent has not waited for it
            return True
        time.sleep(0.1)
    return False


START_SERVER = """
import sys, time
from pathlib import Path
from cfai_magics.backends.local_server import LocalServer
server = LocalServer.start(Path(sys.argv[1]), log_dir=Path(sys.argv[2]))
print(server.process.pid, flush=True)
time.sleep(600)
"""


def test_the_server_ends_silently_if_its_parent_is_killed(
    small_model: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", START_SERVER, str(small_model), str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        stdout, stderr = parent.communicate()
    assert has_ended(pid)
    assert (stdout, stderr) == ("", "")
    assert (tmp_path / "local-server.log").stat().st_size > 0


def test_the_server_can_be_stopped_twice(small_model: Path, tmp_path: Path) -> None:
    server = LocalServer.start(small_model, log_dir=tmp_path)
    server.stop()
    server.stop()
    assert not server.is_running
    with pytest.raises(httpx.ConnectError):
        post(server)


def test_a_broken_model_raises_an_error_with_the_log_path(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(1000))
    with pytest.raises(LocalModelError, match="could not be started") as caught:
        LocalServer.start(broken, log_dir=tmp_path / "logs")
    assert str(tmp_path / "logs") in caught.value.hint
    assert str(caught.value).count("\n") <= 1


def test_a_missing_extra_raises_an_error_with_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cfai_magics.backends.local_server.find_spec", lambda _name: None)
    with pytest.raises(LocalModelError, match="not installed") as caught:
        LocalServer.start(tmp_path / "any.gguf", log_dir=tmp_path)
    assert 'pip install "cfai-magics[local]"' in caught.value.hint


def test_serve_prints_address_and_key_and_stops_on_ctrl_c(small_model: Path) -> None:
    command = [sys.executable, "-m", "cfai_magics", "local", "serve", str(small_model)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stderr is not None
        address, key, instruction = (serving.stderr.readline().strip() for _ in range(3))
        url = f"{address.rpartition(' ')[2]}/models"
        allowed = {"Authorization": f"Bearer {key.rpartition(' ')[2]}"}
        answer = httpx.get(url, headers=allowed, timeout=PATIENCE)
        serving.send_signal(signal.SIGINT)
        stdout, _ = serving.communicate(timeout=PATIENCE)
    assert answer.json()["data"][0]["id"] == "SmolLM2-135M-Instruct"
    assert instruction == "Press Ctrl-C to stop."
    assert stdout == "The server has stopped.\n"
    assert serving.returncode == 0
