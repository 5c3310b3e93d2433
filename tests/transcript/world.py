"""The world of one front end: a folder, a stand-in for Cloudflare, a clock, an environment."""

import json
import os
import shutil
import struct
import tempfile
import wave
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.standin import Standin, Switches

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BEGINNING = 1791784800.0  # 2026-10-12 06:00 UTC
PART = 3_600.0  # s between parts of a session: a new step changes few recorded times
BETWEEN = 70.0  # s between two steps: more than a minute, so that no rate limit applies
FOREIGN = ("CFAI_", "CLOUDFLARE_", "CF_", "JPY_", "JUPYTER", "IPYTHON", "PYTHON", "LC_")


@dataclass(frozen=True)
class Step:
    """One step of a session: its input and its conditions.

    `server` contains switches of the stand-in for this step only. `takes` is the duration of an
    answer in seconds on the fixed clock. `typed` contains the answers to questions of the step.
    `interrupt` is the text after which the step is interrupted. `parallel` steps send requests in
    any order. `before` prepares files; `loose` allows different column widths.
    """

    code: str
    server: Mapping[str, Any] = field(default_factory=dict)
    takes: float = 0.0
    typed: Sequence[str] = ()
    interrupt: str = ""
    parallel: bool = False
    flowing: bool = False
    unordered: bool = False
    loose: bool = False
    before: Callable[["World"], None] | None = None
    environ: Mapping[str, str] = field(default_factory=dict)


class World:
    """One folder that contains all files of a front end."""

    def __init__(self, root: Path, standin: Standin) -> None:
        self.root = root
        self.standin = standin
        self.work = root / "work"
        self.home = root / "home"
        self._clock = root / "clock"
        self.clock_is_stopped = False
        self.account_in_environment = True
        self.seconds = BEGINNING
        self._tick = 0.0
        self.flowed: set[float] = set()
        self.work.mkdir()
        self._write_clock()
        make_files(self.work)

    def pass_time(self, seconds: float) -> None:
        """Advance the clock of the package and of the stand-in."""
        self.seconds += seconds
        self._write_clock()

    def _write_clock(self) -> None:
        new = self._clock.with_suffix(".new")
        new.write_text(f"{self.seconds!r} {self._tick!r}", encoding="ascii")
        new.replace(self._clock)

    def begin_part(self, number: int) -> None:
        """Set the clock for a part of the session."""
        self.seconds = BEGINNING + number * PART

    def environ(self, **more: str) -> dict[str, str]:
        """Return the environment of a process in this world."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(FOREIGN) and not name.lower().endswith("_proxy")
        }
        account = self.standin.environ()
        if not self.account_in_environment:
            account = {name: account[name] for name in account if name.endswith("_URL")}
        return {
            **inherited,
            **account,
            "HOME": str(self.root),
            "CFAI_HOME": str(self.home),
            "CFAI_TRANSCRIPT_CLOCK": str(self._clock),
            "IPYTHONDIR": str(self.root / "ipython"),
            "JUPYTER_RUNTIME_DIR": str(self.root / "runtime"),
            "PYTHONPATH": f"{HERE / 'site'}{os.pathsep}{ROOT}",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "PYTHONHASHSEED": "0",
            "COLUMNS": "100",
            "LINES": "50",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "TZ": "UTC",
            "NO_COLOR": "1",
            **more,
        }

    def begin(self, step: Step) -> None:
        """Prepare a step: its time, its files, its switches."""
        self._tick = 0.03 if step.flowing else 0.0
        self.pass_time(0.0 if self.clock_is_stopped else BETWEEN)
        if step.flowing:
            self.flowed.add(self.seconds)
        if step.before:
            step.before(self)
        switches = Switches(**step.server)
        if step.takes:
            switches = Switches(**{**step.server, "answer": self._slowly(step)})
        self.standin.switches = switches
        self.standin.clear()

    def _slowly(self, step: Step) -> Callable[[str], str]:
        text = step.server.get("answer", "It took its time.")

        def answer(_prompt: str) -> str:
            self.pass_time(step.takes)
            return text

        return answer


@contextmanager
def new_world() -> Iterator[World]:
    """Yield a world and delete its folder at the end. Its path always has the same length."""
    root = Path(tempfile.mkdtemp(prefix="cfai-transcript-", dir="/tmp"))
    box: list[World] = []
    try:
        with Standin(clock=lambda: box[0].seconds) as standin:
            box.append(World(root, standin))
            yield box[0]
    finally:
        shutil.rmtree(root, ignore_errors=True)


# --- files that a session uses


def make_files(folder: Path) -> None:
    """Write the notebook, images, sound and texts that the steps name."""
    cells = [
        ("markdown", "# A lesson"),
        ("code", "%load_ext cfai_magics"),
        ("code", "%%cfai\nWhy is the sky blue?"),
        ("code", "%%cfai -n 3 -t 0,1\nHeads or tails?"),
        ("code", "%%cfai --task image\nA lighthouse"),
    ]
    (folder / "lesson.ipynb").write_text(json.dumps(notebook(cells), indent=1) + "\n")
    (folder / "small.png").write_bytes(png(6, 4))
    (folder / "wide.png").write_bytes(png(2048, 64))
    (folder / "table.csv").write_text("a,b\n1,2\n")
    (folder / "note.txt").write_text("A note.")
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    (folder / "city.json").write_text(json.dumps(schema))
    with wave.open(str(folder / "talk.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(4_000)
        sound.writeframes(b"\x80" * 12_000)


def notebook(cells: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return a notebook of nbformat 4.5 without outputs."""
    nodes = []
    for number, (kind, source) in enumerate(cells):
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source}
        code = {"outputs": [], "execution_count": None} if kind == "code" else {}
        nodes.append({**cell, **code})
    return {"cells": nodes, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def png(width: int, height: int) -> bytes:
    """Return a gray PNG image."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + b"\x80" * width) * height
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
