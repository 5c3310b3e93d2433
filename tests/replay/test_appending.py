"""Recorded answers are appended to a cassette, and moved to their places when a session ends."""

import json
import os
import sys
import textwrap
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfai_magics.commands import run
from cfai_magics.errors import StorageError
from cfai_magics.replay.cassette import Cassette
from cfai_magics.replay.contents import Contents
from cfai_magics.replay.interaction import Interaction, parse_line
from cfai_magics.replay.record_mode import RecordMode
from cfai_magics.session.session import Session
from tests.fake_frontends import bare_frontend
from tests.forked import run_script
from tests.replay.sessions import HI, ask, lines, recording, replaying
from tests.replay.test_cassette import record
from tests.standin import Standin

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[1] / "data" / "0.1.0"
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
TEXTS = sorted("abcdefgh", key=lambda text: record(text).sort_key)
SETUP = """
import json, os, sys
from pathlib import Path
from cfai_magics.replay.cassette import Cassette
from tests.replay.test_cassette import record
"""


@pytest.fixture
def cassette(path: Path, tmp_path: Path) -> Cassette:
    return Cassette(path, tmp_path / "locks")


def run_code(code: str, path: Path) -> object:
    """Run code with `cassette` in a new Python process; return the JSON that it prints last."""
    setup = (
        f"{SETUP}\ncassette = Cassette(Path({str(path)!r}), Path({str(path.parent / 'own')!r}))\n"
    )
    return run_script(setup + textwrap.dedent(code), {})


# --- the order: the same as in 0.1.0, which inserted each answer at its place


def insert_at_place(
    content: bytes, interaction: Interaction, replace_from: int | None = None
) -> bytes:
    """Return the content of a cassette after 0.1.0 has added an interaction."""
    pairs = [
        (line.content if line.content.endswith(b"\n") else line.content + b"\n", line.interaction)
        for line in Contents(content).lines
    ]
    fingerprint, index = interaction.sort_key
    if replace_from is not None:
        pairs = [
            (line, old)
            for line, old in pairs
            if old is None
            or old.request.fingerprint != fingerprint
            or (old.index != index and old.index < replace_from)
        ]
    if any(old is not None and old.sort_key == interaction.sort_key for _, old in pairs):
        return content
    greater = (
        place
        for place, (_, old) in enumerate(pairs)
        if old is not None and old.sort_key > interaction.sort_key
    )
    place = next(greater, len(pairs))
    pairs.insert(place, (interaction.to_line(), interaction))
    return b"".join(line for line, _ in pairs)


def write(path: Path, parts: Iterable[bytes]) -> bytes:
    content = b"".join(parts)
    path.write_bytes(content)
    return content


existing_lines = st.one_of(
    st.builds(
        lambda text, index: record(text, index, "old").to_line(),
        st.sampled_from(TEXTS),
        st.integers(0, 2),
    ),
    st.sampled_from([b"\n", b"<<<<<<< HEAD\n", record("x").to_line()[:50] + b"\n", b"{}\r\n"]),
)
additions = st.tuples(
    st.sampled_from(TEXTS), st.integers(0, 3), st.sampled_from([None, None, 0, 1, 2])
)


@settings(deadline=None, max_examples=200)
@given(st.lists(existing_lines, max_size=12), st.booleans(), st.lists(additions, max_size=12))
def test_sorting_equals_inserting_each_line_at_its_place(
    tmp_path_factory: pytest.TempPathFactory,
    existing: list[bytes],
    has_last_newline: bool,
    added: list[tuple[str, int, int | None]],
) -> None:
    path = tmp_path_factory.mktemp("files") / "lesson.cfai.jsonl"
    expected = write(path, existing if has_last_newline else [b"".join(existing).rstrip(b"\n")])
    cassette = Cassette(path, path.parent / "locks")
    for number, (text, index, replace_from) in enumerate(added):
        interaction = record(text, index, f"new {number}")
        cassette.add(interaction, replace_from=replace_from)
        expected = insert_at_place(expected, interaction, replace_from)
        assert cassette.contents().interactions == Contents(expected).interactions
        for each in TEXTS:
            for place in range(4):
                expected_answers = Contents(expected).lookup(record(each).request, place)
                assert cassette.contents().lookup(record(each).request, place) == expected_answers
    assert Contents(path.read_bytes()).interactions == Contents(expected).interactions
    cassette.close()
    assert path.read_bytes() == expected


def test_a_large_cassette_equals_one_with_each_line_inserted(
    cassette: Cassette, path: Path
) -> None:
    interactions = [record(f"prompt {number}") for number in range(450)]
    expected = write(path, [b"<<<<<<< HEAD\n", *(each.to_line() for each in interactions[:9])])
    for interaction in interactions[9:]:
        cassette.add(interaction)
        expected = insert_at_place(expected, interaction)
    cassette.close()
    assert path.read_bytes() == expected


