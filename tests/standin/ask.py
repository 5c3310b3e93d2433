"""Validate and parse a chat request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import tokens
from .catalogue import Model
from .errors import Refusal, refusal

# "max_tokens defaults to 256" for older models; newer models have no documented default.
DEFAULT_MAX_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Ask:
    """A parsed chat request; `estimate` is the prompt size used by the context window check."""

    model: Model
    last_user_text: str
    prompt_tokens: int
    estimate: int
    max_tokens: int | None
    stream: bool
    thinks: bool
    tools: bool
    tool_steps_taken: int
    stop: tuple[str, ...]
    schema: Mapping[str, Any] | None


def ask(model: Model, body: Any) -> Ask:
    """Parse a body. Raises Refusal if Workers AI would reject it."""
    messages = checked_messages(model, body)
    texts = [text for message in messages for text in texts_of(message)]
    images = [url for message in messages for url in images_of(message)]
    tools = json.dumps(body["tools"]) if body.get("tools") else ""
    characters = sum(map(len, texts)) + len(tools)
    request = Ask(
        model=model,
        last_user_text=last_user_text(messages),
        prompt_tokens=max(1, tokens.count("." * characters)) + tokens.IMAGE_TOKENS * len(images),
        estimate=tokens.count("." * (characters + sum(map(len, images)))),
        max_tokens=max_tokens(model, body),
        stream=bool(body.get("stream")),
        thinks=thinks(model, body),
        tools=bool(tools),
        tool_steps_taken=sum(1 for message in messages if message.get("tool_calls")),
        stop=stops(body),
        schema=schema(body),
    )
    check_window(request)
    return request


def checked_messages(model: Model, body: Any) -> list[dict[str, Any]]:
    """Return the messages; a `prompt` becomes one user message."""
    if not isinstance(body, Mapping):
        raise refusal(3003)
    messages = body.get("messages")
    if not messages and isinstance(body.get("prompt"), str):
        return [{"role": "user", "content": body["prompt"]}]
    if not isinstance(messages, list) or not messages:
        raise bad_input("required properties at '/' are 'prompt'", MESSAGES_MISSING)
    for at, message in enumerate(messages):
        check_message(model, at, message)
    if body.get("tools") and not model.tools:
        raise refusal(5006, f"Bad input: Error: {model.name} does not support tools")
    if body.get("tool_choice") == "any":
        raise refusal(8001)
    return messages


def check_message(model: Model, at: int, message: Any) -> None:
    """Raise Refusal for a message that does not match the model's schema."""
    if not isinstance(message, Mapping) or "role" not in message:
        raise bad_input(f"required properties at '/messages/{at}' are 'role,content'")
    content = message.get("content")
    if content is None and not message.get("tool_calls"):
        raise refusal(8001)
    if isinstance(content, list) and model.shape == "native" and not model.vision:
        wrong = f"Type mismatch of '/messages/{at}/content', 'array' not in 'string'"
        raise bad_input("required properties at '/' are 'prompt'", wrong)


def bad_input(*reasons: str) -> Refusal:
    """Return the error for a body that matches none of the model's schemas."""
    joined = ", ".join(reasons)
    return refusal(5006, f"Bad input: Error: oneOf at '/' not met, 0 matches: {joined}")


def texts_of(message: Mapping[str, Any]) -> list[str]:
    """Return the texts of a message, including its tool calls."""
    content = message.get("content") or ""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [str(part.get("text", "")) for part in parts if part.get("type") == "text"]
    calls = message.get("tool_calls")
    return [*texts, json.dumps(calls)] if calls else texts


def images_of(message: Mapping[str, Any]) -> list[str]:
    """Return the URLs of a message's images, including data URLs."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]


def last_user_text(messages: list[dict[str, Any]]) -> str:
    """Return the text of the last user message."""
    texts = [" ".join(texts_of(one)) for one in messages if one.get("role") == "user"]
    return texts[-1] if texts else ""


def max_tokens(model: Model, body: Mapping[str, Any]) -> int | None:
    """Return the maximum tokens of the answer; None if neither body nor model sets it."""
    named = body.get("max_completion_tokens", body.get("max_tokens"))
    if named is not None:
        if not isinstance(named, int) or named < 1:
            raise refusal(8001)
        return named
    return DEFAULT_MAX_TOKENS if model.shape == "native" else None


def thinks(model: Model, body: Mapping[str, Any]) -> bool:
    """Return True unless the request disables reasoning and the model supports that."""
    enabled = (body.get("chat_template_kwargs") or {}).get("enable_thinking", True)
    return model.reasoning == "always" or bool(enabled)


def stops(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the stop sequences."""
    stop = body.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the requested JSON schema: bare, in OpenAI's wrapper, or any object."""
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_object":
        return {"type": "object"}
    given = wanted.get("json_schema")
    return given.get("schema", given) if isinstance(given, Mapping) else None


def check_window(request: Ask) -> None:
    """Raise Refusal if prompt plus maximum answer exceed the context window."""
    total = request.estimate + (request.max_tokens or DEFAULT_MAX_TOKENS)
    if request.model.window and total > request.model.window:
        raise refusal(
            5021,
            f"The estimated number of input and maximum output tokens ({total}) exceeded this "
            f"model context window limit ({request.model.window}).",
        )


MESSAGES_MISSING = "required properties at '/' are 'messages'"
