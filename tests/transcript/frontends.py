"""The front ends of a session: each runs steps like a user and returns lines of a record."""

import html
import json
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import pexpect
from jupyter_client.manager import KernelManager

from tests.terminals import end

from .record import Cleaner, block, dumped
from .widgets import Widgets
from .world import Step, World

PATIENCE = 120.0  # s without output before a front end counts as hung
AGAIN = 20.0  # s before an interrupt is repeated: an interrupt in a finalizer is lost
COMM = "cfai-magics"
REPR = re.compile(r"[A-Z]\w+\(\w+=")
IN = r"In \[\d+\]: "
ASKS = (r"\[y/N\] ", r"(?:Account ID|API token|API key for \S+ \(empty for none\)): ")


class FrontEnd(AbstractContextManager["FrontEnd"], Protocol):
    """One front end in its world."""

    def run(self, step: Step) -> list[str]:
        """Run a step and return its output."""


def requests_and_text(interrupt: str) -> tuple[int, str]:
    """Split an interrupt such as "@2 shown text" into a number of requests and a text."""
    count, _, text = interrupt.partition(" ") if interrupt.startswith("@") else ("", "", interrupt)
    return int(count.removeprefix("@") or 0), text


def wait_for_requests(world: World, count: int) -> None:
    """Wait until the stand-in has received `count` requests."""
    if not world.standin.wait_for(lambda server: len(server.requests) >= count, PATIENCE):
        raise TimeoutError(f"{count} requests")


def interrupt_until(process: subprocess.Popen[Any], ended: Callable[[], bool]) -> None:
    """Interrupt a process every few seconds until `ended` returns True."""
    again = 0.0
    while not ended():
        if time.monotonic() >= again:
            process.send_signal(signal.SIGINT)
            again = time.monotonic() + AGAIN
        time.sleep(0.02)


# --- a kernel, as JupyterLab uses it


@dataclass
class Shown:
    """The final state of one output of a cell."""

    kind: str
    content: dict[str, Any]


@dataclass
class Seen:
    """The messages and outputs of one step."""

    sequence: list[str] = field(default_factory=list)
    outputs: dict[str, Shown] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    done: bool = False

    def text(self) -> str:
        """Return all outputs as text."""
        return dumped([output.content for output in self.outputs.values()])


