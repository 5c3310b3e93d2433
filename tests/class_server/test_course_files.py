"""A course file cannot send the key of a student to another address."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cfai_magics.errors import CfaiError
from cfai_magics.session.session import Session
from cfai_magics.settings import load_settings
from cfai_magics.types.messages import Message
from tests.class_server import ClassServer
from tests.standin import Standin

HI: list[Message] = [{"role": "user", "content": "Hi"}]
ADDRESS_LINES = [
    'class_server = "{url}"',
    'base_url = "{url}/v1"',
    'class = "{url}"',
    'CFAI_CLASS_SERVER = "{url}"',
    'CFAI_BASE_URL = "{url}/v1"',
    'CLOUDFLARE_API_BASE_URL = "{url}"',
    '[env]\nCFAI_CLASS_SERVER = "{url}"',
    '[metadata]\nclass_server = "{url}"',
    'gateway = "{url}"',
    'model = "{url}/v1"',
    'local = "{url}/v1"',
    '[budget]\nday = "{url}"',
]
OTHER_LINES = [
    'system = "Use the class server {url}"',
    '[metadata]\nclass_server = "{host}"',
    'gateway = "off"',
    'recording = "auto:{host}"',
    'allowed_models = ["llama-3.2-3b-instruct", "{name}/v1"]\nmodel = "llama-3.2-3b-instruct"',
]


@pytest.fixture(scope="module")
def attacker() -> Iterator[Standin]:
    """Yield another server, which a course file names."""
    with Standin() as started:
        yield started


def write_course(folder: Path, line: str, attacker: Standin) -> None:
    parts = urlsplit(attacker.base_url)
    text = line.format(
        url=f"{parts.scheme}://{parts.netloc}", host=parts.netloc, name=parts.hostname
    )
    (folder / "cfai.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def student(server: ClassServer, key: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set the address and the key of a student in the environment, and return the key."""
    monkeypatch.setenv("CFAI_CLASS_SERVER", server.url)
    monkeypatch.setenv("CFAI_API_KEY", key)
    return key


@pytest.mark.parametrize("line", ADDRESS_LINES)
def test_an_address_in_a_course_file_stops_all_calls(
    student: str, cloudflare: Standin, attacker: Standin, home: Path, tmp_path: Path, line: str
) -> None:
    write_course(tmp_path, line, attacker)
    with pytest.raises(CfaiError) as caught:
        Session(load_settings(home, None, tmp_path), home)
    assert str(tmp_path / "cfai.toml") in str(caught.value)
    assert student not in str(caught.value)
    assert attacker.requests == cloudflare.requests == ()


@pytest.mark.parametrize("line", OTHER_LINES)
def test_a_host_in_another_setting_does_not_receive_the_key(
    student: str, cloudflare: Standin, attacker: Standin, home: Path, tmp_path: Path, line: str
) -> None:
    write_course(tmp_path, line, attacker)
    session = Session(load_settings(home, None, tmp_path), home)
    session.ask(session.build_request(HI))
    session.close()
    assert student
    assert cloudflare.requests != ()
    assert attacker.requests == ()


@pytest.mark.parametrize("setting", ["class_server", "base_url"])
def test_an_address_in_the_settings_does_not_receive_the_key_of_the_environment(
    student: str,
    attacker: Standin,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
) -> None:
    monkeypatch.delenv("CFAI_CLASS_SERVER")
    settings = load_settings(home, None, tmp_path)
    setattr(settings, setting, f"{attacker.base_url}/v1")
    session = Session(settings, home)
    with pytest.raises(CfaiError) as caught:
        session.ask(session.build_request(HI))
    session.close()
    assert student not in str(caught.value)
    assert attacker.requests == ()
