"""Assembles tool calls, which come whole or in pieces, in OpenAI's shape or the native one."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..values import ToolCall

Slot = int | str  # what an `index` names
SHORT = 10  # characters: no more than an empty object takes
CHARACTERS_PER_PIECE = 4  # a token: what a piece counts at least
MARKS = re.compile(r"\\.?|[\"{}\[\]]", re.DOTALL)  # all that decides where a JSON object ends


class _Call:
    """One call while it comes; `complete` once its arguments are a whole object or array.

    One that is `tentative` counts only if arguments follow.
    """

    def __init__(self, slot: Slot | None, order: int) -> None:
        self.slot = slot
        self.order = order
        self.id = ""
        self.name = ""
        self.complete = False
        self.tentative = False
        self._pieces: list[str] = []
        self._size = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False

    @property
    def has_arguments(self) -> bool:
        return bool(self._pieces)

    @property
    def arguments(self) -> str:
        """The JSON text; that of an empty object where a server sends nothing or null."""
        text = "".join(self._pieces).strip()
        if not text.isascii():  # a letter may have come in two halves
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return "{}" if text in ("", "null") else text

    @property
    def is_repeat(self) -> bool:
        """Whether it says a name once more, and no more than that."""
        return self.tentative and not self._pieces

    @property
    def is_empty_object(self) -> bool:
        return self.complete and self._size < SHORT and self.arguments == "{}"

    def take(self, arguments: str | None, *, whole: bool) -> None:
        """Append a piece of text, or replace what came by the whole."""
        if not arguments or (self.complete and self._repeats(arguments)):
            return
        if whole or self.is_empty_object:  # which stood for what comes only now
            self._pieces, self._size, self._depth, self.complete = [], 0, 0, False
        self._pieces.append(arguments)
        self._size += len(arguments)
        self._scan(arguments)

    def _repeats(self, arguments: str) -> bool:
        """Whether a piece after whole arguments says nothing new."""
        same = len(arguments) == self._size and arguments == "".join(self._pieces)
        return same or not arguments.strip()

    def _scan(self, piece: str) -> None:
        """Follow the brackets, so that each character is looked at once."""
        start, self._escaped = int(self._escaped), False
        for mark in MARKS.finditer(piece, start):
            found = mark[0]
            if found[0] == "\\":
                self._escaped = len(found) == 1
            elif found == '"':
                self._in_string = not self._in_string
            elif not self._in_string:
                self._depth += 1 if found in "{[" else -1
                self.complete = self._depth == 0


class _Piece:
    """What one entry of a frame's list says."""

    def __init__(self, entry: dict[str, Any]) -> None:
        function = entry.get("function")
        function = function if isinstance(function, dict) else entry  # the native shape has none
        arguments = function.get("arguments")
        self.slot = _slot(entry.get("index"))
        self.id = _text(entry.get("id"))
        self.name = _text(function.get("name"))
        self.whole = isinstance(arguments, dict | list)
        self.arguments: str | None = None
        if self.whole:
            self.arguments = json.dumps(arguments, ensure_ascii=False)
        elif isinstance(arguments, str):
            self.arguments = arguments
        self.has_arguments = bool(self.arguments and self.arguments.strip())


