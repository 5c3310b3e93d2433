"""Files that users name are written completely or not at all."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cfai_magics.paths import write_user_file, write_user_files


def interrupted_chunks() -> Iterator[bytes]:
    yield b"first"
    raise KeyboardInterrupt


@pytest.fixture
def umask() -> Iterator[None]:
    previous = os.umask(0o022)
    yield
    os.umask(previous)


def link_to_file(path: Path) -> None:
    path.with_name("target").write_bytes(b"old")
    path.symlink_to("target")


@pytest.mark.parametrize(
    "create",
    [
        pytest.param(lambda _path: None, id="missing"),
        pytest.param(lambda path: path.write_bytes(b"old"), id="file"),
        pytest.param(link_to_file, id="link"),
    ],
)
def test_an_interrupt_leaves_the_folder_unchanged(
    tmp_path: Path, create: Callable[[Path], object]
) -> None:
    path = tmp_path / "report.md"
    create(path)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        write_user_file(path, interrupted_chunks())
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    link_to_file(path)
    write_user_file(path, [b"new"])
    assert path.is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.usefixtures("umask")
def test_new_files_follow_the_umask_and_existing_ones_keep_their_mode(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    write_user_file(path, [b"a", b"b"])
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"ab", 0o644)
    path.chmod(0o640)
    write_user_file(path, [b"c"])
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"c", 0o640)


@pytest.mark.parametrize("has_hard_links", [True, False])
@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_an_existing_file_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, has_hard_links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    if not has_hard_links:
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "talk.md"
    if kind == "file":
        path.write_bytes(b"mine")
    else:
        path.symlink_to("missing")
    with pytest.raises(FileExistsError):
        write_user_file(path, [b"new"], overwrite=False)
    assert [each.name for each in tmp_path.iterdir()] == ["talk.md"]
    path.unlink()
    write_user_file(path, [b"new"], overwrite=False)
    assert path.read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["talk.md"]


def test_a_pipe_receives_the_content(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_user_file(path, [b"new"])
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize("overwrite", [True, False])
def test_several_files_are_written_or_none(tmp_path: Path, overwrite: bool) -> None:
    contents = {tmp_path / "first": b"1", tmp_path / "gone" / "second": b"2"}
    with pytest.raises(FileNotFoundError):
        write_user_files(contents, overwrite=overwrite)
    assert list(tmp_path.iterdir()) == []


def test_several_files_replace_existing_ones_only_on_request(tmp_path: Path) -> None:
    new, link = tmp_path / "a", tmp_path / "b"
    link_to_file(link)
    with pytest.raises(FileExistsError):
        write_user_files({new: b"1", link: b"2"}, overwrite=False)
    assert (new.exists(), link.read_bytes()) == (False, b"old")
    write_user_files({new: b"1", link: b"2"}, overwrite=True)
    assert (new.read_bytes(), (tmp_path / "target").read_bytes()) == (b"1", b"2")
    assert link.is_symlink()
    assert len(list(tmp_path.iterdir())) == len(("a", "b", "target"))