class KernelFrontEnd:
    """A kernel with a notebook's page: outputs, widgets, and the comm of JupyterLab's part."""

    def __init__(self, world: World, clean: Cleaner) -> None:
        self._world = world
        self._clean = clean
        self._names: dict[str, str] = {}  # of displays
        self._widgets = Widgets()

    def __enter__(self) -> Self:
        self._manager = KernelManager()
        environ = self._world.environ(JPY_SESSION_NAME=str(self._world.work / "lesson.ipynb"))
        self._manager.start_kernel(
            env=environ, cwd=str(self._world.work), stderr=subprocess.DEVNULL
        )
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel()
        self._manager.cleanup_resources()

    def run(self, step: Step) -> list[str]:
        """Run a cell, send a message over the comm, or use the panel."""
        kind, _, rest = step.code.partition(" ")
        if kind == "!comm":
            content = {"comm_id": COMM, "data": json.loads(rest)}
            return self._messages(step, "comm_msg", content)
        if kind == "!panel":
            return [self._clean(line) for line in self._widgets.tree()]
        if kind == "!complete":
            content = {"code": rest, "cursor_pos": len(rest)}
            return self._messages(step, "complete_request", content)
        if kind in {"!enter", "!click"}:
            return self._messages(
                step, "comm_msg", self._widgets.message(kind, expanded(rest, self._world))
            )
        return self._messages(
            step, "execute_request", self._cell(expanded(step.code, self._world))
        )

    def _cell(self, code: str) -> dict[str, Any]:
        return {"code": code, "silent": False, "store_history": True, "allow_stdin": True}

    def _messages(self, step: Step, kind: str, content: dict[str, Any]) -> list[str]:
        metadata = {"cellId": f"cell of {step.code[:40]}"} if kind == "execute_request" else {}
        message = self._client.session.msg(kind, content, metadata=metadata)
        self._client.shell_channel.send(message)
        self._names.clear()
        request, seen, typed = message["header"]["msg_id"], Seen(), list(step.typed)
        count, text = requests_and_text(step.interrupt)
        if count and not text:
            wait_for_requests(self._world, count)
            self._manager.interrupt_kernel()
        deadline = time.monotonic() + PATIENCE
        while not seen.done:
            if typed:
                self._type(seen, typed)
            received = self._take(request, seen, 0.05 if typed else AGAIN)
            if text and text in seen.text():
                wait_for_requests(self._world, count)
                self._manager.interrupt_kernel()
                text = ""
            elif step.interrupt and not received:
                self._manager.interrupt_kernel()
            if received:
                deadline = time.monotonic() + PATIENCE
            elif time.monotonic() > deadline:
                raise TimeoutError(step.code)
        reply = self._reply(request) if kind.endswith("_request") else {}
        return self._lines(seen, reply, in_order=not step.parallel)

    def _type(self, seen: Seen, typed: list[str]) -> None:
        try:
            request = self._client.get_stdin_msg(timeout=0.05)["content"]
        except queue.Empty:
            return
        seen.messages.append(f"asked: {request['prompt']} (unseen: {request['password']})")
        self._client.input(self._expanded(typed.pop(0)))

    def _expanded(self, text: str) -> str:
        return expanded(text, self._world)

    def _reply(self, request: str) -> dict[str, Any]:
        while True:
            reply = self._client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == request:
                content: dict[str, Any] = reply["content"]
                return content

    def _take(self, request: str, seen: Seen, timeout: float) -> bool:
        """Process a message; return False if no message arrives in time."""
        try:
            message = self._client.get_iopub_msg(timeout=timeout)
        except queue.Empty:
            return False
        kind, content = message["msg_type"], message["content"]
        if kind.startswith("comm_"):
            self._comm(seen, kind, content)
        elif message["parent_header"].get("msg_id") == request:
            self._output(seen, kind, content)
        return True

    def _comm(self, seen: Seen, kind: str, content: dict[str, Any]) -> None:
        if self._widgets.take(kind, content):
            seen.sequence.append("widgets")
            return
        seen.sequence.append(kind)
        seen.messages.append(f"{kind}: {dumped(content.get('data'))}")

    def _output(self, seen: Seen, kind: str, content: dict[str, Any]) -> None:
        if kind == "status":
            seen.done = content["execution_state"] == "idle"
        elif kind == "stream":
            self._stream(seen, content)
        elif kind in {"display_data", "update_display_data"}:
            self._display(seen, kind, content)
        elif kind in {"execute_result", "error", "clear_output"}:
            seen.sequence.append(kind)
            seen.outputs[f"{kind} {len(seen.outputs)}"] = Shown(kind, content)

    def _stream(self, seen: Seen, content: dict[str, Any]) -> None:
        name, last = content["name"], list(seen.outputs)[-1:]
        if last and last[0].startswith(f"{name} "):
            seen.outputs[last[0]].content["text"] += content["text"]
            return
        seen.sequence.append(name)
        seen.outputs[f"{name} {len(seen.outputs)}"] = Shown(name, dict(content))

    def _display(self, seen: Seen, kind: str, content: dict[str, Any]) -> None:
        display = content.get("transient", {}).get("display_id", "")
        if not display:
            seen.sequence.append("display")
            seen.outputs[f"display {len(seen.outputs)}"] = Shown("display", content)
            return
        if kind == "display_data":
            self._names[display] = f"D{len(self._names) + 1}"
        name = self._names.get(display, "an earlier output")
        seen.sequence.append(f"{'display' if kind == 'display_data' else 'update'} {name}")
        seen.outputs[name] = Shown(f"display {name}", content)

    def _lines(self, seen: Seen, reply: dict[str, Any], *, in_order: bool) -> list[str]:
        sequence = [
            each for n, each in enumerate(seen.sequence) if seen.sequence[n - 1 : n] != [each]
        ]
        if not in_order:
            sequence = sorted(set(sequence))
        lines = [f"sequence: {', '.join(sequence)}"] if sequence else []
        lines += [line for each in seen.messages for line in block("-", each, self._clean)]
        for output in seen.outputs.values():
            lines += self._shown(output)
        if "matches" in reply:
            lines += block("completes to", ", ".join(sorted(reply["matches"])), self._clean)
        for payload in reply.get("payload", ()):
            lines += block("payload", dumped(payload), self._clean)
        return lines

    def _shown(self, output: Shown) -> list[str]:
        content = output.content
        if output.kind in {"stdout", "stderr"}:
            return block(output.kind, content["text"], self._clean)
        if output.kind == "error":
            return self._error(content)
        if output.kind == "clear_output":
            return [dumped(content)]
        return bundle(output.kind, content["data"], content.get("metadata", {}), self._clean)

    def _error(self, content: dict[str, Any]) -> list[str]:
        """Return the lines of an error; for an error with a traceback, only its message."""
        message = "\n".join(content["traceback"])
        one_line = len(content["traceback"]) == 1
        message = message if one_line else f"{content['ename']}: {content['evalue']}"
        return block(f"error {content['ename']}", message, self._clean)


