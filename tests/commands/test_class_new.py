"""Test `cfai class new`: the folder of a class."""

import csv
import hashlib
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cfai_magics.commands import run
from cfai_magics.errors import CfaiError
from cfai_magics.session.session import Session
from tests.fake_frontends import bare_frontend
from tests.standin import Standin

WORKER = Path(__file__).parents[2] / "class-server"
Run = Callable[..., str]


@pytest.fixture
def new(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `%cfai class new` for two students in the test's folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.csv").write_text("name,budget\nAda,\nZoë & Söhne,50\n", encoding="utf-8")

    def run_new(*words: str) -> str:
        return str(run("class", ("new", *words), bare_frontend(session), "%cfai"))

    return run_new


def configuration(folder: Path) -> dict[str, object]:
    text = (folder / "wrangler.jsonc").read_text(encoding="utf-8")
    settings: dict[str, object] = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    return settings


def roster(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "src/class.json").read_text("utf-8"))
    return content


def test_the_folder_has_the_worker_and_its_configuration(
    new: Run, tmp_path: Path, account: Standin
) -> None:
    new("physics1", "--students", "names.csv")
    folder = tmp_path / "physics1"
    for path in (WORKER / "src").iterdir():
        if path.name != "class.json":
            assert (folder / "src" / path.name).read_bytes() == path.read_bytes()
    settings = configuration(folder)
    admin_key = (folder / "admin.key").read_text().strip()
    assert settings["name"] == "physics1"
    assert settings["vars"] == {
        "CLASS_NAME": "physics1",
        "API_BASE": "https://api.cloudflare.com/client/v4",
        "CLOUDFLARE_ACCOUNT_ID": account.account_id,
        "GATEWAY": "",
        "ALLOWED_ORIGINS": "",
        "ADMIN_KEY_HASH": hashlib.sha256(admin_key.encode()).hexdigest(),
    }
    assert account.requests == ()


