"""Test `cfai class` with the real class server: keys, usage, shares and pauses."""

import csv
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from cfai_magics.commands import run
from cfai_magics.display.class_usage import ClassUsageReport
from cfai_magics.display.tables import Table
from cfai_magics.errors import CfaiError, InvalidOptionError
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai
from tests.class_server import ClassServer
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

pytestmark = pytest.mark.slow

Run = Callable[..., Any]
NAMES = "name,budget\nAda,\nZoë 李 & Söhne?,50\nBob,\n"
KEY = re.compile(r"cfsa?_[\w-]{20,}")


def run_in(home: Path, **given: Any) -> Run:
    """Return a function that runs `%cfai class` and checks that the result shows no key."""

    def run_class(*words: str) -> Any:
        session = Session(Cfai(), home)
        try:
            result = run("class", words, bare_frontend(session, **given), "%cfai")
        finally:
            session.close()
        assert not KEY.search(str(result))
        return result

    return run_class


@pytest.fixture(scope="module")
def class_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a new class."""
    folder = tmp_path_factory.mktemp("classes")
    (folder / "names.csv").write_text(NAMES, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        run_in(folder / "home")("new", "physics1", "--students", "names.csv", "--share", "200")
    return folder / "physics1"


@pytest.fixture(scope="module")
def server(module_cloudflare: Standin, class_folder: Path) -> Iterator[ClassServer]:
    """Yield the server of that folder, whose address is not known to the folder."""
    admin_key = (class_folder / "admin.key").read_text().strip()
    with ClassServer(module_cloudflare, admin_key=admin_key, worker=class_folder) as started:
        yield started


@pytest.fixture
def teach(
    server: ClassServer, class_folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Return a function that runs `%cfai class` in the folder of the class."""
    monkeypatch.chdir(class_folder)
    teach = run_in(home)
    teach("usage", "--url", server.url)
    return teach


def read_keys(folder: Path) -> dict[str, str]:
    with (folder / "keys.csv").open(encoding="utf-8", newline="") as file:
        _header, *rows = csv.reader(file)
    return dict(rows)


def status(server: ClassServer, key: str) -> int:
    return server.request("GET", "/me", key).status_code


def row(table: Table, name: str) -> tuple[str, ...]:
    (found,) = [row for row in table.rows if row[0] == name]
    return found


def test_the_students_of_the_folder_have_keys_and_budgets(
    teach: Run, server: ClassServer, class_folder: Path
) -> None:
    assert teach("keys").rows
    budgets = {
        name: server.request("GET", "/me", key).json()["budget"]
        for name, key in read_keys(class_folder).items()
    }
    assert budgets == {"Ada": 200, "Zoë 李 & Söhne?": 50, "Bob": 200}