def bundle(
    kind: str, data: Mapping[str, Any], metadata: Mapping[str, Any], clean: Cleaner
) -> list[str]:
    """Return the lines of an output: every MIME type, then its metadata."""
    lines = [f"{kind}:"]
    plain = data.get("text/plain", "")
    quiet = "<br>".join(html.escape(line) for line in plain.splitlines())
    for mime in sorted(data):
        value = data[mime] if isinstance(data[mime], str) else dumped(data[mime])
        if mime == "text/plain" and value == data.get("text/markdown"):
            value = "<as text/markdown>"
        if mime == "text/plain" and REPR.match(value):
            value = "<the fields of an object>"
        if mime == "text/html" and len(quiet) > len("<details>"):
            value = value.replace(quiet, "<text/plain>")
        if mime.startswith("image/") and mime != "image/svg+xml":
            value = f"data:{mime};base64,{value.strip()}"
        if mime == "application/vnd.jupyter.widget-view+json":
            value = "<a widget>"
        lines += [f"    {line}" for line in block(mime, value, clean)]
    if metadata:
        lines += [f"    {line}" for line in block("metadata", dumped(metadata), clean)]
    return lines


def expanded(text: str, world: World) -> str:
    """Replace the placeholders in the text with this world's secrets and folders."""
    values = {
        "<account>": world.standin.account_id,
        "<token>": world.standin.token,
        "<base-url>": world.standin.base_url,
        "<root>": str(world.root),
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text


# --- IPython in a terminal


class TerminalFrontEnd:
    """IPython in a real terminal."""

    def __init__(self, world: World, clean: Cleaner) -> None:
        self._world = world
        self._clean = clean

    def __enter__(self) -> Self:
        arguments = ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor"]
        self._child = pexpect.spawn(
            sys.executable,
            arguments,
            encoding="utf-8",
            timeout=PATIENCE,
            echo=False,
            cwd=str(self._world.work),
            env=self._world.environ(),
            dimensions=(50, 200),
        )
        self._child.delaybeforesend = None
        self._child.expect(IN)
        return self

    def __exit__(self, *_: object) -> None:
        self._child.sendline("exit")
        self._child.expect(pexpect.EOF)
        end(self._child)

    def run(self, step: Step) -> list[str]:
        """Type a line and the input that it asks for."""
        self._child.sendline(expanded(step.code, self._world))
        typed, shown = list(step.typed), ""
        count, text = requests_and_text(step.interrupt)
        wait_for_requests(self._world, count)
        if count:
            self._child.sendintr()
        elif text:
            self._child.expect_exact(text)
            shown = self._child.before + self._child.after
            self._child.sendintr()
        while found := self._expected(interrupted=bool(step.interrupt)):
            if found > len(ASKS):
                continue
            shown += self._child.before + self._child.after + "\n"
            self._child.sendline(expanded(typed.pop(0), self._world))
        shown = (shown + self._child.before).replace("\r\n", "\n").strip("\n")
        return block("screen", shown, self._clean) if shown else []

    def _expected(self, *, interrupted: bool) -> int:
        """Wait for the next prompt or question; interrupt again after a timeout."""
        if not interrupted:
            return self._child.expect([IN, *ASKS])
        found = self._child.expect([IN, *ASKS, pexpect.TIMEOUT], timeout=AGAIN)
        if found > len(ASKS):
            self._child.sendintr()
        return found


# --- the shell


class ShellFrontEnd:
    """`cfai` in a shell: one process per step."""

    def __init__(self, world: World, clean: Cleaner) -> None:
        self._world = world
        self._clean = clean

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, step: Step) -> list[str]:
        """Run one command."""
        words = [expanded(word, self._world) for word in shlex.split(step.code)]
        command = [sys.executable, "-m", "cfai_magics", *words]
        environ = {name: expanded(value, self._world) for name, value in step.environ.items()}
        environ = {k: v for k, v in self._world.environ(**environ).items() if v != "<unset>"}
        if step.typed:
            return self._typed(command, environ, step)
        with subprocess.Popen(
            command,
            cwd=self._world.work,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            if step.interrupt:
                wait_for_requests(self._world, requests_and_text(step.interrupt)[0])
                interrupt_until(process, lambda: process.poll() is not None)
            out, err = process.communicate(timeout=PATIENCE)
        return [
            f"exit code: {process.returncode}",
            *(block("stdout", out.decode(), self._clean) if out else []),
            *(block("stderr", err.decode(), self._clean) if err else []),
        ]

    def _typed(self, command: list[str], environ: dict[str, str], step: Step) -> list[str]:
        """Run a command in a terminal and answer its questions."""
        child = pexpect.spawn(
            command[0],
            command[1:],
            encoding="utf-8",
            timeout=PATIENCE,
            cwd=str(self._world.work),
            env=environ,
            dimensions=(50, 200),
        )
        child.delaybeforesend = 0.2  # getpass drops input that is typed before its prompt
        shown, typed = "", list(step.typed)
        while child.expect([pexpect.EOF, *ASKS]):
            shown += child.before + child.after + "\n"
            child.sendline(expanded(typed.pop(0), self._world))
        shown += child.before
        child.close()
        shown = shown.replace("\r\n", "\n").strip("\n")
        return [f"exit code: {child.exitstatus}", *block("screen", shown, self._clean)]


# --- Python


class PythonFrontEnd:
    """A Python program without IPython that uses the public names."""

    def __init__(self, world: World, clean: Cleaner) -> None:
        self._world = world
        self._clean = clean

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.transcript.child"],
            cwd=self._world.work,
            env=self._world.environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=PATIENCE)

    def run(self, step: Step) -> list[str]:
        """Run some code."""
        done = threading.Event()
        if step.interrupt:
            threading.Thread(target=self._interrupt, args=(step.interrupt, done)).start()
        code = expanded(step.code, self._world)
        typed = "".join(f"{line}\n" for line in step.typed)
        self._process.stdin.write(json.dumps({"code": code, "typed": typed}) + "\n")
        self._process.stdin.flush()
        result = json.loads(self._process.stdout.readline())
        done.set()
        lines = []
        for name in ("stdout", "stderr", "error"):
            if result.get(name):
                lines += block(name, result[name], self._clean)
        if result.get("result"):
            lines += bundle(
                "result", result["result"]["data"], result["result"]["metadata"], self._clean
            )
        return lines

    def _interrupt(self, interrupt: str, done: threading.Event) -> None:
        wait_for_requests(self._world, requests_and_text(interrupt)[0])
        interrupt_until(self._process, done.is_set)
