"""Recorded formats of chat answers of Workers AI."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ThoughtField = Literal["reasoning_content", "reasoning", "think_tag"]
UsageStyle = Literal["delta", "cumulative", "last", "none"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """Format of one recording.

    `usage` on the chunks: of each chunk, the sum so far, only at the end, or none. `bare` sends
    only `choices` in a chunk. If `indexed` is False, choices have no `index` and `finish_reason`.
    `usage_copy` ends a stream with the usage and a copy of it without cached tokens.
    `doubled` repeats the text in `response`. `native` is Cloudflare's format, not OpenAI's.
    """

    usage: UsageStyle = "delta"
    neurons: bool = True
    details: bool = True
    indexed: bool = True
    closing_event: bool = True
    final_native_event: bool = True
    usage_copy: bool = False
    padding: Literal["random", "constant", ""] = "random"
    thought_field: ThoughtField = "reasoning_content"
    null_fields: bool = False
    alphabetical: bool = False
    bare: bool = False
    doubled: bool = False
    native: bool = False
    empty_content: str | None = ""
    stop_field: str = ""
    stop_value: int | None = None
    tool_end: bool = False
    model_suffix: str = ""
    identity: Literal["hex", "chatcmpl", "ms"] = "hex"

    @property
    def usage_if_any(self) -> UsageStyle:
        """The usage style if a switch enables usage."""
        return "cumulative" if self.usage == "none" else self.usage


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        # gemma-4, October 2026: the newest.
        "gemma": Dialect(
            null_fields=True,
            alphabetical=True,
            stop_field="matched_stop",
            stop_value=106,
            model_suffix="-external",
        ),
        # glm-5.2 and glm-5.3-flash, August 2026.
        "glm": Dialect(identity="ms"),
        # glm-5.2 on REST /ai/v1, July 2026: the platform copies the usage of the model.
        "rest": Dialect(
            usage="last",
            neurons=False,
            closing_event=False,
            final_native_event=False,
            usage_copy=True,
            identity="ms",
        ),
        # nemotron, 2026: vLLM's keys, `reasoning`, and null if reasoning used all tokens.
        "nemotron": Dialect(
            thought_field="reasoning",
            empty_content=None,
            stop_field="stop_reason",
            tool_end=True,
            identity="chatcmpl",
        ),
        # July 2025: usage so far on each chunk, no neurons, no separate last event.
        "cumulative": Dialect(
            usage="cumulative",
            neurons=False,
            details=False,
            final_native_event=False,
            padding="",
            identity="chatcmpl",
        ),
        # December 2024, llama on the OpenAI path: no index, no finish_reason, no usage.
        "llama2024": Dialect(
            usage="none",
            neurons=False,
            details=False,
            indexed=False,
            closing_event=False,
            final_native_event=False,
            padding="",
            identity="ms",
        ),
        # The same text in `choices` and in `response`.
        "hybrid": Dialect(
            usage="last",
            indexed=False,
            closing_event=False,
            padding="",
            bare=True,
            doubled=True,
        ),
        # Cloudflare's format, as /ai/run returns it for older models.
        "native": Dialect(usage="last", native=True, thought_field="think_tag"),
    }
)
