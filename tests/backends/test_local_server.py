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

ASKED = ({"role": "user", "content": "Count to five."},)
QUESTION = Request("any", ASKED, temperature=0, max_tokens=24)
PATIENCE = 30  # s for a process to end


@pytest.fixture(scope="module")
def server(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Llama.cpp's own server with the small real model."""
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


def test_it_streams_an_answer_with_its_usage(server: LocalServer) -> None:
    with client(server) as asking:
        stream = asking.stream(QUESTION)
        pieces = [delta.text for delta in stream if isinstance(delta, TextDelta)]
    assert len(pieces) > 3
    assert 3 < stream.usage.completion_tokens <= 24
    assert stream.usage.prompt_tokens > 5
    assert stream.usage.neurons is None


def test_the_small_model_samples_as_its_makers_recommend(server: LocalServer) -> None:
    allowed = {"Authorization": f"Bearer {server.api_key.reveal()}"}
    address = server.base_url.replace("/v1", "/props")
    props = httpx.get(address, headers=allowed, timeout=PATIENCE).json()
    sampling = props["default_generation_settings"]["params"]
    assert sampling["temperature"] == pytest.approx(0.2)
    assert sampling["top_p"] == pytest.approx(0.9)


def test_it_embeds_texts(server: LocalServer) -> None:
    with client(server) as asking:
        vectors = asking.embed(("sun", "moon", "sun"), "any").vectors
    assert len(vectors) == 3
    assert len(vectors[0]) == 576
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-2)


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer wrong"])
def test_it_needs_its_key(server: LocalServer, key: str) -> None:
    assert post(server, Authorization=key).status_code == 401


def test_its_key_is_random_and_shown_by_no_repr(server: LocalServer) -> None:
    assert len(server.api_key.reveal()) >= 24
    assert server.api_key.reveal() not in repr(server.api_key) + repr(vars(server))


def test_no_web_page_may_read_an_answer(server: LocalServer) -> None:
    allowed = f"Bearer {server.api_key.reveal()}"
    answer = post(server, Authorization=allowed, Origin="https://elsewhere.example")
    assert answer.status_code == 200
    assert answer.headers.get("Access-Control-Allow-Origin", "") == ""


def test_it_listens_on_the_loopback_address_alone(server: LocalServer) -> None:
    address = httpx.URL(server.base_url)
    assert address.host == "127.0.0.1"
    listening = Path("/proc/net/tcp")
    if not listening.exists():
        pytest.skip("only Linux lists what listens as a file")
    assert address.port is not None
    port = f":{address.port:04X}"
    places = [line.split()[1] for line in listening.read_text().splitlines()[1:]]
    assert {place for place in places if place.endswith(port)} == {f"0100007F{port}"}


def test_an_interrupt_of_the_terminal_leaves_it(server: LocalServer) -> None:
    os.kill(server.process.pid, signal.SIGINT)
    assert post(server, Authorization=f"Bearer {server.api_key.reveal()}").status_code == 200
    assert server.is_running


def ended(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":  # it has ended, and its new parent has not waited for it
            return True
        time.sleep(0.1)
    return False


KILLED = """
import sys, time
from pathlib import Path
from cfai_magics.backends.local_server import LocalServer
server = LocalServer.start(Path(sys.argv[1]), log_dir=Path(sys.argv[2]))
print(server.process.pid, flush=True)
time.sleep(600)
"""


def test_it_ends_with_a_killed_parent_and_is_quiet(small_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(small_model), str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        said, complained = parent.communicate()
    assert ended(pid)
    assert (said, complained) == ("", "")
    assert (tmp_path / "local-server.log").stat().st_size > 0


def test_stopping_it_ends_its_process_and_twice_is_once(small_model: Path, tmp_path: Path) -> None:
    server = LocalServer.start(small_model, log_dir=tmp_path)
    server.stop()
    server.stop()
    assert not server.is_running
    with pytest.raises(httpx.ConnectError):
        post(server)


def test_a_broken_model_is_one_line_with_the_place_of_the_log(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(1000))
    with pytest.raises(LocalModelError, match="could not be started") as caught:
        LocalServer.start(broken, log_dir=tmp_path / "logs")
    assert str(tmp_path / "logs") in caught.value.hint
    assert "\n" not in str(caught.value)


def test_without_the_extra_the_pip_line_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cfai_magics.backends.local_server.find_spec", lambda _name: None)
    with pytest.raises(LocalModelError, match="not installed") as caught:
        LocalServer.start(tmp_path / "any.gguf", log_dir=tmp_path)
    assert 'pip install "cfai-magics[local]"' in caught.value.hint


def test_serving_tells_address_and_key_and_ends_with_ctrl_c(small_model: Path) -> None:
    command = [sys.executable, "-m", "cfai_magics", "local", "serve", str(small_model)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stderr is not None
        address, key, how = (serving.stderr.readline().strip() for _ in range(3))
        url = f"{address.rpartition(' ')[2]}/models"
        allowed = {"Authorization": f"Bearer {key.rpartition(' ')[2]}"}
        answer = httpx.get(url, headers=allowed, timeout=PATIENCE)
        serving.send_signal(signal.SIGINT)
        said, _ = serving.communicate(timeout=PATIENCE)
    assert answer.json()["data"][0]["id"] == "SmolLM2-135M-Instruct"
    assert how == "Press Ctrl-C to stop."
    assert said == "The server has stopped.\n"
    assert serving.returncode == 0
