"""Starts llama.cpp's own server for one model, in a process that ends with this one."""

import json
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from .. import forks, state_files
from ..errors import LocalModelError
from ..secret import Secret, sealed
from .model import default_sampling

CONTEXT = 4096  # tokens
PATIENCE = 120.0  # s to load a model
LOG_NAME = "local-server.log"


class LocalServer(forks.InChild):
    """A running server on the loopback address with a random key; `stop` ends it.

    A forked child asks the server of its parent, and cannot end it.
    """

    vision = False  # a GGUF file alone holds no part that sees

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        address: str,
        key: Secret,
        name: str,
        context: int = CONTEXT,
    ) -> None:
        self._process = process
        self.base_url = f"{address}/v1"
        self.api_key = key
        self.model_name = name
        self.context = context
        self._is_ours = True
        forks.register(self)

    def in_child(self) -> None:
        """Leave the process to the parent: a copy of its pipe would keep it running without it."""
        self._is_ours = False
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.returncode = 0  # not for this process to wait for

    @classmethod
    def start(cls, model: Path, *, log_dir: Path, context: int = CONTEXT, port: int = 0) -> Self:
        """Start a server for a GGUF file and wait until it is ready; LocalModelError if it fails.

        `port` 0 is any free one. What llama.cpp tells goes into a log file in `log_dir`.
        """
        if find_spec("xllamacpp") is None:
            raise LocalModelError(
                "What runs a model here is not installed",
                'pip install "cfai-magics[local]", then try again.',
            )
        _made(log_dir)
        key, name = Secret.of(lambda: secrets.token_urlsafe(24)), model.stem.partition(".Q")[0]
        told = {
            "model": str(model),
            "name": name,
            "context": context,
            "sampling": dict(default_sampling(model)),
            "port": port,
            "log": str(log_dir / LOG_NAME),
        }
        process = _spawn()
        return cls(process, _ready(process, told, key), key, name, context)

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._process.poll() is None if self._is_ours else _accepts(self.base_url)

    def stop(self) -> None:
        """End the server; doing so twice does no harm, and in a forked child nothing."""
        if not self._is_ours:
            return
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        _end(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _accepts(base_url: str) -> bool:
    """Whether something accepts connections at this address."""
    address = urlsplit(base_url)
    try:
        socket.create_connection((address.hostname or "", address.port or 0), 1.0).close()
    except OSError:
        return False
    return True


def _made(log_dir: Path) -> None:
    try:
        state_files.make_folder(log_dir)
        state_files.tighten(log_dir / LOG_NAME)
    except OSError as error:
        raise LocalModelError(
            f"There is no place for the log in {log_dir}: {state_files.reason(error)}",
            "Set CFAI_HOME to another folder.",
        ) from None


def _spawn() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "cfai_magics.local.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in a terminal is for the cell
    )


def _ready(process: "subprocess.Popen[bytes]", told: dict[str, object], key: Secret) -> str:
    """Tell the process what to serve and return its address.

    The key goes by the pipe: arguments and environments can be read by others.
    """
    assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101 - pipes
    log = Path(str(told["log"]))
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    try:
        process.stdin.write(
            sealed(lambda: json.dumps({**told, "key": key.reveal()})).encode() + b"\n"
        )
        process.stdin.flush()
        answer = process.stdout.readline()
        return str(json.loads(answer)["address"])
    except BaseException as error:
        process.kill()
        process.wait()
        with suppress(OSError):  # what was not yet written has nobody to read it
            process.stdin.close()
        if not isinstance(error, OSError | ValueError):
            raise
        raise LocalModelError(
            f"The model {told['name']} could not be started: {_last_words(log)}",
            f"The whole log stands in {log}.",
        ) from None
    finally:
        watch.cancel()
        process.stdout.close()


def _last_words(log: Path) -> str:
    """Return the last line of the log that tells of an error, or its last line."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "it said nothing"
    wrong = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
    return (wrong or lines or ["it said nothing"])[-1].strip()


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def serve(model: Path, *, port: int, log_dir: Path, announce: Callable[[str], None]) -> None:
    """Serve a model to other programs until Ctrl-C; `announce` is given the address and key."""
    with LocalServer.start(model, log_dir=log_dir, port=port) as server:
        announce(f"{server.model_name} answers at {server.base_url}")
        announce(f"API key, for this run only: {server.api_key.reveal()}")
        announce("Ctrl-C ends it.")
        try:
            while server.running:
                time.sleep(0.5)
        except KeyboardInterrupt:
            return
    raise LocalModelError("The server ended by itself", f"See the log in {log_dir}.")
