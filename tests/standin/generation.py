"""What a model says to a request, cut into tokens: the same for every dialect."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import tokens
from .ask import Ask
from .switches import Switches


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool; `pieces` are its arguments, as JSON cut into tokens."""

    id: str
    name: str
    arguments: Any
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer before it is worded; `ended` is True where the model sent its stop token."""

    prompt_tokens: int
    cached_tokens: int
    thought: tuple[str, ...]
    text: tuple[str, ...]
    calls: tuple[ToolCall, ...]
    finish: str | None
    ended: bool

    @property
    def completion_tokens(self) -> int:
        """All tokens the model made, the stop token too."""
        calls = sum(1 + len(call.pieces) for call in self.calls)
        return len(self.thought) + len(self.text) + calls + self.ended


def generate(asked: Ask, switches: Switches, answer: str) -> Generation:
    """Return the answer to a request, cut at its max_tokens: thinking comes first and counts."""
    thought, text = worded(asked, switches, answer)
    calls = tool_calls(asked, switches)
    if calls:
        text = ()
    room = asked.max_tokens if asked.max_tokens is not None else len(thought) + len(text) + 1
    kept_thought, kept_text = thought[:room], text[: max(0, room - len(thought))]
    ended = bool(calls) or len(thought) + len(text) < room
    return Generation(
        prompt_tokens=asked.prompt_tokens,
        cached_tokens=min(switches.cached_tokens, asked.prompt_tokens),
        thought=kept_thought,
        text=kept_text,
        calls=calls,
        finish=(
            finish(ended=ended, calls=bool(calls))
            if switches.finish_reason is None
            else switches.finish_reason or None
        ),
        ended=ended,
    )


def finish(*, ended: bool, calls: bool) -> str:
    """Return why an answer ended."""
    if calls:
        return "tool_calls"
    return "stop" if ended else "length"


def worded(asked: Ask, switches: Switches, answer: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the tokens of the thought and of the text; some models think inside the text."""
    for stop in asked.stop:
        answer = answer.partition(stop)[0]
    thought = switches.thought if asked.thinks else ""
    if thought and switches.shape.thought_field == "think_tag":
        return (), tokens.cut(f"<think>\n{thought}\n</think>\n\n{answer}")
    return tokens.cut(thought), tokens.cut(answer)


def tool_calls(asked: Ask, switches: Switches) -> tuple[ToolCall, ...]:
    """Return the calls to make now: none without tools, and none after the steps are taken."""
    if not asked.tools or asked.tool_steps_taken >= switches.tool_steps:
        return ()
    step = asked.tool_steps_taken
    return tuple(tool_call(call, step, at) for at, call in enumerate(switches.tool_calls))


def tool_call(call: Mapping[str, Any], step: int, at: int) -> ToolCall:
    """Return one call, with arguments that may be JSON text or a value."""
    given = call.get("arguments", {})
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    identity = str(call.get("id", f"chatcmpl-tool-{step}{at}"))
    return ToolCall(identity, str(call["name"]), given, tokens.cut(text))


def default_answer(asked: Ask) -> str:
    """Return a short Markdown answer that tells which question it belongs to, or fitting JSON."""
    if asked.schema is not None:
        return json.dumps(fitting(asked.schema, asked.last_user_text), ensure_ascii=False)
    heard = " ".join(asked.last_user_text.split())[:60]
    return f"You asked: *{heard}*\n\n- This is the **stand-in**.\n- It answers with `Markdown`."


def fitting(schema: Mapping[str, Any], text: str) -> Any:
    """Return a value that fits a JSON schema's types, enums, properties and least of items."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: fitting(one, text) for name, one in properties.items()} or {"answer": text}
    if kind == "array":
        item = fitting(schema.get("items", {"type": "string"}), text)
        return [item] * max(1, schema.get("minItems", 1))
    text = text[: schema.get("maxLength", len(text))]
    return {"string": text, "integer": 1, "number": 0.5, "boolean": True}.get(str(kind))
