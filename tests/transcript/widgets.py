"""The widgets of the panel in a web page: their state, and messages to them."""

import json
from collections.abc import Iterator
from typing import Any

SHOWN = ("description", "value", "_options_labels", "index", "placeholder", "disabled", "tooltip")


class Widgets:
    """The widgets of one kernel, by the id of their comm."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, Any]] = {}
        self._before: list[str] = []

    def take(self, kind: str, content: dict[str, Any]) -> bool:
        """Process a comm message; return False if it does not belong to a widget."""
        name, data = content["comm_id"], content.get("data", {})
        if kind == "comm_open" and content.get("target_name") == "jupyter.widget":
            self._states[name] = data["state"]
        elif name not in self._states:
            return False
        elif kind == "comm_close":
            del self._states[name]
        elif data.get("method") in {"update", "echo_update"}:
            self._states[name] |= data["state"]
        return True

    def tree(self) -> list[str]:
        """Return one line per changed widget, with its children below it."""
        inside = {child for state in self._states.values() for child in _children(state)}
        boxes = [name for name, state in self._states.items() if _children(state)]
        lines = [line for name in boxes if name not in inside for line in self._lines(name, 0)]
        changed = [line for line in lines if line not in self._before]
        self._before = lines
        return changed

    def _lines(self, name: str, depth: int) -> Iterator[str]:
        state = self._states[name]
        layout = self._states.get(str(state.get("layout", "")).removeprefix("IPY_MODEL_"), {})
        fields = {key: state[key] for key in SHOWN if state.get(key) not in (None, "", False)}
        if layout.get("display") == "none":
            fields["hidden"] = True
        fields = {key: _short(value) for key, value in fields.items()}
        kind = str(state.get("_model_name")).removesuffix("Model")
        yield f"{'    ' * depth}{kind} {json.dumps(fields, ensure_ascii=False)}"
        for child in _children(state):
            if child in self._states:
                yield from self._lines(child, depth + 1)

    def message(self, kind: str, action: str) -> dict[str, Any]:
        """Return the message of a click, or of an entered value: "NAME = VALUE"."""
        name, _, value = action.partition(" = ")
        comm = next(
            comm
            for comm, state in self._states.items()
            if name in (state.get("description"), state.get("placeholder"))
        )
        if kind == "!click":
            data = {"method": "custom", "content": {"event": "click"}}
        else:
            data = {"method": "update", "state": {"value": json.loads(value)}, "buffer_paths": []}
        return {"comm_id": comm, "data": data}


def _children(state: dict[str, Any]) -> list[str]:
    return [str(child).removeprefix("IPY_MODEL_") for child in state.get("children", ())]


def _short(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("<style"):
        return "<style>"
    if isinstance(value, list) and len(value) > 6:
        return [*value[:3], f"… {len(value)}"]
    return value
