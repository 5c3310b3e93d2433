"""What to send to /chat/completions."""

from typing import Any

from ..values import Message, Request


def body(request: Request, *, cloudflare: bool = True) -> dict[str, Any]:
    """Return the JSON body of a chat request; what is None is not in it."""
    fields: dict[str, Any] = {
        "model": request.model,
        "messages": [_filled(message) for message in request.messages],
        "stream": request.stream,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
    }
    if request.stream and not cloudflare:
        fields["stream_options"] = {"include_usage": True}  # Cloudflare tells it unasked
    if request.think is not None:
        fields["chat_template_kwargs"] = {"enable_thinking": request.think}
    return {name: value for name, value in fields.items() if value is not None} | dict(
        request.extra
    )


def _filled(message: Message) -> dict[str, Any]:
    """Return the message with text for content: null is refused by some models (8001)."""
    return {**message, "content": "" if message.get("content") is None else message["content"]}
