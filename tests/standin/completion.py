"""Format a generation as one JSON object of its dialect."""

import json
from typing import Any

from .chunks import Wording, native_call
from .generation import Generation, ToolCall


def completion(wording: Wording, generation: Generation) -> dict[str, Any]:
    """Return a chat.completion without envelope, as on the OpenAI route."""
    body: dict[str, Any] = {
        "id": wording.id,
        "object": "chat.completion",
        "created": wording.created,
        "model": wording.model.name + wording.dialect.model_suffix,
        "choices": [choice(wording, generation)],
    }
    if wording.dialect.usage != "none":
        body["usage"] = wording.total(generation)
    return body


def choice(wording: Wording, generation: Generation) -> dict[str, Any]:
    """Return the single choice, with the additional keys of the dialect."""
    message = message_of(wording, generation)
    body = {"index": 0, "finish_reason": generation.finish, "logprobs": None, "message": message}
    if wording.dialect.stop_field:
        ended = generation.finish == "stop"
        body[wording.dialect.stop_field] = wording.dialect.stop_value if ended else None
    return body


def message_of(wording: Wording, generation: Generation) -> dict[str, Any]:
    """Return the assistant message; empty content is "" or None as in the dialect."""
    dialect = wording.dialect
    text = "".join(generation.text) or (None if generation.calls else dialect.empty_content)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if generation.thought or dialect.null_fields:
        message[dialect.thought_field] = "".join(generation.thought) or None
    if generation.calls:
        message["tool_calls"] = [openai_call(at, one) for at, one in enumerate(generation.calls)]
    elif dialect.tool_end:
        message |= {"refusal": None, "tool_calls": []}
    return message


def openai_call(at: int, call: ToolCall) -> dict[str, Any]:
    """Return a tool call in OpenAI's format: arguments as JSON text."""
    function = {"name": call.name, "arguments": "".join(call.pieces)}
    return {"index": at, "id": call.id, "type": "function", "function": function}


def native(wording: Wording, generation: Generation, *, as_json: bool) -> dict[str, Any]:
    """Return the result of an older model; in JSON mode, `response` is the parsed JSON."""
    text: Any = "".join((*generation.thought, *generation.text))
    calls = [native_call(call) for call in generation.calls]
    body = {"response": parsed(text) if as_json else text, "tool_calls": calls}
    if wording.dialect.usage != "none":
        body["usage"] = wording.total(generation)
    return body


def parsed(text: str) -> Any:
    """Return the parsed JSON, or the text if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text