def test_each_student_has_a_key_whose_hash_is_in_the_roster(new: Run, tmp_path: Path) -> None:
    new("physics1", "--students", "names.csv")
    folder = tmp_path / "physics1"
    with (folder / "keys.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["name", "key"]
    assert [name for name, _key in rows] == ["Ada", "Zoë & Söhne"]
    assert all(re.fullmatch(r"cfs_[\w-]{43}", key) for _name, key in rows)
    assert roster(folder)["students"] == [
        {
            "name": name,
            "key_hash": hashlib.sha256(key.encode()).hexdigest(),
            "settings": {} if name == "Ada" else {"budget": 50},
        }
        for name, key in rows
    ]
    keys = [key for _name, key in rows] + [(folder / "admin.key").read_text().strip()]
    assert len(set(keys)) == 3
    others = [
        path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("keys.csv", "admin.key")
    ]
    assert not any(key in text for key in keys for text in others)


def test_the_options_are_the_settings_of_the_class(new: Run, tmp_path: Path) -> None:
    new(
        *("--models", "llama-3.2-3b-instruct", "gemma-4-26b-a4b-it", "--share", "200"),
        *("--budget", "8,000", "--max-tokens", "500", "--system", "Be brief.\n“Hi”"),
        *("--time-zone", "Europe/Berlin", "--students", "names.csv", "physics1"),
    )
    assert roster(tmp_path / "physics1")["settings"] == {
        "budget": 8000,
        "share": 200,
        "models": ["@cf/meta/llama-3.2-3b-instruct", "@cf/google/gemma-4-26b-a4b-it"],
        "system_prompt": "Be brief.\n“Hi”",
        "max_tokens": 500,
        "time_zone": "Europe/Berlin",
    }


def test_columns_of_the_file_are_settings_of_the_students(new: Run, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text(
        "name,hours,models,max_tokens\nAda,8:00-16:00,bge-m3 m2m100-1.2b,99\n", encoding="utf-8"
    )
    new("physics1", "--students", "names.csv")
    (student,) = roster(tmp_path / "physics1")["students"]
    assert student["settings"] == {
        "window": {"from": "08:00", "to": "16:00"},
        "models": ["@cf/baai/bge-m3", "@cf/meta/m2m100-1.2b"],
        "max_tokens": 99,
    }


def test_a_model_of_a_student_that_does_not_exist_is_an_error(new: Run, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("name,models\nAda,bge-m33\n", encoding="utf-8")
    with pytest.raises(CfaiError, match=r"bge-m33"):
        new("physics1", "--students", "names.csv")
    assert not (tmp_path / "physics1").exists()


def test_the_keys_are_readable_only_by_the_teacher(new: Run, tmp_path: Path) -> None:
    new("physics1", "--students", "names.csv")
    folder = tmp_path / "physics1"
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (folder, folder / "keys.csv", folder / "admin.key")
    }
    assert modes == {"physics1": 0o700, "keys.csv": 0o600, "admin.key": 0o600}
    ignored = (folder / ".gitignore").read_text().split()
    assert {"keys.csv", "admin.key", "handouts.html"} <= set(ignored)


def test_the_result_shows_the_next_steps_and_no_key(new: Run, tmp_path: Path) -> None:
    shown = new("physics1", "--students", "names.csv")
    assert shown.splitlines()[0] == (
        "Created the folder physics1 with keys for 2 students. "
        "Only you can read physics1/keys.csv."
    )
    assert "  npx wrangler deploy\n  npx wrangler secret put CLOUDFLARE_API_TOKEN\n" in shown
    assert "Node.js 22 or later" in shown
    readme = (tmp_path / "physics1" / "README.md").read_text(encoding="utf-8")
    assert "npx wrangler deploy\nnpx wrangler secret put CLOUDFLARE_API_TOKEN" in readme
    assert "cfs_" not in shown


def test_a_class_without_an_account_says_where_the_account_id_belongs(
    new: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDFLARE_ACCOUNT_ID")
    assert "First set CLOUDFLARE_ACCOUNT_ID in physics1/wrangler.jsonc" in new(
        "physics1", "--students", "names.csv"
    )
    readme = (tmp_path / "physics1" / "README.md").read_text(encoding="utf-8")
    assert "Set CLOUDFLARE_ACCOUNT_ID in wrangler.jsonc" in readme


@pytest.mark.parametrize(("share", "is_warned"), [("333", False), ("334", True)])
def test_shares_above_the_free_neurons_are_pointed_out(
    new: Run, tmp_path: Path, share: str, *, is_warned: bool
) -> None:
    names = "".join(f"Student {number}\n" for number in range(30))
    (tmp_path / "names.csv").write_text(names)
    shown = new("physics1", "--students", "names.csv", "--share", share)
    assert ("10,020 neurons a day, but an account has only 10,000" in shown) == is_warned


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "A new class needs a name and a file"),
        (("physics1",), "A new class needs a name and a file"),
        (("physics1", "two", "--students", "names.csv"), "A new class needs a name"),
        (("Physics", "--students", "names.csv"), "is not a valid name for a class"),
        (("../x", "--students", "names.csv"), "is not a valid name for a class"),
        (("x" * 55, "--students", "names.csv"), "is not a valid name for a class"),
        (("a-", "--students", "names.csv"), "is not a valid name for a class"),
        (("a", "--students", "none.csv"), "There is no file none.csv"),
        (("a", "--students", "names.csv", "--share", "-1"), "is not a number of neurons"),
        (("a", "--students", "names.csv", "--share", "nan"), "is not a number of neurons"),
        (("a", "--students", "names.csv", "--budget", "all"), "is not a number of neurons"),
        (("a", "--students", "names.csv", "--max-tokens", "0"), "--max-tokens 0 is too small"),
        (("a", "--students", "names.csv", "--max-tokens", "200000"), "is too large"),
        (("a", "--students", "names.csv", "--system", "x" * 20_001), "is too large"),
        (("a", "--students", "names.csv", "--models", "lama"), "'lama' is not in the list"),
        (("a", "--students", "names.csv", "--time-zone", "Berlin"), "is not a time zone"),
        (("a", "--students", "names.csv", "--csv", "x"), "--csv does not apply to"),
        (("a", "--students", "names.csv", "--class", "x"), "--class does not apply to"),
    ],
)
def test_an_invalid_option_writes_nothing(
    new: Run, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CfaiError, match=re.escape(message)):
        new(*words)
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_exists_is_not_changed(new: Run, tmp_path: Path) -> None:
    (tmp_path / "physics1").mkdir()
    with pytest.raises(CfaiError, match="physics1 already exists"):
        new("physics1", "--students", "names.csv")
    assert list((tmp_path / "physics1").iterdir()) == []


def test_a_failure_leaves_no_folder(
    new: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(CfaiError, match="can't be written: No space left on device"):
        new("physics1", "--students", "names.csv")
    assert [path.name for path in tmp_path.iterdir() if "physics1" in path.name] == []


def test_sites_may_call_the_class_server(new: Run, tmp_path: Path) -> None:
    sites = ("https://Teacher.github.io/lessons/lab/index.html?path=a", "http://127.0.0.1:8000")
    new("physics1", "--students", "names.csv", "--site", *sites)
    variables = configuration(tmp_path / "physics1")["vars"]
    assert isinstance(variables, dict)
    assert variables["ALLOWED_ORIGINS"] == "https://teacher.github.io, http://127.0.0.1:8000"


@pytest.mark.parametrize(
    "address",
    [
        *("teacher.github.io", "http://teacher.github.io", "*", "https://", "ftp://a.example"),
        *("https://name:secret@a.example", "https://a b.example", "file:///tmp/site", ""),
    ],
)
def test_an_address_that_is_not_a_site_creates_nothing(
    address: str, new: Run, tmp_path: Path
) -> None:
    with pytest.raises(CfaiError, match="is not the address of a site"):
        new("physics1", "--students", "names.csv", "--site", address)
    assert not (tmp_path / "physics1").exists()
