"""cfai.toml is found and parsed, and rejected if it contains a host, secret or path."""

import os
from pathlib import Path

import pytest

from cfai_magics.course import COURSE_SETTINGS, NO_COURSE, PARSERS, find_course, read_course
from cfai_magics.errors import InvalidOptionError
from cfai_magics.settings import Cfai
from tests.canaries import account_id, admin_key, class_key, older_token, token

WHOLE = """
model = "llama-3.2-3b-instruct"
allowed_models = ["llama-3.2-3b-instruct", "@cf/baai/bge-m3"]
system = "Lead, and never give the solution."
max_tokens = 500
gateway = "class"
locked = ["system", "max_tokens"]

[budget]
day = 2000
call = 50

[metadata]
course = "Physics 1"
group = 3
"""


def course_in(folder: Path, text: str) -> Path:
    path = folder / "cfai.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_nearest_file_in_the_parent_folders_is_used(tmp_path: Path) -> None:
    lesson = tmp_path / "week" / "lesson"
    lesson.mkdir(parents=True)
    assert find_course(lesson) == NO_COURSE
    course_in(tmp_path, "max_tokens = 100")
    assert find_course(lesson).settings == {"max_tokens": 100}
    nearest = course_in(tmp_path / "week", "max_tokens = 50")
    assert find_course(lesson).path == nearest


def test_all_keys_are_read(tmp_path: Path) -> None:
    course = read_course(course_in(tmp_path, WHOLE))
    assert course.allowed_models == ("llama-3.2-3b-instruct", "@cf/baai/bge-m3")
    assert dict(course.budgets) == {"day": 2000, "cell": 50}
    assert course.locked == {"system", "max_tokens"}
    assert (course.gateway, course.metadata) == ("class", {"course": "Physics 1", "group": 3})


def test_the_first_allowed_model_is_the_default(tmp_path: Path) -> None:
    course = read_course(course_in(tmp_path, 'allowed_models = ["a", "b"]'))
    assert course.settings["model"] == "a"


