"""Test the record of the cells that ran, in a shell without a kernel."""

import io
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from IPython.core.interactiveshell import InteractiveShell

from cfai_magics.frontends.cell_record import MAX_IMAGES, MAX_STREAM_CHARS, CellRecord, PrintedText
from cfai_magics.notebook import CellErrors
from cfai_magics.prompt.cell_context import CellAbove
from tests.standin import media

PNG = media.png(2, 2, 0)


@pytest.fixture
def record(shell: InteractiveShell) -> Iterator[CellRecord]:
    errors = CellErrors(shell.compile.format_code_name)
    shell.events.register("post_run_cell", errors.on_post_run_cell)
    created = CellRecord(shell, errors)
    created.attach()
    shell.user_ns["record"] = created
    shell.user_ns["png"] = PNG
    yield created
    created.detach()


def run(shell: InteractiveShell, *sources: str) -> None:
    for source in sources:
        shell.run_cell(source, store_history=True)


def last(record: CellRecord) -> CellAbove:
    return record.cells_above(())[-1]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("print('printed')", "printed\n"),
        ("40 + 2", "42\n"),
        ("import sys; print('warning', file=sys.stderr)", "warning\n"),
        ("from IPython.display import display; display('shown')", "'shown'\n"),
    ],
)
def test_a_terminal_records_what_it_prints(
    shell: InteractiveShell, record: CellRecord, source: str, text: str
) -> None:
    run(shell, source)
    assert last(record) == CellAbove(1, source, (text,))


def test_a_printed_traceback_is_recorded_once(shell: InteractiveShell, record: CellRecord) -> None:
    run(shell, "print('before')\n1 / 0")
    cell = last(record)
    assert cell.texts == ("before\n",)
    assert cell.traceback.endswith("ZeroDivisionError: division by zero")


def display(data: str, kind: str = "display_data", display_id: str = "") -> str:
    return (
        f"record.record_display({{'msg_type': '{kind}', 'content': {{'data': {data}, "
        f"'transient': {{'display_id': '{display_id}'}}}}}})"
    )


def test_cleared_outputs_are_not_recorded(shell: InteractiveShell, record: CellRecord) -> None:
    run(shell, f"print('old')\n{display('{}', 'clear_output')}\nprint('new')")
    assert last(record).texts == ("new\n",)


def test_an_update_replaces_an_output_of_an_earlier_cell(
    shell: InteractiveShell, record: CellRecord
) -> None:
    run(shell, display("{'text/plain': 'old'}", display_id="one"))
    run(shell, display("{'text/plain': 'new'}", "update_display_data", "one"))
    run(shell, display("{'text/plain': 'lost'}", "update_display_data", "two"))
    assert [cell.texts for cell in record.cells_above(())] == [("new",), (), ()]


def test_a_message_between_cells_is_not_recorded(record: CellRecord) -> None:
    record.record_display({"msg_type": "display_data", "content": {"data": {"text/plain": "x"}}})
    assert record.cells_above(()) == []


@pytest.mark.parametrize(
    ("data", "texts", "images"),
    [
        ("{'text/plain': '<Figure size 1x1 with 1 Axes>', 'image/png': png}", ("",), (PNG,)),
        ("{'text/plain': 'a', 'text/markdown': '*a*', 'text/html': 'b'}", ("*a*",), ()),
        ("{'text/plain': '<IPython.core.display.HTML object>', 'text/html': 'b'}", ("",), ()),
        ("{'text/html': 'b'}", ("",), ()),
        ("{'text/plain': 'a', 'image/svg+xml': '<svg/>'}", ("a",), ()),
    ],
)
def test_an_output_has_an_image_or_a_text(
    shell: InteractiveShell,
    record: CellRecord,
    data: str,
    texts: tuple[str, ...],
    images: tuple[bytes, ...],
) -> None:
    run(shell, display(data))
    assert (last(record).texts, last(record).images) == (texts, images)


def test_only_the_newest_images_are_kept(shell: InteractiveShell, record: CellRecord) -> None:
    many = f"for i in range({MAX_IMAGES}): {display(repr({'image/png': PNG}))}"
    run(shell, many, many)
    assert [len(cell.images) for cell in record.cells_above(())] == [0, MAX_IMAGES]


def test_the_middle_of_a_very_long_text_is_dropped() -> None:
    printed = PrintedText()
    for number in range(40):
        printed.add(f"{number:05}" * (MAX_STREAM_CHARS // 50))
    text = str(printed)
    assert text.startswith("00000")
    assert text.endswith("00039")
    assert "characters left out]" in text
    assert len(text) < 3 * MAX_STREAM_CHARS


def test_a_text_that_is_not_long_is_complete() -> None:
    printed = PrintedText()
    pieces = [f"{number}\n" for number in range(10_000)]
    for piece in pieces:
        printed.add(piece)
    assert str(printed) == "".join(pieces)


def test_a_write_method_that_a_cell_replaces_is_kept(
    record: CellRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)

    def run_cell(number: int) -> None:
        result = SimpleNamespace(
            info=SimpleNamespace(raw_cell="f()", cell_id=None, store_history=True),
            execution_count=number,
        )
        record.on_pre_run_cell(result.info)
        if number == 1:
            original = stream.write
            stream.write = lambda text: original(text.upper())  # type: ignore[method-assign]
        else:
            sys.stdout.write("once\n")
        record.on_post_run_cell(result)

    run_cell(1)
    run_cell(2)
    assert stream.getvalue() == "ONCE\n"
    assert last(record).texts == ("once\n",)


def test_code_that_a_front_end_runs_for_itself_is_not_recorded(
    shell: InteractiveShell, record: CellRecord
) -> None:
    run(shell, "x = 1")
    shell.run_cell("print('hidden')", store_history=False)
    assert [cell.source for cell in record.cells_above(())] == ["x = 1"]


def test_after_detaching_nothing_is_recorded(shell: InteractiveShell, record: CellRecord) -> None:
    run(shell, "x = 1")
    record.detach()
    run(shell, "y = 2")
    assert [cell.source for cell in record.cells_above(())] == ["x = 1"]
    record.attach()


def test_a_missing_stream_does_not_fail(
    shell: InteractiveShell, record: CellRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    record.on_pre_run_cell(None)
    assert record.running is not None
    record.running = None