def test_a_pending_line_is_parsed_as_an_interaction(cassette: Cassette, path: Path) -> None:
    for text in reversed(TEXTS):
        cassette.add(record(text))
    assert [parse_line(line) for line in lines(path)] == [record(text) for text in TEXTS[::-1]]
    assert sum(b'"replace_from":null' in line for line in lines(path)) == len(TEXTS) - 1
    cassette.close()
    assert lines(path) == [record(text).to_line() for text in TEXTS]


# --- the cost of one answer


@LINUX_ONLY
def test_bytes_read_and_written_per_answer_do_not_grow(path: Path) -> None:
    counts = run_code(
        """
        def count_io():
            rows = Path("/proc/self/io").read_text().splitlines()
            return [int(row.split()[1]) for row in rows[:2]]
        texts = iter(f"prompt {number:05}" for number in range(100, 1000))
        def measure(answers):
            before = count_io()
            for _ in range(answers):
                interaction = record(next(texts))
                assert cassette.contents().lookup(interaction.request, 0) == (None, None)
                cassette.add(interaction)
            return [after - old for old, after in zip(before, count_io())]
        measure(10)
        at_10 = measure(20)
        measure(270)
        print(json.dumps([at_10, measure(20), len(record("prompt 00100").to_line())]))
        """,
        path,
    )
    (read_at_10, written_at_10), (read_at_300, written_at_300), line_size = counts  # type: ignore[misc]
    assert abs(written_at_300 - written_at_10) < line_size
    assert abs(read_at_300 - read_at_10) < line_size


def test_an_answer_is_appended_to_the_same_file(cassette: Cassette, path: Path) -> None:
    cassette.add(record(TEXTS[-1]))
    for text in TEXTS[:-1]:
        before, inode = path.read_bytes(), path.stat().st_ino
        cassette.add(record(text))
        assert path.read_bytes().startswith(before)
        assert path.stat().st_ino == inode


# --- other programs


def test_only_lines_appended_by_another_kernel_are_read(
    cassette: Cassette, path: Path, tmp_path: Path
) -> None:
    for text in TEXTS[:4]:
        cassette.add(record(text))
    before = cassette.contents().interactions
    other = Cassette(path, tmp_path / "locks")
    other.add(record(TEXTS[0], 0, "replaced"), replace_from=0)
    other.add(record(TEXTS[5]))
    after = cassette.contents().interactions
    assert [each.text for each in after] == ["replaced", "Yes.", "Yes.", "Yes.", "Yes."]
    assert all(any(new is old for new in after) for old in before[1:])


@POSIX_ONLY
def test_two_kernels_can_record_at_the_same_time(path: Path) -> None:
    results = run_code(
        """
        from tests.forked import forked
        def work(name):
            for number in range(30):
                interaction = record(f"{name} {number}")
                cassette.add(interaction)
                assert cassette.contents().lookup(interaction.request, 0)[0] == interaction
            cassette.close()
            return len(cassette.contents().interactions) >= 30
        children = [forked(lambda: work("a")), forked(lambda: work("b"))]
        print(json.dumps([child.result() for child in children]))
        """,
        path,
    )
    assert results == [True, True]
    texts = [f"{name} {number}" for name in "ab" for number in range(30)]
    expected = sorted((record(text) for text in texts), key=lambda each: each.sort_key)
    assert lines(path) == [each.to_line() for each in expected]


def test_threads_can_record_and_look_up_at_the_same_time(cassette: Cassette, path: Path) -> None:
    def work(name: str) -> list[bool]:
        results = []
        for number in range(20):
            interaction = record(f"{name} {number}")
            cassette.add(interaction)
            results.append(cassette.contents().lookup(interaction.request, 0)[0] == interaction)
        return results

    with ThreadPoolExecutor(6) as pool:
        assert all(map(all, pool.map(work, "abcdef")))
    cassette.close()
    texts = [f"{name} {number}" for name in "abcdef" for number in range(20)]
    expected = sorted((record(text) for text in texts), key=lambda each: each.sort_key)
    assert lines(path) == [each.to_line() for each in expected]