@pytest.mark.parametrize(
    "line",
    [
        'base_url = "https://example.org"',
        'CLOUDFLARE_API_BASE_URL = "https://example.org"',
        'host = "example.org"',
        'http_proxy = "http://example.org"',
        'account_id = "mine"',
        'api_token = "x"',
        'api_key = "x"',
        'password = "x"',
        'home = "../elsewhere"',
        'ledger_file = "/tmp/x"',
        'local = "../model.gguf"',
        'local = "/etc/passwd"',
        "[server]",
        'class_server = "https://class.example"',
        'server = "class.example"',
        'url = "class.example"',
        'class = "https://class.example"',
        '[class]\nat = "https://class.example"',
        'CFAI_CLASS_SERVER = "https://class.example"',
        'CFAI_BASE_URL = "https://class.example"',
        'CFAI_API_KEY = "x"',
        '[env]\nCFAI_CLASS_SERVER = "https://class.example"',
        '[metadata]\nhost = "https://example.org"',
        '[metadata]\nnotes = "/etc/passwd"',
        '[metadata]\nnotes = "c:\\\\notes"',
    ],
)
def test_hosts_credentials_and_paths_are_rejected(tmp_path: Path, line: str) -> None:
    path = course_in(tmp_path, line)
    with pytest.raises(
        InvalidOptionError, match="hosts, accounts, credentials or paths"
    ) as caught:
        read_course(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("make_secret", [account_id, token, older_token, class_key, admin_key])
@pytest.mark.parametrize(
    "line",
    [
        'system = "Use {} always"',
        "[metadata]\nstudent = '{}'",
        'allowed_models = ["{}"]',
        'gateway = "{}"',
        '[metadata]\n"{}" = 1',
    ],
    ids=["a prompt", "metadata", "a list", "a gateway", "a name"],
)
def test_a_secret_is_rejected_and_not_printed(
    tmp_path: Path, line: str, make_secret: object
) -> None:
    assert callable(make_secret)
    secret = make_secret()
    with pytest.raises(InvalidOptionError, match="a token, a key or an account ID") as caught:
        read_course(course_in(tmp_path, line.format(secret)))
    assert secret not in str(caught.value)


def test_only_settings_of_a_course_are_accepted(tmp_path: Path) -> None:
    """Settings of this program that are added later are rejected, too."""
    settings = {*COURSE_SETTINGS, *PARSERS}
    others = {name for name in Cfai.class_own_traits(config=True) if name not in settings}
    assert "base_url" in others
    for name in others:
        with pytest.raises(InvalidOptionError, match="is not allowed in"):
            read_course(course_in(tmp_path, f'{name} = "class.example"'))


@pytest.mark.parametrize(
    "line",
    [
        'gateway = "https://class.example"',
        'gateway = "class.example/v1"',
        'model = "https://class.example/v1"',
        'local = "https://class.example/v1"',
        'allowed_models = ["//class.example/v1"]',
        '[budget]\nclass_server = "https://class.example"',
        '[metadata]\nclass_server = "https://class.example"',
        'locked = ["class_server"]',
    ],
)
def test_an_address_in_a_setting_is_rejected(tmp_path: Path, line: str) -> None:
    with pytest.raises(InvalidOptionError):
        read_course(course_in(tmp_path, line))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = ", "can't be read"),
        ('colour = "red"', "allowed keys: allowed_models"),
        ('model = "@cf/../../../user/tokens"', "not a model name"),
        ('model = "https://example.org/x"', "not a model name"),
        ("model = 3", "not a model name"),
        ("max_tokens = true", "max_tokens is true"),
        ("allowed_models = []", "not a list of names"),
        ('allowed_models = "all"', "not a list of names"),
        ('model = "a"\nallowed_models = ["b"]', "not in allowed_models"),
        ("budget = 2000", "the keys call, notebook, session, day"),
        ("[budget]\nweek = 1", "the keys call"),
        ("[budget]\nday = -1", "not a number of neurons"),
        ("[budget]\nday = inf", "not a number of neurons"),
        ("[budget]\nday = nan", "not a number of neurons"),
        ("[budget]\nday = true", "not a number of neurons"),
        ('gateway = "a/b"', "not a valid gateway name"),
        ("gateway = 1", "not a valid gateway name"),
        ("[metadata]\na=1\nb=1\nc=1\nd=1\ne=1\nf=1", "at most 5 keys"),
        ("[metadata]\na = [1]", "at most 5 keys"),
        ('metadata = "x"', "at most 5 keys"),
        ('locked = ["footer"]', "locked must be a list"),
        ('locked = "model"', "locked must be a list"),
        ('locked = ["system"]', "does not set it"),
        (f"# {'x' * 100_000}", "larger than 100,000 bytes"),
    ],
)
def test_an_invalid_file_gives_a_two_line_error(tmp_path: Path, text: str, message: str) -> None:
    path = course_in(tmp_path, text)
    with pytest.raises(InvalidOptionError) as caught:
        read_course(path)
    assert message.lower() in str(caught.value).lower()
    assert str(path) in str(caught.value)
    assert str(caught.value).count("\n") <= 1


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cfai.toml"
    creators = [path.mkdir, lambda: path.symlink_to(tmp_path / "nowhere")]
    creators += [lambda: os.mkfifo(path)] if hasattr(os, "mkfifo") else []
    for create in creators:
        create()
        with pytest.raises(InvalidOptionError, match="can't be read"):
            find_course(tmp_path)
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "cfai.toml"
    path.write_bytes(b"\xef\xbb\xbfmax_tokens = 5\r\n")
    assert read_course(path).settings == {"max_tokens": 5}


def test_a_file_that_is_not_text_gives_a_two_line_error(tmp_path: Path) -> None:
    path = tmp_path / "cfai.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidOptionError, match="can't be read"):
        read_course(path)
