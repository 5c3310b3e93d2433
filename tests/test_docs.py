"""Links in the documentation exist, and commands of the page on class servers are valid."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

import cfai_magics
from cfai_magics.backends.credentials import FILE_NAME as CREDENTIALS_FILE_NAME
from cfai_magics.chat.options import ASK_OPTIONS, OptionParser
from cfai_magics.commands import COMMANDS, load_command
from cfai_magics.course import read_course
from cfai_magics.pricing.catalog import CACHE_FILE_NAME as CATALOG_FILE_NAME
from cfai_magics.secret_patterns import ADMIN_KEY, find_token
from cfai_magics.settings import update_settings_file
from cfai_magics.storage.conversations import ConversationStore

ROOT = Path(__file__).parents[1]
SERVER = ROOT / "class-server"
PAGE = ROOT / "docs/class-server.md"
DATA_FLOW = ROOT / "docs/data-flow.md"
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    SERVER / "README.md",
]
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
ERROR_ROW = re.compile(r"^\| (\d{3}) (\d+) \|(.*?)\|", re.MULTILINE)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub creates them."""
    headings = HEADING.findall(BLOCK.sub("", read(path)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_and_headings_exist(page: Path) -> None:
    text = INLINE.sub("", BLOCK.sub("", read(page)))
    for link in LINK.findall(text):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def blocks(language: str, page: Path = PAGE) -> list[str]:
    """Return the code blocks of a page in a language; "" is a block without one."""
    return [
        re.sub(f"^{indent}", "", code, flags=re.MULTILINE)
        for indent, name, code in BLOCK.findall(read(page))
        if name == language
    ]


def commands() -> Iterator[str]:
    """Yield the commands of this package in the pages, in blocks and in sentences."""
    for page in (PAGE, DATA_FLOW):
        for code in (*blocks("sh", page), *blocks("", page)):
            yield from (line for line in code.splitlines() if re.match(r"%{0,2}cfai ", line))
        text = BLOCK.sub("", read(page))
        yield from (code for code in INLINE.findall(text) if re.match(r"%?cfai ", code))


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_each_command_is_valid(line: str) -> None:
    prog, *words = shlex.split(line)
    if prog == "%%cfai":
        OptionParser(prog, ASK_OPTIONS, "").parse_args(words)
        return
    name, *arguments = words
    assert name in COMMANDS
    OptionParser(name, load_command(name).OPTIONS, "").parse_args(arguments)


def test_the_commands_of_wrangler_name_secrets_of_the_server() -> None:
    lines = [line for code in blocks("sh") for line in code.splitlines()]
    wrangler = [line.split()[2:] for line in lines if line.startswith("npx wrangler ")]
    secrets = re.findall(r"/\*\* Secret: .*\*/\n\s+(\w+): string", read(SERVER / "src/env.ts"))
    assert ["deploy"] in wrangler
    assert [words for words in wrangler if words != ["deploy"]] == [
        ["secret", "put", name] for name in secrets
    ]


def test_the_admin_key_of_the_page_is_recognized_and_its_hash_printed(tmp_path: Path) -> None:
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    key = read(tmp_path / "admin.key")
    assert find_token(key) is ADMIN_KEY
    assert done.stdout.strip() == sha256(key.encode()).hexdigest()


def test_each_error_of_the_server_has_a_next_step() -> None:
    documented = {row[:2] for row in ERROR_ROW.findall(read(PAGE))}
    assert documented >= {row[:2] for row in ERROR_ROW.findall(read(SERVER / "README.md"))}


def test_the_messages_of_the_page_are_those_of_the_server() -> None:
    sources = "".join(map(read, sorted((SERVER / "src").glob("*.ts"))))
    messages = [
        message
        for _status, _code, cell in ERROR_ROW.findall(read(PAGE))
        for message in re.split(r", or |, ", cell.strip())
        if message
    ]
    assert len(messages) > 10
    for message in messages:
        assert message in sources, message


@pytest.mark.usefixtures("own_session")
def test_the_page_on_data_names_each_file_that_is_stored(home: Path) -> None:
    cfai_magics.ask("Hi")
    cfai_magics.map("{text}", ["Hi"])
    with ConversationStore(home) as conversations:
        conversations.list_threads()
    update_settings_file(home, {"max_tokens": 9})
    names = {path.name.removesuffix("-wal").removesuffix("-shm") for path in home.iterdir()}
    assert {"ledger.sqlite", "threads.sqlite", "maps.sqlite", "settings.toml"} <= names
    for name in (*names, CATALOG_FILE_NAME, CREDENTIALS_FILE_NAME):
        assert f"`{name}`" in read(DATA_FLOW), name


def test_the_example_on_private_courses_is_valid(tmp_path: Path) -> None:
    (example,) = blocks("toml", DATA_FLOW)
    course = tmp_path / "cfai.toml"
    course.write_text(example)
    policy = read_course(course)
    assert policy.settings == {"private": True}
    assert policy.locked == {"private"}
