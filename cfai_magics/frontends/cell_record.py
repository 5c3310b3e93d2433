"""Record the cells that run in this kernel, with the outputs that they show."""

import re
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from IPython.core.interactiveshell import InteractiveShell

from ..notebook import CellErrors, split_cell

if TYPE_CHECKING:
    from ..prompt.cell_context import CellAbove
    from ..types.answer_set import AnswerSet
    from ..types.messages import Answer

    Output: TypeAlias = "PrintedText | RichOutput | Answer | AnswerSet"

MAX_CELLS = 1_000
MAX_OUTPUTS = 500  # of a cell
MAX_DISPLAYS = 1_000  # with an ID, which later cells can update
MAX_IMAGES = 20  # of all cells, because an image can have megabytes
MAX_STREAM_CHARS = 50_000  # of the start and of the end of a printed text
IMAGE_TYPES = ("image/png", "image/jpeg")
TEXT_TYPES = ("text/markdown", "text/plain")  # the first one of an output is sent
# The text of an object that only rich front ends show, such as an HTML object or a figure.
PLACEHOLDER = re.compile(r"<(IPython\.core\.display\.\w+ object|Figure size .*)>")
FORMAT_METHOD = "compute_format_data"  # of IPython's display hook
TRACEBACK_METHOD = "_showtraceback"  # of the shell; IPython's subclasses override it too
CELL_FILE = re.compile(r'File "In\[\d+\]"')  # in tracebacks; numbers change with each run
OUTPUT_PROMPT = re.compile(r"^Out\[\d+\]: ?", re.MULTILINE)  # a terminal prints it
# These modules define the results of commands, such as the table of %cfai usage.
COMMAND_RESULTS = ("cfai_magics.commands", "cfai_magics.display", "cfai_magics.widgets")
SETUP_LINE = re.compile(r"\s*(%cfai\b.*|%config Cfai\b.*|%(re)?load_ext cfai_magics\b.*|#.*)?")


class PrintedText:
    """A printed text. If it is very long, its middle is dropped."""

    def __init__(self) -> None:
        self._start: list[str] = []
        self._end: deque[str] = deque()
        self._start_chars = self._end_chars = self._dropped_chars = 0

    def add(self, text: str) -> None:
        """Add the next piece of the text."""
        if self._start_chars < MAX_STREAM_CHARS:
            self._start.append(text)
            self._start_chars += len(text)
            return
        self._end.append(text)
        self._end_chars += len(text)
        while self._end_chars - len(self._end[0]) > MAX_STREAM_CHARS:
            dropped_chars = len(self._end.popleft())
            self._end_chars -= dropped_chars
            self._dropped_chars += dropped_chars

    def __str__(self) -> str:
        gap = f"\n[{self._dropped_chars:,} characters left out]\n" if self._dropped_chars else ""
        return f"{''.join(self._start)}{gap}{''.join(self._end)}"


@dataclass(slots=True)
class RichOutput:
    """The text and the image of a displayed object. An update replaces them."""

    data: dict[str, Any]

    @property
    def has_image(self) -> bool:
        """Whether the output has an image in a format that models can see."""
        return any(name in self.data for name in IMAGE_TYPES)

    @property
    def text(self) -> str:
        """The text, or "" if the object has an image or only a placeholder as text."""
        if self.has_image:
            return ""
        text = next((str(self.data[name]) for name in TEXT_TYPES if name in self.data), "")
        return "" if PLACEHOLDER.fullmatch(text) else text

    @property
    def image(self) -> bytes | None:
        """The image, or None."""
        from ..media.images import decode_base64

        image = next((self.data[name] for name in IMAGE_TYPES if name in self.data), None)
        return decode_base64(image) if isinstance(image, str) else image


