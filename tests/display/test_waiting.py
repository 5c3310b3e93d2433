"""The line that is shown until the first token of an answer arrives."""

import io
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cfai_magics.display import streaming
from cfai_magics.display.footer import Footer
from cfai_magics.display.grid import NotebookGrid, TextGrid
from cfai_magics.display.map_progress import MapProgress
from cfai_magics.display.streaming import NotebookStream, format_waiting
from cfai_magics.display.text import FinalOnlyDisplay, TextStreamDisplay
from cfai_magics.types.answer_set import AnswerSet, make_variants
from cfai_magics.types.messages import Answer, FinishDelta, ReasoningDelta, TextDelta
from cfai_magics.types.usage import Usage

GEMMA, LLAMA = "@cf/google/gemma-4-26b-a4b-it", "@cf/meta/llama-3.2-3b-instruct"
LINE = "gemma-4-26b-a4b-it is answering…"
PATIENCE = 60  # s
NEVER = 1_000.0  # s


class Screen:
    """The outputs of a cell; `shown` is set by each message."""

    def __init__(self) -> None:
        self.outputs: dict[str, Mapping[str, Any]] = {}
        self.messages: list[str] = []
        self.shown = threading.Event()
        self.now = 0.0

    def publish(
        self,
        bundle: Mapping[str, str],
        display_id: str,
        update: bool,
        _metadata: Mapping[str, Any],
    ) -> None:
        assert update == (display_id in self.outputs)
        self.outputs[display_id] = bundle
        self.messages.append(bundle.get("text/plain") or bundle["text/markdown"])
        self.shown.set()


