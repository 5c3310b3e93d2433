"""Record the requests, tables and files of a session without values that differ per run."""

import base64
import hashlib
import io
import json
import re
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, closing
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from .names import NAMES, TEXTS
from .world import BETWEEN, ROOT, Step, World

LONGEST = 2_000  # characters of one text; a longer text is cut and gets a hash
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
DATA = re.compile(r"data:([\w/+.-]+);base64,([A-Za-z0-9+/=]{40,})")
BASE64 = re.compile(r"[A-Za-z0-9+/]{300,}={0,2}")
PATTERNS = (
    (UUID, "<uuid>"),
    (re.compile(r"chatcmpl-[0-9a-f]{32}"), "chatcmpl-<id>"),
    (re.compile(r'("id": ?")(?:[0-9a-f]{32}|id-\d{13})"'), r'\1<id>"'),
    (re.compile(r"\b[0-9a-f]{16}-FRA\b"), "<ray>"),
    (re.compile(r"\bcfai-[0-9a-f]{12}\b"), "<display>"),
    (re.compile(r"\bsk-[\w-]{43}"), "<own key>"),
    (re.compile(r"(?<=boundary=)[0-9a-f]{32}"), "<boundary>"),
    (re.compile(r"^--[0-9a-f]{32}", re.MULTILINE), "--<boundary>"),
    (re.compile(r"\b[0-9a-f]{32}\.lock\b"), "<hash>.lock"),
    (re.compile(r"\bkernel \d+ of (?=20)"), "kernel <pid> of "),
    (re.compile(r" at 0x[0-9a-f]{6,}"), " at 0x<address>"),
)
USUAL = ("accept", "accept-encoding", "authorization", "connection", "host", "user-agent")
OF_BODY = ("content-length", "content-type")
WIDE = re.compile(r"(?<=\S) {2,}(?=\S)")
SPEED = re.compile(r"\b[\d,]+ tokens/s|\b\d+\.\d s\b")
VERSIONS = re.compile(
    r"\b(Python|ipython|ipykernel|jupyterlab|notebook|ipywidgets|httpx) \d[\w.+]*"
)


class Cleaner:
    """Replaces values that differ per run with fixed names."""

    def __init__(self, world: World) -> None:
        account = world.standin.account_id
        address = world.standin.base_url
        host = address.partition("//")[2].partition("/")[0]
        self._names = {
            world.standin.token: "<token>",
            world.standin.account_token: "<account token>",
            world.standin.read_only_token: "<read-only token>",
            account: "<account>",
            f"…{account[-4:]}": "…<tail>",
            host: "<standin>",
            f"/private{world.root}": "<root>",
            str(world.root): "<root>",
            str(ROOT): "<repository>",
            sys.executable: "<python>",
            version("cfai-magics"): "<version>",
        }
        self._step = Step("")

    def learn(self, names: Mapping[str, str]) -> None:
        """Also replace these names from now on."""
        self._names.update(names)

    def begin(self, step: Step) -> None:
        """Clean the output of this step from now on."""
        self._step = step

    def __call__(self, text: str) -> str:
        """Return the text without values that differ per run."""
        text = DATA.sub(_media, text)
        text = BASE64.sub(lambda found: _counted(found[0]), text)
        for now, then in TEXTS.items():
            text = text.replace(now, then)
        for now, name in NAMES.items():
            text = re.sub(rf"\b{now}\b", name, text)
        for name, replacement in self._names.items():
            text = text.replace(name, replacement)
        for pattern, replacement in PATTERNS:
            text = pattern.sub(replacement, text)
        if self._step.loose:
            text = without_widths(text)
        if self._step.flowing:
            text = SPEED.sub("<speed>", text)
        return sorted_lines(text) if self._step.unordered else text


def without_widths(text: str) -> str:
    """Return a table without the widths of its columns, and without versions."""
    text = VERSIONS.sub(r"\1 <version>", text).replace(python_version(), "<version>")
    return WIDE.sub("  ", text)


def sorted_lines(text: str) -> str:
    """Return the text with its lines sorted."""
    return "\n".join(sorted(text.split("\n")))


def _media(found: re.Match[str]) -> str:
    data = base64.b64decode(found[2])
    return f"data:{found[1]};base64,<{_size(found[1], data)}>"


def _size(kind: str, data: bytes) -> str:
    """Return the size of an image in pixels: its bytes depend on the version of a library."""
    if not kind.startswith("image/"):
        return f"{len(data):,} bytes"
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return f"{image.width}×{image.height}"


def _counted(text: str) -> str:
    return f"<{len(text):,} characters of base64, {_hash(text)}>"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return the text, or its beginning and a hash of the whole text."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… <{len(text):,} characters, {_hash(text)}>"


def block(title: str, text: str, clean: Callable[[str], str]) -> list[str]:
    """Return the lines that show a text under a title."""
    lines = shortened(clean(on_screen(text))).split("\n")
    if len(lines) == 1:
        return [f"{title}: {lines[0]}"]
    return [f"{title}:", *(f"    {line}".rstrip() for line in lines)]


