"""The server starts, logs requests, is controlled by other processes, and stops cleanly."""

import gc
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.standin import Standin, Switches
from tests.standin_tests.api import GEMMA, HELLO, Api

if TYPE_CHECKING:
    import httpx

ROOT = Path(__file__).parents[2]


def control(cloudflare: Standin, name: str) -> str:
    return f"http://127.0.0.1:{cloudflare.port}/_standin/{name}"


def test_requests_are_logged_in_order_of_arrival(cloudflare: Standin, api: Api) -> None:
    api.chat(temperature=0.5)
    api.get("/ai/models/search", search="x")
    first, second = cloudflare.requests
    assert (first.method, first.json["temperature"]) == ("POST", 0.5)
    assert first.path == f"/client/v4/accounts/{cloudflare.account_id}/ai/v1/chat/completions"
    assert first.headers["authorization"] == f"Bearer {cloudflare.token}"
    assert first.body_bytes.startswith(b'{"model"')
    assert (second.method, second.query, second.json) == ("GET", {"search": "x"}, None)
    cloudflare.clear()
    assert cloudflare.requests == ()
    assert len(cloudflare.calls) == 1


def test_switches_are_immutable_and_replaced_as_a_whole(cloudflare: Standin, api: Api) -> None:
    cloudflare.switches = Switches(answer="# Hi", dialect="glm")
    cloudflare.switch(answer="# Ho")
    assert cloudflare.switches == Switches(answer="# Ho", dialect="glm")
    with pytest.raises(AttributeError):
        cloudflare.switches.answer = "x"  # type: ignore[misc]
    with pytest.raises(ValueError, match="gemma"):
        cloudflare.switch(dialect="klingon")


def test_a_running_request_keeps_its_switches(cloudflare: Standin, api: Api) -> None:
    cloudflare.switch(answer="One two three.", tokens_per_second=200)
    body = {"model": GEMMA, "messages": HELLO, "stream": True}
    with api.http.stream("POST", "/ai/v1/chat/completions", json=body) as reply:
        cloudflare.switch(answer="Other.")
        reply.read()
    assert '"content":"One "' in reply.text
    assert '"content":"e."' in reply.text


def test_other_processes_can_set_switches_and_read_logs(cloudflare: Standin, api: Api) -> None:
    changes = {"answer": ["one", "two"], "error": 4006, "errors_before_success": 1}
    assert api.http.post(control(cloudflare, "switches"), json=changes).status_code == 200
    assert cloudflare.switches.answer == ("one", "two")
    assert [api.chat().status_code, api.chat().status_code] == [429, 200]
    fault = {"status": 502, "code": 3043, "shape": "html"}
    switches = api.http.post(control(cloudflare, "switches"), json={"error": fault}).json()
    assert switches["error"]["status"] == 502
    assert switches["answer"] == ["one", "two"]
    logged = api.http.get(control(cloudflare, "requests")).json()
    assert [one["json"]["model"] for one in logged] == [GEMMA, GEMMA]
    assert api.http.get(control(cloudflare, "calls")).json()[0]["model"] == GEMMA
    assert api.http.get(control(cloudflare, "switches")).json() == switches
    api.http.delete(control(cloudflare, "requests"))
    assert cloudflare.requests == ()
    canned = {"body": "Hi", "status": 418}
    reply = api.http.post(control(cloudflare, "switches"), json={"canned": canned})
    assert reply.json()["canned"].startswith("Reply(")
    assert api.chat().status_code == 418


@pytest.mark.parametrize(
    "changes", [{"anwser": "x"}, {"dialect": "klingon"}, {"error": 1}, {"error": {"x": 1}}, []]
)
def test_an_unknown_switch_is_rejected(changes: Any, cloudflare: Standin, api: Api) -> None:
    reply = api.http.post(control(cloudflare, "switches"), json=changes)
    assert reply.status_code == 400
    assert reply.json()["error"]
    assert cloudflare.switches == Switches()
    assert api.http.get(control(cloudflare, "nothing")).status_code == 404


