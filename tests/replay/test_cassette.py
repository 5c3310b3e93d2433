"""A cassette is shared and sorted; existing lines do not change."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfai_magics.errors import StorageError
from cfai_magics.replay.cassette import Cassette
from cfai_magics.replay.contents import Contents
from cfai_magics.replay.fingerprint import RecordedRequest
from cfai_magics.replay.interaction import CorruptLineError, Interaction, parse_line
from cfai_magics.types.usage import Usage
from tests.replay.sessions import lines

pytestmark = pytest.mark.slow

CODE = """
import sys
from pathlib import Path
from tests.replay.test_cassette import record
from cfai_magics.replay.cassette import Cassette
path, locks, name = sys.argv[1:]
for number in range(20):
    Cassette(Path(path), Path(locks)).add(record(f"{name} {number}"))
"""


def record(text: str, nth: int = 0, answer: str = "Yes.") -> Interaction:
    asked = RecordedRequest(
        {"task": "chat", "model": "m", "messages": [{"role": "user", "content": text}]}
    )
    told: dict[str, Any] = {"text": [[5, answer]], "thought": [], "tool_calls": []}
    stream = {**told, "finish": "stop", "usage": {}}
    replies = ({"ms": 9, "stream": stream},)
    return Interaction(asked, nth, "2026-10-12", "1.0", "stop", Usage(1, 2), replies)


@pytest.fixture
def shelf(path: Path, tmp_path: Path) -> Cassette:
    return Cassette(path, tmp_path / "locks")


def test_a_line_holds_the_same_record_again() -> None:
    for made in (record("a"), replace(record("b"), usage=Usage(1, 2, 1, 3.5, "billed"))):
        assert parse_line(made.to_line()) == made
        assert parse_line(made.to_line()).to_line() == made.to_line()


def test_lines_stand_in_order_whatever_order_they_came_in(shelf: Cassette, path: Path) -> None:
    made = [record(text, nth) for text in "abc" for nth in (1, 0)]
    for each in made:
        shelf.add(each)
    shelf.sort()
    found = [parse_line(line) for line in lines(path)]
    assert [each.sort_key for each in found] == sorted(each.sort_key for each in made)


def test_one_more_answer_is_one_more_line(shelf: Cassette, path: Path) -> None:
    for text in "abcdef":
        shelf.add(record(text))
    before = lines(path)
    shelf.add(record("one more"))
    (added,) = set(lines(path)) - set(before)
    assert [line for line in lines(path) if line != added] == before


def test_what_stands_there_already_stays(shelf: Cassette, path: Path) -> None:
    shelf.add(record("a", answer="first"))
    before = path.read_bytes()
    shelf.add(record("a", answer="second"))
    assert path.read_bytes() == before


def test_refreshing_replaces_one_answer_and_those_after_it(shelf: Cassette, path: Path) -> None:
    for nth in range(3):
        shelf.add(record("a", nth))
    shelf.add(record("b"))
    shelf.add(record("a", 0, "new"), replace_from=1)
    assert [each.text for each in shelf.contents().interactions] == ["Yes.", "new"]
    shelf.sort()
    found = [parse_line(line) for line in lines(path)]
    assert sorted((each.text, each.index) for each in found) == [("Yes.", 0), ("new", 0)]


DAMAGE = {
    "half a line": record("x").to_line()[:50] + b"\n",
    "a conflict of git": b"<<<<<<< HEAD\n",
    "no object": b"[1, 2]\n",
    "no reply": b'{"key": "a"}\n',
    "bytes that are no text": b"\xff\xfe\x00\n",
    "deep": b"[" * 100_000 + b"\n",
    "a day and more to wait": record("x").to_line().replace(b'"ms":9', b'"ms":1e300'),
    "no number to wait": record("x").to_line().replace(b"[[5,", b"[[NaN,"),
    "neurons that are no number": record("x").to_line().replace(b"null", b'"many"'),
    "half of a letter": record("x", answer="\U0001f600")
    .to_line()
    .replace("\U0001f600".encode(), b"\\ud83d"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_is_reported_and_kept_as_it_is(
    shelf: Cassette, path: Path, damage: bytes
) -> None:
    good = sorted((record(text) for text in "ab"), key=lambda each: each.sort_key)
    path.write_bytes(good[0].to_line() + damage + b"\n" + good[1].to_line().rstrip(b"\n"))
    assert len(shelf.contents().interactions) == 2
    assert [told.split(" (")[0] for told in shelf.contents().corruption_notes] == ["line 2"]
    shelf.add(record("new"))
    shelf.sort()
    kept = lines(path)
    place = kept.index(damage)
    assert kept[place + 1] == b"\n"
    assert kept[place - 1] == good[0].to_line() or parse_line(kept[place - 1]).text
    assert len(shelf.contents().interactions) == 3


def test_many_damaged_lines_are_told_in_short() -> None:
    conflict = b"<<<<<<< HEAD\n" + record("a").to_line() + b"=======\n>>>>>>> theirs\n"
    assert Contents(conflict + b"{\n" * 2_000).corruption_notes == [
        "lines 1, 3, 4 (unresolved git conflict)",
        "lines 5, 6, 7, 8, 9 and 1,995 more (not valid JSON)",
    ]


def test_a_question_that_was_changed_by_hand_does_not_fit_its_key() -> None:
    told = json.loads(record("a").to_line())
    told["request"]["messages"][0]["content"] = "b"
    with pytest.raises(CorruptLineError, match="does not match its key"):
        parse_line(json.dumps(told).encode())


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_line_ends_and_marks_of_other_systems_do_no_harm(
    shelf: Cassette, path: Path, end: bytes
) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + record("a\u2028b").to_line().rstrip() + end)
    assert [each.text for each in shelf.contents().interactions] == ["Yes."]


@pytest.mark.parametrize(
    "homes",
    [
        pytest.param("xxx", id="with one folder of state"),
        pytest.param(
            "xyz",
            id="each with its own",
            marks=pytest.mark.skipif(os.name == "nt", reason="Windows cannot lock folders"),
        ),
    ],
)
def test_kernels_that_record_at_once_lose_nothing(path: Path, tmp_path: Path, homes: str) -> None:
    command = [sys.executable, "-c", CODE, str(path)]
    kernels = [
        subprocess.Popen([*command, str(tmp_path / home), name], cwd=Path(__file__).parents[2])
        for home, name in zip(homes, "abc", strict=True)
    ]
    assert [kernel.wait(timeout=120) for kernel in kernels] == [0, 0, 0]
    contents = Contents(path.read_bytes())
    assert (len(contents.interactions), contents.corruption_notes) == (60, [])
    places = [each.sort_key for each in contents.interactions]
    assert places == sorted(places)
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []


def test_lines_that_did_not_change_are_not_read_again(shelf: Cassette) -> None:
    for text in "abc":
        shelf.add(record(text))
    before = shelf.contents().interactions
    shelf.add(record("d"))
    after = shelf.contents().interactions
    assert len(after) == 4
    assert all(any(new is old for new in after) for old in before)


def test_what_another_kernel_added_is_seen(shelf: Cassette, path: Path, tmp_path: Path) -> None:
    assert shelf.contents().interactions == ()
    Cassette(path, tmp_path / "locks").add(record("a"))
    assert len(shelf.contents().interactions) == 1


def test_a_folder_in_its_place_is_one_line(shelf: Cassette, path: Path) -> None:
    path.mkdir()
    with pytest.raises(StorageError, match="can't be used"):
        shelf.contents()
    with pytest.raises(StorageError, match="can't be used"):
        shelf.add(record("a"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_neither_waited_for_nor_replaced(shelf: Cassette, path: Path) -> None:
    os.mkfifo(path)
    for use in (shelf.contents, lambda: shelf.add(record("a"))):
        with pytest.raises(StorageError, match="it is not a regular file"):
            use()
    assert path.is_fifo()


def test_a_link_is_read_but_not_written_through(
    shelf: Cassette, path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "profile"
    other.write_bytes(record("a").to_line())
    path.symlink_to(other)
    assert len(shelf.contents().interactions) == 1
    with pytest.raises(StorageError, match="it is a symbolic link"):
        shelf.add(record("b"))
    assert other.read_bytes() == record("a").to_line()
    assert path.is_symlink()


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0,
    reason="needs POSIX permissions and a user other than root",
)
def test_what_may_be_read_only_is_left(shelf: Cassette, path: Path) -> None:
    shelf.add(record("a"))
    for place in (path, path.parent):
        mode = place.stat().st_mode
        place.chmod(mode & 0o555)
        with pytest.raises(StorageError, match="read-only"):
            shelf.add(record("b"))
        place.chmod(mode)
    assert len(lines(path)) == 1


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_a_word_lost(content: bytes) -> None:
    contents = Contents(record("a").to_line() + content)
    assert b"".join(line.content for line in contents.lines) == record("a").to_line() + content
