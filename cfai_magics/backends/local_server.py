"""Run llama.cpp's server for a local model in a child process."""

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
from ..i18n import _
from ..secret import Secret, call_without_traceback
from ..secret_patterns import build_child_environment
from .local_model import default_sampling

CONTEXT_TOKENS = 4096
START_TIMEOUT = 120.0  # seconds to wait for a model to load
LOG_NAME = "local-server.log"
INSTALL_COMMAND = 'pip install "cfai-magics[local]"'


class LocalServer(forks.ChildForkHook):
    """A running server on the loopback address, protected by a random API key.

    `stop` ends the server. A forked child can use its parent's server but cannot stop it.
    """

    vision = False  # a GGUF file alone has no vision encoder

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        address: str,
        key: Secret,
        name: str,
        context_window: int = CONTEXT_TOKENS,
    ) -> None:
        self.process = process
        self.base_url = f"{address}/v1"
        self.api_key = key
        self.model_name = name
        self.context_window = context_window
        self._is_ours = True
        forks.register(self)

    def after_fork_in_child(self) -> None:
        """Leave the server process to the parent.

        Close the child's copy of the pipe. Otherwise, the server would keep running after the
        parent exits.
        """
        self._is_ours = False
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.returncode = 0  # the child must not wait for the server process

    @classmethod
    def start(
        cls,
        model_path: Path,
        *,
        log_dir: Path,
        context_window: int = CONTEXT_TOKENS,
        port: int = 0,
    ) -> Self:
        """Start a server for a GGUF file and wait until it is ready.

        Args:
            model_path: Path to the GGUF file.
            log_dir: Folder for the log file with llama.cpp's output.
            context_window: Size of the context window in tokens.
            port: Port on the loopback address. If 0, any free port is used.

        Raises:
            LocalModelError: The server cannot be started.
        """
        if find_spec("xllamacpp") is None:
            raise LocalModelError(
                _("The packages for local models are not installed"),
                _("Run {command}, then try again.").format(command=INSTALL_COMMAND),
            )
        _make_log_dir(log_dir)
        key, name = (
            Secret.from_reader(lambda: secrets.token_urlsafe(24)),
            model_path.stem.partition(".Q")[0],
        )
        config = {
            "model": str(model_path),
            "name": name,
            "context": context_window,
            "sampling": dict(default_sampling(model_path)),
            "port": port,
            "log": str(log_dir / LOG_NAME),
        }
        process = _spawn()
        return cls(process, _wait_until_ready(process, config, key), key, name, context_window)

    @property
    def is_running(self) -> bool:
        """Whether the server is running."""
        return self.process.poll() is None if self._is_ours else _is_accepting(self.base_url)

    def stop(self) -> None:
        """Stop the server. Do nothing in a forked child or if the server has already stopped."""
        if not self._is_ours:
            return
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        _wait_or_kill(self.process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _is_accepting(base_url: str) -> bool:
    """Return whether a server accepts connections at the given URL."""
    address = urlsplit(base_url)
    try:
        socket.create_connection((address.hostname or "", address.port or 0), 1.0).close()
    except OSError:
        return False
    return True


def _make_log_dir(log_dir: Path) -> None:
    try:
        state_files.create_folder(log_dir)
        state_files.restrict_file(log_dir / LOG_NAME)
    except OSError as error:
        raise LocalModelError(
            _("The log folder {log_dir} can't be created: {error}").format(
                log_dir=log_dir, error=state_files.describe_error(error)
            ),
            _("Set CFAI_HOME to another folder."),
        ) from None


def _spawn() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "cfai_magics.backends.local_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=build_child_environment(),
        start_new_session=True,  # Ctrl-C in a terminal interrupts only the cell
    )


def _wait_until_ready(
    process: "subprocess.Popen[bytes]", config: dict[str, object], key: Secret
) -> str:
    """Send the configuration to the process and return the server's address.

    The key is sent through the pipe because other users may be able to read the arguments and
    environment variables of a process.

    Raises:
        LocalModelError: The server cannot be started.
    """
    assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101 - pipes
    log = Path(str(config["log"]))
    timer = threading.Timer(START_TIMEOUT, process.kill)
    timer.start()
    try:
        process.stdin.write(
            call_without_traceback(lambda: json.dumps({**config, "key": key.reveal()})).encode()
            + b"\n"
        )
        process.stdin.flush()
        line = process.stdout.readline()
        return str(json.loads(line)["address"])
    except BaseException as error:
        process.kill()
        process.wait()
        with suppress(OSError):  # buffered data can no longer be written
            process.stdin.close()
        if not isinstance(error, OSError | ValueError):
            raise
        raise LocalModelError(
            _("The model {model} could not be started: {error}").format(
                model=config["name"], error=_last_error_line(log)
            ),
            _("The complete log is in {log}.").format(log=log),
        ) from None
    finally:
        timer.cancel()
        process.stdout.close()


def _last_error_line(log: Path) -> str:
    """Return the last log line that mentions an error. If there is none, return the last line."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return _("the server wrote no log")
    errors = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
    return (errors or lines or [_("the server wrote no log")])[-1].strip()


def _wait_or_kill(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def serve(model_path: Path, *, port: int, log_dir: Path, announce: Callable[[str], None]) -> None:
    """Serve a model to other programs until Ctrl-C is pressed.

    `announce` is called with messages that contain the server's address and API key.

    Raises:
        LocalModelError: The server cannot be started or stops unexpectedly.
    """
    with LocalServer.start(model_path, log_dir=log_dir, port=port) as server:
        announce(
            _("{model} is available at {address}").format(
                model=server.model_name, address=server.base_url
            )
        )
        announce(_("API key, for this run only: {key}").format(key=server.api_key.reveal()))
        announce(_("Press Ctrl-C to stop."))
        try:
            while server.is_running:
                time.sleep(0.5)
        except KeyboardInterrupt:
            return
    raise LocalModelError(
        _("The server stopped unexpectedly"),
        _("See the log in {log_dir}.").format(log_dir=log_dir),
    )