@pytest.mark.parametrize("new_size", ["shorter", "as long", "longer"])
@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "renamed"])
def test_an_edit_between_two_answers_is_detected(
    cassette: Cassette, path: Path, new_size: str, in_place: bool
) -> None:
    for text in TEXTS[:3]:
        cassette.add(record(text))
    answer = {"shorter": "No", "as long": "Nope", "longer": "Certainly not"}[new_size]
    content = path.read_bytes().replace(b"Yes.", answer.encode(), 1)
    edited = path if in_place else path.with_name("edited")
    edited.write_bytes(content)
    os.utime(edited, ns=(1, 1))
    edited.replace(path)
    assert [each.text for each in cassette.contents().interactions] == [answer, "Yes.", "Yes."]
    cassette.add(record(TEXTS[3]))
    cassette.close()
    assert [parse_line(line).text for line in lines(path)] == [answer, *["Yes."] * 3]


def test_lines_that_a_user_adds_by_hand_stay_at_their_place(
    cassette: Cassette, path: Path
) -> None:
    cassette.add(record(TEXTS[3]))
    cassette.add(record(TEXTS[1]))
    with path.open("ab") as file:
        file.write(b"# a note\n" + record(TEXTS[2]).to_line().rstrip())
    cassette.add(record(TEXTS[0]))
    cassette.close()
    by_text = {text: record(text).to_line() for text in TEXTS}
    assert lines(path) == [
        *(by_text[TEXTS[0]], by_text[TEXTS[1]], by_text[TEXTS[3]]),
        *(b"# a note\n", by_text[TEXTS[2]]),
    ]


@POSIX_ONLY
def test_a_killed_process_leaves_lines_that_the_next_session_sorts(
    cassette: Cassette, path: Path
) -> None:
    code = f"""
    import signal
    for text in {TEXTS[:4][::-1]}:
        cassette.add(record(text))
    os.kill(os.getpid(), signal.SIGKILL)
    """
    with pytest.raises(AssertionError):
        run_code(code, path)
    assert [parse_line(line) for line in lines(path)] == [record(text) for text in TEXTS[3::-1]]
    cassette.add(record(TEXTS[5]))
    cassette.close()
    places = [*TEXTS[:4], TEXTS[5]]
    assert lines(path) == [record(text).to_line() for text in places]


@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[-1]], ids=["first", "last"])
def test_a_partial_last_line_is_kept_and_followed_by_a_new_line(
    cassette: Cassette, path: Path, text: str
) -> None:
    cassette.add(record(TEXTS[4]))
    cassette.add(record(TEXTS[3]))
    half = lines(path)[-1][:70]
    write(path, [lines(path)[0], half])
    cassette.add(record(text))
    assert cassette.contents().corruption_notes == ["line 2 (not valid JSON)"]
    assert len(cassette.contents().interactions) == 2
    cassette.close()
    assert sorted(lines(path)) == sorted(
        [half + b"\n", *(record(each).to_line() for each in (text, TEXTS[4]))]
    )


@POSIX_ONLY
def test_a_process_sorts_its_appended_lines_when_it_ends(path: Path) -> None:
    code = f"""
    for text in {TEXTS[::-1]}:
        cassette.add(record(text))
    print(json.dumps(len(cassette.contents().interactions)))
    """
    assert run_code(code, path) == len(TEXTS)
    assert lines(path) == [record(text).to_line() for text in TEXTS]


@POSIX_ONLY
def test_forked_children_append_to_the_file_of_their_parent(path: Path) -> None:
    counts = run_code(
        f"""
        from tests.forked import forked
        cassette.add(record({TEXTS[4]!r}))
        def work(text):
            cassette.after_fork_in_child()
            cassette.add(record(text))
            cassette.close()
            return len(cassette.contents().interactions)
        counts = [forked(lambda: work(text)).result() for text in {TEXTS[3::-1]}]
        idle = forked(lambda: cassette.close()).result()
        print(json.dumps([counts, len(cassette.contents().interactions)]))
        """,
        path,
    )
    assert counts == [[2, 3, 4, 5], 5]
    assert lines(path) == [record(text).to_line() for text in TEXTS[:5]]


# --- files that cannot be written


@POSIX_ONLY
def test_a_full_disk_leaves_the_file_unchanged(path: Path) -> None:
    size = len(record("a").to_line())
    result = run_code(
        f"""
        import resource, signal
        from cfai_magics.errors import StorageError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        def limit(size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        def fail(interaction):
            try:
                cassette.add(interaction)
            except StorageError as error:
                return str(error)
        limit({size // 2})
        errors, existed = [fail(record("a"))], cassette.exists()
        limit({size * 3})
        cassette.add(record({TEXTS[2]!r}))
        cassette.add(record({TEXTS[1]!r}))
        before = cassette.path.read_bytes()
        errors.append(fail(record({TEXTS[0]!r})))
        is_unchanged = cassette.path.read_bytes() == before
        is_unchanged &= len(cassette.contents().interactions) == 2
        limit(resource.RLIM_INFINITY)
        cassette.add(record({TEXTS[0]!r}))
        print(json.dumps([["can't be used" in error for error in errors], existed, is_unchanged]))
        """,
        path,
    )
    assert result == [[True, True], False, True]
    assert lines(path) == [record(text).to_line() for text in TEXTS[:3]]