def test_the_address_is_needed_once(
    server: ClassServer, class_folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(class_folder)
    (class_folder / "class.toml").write_text('name = "physics1"\nurl = ""\n')
    teach = run_in(home)
    with pytest.raises(InvalidOptionError, match="The address of the class physics1 is not known"):
        teach("usage")
    teach("usage", "--url", f" {server.url}/v1/")
    teach("usage")
    monkeypatch.chdir(home.parent)
    teach("usage", "--class", str(class_folder))
    with pytest.raises(InvalidOptionError, match="There is no class in the current folder"):
        teach("usage")
    with pytest.raises(InvalidOptionError, match="There is no class in the folder elsewhere"):
        teach("usage", "--class", "elsewhere")


def test_usage_is_listed_by_student_and_model(
    teach: Run, server: ClassServer, class_folder: Path, tmp_path: Path
) -> None:
    keys = read_keys(class_folder)
    for name, count in (("Ada", 1), ("Zoë 李 & Söhne?", 2)):
        for _ in range(count):
            assert server.chat(keys[name]).status_code == httpx.codes.OK
        server.settled(keys[name])
    report = teach("usage")
    assert isinstance(report, ClassUsageReport)
    assert [(row[0], row[1], row[2]) for row in report.table.rows] == [
        ("Zoë 李 & Söhne?", "llama-3.2-3b-instruct", "2"),
        ("Ada", "llama-3.2-3b-instruct", "1"),
    ]
    assert "3 calls on " in report.table.note
    frame = report.df()
    assert list(frame.columns) == ["day", "student", "model", "calls", "neurons", "estimated"]
    assert frame["neurons"].sum() == pytest.approx(sum(row[4] for row in report.rows))
    assert "Zoë 李 & Söhne?  ████" in str(report)
    path = tmp_path / "usage.csv"
    teach("usage", "--from", "2026-01-01", "--csv", str(path))
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == list(frame.columns)
    assert sorted(row[1] for row in rows) == ["Ada", "Zoë 李 & Söhne?"]


def test_days_without_calls_have_no_usage(teach: Run) -> None:
    report = teach("usage", "--from", "2026-01-01", "--to", "2026-01-02")
    assert str(report) == "No calls from 2026-01-01 to 2026-01-02 (UTC)."
    for words, message in (
        (("--from", "2026-01-02", "--to", "2026-01-01"), "is after --to"),
        (("--from", "soon"), "'soon' is not a day"),
    ):
        with pytest.raises(InvalidOptionError, match=message):
            teach("usage", *words)


def test_new_keys_are_saved_and_work(
    teach: Run, server: ClassServer, class_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "more.csv").write_text("Eve\nMax Ü\n", encoding="utf-8")
    shown = teach("keys", "add", "Uma", "--students", str(tmp_path / "more.csv"))
    assert "The new keys of Uma, Eve, Max Ü are in keys.csv." in shown
    keys = read_keys(class_folder)
    assert {status(server, keys[name]) for name in ("Uma", "Eve", "Max Ü")} == {200}
    assert (class_folder / "keys.csv").stat().st_mode & 0o077 == 0
    with pytest.raises(InvalidOptionError, match="In the class already: Uma"):
        teach("keys", "add", "New", "Uma")
    assert "New" not in {row[0] for row in teach("keys").rows}


def test_a_renewed_key_replaces_the_old_one(
    teach: Run, server: ClassServer, class_folder: Path
) -> None:
    old = read_keys(class_folder)["Zoë 李 & Söhne?"]
    teach("keys", "renew", "Zoe\u0308", "李", "&", "Söhne?")
    new = read_keys(class_folder)["Zoë 李 & Söhne?"]
    assert (status(server, old), status(server, new)) == (401, 200)
    assert row(teach("keys"), "Zoë 李 & Söhne?")[1] == f"…{new[-4:]}"


def test_a_revoked_key_is_refused_and_removed(
    teach: Run, server: ClassServer, class_folder: Path
) -> None:
    teach("keys", "add", "Rob")
    key = read_keys(class_folder)["Rob"]
    teach("keys", "revoke", "Rob")
    assert status(server, key) == 401
    assert "Rob" not in read_keys(class_folder)
    assert row(teach("keys"), "Rob")[1:3] == ("", "revoked")
    teach("keys", "add", "Rob")
    assert status(server, read_keys(class_folder)["Rob"]) == 200


def test_a_share_applies_to_a_student_or_the_class(
    teach: Run, server: ClassServer, class_folder: Path
) -> None:
    keys = read_keys(class_folder)

    def budgets() -> list[float]:
        return [
            server.request("GET", "/me", keys[name]).json()["budget"] for name in ("Ada", "Bob")
        ]

    assert teach("share", "Bob", "1,000") == "Bob has 1,000 neurons a day."
    assert budgets() == [200, 1000]
    teach("share", "150")
    assert budgets() == [150, 1000]
    teach("share", "Bob", "off")
    assert budgets() == [150, 150]
    teach("share", "200")
    for words in ((), ("Ada",), ("off",), ("Ada", "-5"), ("Ada", "inf")):
        with pytest.raises(InvalidOptionError, match="number of neurons"):
            teach("share", *words)


def test_a_pause_refuses_calls_until_it_ends(
    teach: Run, server: ClassServer, class_folder: Path
) -> None:
    keys = read_keys(class_folder)

    def statuses() -> list[int]:
        return [server.chat(keys[name]).status_code for name in ("Ada", "Bob")]

    teach("pause")
    assert statuses() == [403, 403]
    teach("resume")
    teach("pause", "Bob")
    assert statuses() == [200, 403]
    assert row(teach("keys"), "Bob")[2] == "paused"
    teach("resume", "Bob")
    assert statuses() == [200, 200]


def test_handouts_have_a_card_for_each_student(
    teach: Run, server: ClassServer, class_folder: Path, tmp_path: Path
) -> None:
    path = class_folder / "handouts.html"
    path.touch(0o644)
    teach("keys", "print")
    page = path.read_text(encoding="utf-8")
    keys = read_keys(class_folder)
    assert page.count("<section>") == len(keys)
    assert all(page.count(key) == 1 for key in keys.values())
    assert "Zoë 李 &amp; Söhne?" in page
    assert f"%cfai login --class {server.url}" in page
    assert path.stat().st_mode & 0o077 == 0
    teach("keys", "print", "Bob", "--output", str(tmp_path / "bob.html"))
    page = (tmp_path / "bob.html").read_text(encoding="utf-8")
    assert [name for name, key in keys.items() if key in page] == ["Bob"]
    with pytest.raises(InvalidOptionError, match="has no key for Zach"):
        teach("keys", "print", "Zach")


@pytest.mark.parametrize("words", [("pause", ""), ("resume", " "), ("share", "", "5")])
def test_an_empty_name_is_not_the_whole_class(teach: Run, words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidOptionError, match="The name of a student is missing"):
        teach(*words)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("keys", "renew", "bob"), "Did you mean Bob?"),
        (("keys", "revoke", "Zoë"), "Did you mean Zoë 李 & Söhne??"),
        (("share", "Adda", "5"), "Did you mean Ada?"),
        (("pause", "Quentin"), "%cfai class keys lists the students."),
        (("keys", "renw"), "Did you mean renew?"),
    ],
)
def test_an_unknown_name_suggests_the_closest_one(
    teach: Run, words: tuple[str, ...], hint: str
) -> None:
    with pytest.raises(InvalidOptionError) as raised:
        teach(*words)
    assert raised.value.hint.startswith(hint)


