"""A real kernel for tests: run cells and collect their outputs like a front end."""

import os
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

PATIENCE = 300  # s without a message before a kernel counts as hung


@dataclass
class Cell:
    """Result of one cell: its outputs in the form of nbformat, and its error."""

    outputs: list[dict[str, Any]] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    traceback: list[str] = field(default_factory=list)
    ename: str = ""
    done: bool = False
    may_clear: bool = False  # whether the cell may clear its output

    @property
    def text(self) -> str:
        """Return all outputs as plain text."""
        return "\n".join(_plain(output) for output in self.outputs)

    @property
    def html(self) -> str:
        """Return the HTML of all outputs, which includes what is collapsed."""
        return "\n".join(self.mime("text/html"))

    def mime(self, kind: str) -> list[str]:
        """Return all outputs of a MIME type."""
        return [o["data"][kind] for o in self.outputs if kind in o.get("data", {})]


def _plain(output: dict[str, Any]) -> str:
    return output["text"] if "text" in output else output["data"].get("text/plain", "")


class Kernel:
    """One running kernel."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    def run(self, code: str, cell_id: str = "") -> Cell:
        """Run a cell to its end."""
        return self.finish(self.start(code, cell_id))

    def start(self, code: str, cell_id: str = "", *, stdin: bool = False) -> tuple[str, Cell]:
        """Start a cell like a front end does and return at once."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": stdin}
        metadata = {"cellId": cell_id} if cell_id else {}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"], Cell()

    def asked(self) -> str:
        """Wait until the cell asks its user for input; return the prompt."""
        prompt: str = self.client.get_stdin_msg(timeout=PATIENCE)["content"]["prompt"]
        return prompt

    def finish(self, running: tuple[str, Cell]) -> Cell:
        """Read messages until the cell has ended."""
        _, cell = running
        while not cell.done:
            self.step(running)
        return cell

    def interrupt(self, running: tuple[str, Cell]) -> Cell:
        """Interrupt the cell and read messages until it has ended.

        Python drops an interrupt in a callback of the garbage collector and reports it on stderr.
        Then interrupt again.
        """
        _, cell = running
        interrupts = 0
        while not cell.done:
            if cell.text.count("Exception ignored in") == interrupts:
                self.manager.interrupt_kernel()
                interrupts += 1
            self.step(running)
        return cell

    def step(self, running: tuple[str, Cell]) -> None:
        """Read one message of the cell."""
        request, cell = running
        message = self.client.get_iopub_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") == request:
            _take_in(cell, message["msg_type"], message["content"])

    def until_shown(self, running: tuple[str, Cell], text: str) -> None:
        """Read messages until the text is displayed."""
        shown = running[1]
        deadline = time.monotonic() + PATIENCE
        while text not in shown.text + "".join(shown.mime("text/markdown")):
            assert not shown.done, shown
            assert time.monotonic() < deadline
            self.step(running)

    def quiet(self) -> bool:
        """Return True if no more messages arrive."""
        try:
            self.client.get_iopub_msg(timeout=0.3)
        except queue.Empty:
            return True
        return False


def _take_in(cell: Cell, kind: str, content: dict[str, Any]) -> None:
    if kind == "status" and content["execution_state"] == "idle":
        cell.done = True
    elif kind == "error":
        cell.traceback, cell.ename = content["traceback"], content["ename"]
    elif kind == "stream":
        _write(cell, content["name"], content["text"])
    elif kind in {"display_data", "execute_result"}:
        display_id = content.get("transient", {}).get("display_id")
        if display_id:
            cell.ids[display_id] = len(cell.outputs)
        cell.outputs.append({"data": content["data"]})
    elif kind == "update_display_data":
        cell.outputs[cell.ids[content["transient"]["display_id"]]] = {"data": content["data"]}
    elif kind == "clear_output":
        assert cell.may_clear, "clear_output may delete outputs of other code"
        cell.outputs.clear()


def _write(cell: Cell, name: str, text: str) -> None:
    """Append to a stream like front ends do: a busy kernel sends a line in pieces."""
    last = cell.outputs[-1] if cell.outputs else {}
    if last.get("name") == name:
        last["text"] += text
    else:
        cell.outputs.append({"name": name, "text": text})


@contextmanager
def running_kernel(**environ: str) -> Iterator[Kernel]:
    """Start a kernel with these additional environment variables; shut it down at the end."""
    # Kernels that start at the same time can choose the same TCP port. A socket's path is short.
    with TemporaryDirectory() as folder:
        manager = KernelManager(transport="ipc", connection_file=f"{folder}/kernel.json")
        manager.start_kernel(env={**os.environ, **environ})
        client = manager.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=PATIENCE)
            yield Kernel(manager, client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel()
            manager.cleanup_resources()
