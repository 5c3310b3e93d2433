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


def record(text: str, index: int = 0, answer: str = "Yes.") -> Interaction:
    request = RecordedRequest(
        {"task": "chat", "model": "m", "messages": [{"role": "user", "content": text}]}
    )
    output: dict[str, Any] = {"text": [[5, answer]], "thought": [], "tool_calls": []}
    stream = {**output, "finish": "stop", "usage": {}}
    replies = ({"ms": 9, "stream": stream},)
    return Interaction(request, index, "2026-10-12", "1.0", "stop", Usage(1, 2), replies)


@pytest.fixture
def cassette(path: Path, tmp_path: Path) -> Cassette:
    return Cassette(path, tmp_path / "locks")


def test_an_interaction_is_unchanged_after_writing_and_parsing() -> None:
    for interaction in (record("a"), replace(record("b"), usage=Usage(1, 2, 1, 3.5, "billed"))):
        assert parse_line(interaction.to_line()) == interaction
        assert parse_line(interaction.to_line()).to_line() == interaction.to_line()


def test_lines_are_sorted_regardless_of_their_original_order(
    cassette: Cassette, path: Path
) -> None:
    interactions = [record(text, index) for text in "abc" for index in (1, 0)]
    for each in interactions:
        cassette.add(each)
    cassette.sort()
    parsed = [parse_line(line) for line in lines(path)]
    assert [each.sort_key for each in parsed] == sorted(each.sort_key for each in interactions)


def test_a_new_answer_adds_one_line(cassette: Cassette, path: Path) -> None:
    for text in "abcdef":
        cassette.add(record(text))
    before = lines(path)
    cassette.add(record("one more"))
    (added,) = set(lines(path)) - set(before)
    assert [line for line in lines(path) if line != added] == before


def test_an_existing_answer_is_not_replaced(cassette: Cassette, path: Path) -> None:
    cassette.add(record("a", answer="first"))
    before = path.read_bytes()
    cassette.add(record("a", answer="second"))
    assert path.read_bytes() == before


def test_refreshing_replaces_an_answer_and_its_later_repetitions(
    cassette: Cassette, path: Path
) -> None:
    for index in range(3):
        cassette.add(record("a", index))
    cassette.add(record("b"))
    cassette.add(record("a", 0, "new"), replace_from=1)
    assert [each.text for each in cassette.contents().interactions] == ["Yes.", "new"]
    cassette.sort()
    parsed = [parse_line(line) for line in lines(path)]
    assert sorted((each.text, each.index) for each in parsed) == [("Yes.", 0), ("new", 0)]


