"""Gathers calls of tools, which come whole or in pieces, in OpenAI's shape or the native one."""

import json
from dataclasses import dataclass
from typing import Any

from ..values import ToolCall


@dataclass
class _Call:
    """One call while it comes."""

    id: str = ""
    name: str = ""
    arguments: str = ""


class ToolCalls:
    """The calls of one answer, by their index."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}

    def add(self, pieces: Any) -> None:
        """Take in the calls of one frame; what makes no sense is skipped."""
        if not isinstance(pieces, list):
            return
        for place, piece in enumerate(pieces):
            if isinstance(piece, dict):
                index = piece.get("index")
                self._add(piece, index if isinstance(index, int) else place)

    def _add(self, piece: dict[str, Any], index: int) -> None:
        function = piece.get("function")
        function = function if isinstance(function, dict) else piece  # the native shape has none
        call = self._calls.setdefault(index, _Call())
        call.id = call.id or str(piece.get("id") or "")
        call.name = call.name or str(function.get("name") or "")
        arguments = function.get("arguments")
        if isinstance(arguments, dict | list):
            call.arguments = json.dumps(arguments, ensure_ascii=False)
        elif isinstance(arguments, str):
            call.arguments += arguments

    def whole(self) -> list[ToolCall]:
        """Return the calls that have a name and arguments that are JSON."""
        return [
            ToolCall(call.id or f"call_{index}", call.name, call.arguments or "{}")
            for index, call in sorted(self._calls.items())
            if call.name and _is_json(call.arguments or "{}")
        ]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
