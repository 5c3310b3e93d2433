"""Bytes are parsed into events as the WHATWG standard defines, for any chunks."""

import codecs
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfai_magics.workers_ai.sse import Event, iter_events
from tests.workers_ai.calls import cut_at, cuts

BOM = codecs.BOM_UTF8


def messages(*data: str) -> list[Event]:
    return [Event("message", one.encode()) for one in data]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        # The examples of the standard, section 9.2.6.
        ("data: YHOO\ndata: +2\ndata: 10\n\n", messages("YHOO\n+2\n10")),
        (
            ": test\n\ndata: first one\nid: 1\n\ndata:second one\nid\n\ndata:  third one\n\n",
            messages("first one", "second one", " third one"),
        ),
        ("data\n\ndata\ndata\n\ndata:", messages("", "\n")),
        ("data:test\n\ndata: test\n\n", messages("test", "test")),
        ("event: add\ndata: 73857293\n\n", [Event("add", b"73857293")]),
        # Cases that the examples do not cover.
        ("", []),
        ("\n\n\n", []),
        (": one comment\n:another\n", []),
        ("data: a\n: between\ndata: b\n\n", messages("a\nb")),
        ("event: lost\n\ndata: a\n\n", messages("a")),
        ("event: one\nevent: two\ndata: a\n\n", [Event("two", b"a")]),
        ("event: one\nevent\ndata: a\n\n", messages("a")),
        ("event:  padded \ndata: a\n\n", [Event(" padded ", b"a")]),
        ("event:gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n\ndata\n\n", [Event("grün", b"")]),
        ("data: a\nevent: late\n\ndata: b\n\n", [Event("late", b"a"), *messages("b")]),
        ("data: a\nretry: 100\nid: 7\nunknown: x\nunknown\n\n", messages("a")),
        ("Data: a\n data: b\ndataset: c\n\n", []),
        ("data: a: b\n\n", messages("a: b")),
        (
            "data: a\u2028b\u2029c\u0085d\x0b\x0c\x1c\n\n",
            messages("a\u2028b\u2029c\u0085d\x0b\x0c\x1c"),
        ),
        ("data: a\n\ndata: unfinished\n", messages("a")),
        ("data: a\n\ndata: unfinished", messages("a")),
        ("data: a", []),
    ],
    ids=lambda value: repr(value) if isinstance(value, str) else "",
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("mark", [b"", BOM], ids=["", "BOM"])
def test_a_stream_yields_the_events_of_the_standard(
    stream: str, expected: list[Event], line_end: str, mark: bytes
) -> None:
    content = mark + stream.replace("\n", line_end).encode()
    assert list(iter_events([content])) == expected
    assert list(iter_events(content[at : at + 1] for at in range(len(content)))) == expected


def test_a_second_byte_order_mark_is_part_of_the_line() -> None:
    assert list(iter_events([BOM + BOM + b"data: a\n\ndata: b\n\n"])) == messages("b")
    assert list(iter_events([b"data: a\n\n", BOM + b"data: b\n\n"])) == messages("a")


def test_mixed_line_ends_are_parsed() -> None:
    stream = b"data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\rdata: e\n\n"
    assert list(iter_events([stream])) == messages("a\nb\nc", "d", "e")


def test_an_event_is_yielded_after_its_empty_line() -> None:
    consumed: list[bytes] = []

    def chunks() -> object:
        for chunk in (b"data: a\n", b"\n", b"data: b\n\n", b"data: c\n\n"):
            consumed.append(chunk)
            yield chunk

    events = iter_events(chunks())
    assert [(next(events), len(consumed)) for _ in range(3)] == list(
        zip(messages("a", "b", "c"), (2, 3, 4), strict=True)
    )


def test_a_character_split_across_chunks_is_decoded() -> None:
    stream = "data: Grüße, 世界 👋🏽\n\n".encode()
    for at in range(len(stream)):
        assert list(iter_events(cut_at(stream, [at]))) == messages("Grüße, 世界 👋🏽")


def parse_by_the_standard(stream: bytes) -> list[Event]:
    """Parse a complete stream literally by section 9.2.6 of the standard."""
    events, name, data = [], b"", b""
    for line in re.split(b"\r\n|\n|\r", stream.removeprefix(BOM))[:-1]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                events.append(Event(name.decode() or "message", data.removesuffix(b"\n")))
            name, data = b"", b""
        elif field == b"data":
            data += value + b"\n"
        elif field == b"event":
            name = value
    return events


PIECES = (
    *(b"data: ", b"data:", b"data", b"event: ", b"event", b":", b"id: 7", b"retry", b"?"),
    *(b"\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n", b" ", BOM, b"{}", "世".encode()),
    *(b"data: {}\n\n", b"data: [DONE]\n\n", b": keep-alive\n\n", b"event: error\ndata: x\n\n"),
)
STREAMS = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)


@settings(deadline=None, derandomize=True, max_examples=400)
@given(STREAMS.flatmap(lambda stream: st.tuples(st.just(stream), cuts(stream))))
def test_any_split_of_the_bytes_yields_the_same_events(case: tuple[bytes, list[bytes]]) -> None:
    stream, chunks = case
    assert list(iter_events(chunks)) == parse_by_the_standard(stream)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_any_sequence_of_lines_yields_the_events_of_the_standard(chunks: list[bytes]) -> None:
    assert list(iter_events(chunks)) == parse_by_the_standard(b"".join(chunks))