class ToolCalls:
    """The calls of one answer, from one place of its frames.

    A piece belongs to the call with its id, else to the newest call at its index, else to the last
    one. A new id begins a call, and so does another name, or a name after whole arguments: some
    servers give every call the index 0 or none, others repeat the name in every piece.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_slot: dict[Slot, _Call] = {}

    def add(self, entries: Any) -> int:
        """Take in the calls of one frame, and return their characters.

        What makes no sense is skipped.
        """
        if not isinstance(entries, list):
            return 0
        pieces = [_Piece(entry) for entry in entries if isinstance(entry, dict)]
        in_frame: set[int] = set()  # the calls that this frame has a piece of
        for place, piece in enumerate(pieces):
            self._add(piece, place if len(pieces) > 1 else None, in_frame)
        return sum(CHARACTERS_PER_PIECE + len(piece.arguments or "") for piece in pieces)

    def _add(self, piece: _Piece, place: int | None, in_frame: set[int]) -> None:
        call = before = self._call_of(piece, place)
        if call is None or self._begins(call, piece, in_frame):
            if not (piece.id or piece.name or piece.has_arguments):
                return
            call = self._begin(piece.slot)
            call.tentative = before is not None and _may_repeat(before, piece)
        call.id = call.id or piece.id
        call.name = call.name or piece.name
        call.take(piece.arguments, whole=piece.whole)
        if piece.id:
            self._by_id[piece.id] = call
        in_frame.add(call.order)

    def _call_of(self, piece: _Piece, place: int | None) -> _Call | None:
        """Return the call that a piece may go on with."""
        if piece.id in self._by_id:
            return self._by_id[piece.id]
        if piece.slot is not None:
            return self._by_slot.get(piece.slot)
        at_place = None if place is None else self._by_slot.get(place)
        if at_place and not at_place.complete:
            return at_place
        return self._calls[-1] if self._calls else None

    def _begins(self, call: _Call, piece: _Piece, in_frame: set[int]) -> bool:
        """Whether a piece begins another call than the one it may go on with."""
        if piece.id and piece.id in self._by_id:
            if not (piece.name and call.name):
                return False
            again = call.complete and piece.has_arguments and not call.is_empty_object
            return piece.name != call.name or (again and piece.arguments != call.arguments)
        is_new = bool(piece.id and (call.id or call.complete))
        if piece.name and call.name:
            another = piece.name != call.name or call.complete
            return is_new or another or call.order in in_frame
        # Some servers give each piece an id of its own: without a name it goes on.
        return is_new and (bool(piece.name) or call.complete or not piece.has_arguments)

    def _begin(self, slot: Slot | None) -> _Call:
        call = _Call(slot, len(self._calls))
        self._calls.append(call)
        self._by_slot[call.order if slot is None else slot] = call
        return call

    @property
    def begun(self) -> bool:
        """Whether a call began, be it one without a name."""
        return any(call.name or call.has_arguments for call in self._calls)

    def whole(self, copies: "ToolCalls | None" = None) -> list[ToolCall]:
        """Return the calls that have a name, each with an id of its own.

        `copies` are those that the same frames had in another place: only what is new in them is
        added. Arguments that are no JSON are returned as they came.
        """
        calls = list(self.named())
        known = {_meaning(call) for call in calls}
        copied = copies.named() if copies else []
        calls += [call for call in copied if _meaning(call) not in known]
        return list(_identified(calls))

    def named(self) -> list[_Call]:
        """Return the calls that have a name, by their index."""
        named = [call for call in self._calls if call.name and not call.is_repeat]
        return sorted(named, key=lambda c: c.slot if isinstance(c.slot, int) else c.order)


def _may_repeat(before: _Call, piece: _Piece) -> bool:
    """Whether a name after whole arguments may stand for the call before, said once more."""
    return not piece.id and not piece.has_arguments and piece.name == before.name


def _identified(calls: Iterable[_Call]) -> Iterator[ToolCall]:
    """Yield the calls; an id that is missing, or was given to several, is made up."""
    used: set[str] = set()
    for place, call in enumerate(calls):
        identity = call.id or f"call_{place if call.slot is None else call.slot}"
        number = place
        while identity in used:
            number += 1
            identity = f"call_{number}"
        used.add(identity)
        yield ToolCall(identity, call.name, call.arguments)


def _slot(index: Any) -> Slot | None:
    """Return what an index names; None where it is missing, null or no number or text."""
    if isinstance(index, bool) or not isinstance(index, int | float | str) or index == "":
        return None
    try:
        return int(index)
    except (ValueError, OverflowError):
        return str(index)


def _text(value: Any) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if isinstance(value, str) else str(value) if is_number else ""


def _meaning(call: _Call) -> tuple[str, str]:
    """Return what a call asks for, however its JSON is written."""
    try:
        return call.name, json.dumps(json.loads(call.arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return call.name, call.arguments