@POSIX_ONLY
def test_a_hard_link_is_replaced_and_not_written_through(
    cassette: Cassette, path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.jsonl"
    before = write(other, [record(TEXTS[1]).to_line()])
    os.link(other, path)
    cassette.add(record(TEXTS[0]))
    cassette.close()
    assert other.read_bytes() == before
    assert lines(path) == [record(text).to_line() for text in TEXTS[:2]]


def test_a_deleted_file_is_not_created_again(cassette: Cassette, path: Path) -> None:
    cassette.add(record(TEXTS[1]))
    cassette.add(record(TEXTS[0]))
    path.unlink()
    cassette.close()
    assert not path.exists()


def test_a_symbolic_link_in_place_of_the_file_is_unchanged(
    cassette: Cassette, path: Path, tmp_path: Path
) -> None:
    cassette.add(record(TEXTS[1]))
    cassette.add(record(TEXTS[0]))
    content = path.read_bytes()
    other = path.replace(tmp_path / "other")
    path.symlink_to(other)
    with pytest.raises(StorageError, match="it is a symbolic link"):
        cassette.sort()
    cassette.close()
    assert other.read_bytes() == content


# --- sessions


def test_answers_are_sorted_when_a_session_ends(cloudflare: Standin, path: Path) -> None:
    with recording(cloudflare, path) as session:
        for text in TEXTS:
            ask(session, text)
        keys = [json.loads(line)["key"] for line in lines(path)]
        assert keys != sorted(keys)
    keys = [json.loads(line)["key"] for line in lines(path)]
    assert keys == sorted(keys)
    assert b"replace_from" not in path.read_bytes()
    with replaying(path) as elsewhere:
        for text in TEXTS:
            assert ask(elsewhere, text).cost_basis == "replayed"


@pytest.mark.parametrize("words", [[], ["auto"], ["only"], ["refresh"], ["off"]], ids=str)
def test_answers_are_sorted_by_each_form_of_the_replay_command(
    recorder: Session, path: Path, words: list[str]
) -> None:
    for text in TEXTS:
        ask(recorder, text)
    assert b"replace_from" in path.read_bytes()
    frontend = bare_frontend(recorder)
    run(
        "replay", [*words, *([str(path)] if words and words != ["off"] else [])], frontend, "%cfai"
    )
    assert b"replace_from" not in path.read_bytes()
    keys = [json.loads(line)["key"] for line in lines(path)]
    assert keys == sorted(keys)


def test_each_refreshed_answer_has_one_line(cloudflare: Standin, path: Path) -> None:
    with recording(cloudflare, path) as session:
        for text in TEXTS:
            ask(session, text)
    order = [json.loads(line)["key"] for line in lines(path)]
    cloudflare.switch(answer="Another answer.")
    with recording(cloudflare, path, "refresh") as session:
        for text in TEXTS:
            ask(session, text)
        session.recorder.set_mode(RecordMode("only", path))
        assert {ask(session, text).text for text in TEXTS} == {"Another answer."}
    assert [json.loads(line)["key"] for line in lines(path)] == order
    assert {parse_line(line).text for line in lines(path)} == {"Another answer."}


def test_a_session_that_only_replays_does_not_sort_lines(cloudflare: Standin, path: Path) -> None:
    with recording(cloudflare, path) as session:
        for text in TEXTS:
            ask(session, text)
        pending = path.read_bytes()
    path.write_bytes(pending)  # the state after a kernel was killed
    with replaying(path) as elsewhere:
        assert all(ask(elsewhere, text).cost_basis == "replayed" for text in TEXTS)
    assert path.read_bytes() == pending


def test_lines_of_a_0_1_0_recording_are_unchanged(cloudflare: Standin, path: Path) -> None:
    old = (DATA / "lesson.cfai.jsonl").read_bytes()
    path.write_bytes(old)
    with recording(cloudflare, path) as session:
        ask(session, "A new prompt")
    assert set(old.splitlines()) < set(path.read_bytes().splitlines())
    assert len(lines(path)) == len(old.splitlines()) + 1


def test_a_short_model_name_matches_a_recorded_model(recorder: Session, path: Path) -> None:
    recorder.ask(recorder.build_request(HI))
    assert recorder.recorder.find_full_model_name("gemma-4-26b-a4b-it").startswith("@cf/")
    assert recorder.recorder.find_full_model_name("another") == ""