@dataclass(slots=True, eq=False)
class RecordedCell:
    """A cell that runs or has run.

    Attributes:
        info: IPython's information on the execution.
        cell_id: The ID of the cell in the notebook, or "" if the front end does not send it.
        outputs: The outputs, in order. The output of a question is its answer.
        number: The number in In[…].
    """

    info: Any
    cell_id: str
    outputs: "deque[Output]" = field(default_factory=lambda: deque(maxlen=MAX_OUTPUTS))
    number: int = 0

    @property
    def source(self) -> str:
        """The source as typed."""
        return str(self.info.raw_cell)

    @property
    def is_ignored(self) -> bool:
        """Whether the cell is a question without an answer, or only sets up this package.

        `%cfai use` sets up this package, for example.
        """
        if self.outputs:
            return False
        lines = self.source.splitlines()
        is_question = split_cell(self.source) is not None
        return is_question or all(map(SETUP_LINE.fullmatch, lines))


class CellRecord:
    """The cells that ran in this kernel, in the order in which they ran first.

    A cell that runs again keeps its place if the front end sends the IDs of cells. The outputs are
    those that the user sees: captured output is not recorded, and replaced output is replaced.

    Attributes:
        is_paused: Whether outputs are not recorded, because the magic records its answer instead.
        running: The running cell, or None. Code that it runs as other cells is not recorded.
    """

    def __init__(self, shell: InteractiveShell, cell_errors: CellErrors) -> None:
        self._shell = shell
        self._cell_errors = cell_errors
        self._cells: list[RecordedCell] = []
        self._displays: dict[str, RichOutput] = {}  # by display ID
        self._patched_streams: list[tuple[TextIO, Any, Any]] = []
        self._original_method: Callable[..., Any] = lambda *_args: None
        self._patch_count = 0
        self.is_paused = False
        self.running: RecordedCell | None = None

    def attach(self) -> None:
        """Start recording. IPython has no event for results and printed tracebacks."""
        self._shell.events.register("pre_run_cell", self.on_pre_run_cell)
        self._shell.events.register("post_run_cell", self.on_post_run_cell)
        owner, method_name, replacement = self._get_replacement()
        self._original_method = getattr(owner, method_name)
        setattr(owner, method_name, replacement)

    def detach(self) -> None:
        """Stop recording."""
        self._shell.events.unregister("pre_run_cell", self.on_pre_run_cell)
        self._shell.events.unregister("post_run_cell", self.on_post_run_cell)
        self._restore_streams()
        owner, method_name, _replacement = self._get_replacement()
        setattr(owner, method_name, self._original_method)

    def _get_replacement(self) -> tuple[object, str, Callable[..., Any]]:
        """Return an object, the name of its method to replace, and the replacement.

        A kernel sends results to the front end. A terminal prints them, and prints tracebacks too.
        """
        if hasattr(self._shell, "kernel"):
            return self._shell.displayhook, FORMAT_METHOD, self._record_result
        return self._shell, TRACEBACK_METHOD, self._show_traceback_unrecorded

    def on_pre_run_cell(self, info: Any) -> None:
        """Start a cell, and record what it prints."""
        if self.running is None:  # magics such as %%capture run the rest of the cell as a cell
            self.running = RecordedCell(info, str(getattr(info, "cell_id", None) or ""))
            self._patch_streams()

    def on_post_run_cell(self, result: Any) -> None:
        """End a cell, and store it."""
        cell = self.running
        if cell is None or cell.info is not result.info:
            return
        self._restore_streams()
        self.running = None
        if result.info.store_history and not cell.is_ignored:  # otherwise, no user ran it
            cell.number = result.execution_count
            self._store(cell)

    def _store(self, cell: RecordedCell) -> None:
        index = self._find(cell.cell_id)
        if index is None:
            self._cells.append(cell)
        else:
            self._cells[index] = cell
        del self._cells[:-MAX_CELLS]
        image_outputs = [
            output
            for each in reversed(self._cells)
            for output in reversed(each.outputs)
            if isinstance(output, RichOutput) and output.has_image
        ]
        for output in image_outputs[MAX_IMAGES:]:
            output.data = {}

    def _find(self, cell_id: str) -> int | None:
        indexes = (index for index, cell in enumerate(self._cells) if cell.cell_id == cell_id)
        return next(indexes, None) if cell_id else None

    # --- outputs

    def _patch_streams(self) -> None:
        """Record what is written to stdout and stderr.

        The streams themselves stay in place, because kernels and libraries check their types.
        IPython 9 records outputs in its history the same way.
        """
        self._patch_count += 1
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError):  # without a stream, or without attributes of its own
                original = stream.write
                recording_write = self._make_recording_write(original)
                stream.write = recording_write  # type: ignore[method-assign]
                self._patched_streams.append((stream, original, recording_write))

    def _make_recording_write(self, original: Callable[[str], int]) -> Callable[[str], int]:
        patch_number = self._patch_count

        def write(text: str) -> int:  # inlined, because loops print many short texts
            count = original(text)
            cell = self.running
            # Code may still use the method of an earlier cell.
            if cell is None or self.is_paused or patch_number != self._patch_count:
                return count
            outputs = cell.outputs
            if not outputs or type(outputs[-1]) is not PrintedText:
                outputs.append(PrintedText())
            outputs[-1].add(text)  # type: ignore[union-attr]
            return count

        return write

    def _restore_streams(self) -> None:
        for stream, original, recording_write in self._patched_streams:
            if stream.write is recording_write:  # the cell did not replace it
                stream.write = original  # type: ignore[method-assign]
        self._patched_streams = []

    def _record_result(self, result: Any) -> Any:
        formatted = self._original_method(result)
        if self.running and not type(result).__module__.startswith(COMMAND_RESULTS):
            self.running.outputs.append(RichOutput(_select_types(formatted[0])))
        return formatted

    def _show_traceback_unrecorded(self, *args: Any, **kwargs: Any) -> None:
        was_paused, self.is_paused = self.is_paused, True
        try:
            self._original_method(*args, **kwargs)
        finally:
            self.is_paused = was_paused

    def record_display(self, message: Mapping[str, Any]) -> None:
        """Record a display message of the kernel, if a cell runs."""
        if self.running is None:
            return
        content = message.get("content", {})
        message_type = message.get("msg_type") or message.get("header", {}).get("msg_type")
        if message_type == "clear_output":
            self.running.outputs.clear()
            return
        data = _select_types(content.get("data", {}))
        display_id = content.get("transient", {}).get("display_id")
        if message_type == "update_display_data":
            if display_id in self._displays:
                self._displays[display_id].data = data
            return
        output = RichOutput(data)
        self.running.outputs.append(output)
        if display_id:
            self._displays[display_id] = output
            if len(self._displays) > MAX_DISPLAYS:
                del self._displays[next(iter(self._displays))]

    # --- reading

    def cells_above(self, order: Sequence[str]) -> "list[CellAbove]":
        """Return the cells above the running cell.

        Args:
            order: The IDs of the notebook's cells in order, as far as they are known.
        """
        cells = self._cells
        running_id = self.running.cell_id if self.running else ""
        if running_id in order:
            below = set(order[order.index(running_id) :])
            positions = {cell_id: position for position, cell_id in enumerate(order)}
            cells = [cell for cell in cells if cell.cell_id not in below]
            if all(cell.cell_id in positions for cell in cells):
                cells.sort(key=lambda cell: positions[cell.cell_id])
        else:
            cells = cells[: self._find(running_id)]
        return [self._to_cell_above(cell) for cell in cells]

    def _to_cell_above(self, cell: RecordedCell) -> "CellAbove":
        from ..media.images import figure_bytes
        from ..prompt.cell_context import CellAbove
        from ..types.messages import Answer

        error = self._cell_errors.find(cell.number)
        texts, images = [], []
        for output in cell.outputs:
            if isinstance(output, RichOutput):
                texts.append(output.text)
                images.append(output.image)
            elif isinstance(output, PrintedText):
                texts.append(OUTPUT_PROMPT.sub("", str(output)))
            else:
                answers = [output] if isinstance(output, Answer) else list(output)
                texts.append("\n\n".join(answer.text for answer in answers))
                images += [figure_bytes(answer.parsed) for answer in answers]
        return CellAbove(
            cell.number,
            cell.source,
            tuple(texts),
            tuple(image for image in images if image),
            CELL_FILE.sub('File "a cell"', error.traceback) if error else "",
        )


def _select_types(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in (*TEXT_TYPES, *IMAGE_TYPES) if name in data}