class Terminal(io.StringIO):
    """A terminal; `shown` is set when text is written."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        count = super().write(text)
        self.shown.set()
        return count


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def live(screen: Screen) -> NotebookStream:
    return NotebookStream("full", publish=screen.publish)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


@pytest.fixture
def threads() -> Callable[[], int]:
    before = set(threading.enumerate())
    return lambda: len(set(threading.enumerate()) - before)


def visible(terminal: io.StringIO) -> str:
    """Return what the terminal shows: CR returns to the start of the line."""
    lines = []
    for line in terminal.getvalue().split("\n"):
        text = ""
        for part in line.split("\r"):
            text = part + text[len(part) :]
        lines.append(text.rstrip())
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("seconds", "line"), [(0.3, LINE), (0.9, LINE), (1.3, f"{LINE} 1 s"), (75.2, f"{LINE} 75 s")]
)
def test_seconds_are_counted_from_one_second(seconds: float, line: str) -> None:
    assert format_waiting(GEMMA, seconds) == line


def test_control_characters_in_a_model_name_are_removed() -> None:
    assert format_waiting("a/b\x1b[31m\nc", 0.0) == "b[31m c is answering…"


def test_the_answer_replaces_the_waiting_line(live: NotebookStream, screen: Screen) -> None:
    live.start_waiting(GEMMA)
    assert screen.shown.wait(PATIENCE)
    assert screen.messages == [LINE]
    live.add(TextDelta("Blue."))
    live.stop_waiting()
    live.end(Answer(GEMMA, text="Blue.", finish_reason="stop"))
    answer, _footer = screen.outputs.values()
    assert answer == {"text/markdown": "Blue.", "text/plain": "Blue."}


def test_reasoning_replaces_the_waiting_line(live: NotebookStream, screen: Screen) -> None:
    live.start_waiting(GEMMA)
    assert screen.shown.wait(PATIENCE)
    live.add(ReasoningDelta("Hm"))
    live.add(TextDelta("Blue."))
    live.end(Answer(GEMMA, text="Blue.", reasoning="Hm", finish_reason="stop"))
    reasoning, answer, _footer = (each["text/plain"] for each in screen.outputs.values())
    assert reasoning.startswith("(Thought for")
    assert answer == "Blue."


def test_screen_readers_announce_the_line_once(live: NotebookStream, screen: Screen) -> None:
    html = []
    for line in (LINE, f"{LINE} 1 s", f"{LINE} 2 s"):
        live.show_waiting(line)
        html += [each["text/html"] for each in screen.outputs.values()]
    assert ['role="status"' in each for each in html] == [True, False, False]
    assert screen.messages == [LINE, f"{LINE} 1 s", f"{LINE} 2 s"]


@pytest.mark.parametrize(
    "delta", [TextDelta("Blue."), ReasoningDelta("Hm")], ids=["text", "reasoning"]
)
def test_the_first_token_stops_the_count(
    live: NotebookStream, screen: Screen, threads: Callable[[], int], delta: Any
) -> None:
    live.start_waiting(GEMMA)
    assert threads() == 1
    live.add(Usage(1, 2))
    live.add(FinishDelta("stop"))
    assert threads() == 1
    live.add(delta)
    assert threads() == 0


def test_a_fast_first_token_shows_no_line(
    live: NotebookStream, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "WAITING_DELAY", NEVER)
    live.start_waiting(GEMMA)
    live.stop_waiting()
    live.end(None)
    assert screen.messages == []


def test_a_status_line_stays(
    live: NotebookStream, screen: Screen, threads: Callable[[], int]
) -> None:
    live.start_waiting(GEMMA)
    assert screen.shown.wait(PATIENCE)
    live.show_status("No capacity; attempt 2 in 3 s")
    assert threads() == 0
    live.start_waiting(GEMMA)
    live.show_waiting(LINE)
    live.stop_waiting()
    assert screen.messages == [LINE, "No capacity; attempt 2 in 3 s"]


def test_each_request_after_a_tool_step_has_a_waiting_line(
    live: NotebookStream, screen: Screen
) -> None:
    live.show_waiting(LINE)
    live.show_tool_step("Step 1")
    live.show_waiting(LINE)
    assert [each["text/plain"] for each in screen.outputs.values()] == ["Step 1", LINE]
    assert 'role="status"' in list(screen.outputs.values())[1]["text/html"]


def test_without_updates_no_line_is_shown(screen: Screen, threads: Callable[[], int]) -> None:
    live = NotebookStream("full", publish=screen.publish, updates=False)
    live.start_waiting(GEMMA)
    assert threads() == 0


def test_without_threads_the_line_is_shown_once(
    live: NotebookStream, screen: Screen, without_threads: None
) -> None:
    live.start_waiting(GEMMA)
    assert screen.messages == [LINE]
    live.add(TextDelta("Blue."))
    assert screen.messages == [LINE, "Blue."]


def test_without_threads_the_line_of_a_terminal_is_cleared(
    terminal: Terminal, without_threads: None
) -> None:
    live = TextStreamDisplay("off", print, terminal)
    live.start_waiting(GEMMA)
    assert LINE in visible(terminal)
    live.add(TextDelta("Blue."))
    assert visible(terminal) == "Blue."


def test_with_too_many_threads_no_line_is_shown(
    live: NotebookStream, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_thread: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr(threading.Thread, "start", start)
    live.start_waiting(GEMMA)
    live.add(TextDelta("Blue."))
    live.stop_waiting()
    assert screen.messages == ["Blue."]


def test_columns_name_their_models_and_count_the_seconds(screen: Screen) -> None:
    variants = tuple(make_variants([GEMMA, LLAMA], [None], 1))
    live = NotebookGrid(variants, "full", publish=screen.publish, clock=lambda: screen.now)
    live.update_waiting()
    assert screen.messages == []
    html = []
    for screen.now in (0.4, 0.6, 1.1, 1.2, 2.1):
        live.update_waiting()
        html += [each["text/html"] for each in screen.outputs.values()]
    assert len(screen.messages) == 3
    assert [each.count('role="status"') for each in html] == [2, 2, 0, 0, 0]
    assert f"{LINE} 2 s" in html[-1]
    assert "llama-3.2-3b-instruct is answering… 2 s" in html[-1]
    screen.now = 3.1
    live.add(1, TextDelta("Blue"))
    (grid,) = screen.outputs.values()
    assert f"{LINE} 3 s" in grid["text/html"]
    assert "llama-3.2-3b-instruct is answering" not in grid["text/html"]
    live.add(0, TextDelta("Grey"))
    sent = len(screen.messages)
    screen.now = 4.1
    live.update_waiting()
    assert len(screen.messages) == sent, "no column waits"
    answers = (Answer(GEMMA, "Grey"), Answer(LLAMA, "Blue"))
    live.end(AnswerSet(variants, answers, ("", "")), Footer("2 answers"))
    assert "is answering" not in str(screen.outputs)


def test_a_status_in_a_column_stays(screen: Screen) -> None:
    variants = tuple(make_variants([GEMMA, LLAMA], [None], 1))
    live = NotebookGrid(variants, "full", publish=screen.publish, clock=lambda: screen.now)
    live.show_status(0, "No capacity; attempt 2 in 3 s")
    screen.now = 2.0
    live.update_waiting()
    (grid,) = screen.outputs.values()
    assert "attempt 2" in grid["text/html"]
    assert LINE not in grid["text/html"]


def test_a_map_names_its_model_until_the_first_answer() -> None:
    now, lines = [0.0], []
    progress = MapProgress(2, lines.append, GEMMA, lambda: now[0])
    for now[0] in (0.1, 1.1, 1.4, 2.6):
        progress.show()
    assert [line.partition(" · ")[2] for line in lines] == ["", f"{LINE} 1 s", f"{LINE} 2 s"]
    progress.set_wait_reason("No capacity; attempt 2 in 3 s")
    now[0] = 4.0
    progress.show()
    assert lines[-1].endswith("0 of 2 · No capacity; attempt 2 in 3 s")
    now[0] = 6.0
    progress.count_finished(Usage())
    assert "answering" not in lines[-1]


def test_an_interrupted_map_does_not_name_its_model() -> None:
    lines: list[str] = []
    progress = MapProgress(2, lines.append, GEMMA, iter(range(100)).__next__)
    progress.show()
    progress.show(force=True)
    assert ["answering" in line for line in lines] == [True, False]


def test_a_terminal_shows_the_line_until_the_first_text(terminal: Terminal) -> None:
    live = TextStreamDisplay("off", print, terminal)
    live.start_waiting(GEMMA)
    assert terminal.shown.wait(PATIENCE)
    assert re.fullmatch(rf"[|/\\-] {LINE}", visible(terminal))
    live.add(ReasoningDelta("Hm"))
    assert LINE in visible(terminal)
    live.add(TextDelta("Blue."))
    live.stop_waiting()
    assert visible(terminal) == "Blue."


def test_a_terminal_clears_the_line_before_a_status_and_an_error(terminal: Terminal) -> None:
    live = TextStreamDisplay("off", lambda line: print(line, file=terminal), terminal)
    live.start_waiting(GEMMA)
    assert terminal.shown.wait(PATIENCE)
    live.show_status("No capacity")
    assert visible(terminal) == "No capacity\n"
    terminal.shown.clear()
    live.start_waiting(GEMMA)
    assert terminal.shown.wait(PATIENCE)
    live.stop_waiting()
    assert visible(terminal) == "No capacity\n"


def test_answers_shown_at_their_end_wait_in_a_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", terminal)
    live = FinalOnlyDisplay("off", print, lambda answer: terminal.write(f"{answer.text}\n"))
    live.start_waiting(GEMMA)
    assert terminal.shown.wait(PATIENCE)
    live.add(TextDelta("{}"))
    assert LINE in visible(terminal)
    live.stop_waiting()
    live.end(Answer(GEMMA, "{}"))
    assert visible(terminal) == "{}\n"


@pytest.mark.parametrize(
    ("out", "term", "is_plain"),
    [
        pytest.param(Terminal(), "xterm", True, id="plain"),
        pytest.param(io.StringIO(), "xterm", False, id="pipe"),
        pytest.param(Terminal(), "dumb", False, id="dumb terminal"),
    ],
)
def test_other_outputs_have_no_line(
    monkeypatch: pytest.MonkeyPatch,
    threads: Callable[[], int],
    out: io.StringIO,
    term: str,
    is_plain: bool,
) -> None:
    monkeypatch.setenv("TERM", term)
    live = TextStreamDisplay("off", print, out, is_plain=is_plain)
    live.start_waiting(GEMMA)
    assert threads() == 0
    live.show_waiting(LINE)
    assert out.getvalue() == ""


def test_a_narrow_terminal_has_no_line(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    TextStreamDisplay("off", print, terminal).show_waiting(LINE)
    assert terminal.getvalue() == ""


def test_several_answers_in_a_terminal_wait_for_the_first(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cfai_magics.display.grid.WAITING_DELAY", 0.0)
    variants = tuple(make_variants([GEMMA, LLAMA], [None], 1))
    live = TextGrid(variants, "off", lambda line: print(line, file=terminal), terminal)
    live.update_waiting()
    assert LINE in visible(terminal)
    live.show_status(1, "busy")
    live.update_waiting()
    live.add(1, TextDelta("Blue"))
    live.update_waiting()
    assert visible(terminal) == "llama-3.2-3b-instruct: busy\n--- gemma-4-26b-a4b-it\n"
