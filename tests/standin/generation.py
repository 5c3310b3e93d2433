"""The answer of a model as tokens, independent of the dialect."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import tokens
from .ask import Ask
from .switches import Switches


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call; `pieces` are its arguments as JSON, split into tokens."""

    id: str
    name: str
    arguments: Any
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generation:
    """An answer before formatting; `ended` is True if the model sent its stop token."""

    prompt_tokens: int
    cached_tokens: int
    thought: tuple[str, ...]
    text: tuple[str, ...]
    calls: tuple[ToolCall, ...]
    finish: str | None
    ended: bool

    @property
    def completion_tokens(self) -> int:
        """All generated tokens, including the stop token."""
        calls = sum(1 + len(call.pieces) for call in self.calls)
        return len(self.thought) + len(self.text) + calls + self.ended


def generate(request: Ask, switches: Switches, answer: str) -> Generation:
    """Return the answer, cut at max_tokens; reasoning comes first and counts."""
    thought, text = worded(request, switches, answer)
    calls = tool_calls(request, switches)
    if calls:
        text = ()
    room = request.max_tokens if request.max_tokens is not None else len(thought) + len(text) + 1
    kept_thought, kept_text = thought[:room], text[: max(0, room - len(thought))]
    ended = bool(calls) or len(thought) + len(text) < room
    return Generation(
        prompt_tokens=request.prompt_tokens,
        cached_tokens=min(switches.cached_tokens, request.prompt_tokens),
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
    """Return the finish reason."""
    if calls:
        return "tool_calls"
    return "stop" if ended else "length"


def worded(
    request: Ask, switches: Switches, answer: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the tokens of reasoning and text; think tags are part of the text."""
    for stop in request.stop:
        answer = answer.partition(stop)[0]
    thought = switches.thought if request.thinks else ""
    if thought and switches.shape.thought_field == "think_tag":
        return (), tokens.cut(f"<think>\n{thought}\n</think>\n\n{answer}")
    return tokens.cut(thought), tokens.cut(answer)


def tool_calls(request: Ask, switches: Switches) -> tuple[ToolCall, ...]:
    """Return the tool calls; empty without tools or after `tool_steps` steps."""
    if not request.tools or request.tool_steps_taken >= switches.tool_steps:
        return ()
    step = request.tool_steps_taken
    return tuple(tool_call(call, step, at) for at, call in enumerate(switches.tool_calls))


def tool_call(call: Mapping[str, Any], step: int, at: int) -> ToolCall:
    """Return one tool call; `arguments` may be JSON text or a value."""
    given = call.get("arguments", {})
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    identity = str(call.get("id", f"chatcmpl-tool-{step}{at}"))
    return ToolCall(identity, str(call["name"]), given, tokens.cut(text))


def default_answer(request: Ask) -> str:
    """Return a short Markdown answer that quotes the question, or JSON for a schema."""
    if request.schema is not None:
        return json.dumps(fitting(request.schema, request.last_user_text), ensure_ascii=False)
    question = " ".join(request.last_user_text.split())[:60]
    return f"You asked: *{question}*\n\n- This is the **stand-in**.\n- It answers with `Markdown`."


def fitting(schema: Mapping[str, Any], text: str) -> Any:
    """Return a value for a JSON schema: types, enums, properties, minItems and maxLength."""
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
