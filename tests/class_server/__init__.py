"""The real class server in workerd, with the stand-in as Cloudflare, over real HTTP.

with Standin() as cloudflare, ClassServer(cloudflare) as server:
    key = server.add_student("Ada", budget=100)
    ...            # send requests to server.url with the key
    assert server.settled(key)["spent"] == pytest.approx(cloudflare.billed)
"""

import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
import pytest

from tests.standin import Standin

FOLDER = Path(__file__).parents[2] / "class-server"
PACKAGES = FOLDER / "node_modules" / ".package-lock.json"
TIMEOUT = 60  # s
MODEL = "@cf/meta/llama-3.2-3b-instruct"
CHAT = "/v1/chat/completions"


def require_packages() -> None:
    """Skip a test if the packages of the class server are missing; fail in CI."""
    if shutil.which("node") is not None and PACKAGES.is_file():
        return
    reason = f"Node.js or the packages in {FOLDER.name}/node_modules are missing; run `make test`"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def question(content: str, **fields: Any) -> dict[str, Any]:
    """Return the body of a chat request with this prompt and other fields."""
    return {"model": MODEL, "messages": [{"role": "user", "content": content}], **fields}


class ClassServer:
    """A running class server; a context manager.

    Args:
        cloudflare: The stand-in that answers the calls.
        folder: Where the state of the class is stored. By default, it is lost at the end.
        worker: The folder of the Worker, such as that of `cfai class new`.
        admin_key: The key of the admin routes. By default, it is random.
        variables: Variables of the Worker, such as `GATEWAY` and `ALLOWED_ORIGINS`.
        script: JavaScript of another Worker to start, for comparison.
    """

    def __init__(
        self,
        cloudflare: Standin,
        *,
        folder: Path | None = None,
        worker: Path = FOLDER,
        admin_key: str = "",
        variables: Mapping[str, str] | None = None,
        script: str = "",
    ) -> None:
        require_packages()
        self.admin_key = admin_key or secrets.token_urlsafe(32)
        self._options = {
            "folder": folder and str(folder),
            "script": script,
            "worker": str(worker),
            "variables": {
                "API_BASE": cloudflare.base_url,
                "CLOUDFLARE_ACCOUNT_ID": cloudflare.account_id,
                "CLOUDFLARE_API_TOKEN": cloudflare.token,
                "ADMIN_KEY_HASH": hashlib.sha256(self.admin_key.encode()).hexdigest(),
                **(variables or {}),
            },
        }
        self.url = ""

    def __enter__(self) -> Self:
        # The group has node and workerd, so that `kill` ends both.
        self._process = subprocess.Popen(
            ["node", "local.mjs"],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(self._options) + "\n")
        self._process.stdin.flush()
        started = self._process.stdout.readline()
        assert started, "the class server did not start"
        self.url = json.loads(started)["url"].rstrip("/")
        # workerd may close a connection after a refusal, when it has not read the body. Cloudflare
        # keeps the connection of a client open itself.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(
            base_url=self.url, timeout=TIMEOUT, trust_env=False, limits=limits
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        if self._process.poll() is None:
            self._process.communicate(timeout=TIMEOUT)
        self._process.stdin.close()
        self._process.stdout.close()

    def kill(self) -> None:
        """End node and workerd at once, as a crash does."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def workerd(self) -> psutil.Process:
        """The process that runs the Worker."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        return next(child for child in children if "workerd" in child.name())

    def request(
        self, method: str, path: str, key: str | None = None, json: object = None, **options: Any
    ) -> httpx.Response:
        """Send a request to a path such as "/me"."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        headers |= options.pop("headers", {})
        return self._client.request(method, path, headers=headers, json=json, **options)

    def admin(self, method: str, path: str, json: object = None) -> Any:
        """Send a request to a path below /admin/, and return the JSON of its answer."""
        response = self.request(method, f"/admin/{path}", self.admin_key, json)
        assert response.status_code == httpx.codes.OK, response.text
        return response.json()

    def add_student(self, name: str, **settings: Any) -> str:
        """Add a student with these settings of class-server/README.md, and return the key."""
        key: str = self.admin("POST", "students", {"name": name, **settings})["key"]
        return key

    def chat(self, key: str, content: str = "Hello", **fields: Any) -> httpx.Response:
        """Send a prompt of a student, and read the whole answer."""
        return self.request("POST", CHAT, key, question(content, **fields))

    @contextmanager
    def stream(self, key: str, content: str = "Hello", **fields: Any) -> Iterator[httpx.Response]:
        """Send a prompt of a student; yield the streamed answer without reading it."""
        headers = {"authorization": f"Bearer {key}"}
        body = question(content, stream=True, **fields)
        with self._client.stream("POST", CHAT, headers=headers, json=body) as response:
            yield response

    def settled(self, key: str) -> dict[str, Any]:
        """Wait until all calls of a student are settled, and return the figures of GET /me."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            figures: dict[str, Any] = self.request("GET", "/me", key).json()
            if figures["reserved"] == 0:
                return figures
            assert time.monotonic() < deadline, figures
            time.sleep(0.02)