def test_one_connection_serves_many_requests(cloudflare: Standin) -> None:
    with socket.create_connection(("127.0.0.1", cloudflare.port)) as client:
        for close in ("keep-alive", "close"):
            client.sendall(
                f"GET /client/v4/user/tokens/verify HTTP/1.1\r\nHost: x\r\nConnection: {close}\r\n"
                f"Authorization: Bearer {cloudflare.token}\r\n\r\n".encode()
            )
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert received.count(b'"status":"active"') == 2


def test_chunked_bodies_and_expect_100_continue_are_supported(
    cloudflare: Standin, api: Api
) -> None:
    pieces = iter([b'{"prompt": ', b'"Hello?"', b"}"])
    reply = api.http.post(f"/ai/run/{GEMMA}", content=pieces, headers={"expect": "100-continue"})
    assert reply.status_code == 200
    assert cloudflare.requests[0].json == {"prompt": "Hello?"}


def test_a_body_has_no_size_limit(cloudflare: Standin, api: Api) -> None:
    large = {"requests": ["x" * 10_000_000]}
    reply = api.post("/ai/run/@cf/qwen/qwen3-embedding-0.6b?queueRequest=true", large)
    assert (reply.status_code, reply.json()["errors"][0]["code"]) == (413, 3006)
    assert cloudflare.requests[0].json == large


def test_many_clients_are_served_concurrently(cloudflare: Standin) -> None:
    import httpx

    cloudflare.switch(answer="x" * 200, tokens_per_second=1000, calls_per_minute=1000)
    body = {"model": GEMMA, "messages": HELLO, "stream": True}
    url = f"{cloudflare.base_url}/accounts/{cloudflare.account_id}/ai/v1/chat/completions"
    headers = {"authorization": f"Bearer {cloudflare.token}"}
    ends: list[bool] = []

    def ask() -> None:
        reply = httpx.post(url, json=body, headers=headers, timeout=60)
        ends.append(reply.text.endswith("data: [DONE]\n\n"))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [True] * 12
    assert len({call.neurons for call in cloudflare.calls}) == 1
    assert cloudflare.billed == pytest.approx(12 * cloudflare.calls[0].neurons)


def test_close_ends_the_thread_and_sockets_during_streams() -> None:
    import httpx

    before = set(threading.enumerate())
    with Standin(switches=Switches(answer="word " * 999, tokens_per_second=5)) as cloudflare:
        api = Api(cloudflare)
        body = {"model": GEMMA, "messages": HELLO, "stream": True}
        with api.http, api.http.stream("POST", "/ai/v1/chat/completions", json=body) as reply:
            lines = reply.iter_lines()
            assert "choices" in next(lines)
            cloudflare.close()
            with pytest.raises(httpx.TransportError):
                list(lines)
    assert cloudflare.disconnects == 0
    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", cloudflare.port))
    gc.collect()  # An open socket would raise an error here.


def test_a_bug_in_the_standin_fails_the_test() -> None:
    def broken(text: str) -> str:
        raise LookupError(text)

    standin = Standin(switches=Switches(answer=broken))
    api = Api(standin)
    with api.http, pytest.raises(LookupError, match="sky"), standin:
        check_failed(api.chat())


def check_failed(reply: "httpx.Response") -> None:
    assert reply.status_code == 500
    assert "LookupError" in reply.text


def test_the_command_runs_until_interrupted() -> None:
    import httpx

    command = [sys.executable, "-m", "tests.standin", "--plan", "paid"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(3)]
        variables = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        url = (
            f"{variables['CLOUDFLARE_API_BASE_URL']}/accounts/{variables['CLOUDFLARE_ACCOUNT_ID']}"
        )
        headers = {"authorization": f"Bearer {variables['CLOUDFLARE_API_TOKEN']}"}
        body = {"model": "@cf/zai-org/glm-5.2", "messages": HELLO}
        reply = httpx.post(f"{url}/ai/v1/chat/completions", json=body, headers=headers)
        process.send_signal(signal.SIGINT)
    assert reply.status_code == 200
    assert process.returncode == 0