def on_screen(text: str) -> str:
    """Return the text as a terminal shows it after carriage returns."""
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return "\n".join(lines).strip("\n")


def dumped(value: Any) -> str:
    """Return a value as one line of JSON."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


# --- requests


def requests(world: World, clean: Cleaner, *, any_order: bool) -> list[str]:
    """Return the requests since the step began."""
    found = [_request(each, clean) for each in world.standin.requests]
    if any_order:
        found.sort()
    return [line for lines in found for line in lines]


def _request(received: Any, clean: Cleaner) -> list[str]:
    query = "&".join(f"{name}={value}" for name, value in received.query.items())
    line = f"{received.method} {received.path}{f'?{query}' if query else ''}"
    names = " ".join(_unusual(received.headers))
    try:
        body = received.body_bytes.decode()
    except UnicodeDecodeError:
        body = _binary_body(received)
    return [
        clean(f"request: {line}"),
        *([f"    headers: {names}"] if names else []),
        *([f"    {line}" for line in block("body", body, clean)] if body else []),
    ]


def _unusual(headers: Iterable[str]) -> list[str]:
    """Return the unusual headers, and the missing usual headers with "no"."""
    more = [name for name in sorted(headers) if name not in {*USUAL, *OF_BODY}]
    return [*more, *(f"(no {name})" for name in USUAL if name not in headers)]


def _binary_body(received: Any) -> str:
    """Return the header lines of a form and the size of its binary parts."""
    texts = received.body_bytes.decode("latin-1")
    return re.sub(
        r"[^\x20-\x7e\r\n](?s:.*?)(?=\r\n--[0-9a-f]{32}|$(?![\r\n]))",
        lambda found: f"<{len(found[0]):,} bytes, {_hash(found[0])}>",
        texts,
    ).replace("\r\n", "\n")


# --- tables


def kernels_in(home: Path) -> dict[str, str]:
    """Return a name for each kernel and each hashed account in the tables, in their order."""
    names: dict[str, str] = {}
    path = home / "ledger.sqlite"
    if not path.exists():
        return names
    with _opened(path) as connection:
        for column in ("kernel", "account"):
            query = f"SELECT {column} FROM calls GROUP BY {column} ORDER BY min(id)"
            found = [row[0] for row in connection.execute(query)]
            names |= {each: f"<{column} {n}>" for n, each in enumerate(found, 1) if len(each) > 8}
    return names


def _opened(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True))


def tables(home: Path, clean: Cleaner, flowed: Iterable[float] = ()) -> list[str]:
    """Return all rows of all tables of all SQLite files, with the names of columns.

    Calls that began at the times `flowed` are without their durations.
    """
    lines = []
    for path in sorted(home.rglob("*.sqlite")):
        with _opened(path) as connection:
            query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            version_ = connection.execute("PRAGMA user_version").fetchone()[0]
            lines += ["", f"=== {path.name}, user_version {version_}"]
            for (name,) in connection.execute(query).fetchall():
                lines += _table(connection, name, clean, set(flowed))
    return lines


def _table(
    connection: sqlite3.Connection, name: str, clean: Cleaner, flowed: set[float]
) -> list[str]:
    cursor = connection.execute(f"SELECT * FROM {name}")
    columns = [each[0] for each in cursor.description]
    # The ids of parallel calls have no fixed order.
    indexes = [n for n, column in enumerate(columns) if (name, column) != ("calls", "id")]
    texts = []
    for row in cursor.fetchall():
        values = [_value(row[n]) for n in indexes]
        if name == "calls" and _in(flowed, row[columns.index("started")]):
            durations = {columns.index("seconds"), columns.index("first_token_seconds")}
            values = ["<speed>" if n in durations else _value(row[n]) for n in indexes]
        texts.append(clean(dumped(values)))
    return [f"--- {name} ({', '.join(columns)})", *map(shortened, sorted(texts))]


def _in(steps: set[float], time: float) -> bool:
    """Return True if a time is in one of the steps with these start times."""
    return any(0 <= time - start < BETWEEN for start in steps)


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    return round(value, 6) if isinstance(value, float) else value


# --- files


def files(folder: Path, clean: Cleaner, *, leave_out: Iterable[str] = ()) -> list[str]:
    """Return each file below a folder with its mode, and the content of text files."""
    lines = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name in leave_out or name.endswith(("-wal", "-shm", "-journal")):
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        lines.append(clean(f"{mode:04o} {name}{'/' if path.is_dir() else ''}"))
        if path.is_file():
            lines += _content(path, clean)
    return lines


def _content(path: Path, clean: Cleaner) -> list[str]:
    if path.suffix in {".sqlite", ".lock"}:
        return []
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return [f"    <{len(content):,} bytes>"]
    limit = LONGEST if path.suffix == ".jsonl" else 2 * LONGEST
    if ".ai-use." in path.name:  # parallel calls have no fixed order
        text = sorted_lines(text)
    texts = text.splitlines() if path.suffix == ".jsonl" else shortened(clean(text)).splitlines()
    return [f"    {shortened(clean(line), limit)}" for line in texts]
