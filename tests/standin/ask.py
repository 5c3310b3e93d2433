"""A chat request, checked and understood."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import tokens
from .catalogue import Model
from .errors import Refusal, refusal

# "max_tokens defaults to 256" on the older models; for the newer ones no default is known.
DEFAULT_MAX_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Ask:
    """What a chat request asks for; `estimate` is its prompt as the window's check counts it."""

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
    """Understand a body; Refusal where Workers AI would refuse it."""
    messages = checked_messages(model, body)
    texts = [text for message in messages for text in texts_of(message)]
    images = [url for message in messages for url in images_of(message)]
    offered = json.dumps(body["tools"]) if body.get("tools") else ""
    characters = sum(map(len, texts)) + len(offered)
    understood = Ask(
        model=model,
        last_user_text=last_user_text(messages),
        prompt_tokens=max(1, tokens.count("." * characters)) + tokens.IMAGE_TOKENS * len(images),
        estimate=tokens.count("." * (characters + sum(map(len, images)))),
        max_tokens=max_tokens(model, body),
        stream=bool(body.get("stream")),
        thinks=thinks(model, body),
        tools=bool(offered),
        tool_steps_taken=sum(1 for message in messages if message.get("tool_calls")),
        stop=stops(body),
        schema=schema(body),
    )
    check_window(understood)
    return understood


def checked_messages(model: Model, body: Any) -> list[dict[str, Any]]:
    """Return the messages; a bare `prompt` is one of the user."""
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
    """Refuse a message of the wrong shape, as the model's own schema does."""
    if not isinstance(message, Mapping) or "role" not in message:
        raise bad_input(f"required properties at '/messages/{at}' are 'role,content'")
    content = message.get("content")
    if content is None and not message.get("tool_calls"):
        raise refusal(8001)
    if isinstance(content, list) and model.shape == "native" and not model.vision:
        wrong = f"Type mismatch of '/messages/{at}/content', 'array' not in 'string'"
        raise bad_input("required properties at '/' are 'prompt'", wrong)


def bad_input(*reasons: str) -> Refusal:
    """Return the refusal of a body that fits none of the model's schemas."""
    joined = ", ".join(reasons)
    return refusal(5006, f"Bad input: Error: oneOf at '/' not met, 0 matches: {joined}")


def texts_of(message: Mapping[str, Any]) -> list[str]:
    """Return a message's texts, those of its tool calls too."""
    content = message.get("content") or ""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [str(part.get("text", "")) for part in parts if part.get("type") == "text"]
    calls = message.get("tool_calls")
    return [*texts, json.dumps(calls)] if calls else texts


def images_of(message: Mapping[str, Any]) -> list[str]:
    """Return the addresses of a message's images, data or other."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]


def last_user_text(messages: list[dict[str, Any]]) -> str:
    """Return the text of the user's last message."""
    texts = [" ".join(texts_of(one)) for one in messages if one.get("role") == "user"]
    return texts[-1] if texts else ""


def max_tokens(model: Model, body: Mapping[str, Any]) -> int | None:
    """Return the most tokens of the answer; None where neither body nor model says."""
    named = body.get("max_completion_tokens", body.get("max_tokens"))
    if named is not None:
        if not isinstance(named, int) or named < 1:
            raise refusal(8001)
        return named
    return DEFAULT_MAX_TOKENS if model.shape == "native" else None


def thinks(model: Model, body: Mapping[str, Any]) -> bool:
    """Tell whether the model thinks aloud: not where it is told not to, if it can be told."""
    told = (body.get("chat_template_kwargs") or {}).get("enable_thinking", True)
    return model.reasoning == "always" or bool(told)


def stops(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the texts at which the answer stops."""
    stop = body.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the JSON schema asked for: bare, in OpenAI's wrapper, or any object."""
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_object":
        return {"type": "object"}
    given = wanted.get("json_schema")
    return given.get("schema", given) if isinstance(given, Mapping) else None


def check_window(asked: Ask) -> None:
    """Refuse what would not fit the model's window: the prompt plus the most it may answer."""
    total = asked.estimate + (asked.max_tokens or DEFAULT_MAX_TOKENS)
    if asked.model.window and total > asked.model.window:
        raise refusal(
            5021,
            f"The estimated number of input and maximum output tokens ({total}) exceeded this "
            f"model context window limit ({asked.model.window}).",
        )


MESSAGES_MISSING = "required properties at '/' are 'messages'"