def test_keys_in_another_format_are_not_overwritten(teach: Run, class_folder: Path) -> None:
    path = class_folder / "keys.csv"
    content = path.read_text(encoding="utf-8")
    path.write_text(content.replace(",", ";"), encoding="utf-8")
    try:
        for words in (("keys", "add", "Ida"), ("keys", "renew", "Bob"), ("keys", "print")):
            with pytest.raises(InvalidOptionError, match="is not in the format name,key"):
                teach(*words)
        assert ";" in path.read_text(encoding="utf-8")
    finally:
        path.write_text(content, encoding="utf-8")
    assert "Ida" not in {row[0] for row in teach("keys").rows}
    assert row(teach("keys"), "Bob")[1] == f"…{read_keys(class_folder)['Bob'][-4:]}"


# --- other servers


class OtherServer:
    """A server that sends one answer, and keeps the headers of requests."""

    def __init__(self, status: int, body: str, **headers: str) -> None:
        requests: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(dict(self.headers))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.requests = requests
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


ERROR = {"success": False, "errors": [{"code": 9109, "message": "Invalid access token"}]}
OTHER_SERVERS = {
    "a page": (200, "<!doctype html><title>Hello</title>"),
    "not found": (404, "<html>Not found</html>"),
    "JSON": (200, "{}"),
    "a list": (200, "[1]"),
    "nothing": (200, ""),
    "another API": (401, json.dumps(ERROR)),
    "plain 401": (401, "no"),
    "a failure": (500, "failed"),
}