DAMAGE = {
    "a partial line": record("x").to_line()[:50] + b"\n",
    "a git conflict": b"<<<<<<< HEAD\n",
    "not an object": b"[1, 2]\n",
    "no response": b'{"key": "a"}\n',
    "invalid UTF-8": b"\xff\xfe\x00\n",
    "deep nesting": b"[" * 100_000 + b"\n",
    "a delay above the maximum": record("x").to_line().replace(b'"ms":9', b'"ms":1e300'),
    "an invalid delay": record("x").to_line().replace(b"[[5,", b"[[NaN,"),
    "invalid neurons": record("x").to_line().replace(b"null", b'"many"'),
    "half of a surrogate pair": record("x", answer="\U0001f600")
    .to_line()
    .replace("\U0001f600".encode(), b"\\ud83d"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_is_reported_and_unchanged(
    cassette: Cassette, path: Path, damage: bytes
) -> None:
    good = sorted((record(text) for text in "ab"), key=lambda each: each.sort_key)
    path.write_bytes(good[0].to_line() + damage + b"\n" + good[1].to_line().rstrip(b"\n"))
    assert len(cassette.contents().interactions) == 2
    assert [note.split(" (")[0] for note in cassette.contents().corruption_notes] == ["line 2"]
    cassette.add(record("new"))
    cassette.sort()
    content = lines(path)
    place = content.index(damage)
    assert content[place + 1] == b"\n"
    assert content[place - 1] == good[0].to_line() or parse_line(content[place - 1]).text
    assert len(cassette.contents().interactions) == 3


def test_many_damaged_lines_are_summarized() -> None:
    conflict = b"<<<<<<< HEAD\n" + record("a").to_line() + b"=======\n>>>>>>> theirs\n"
    assert Contents(conflict + b"{\n" * 2_000).corruption_notes == [
        "lines 1, 3, 4 (unresolved git conflict)",
        "lines 5, 6, 7, 8, 9 and 1,995 more (not valid JSON)",
    ]


def test_an_edited_request_does_not_match_its_key() -> None:
    line = json.loads(record("a").to_line())
    line["request"]["messages"][0]["content"] = "b"
    with pytest.raises(CorruptLineError, match="does not match its key"):
        parse_line(json.dumps(line).encode())


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_line_endings_and_byte_order_marks_are_accepted(
    cassette: Cassette, path: Path, end: bytes
) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + record("a\u2028b").to_line().rstrip() + end)
    assert [each.text for each in cassette.contents().interactions] == ["Yes."]


@pytest.mark.parametrize(
    "homes",
    [
        pytest.param("xxx", id="one state folder"),
        pytest.param(
            "xyz",
            id="separate state folders",
            marks=pytest.mark.skipif(os.name == "nt", reason="Windows cannot lock folders"),
        ),
    ],
)
def test_several_kernels_can_record_to_one_cassette(
    path: Path, tmp_path: Path, homes: str
) -> None:
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


def test_unchanged_lines_are_not_parsed_again(cassette: Cassette) -> None:
    for text in "abc":
        cassette.add(record(text))
    before = cassette.contents().interactions
    cassette.add(record("d"))
    after = cassette.contents().interactions
    assert len(after) == 4
    assert all(any(new is old for new in after) for old in before)


def test_lines_added_by_another_kernel_are_read(
    cassette: Cassette, path: Path, tmp_path: Path
) -> None:
    assert cassette.contents().interactions == ()
    Cassette(path, tmp_path / "locks").add(record("a"))
    assert len(cassette.contents().interactions) == 1


def test_a_folder_in_place_of_the_file_raises_a_storage_error(
    cassette: Cassette, path: Path
) -> None:
    path.mkdir()
    with pytest.raises(StorageError, match="can't be used"):
        cassette.contents()
    with pytest.raises(StorageError, match="can't be used"):
        cassette.add(record("a"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_rejected_and_not_replaced(cassette: Cassette, path: Path) -> None:
    os.mkfifo(path)
    for use in (cassette.contents, lambda: cassette.add(record("a"))):
        with pytest.raises(StorageError, match="it is not a regular file"):
            use()
    assert path.is_fifo()


def test_a_symbolic_link_is_read_but_not_written(
    cassette: Cassette, path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "profile"
    other.write_bytes(record("a").to_line())
    path.symlink_to(other)
    assert len(cassette.contents().interactions) == 1
    with pytest.raises(StorageError, match="it is a symbolic link"):
        cassette.add(record("b"))
    assert other.read_bytes() == record("a").to_line()
    assert path.is_symlink()


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0,
    reason="needs POSIX permissions and a user other than root",
)
def test_a_read_only_file_or_folder_raises_a_storage_error(cassette: Cassette, path: Path) -> None:
    cassette.add(record("a"))
    for place in (path, path.parent):
        mode = place.stat().st_mode
        place.chmod(mode & 0o555)
        with pytest.raises(StorageError, match="read-only"):
            cassette.add(record("b"))
        place.chmod(mode)
    assert len(lines(path)) == 1


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_completely(content: bytes) -> None:
    contents = Contents(record("a").to_line() + content)
    assert b"".join(line.content for line in contents.lines) == record("a").to_line() + content