@pytest.mark.parametrize("answer", OTHER_SERVERS.values(), ids=OTHER_SERVERS)
def test_another_server_does_not_get_the_admin_key(
    teach: Run, class_folder: Path, answer: tuple[int, str]
) -> None:
    before = (class_folder / "class.toml").read_text()
    with OtherServer(*answer) as other:
        with pytest.raises(CfaiError, match="is not a class server"):
            teach("usage", "--url", other.url)
        assert other.requests
        assert not [headers for headers in other.requests if "Authorization" in headers]
    assert (class_folder / "class.toml").read_text() == before


def test_a_redirect_is_not_followed(teach: Run, class_folder: Path) -> None:
    before = (class_folder / "class.toml").read_text()
    with OtherServer(200, "{}") as target, OtherServer(302, "", Location=target.url) as other:
        (class_folder / "class.toml").write_text(f'name = "physics1"\nurl = "{other.url}"\n')
        try:
            with pytest.raises(CfaiError, match="is not a class server"):
                teach("usage")
        finally:
            (class_folder / "class.toml").write_text(before)
        assert target.requests == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://class.example", "is not encrypted"),
        ("http://127.0.0.1.example", "is not encrypted"),
        ("ftp://class.example", "Not a valid server address"),
        ("https://user@class.example", "Not a valid server address"),
        ("physics1", "Not a valid server address"),
    ],
)
def test_an_address_without_encryption_is_refused(teach: Run, url: str, message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        teach("usage", "--url", url)


def test_the_server_of_another_class_refuses_the_admin_key(
    teach: Run, class_folder: Path, module_cloudflare: Standin
) -> None:
    before = (class_folder / "class.toml").read_text()
    with (
        ClassServer(module_cloudflare) as other,
        pytest.raises(CfaiError, match="The admin key is not valid") as raised,
    ):
        teach("keys", "--url", other.url)
    assert "Check that admin.key belongs to" in raised.value.hint
    assert (class_folder / "class.toml").read_text() == before


def test_a_server_without_a_valid_token_is_pointed_out(
    class_folder: Path, module_cloudflare: Standin, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(class_folder)
    before = (class_folder / "class.toml").read_text()
    admin_key = (class_folder / "admin.key").read_text().strip()
    lines: list[str] = []
    with ClassServer(
        module_cloudflare, admin_key=admin_key, variables={"CLOUDFLARE_API_TOKEN": "wrong"}
    ) as other:
        run_in(home, print=lines.append)("usage", "--url", other.url)
    (class_folder / "class.toml").write_text(before)
    assert lines[0].startswith("The students get no answers yet: Cloudflare did not send its")
    assert "npx wrangler secret put CLOUDFLARE_API_TOKEN" in lines[1]


def test_a_server_that_is_not_running_is_named(teach: Run, class_folder: Path) -> None:
    with OtherServer(200, "") as other:
        url = other.url
    with pytest.raises(CfaiError, match="could not be reached") as raised:
        teach("usage", "--url", url)
    assert url in raised.value.hint


def test_the_server_enforces_the_settings_in_the_file(
    teach: Run, server: ClassServer, class_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "more.csv").write_text(
        "name,expires,models\nOld,2020-01-01,\nVector,2100-01-01,bge-m3\n", encoding="utf-8"
    )
    teach("keys", "add", "--students", str(tmp_path / "more.csv"))
    keys = read_keys(class_folder)
    try:
        assert status(server, keys["Old"]) == httpx.codes.UNAUTHORIZED
        assert server.chat(keys["Vector"]).status_code == httpx.codes.FORBIDDEN
        models = server.request("GET", "/v1/models", keys["Vector"]).json()["data"]
        assert [model["id"] for model in models] == ["@cf/baai/bge-m3"]
    finally:
        for name in ("Old", "Vector"):
            teach("keys", "revoke", name)
