"""Strategies for random JSON with names and values of the API."""

import json
from typing import Any

from hypothesis import strategies as st

KEYS = (
    *("choices", "delta", "message", "content", "text", "response", "reasoning", "finish_reason"),
    *("reasoning_content", "tool_calls", "function", "name", "arguments", "id", "index", "usage"),
    *("prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens", "neurons"),
    *("error", "errors", "code", "success", "result", "internalCode", "httpCode", "requestId"),
    *("description", "detail", "msg", "data", "embedding", "result_info", "total_count", "task"),
)
HUGE = 10**400  # no float is that large
LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    *(st.sampled_from((HUGE, -HUGE, "true", "4006", "1e999", "")), st.sampled_from(KEYS)),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5)


def like(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with some of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


USAGES = like(
    prompt_tokens=LEAVES,
    completion_tokens=LEAVES,
    neurons=LEAVES,
    prompt_tokens_details=like(cached_tokens=JSON) | JSON,
)
FAULTS = like(code=LEAVES, message=JSON | OBJECTS.map(json.dumps))
REFUSALS = st.one_of(
    *(like(errors=st.lists(FAULTS | JSON, max_size=2)), like(error=FAULTS | JSON)),
    like(internalCode=LEAVES, httpCode=LEAVES, message=JSON, requestId=JSON, error=JSON),
)
CALLS = st.lists(like(index=LEAVES, id=JSON, name=JSON, arguments=JSON, function=JSON), max_size=2)
DELTAS = like(content=JSON, reasoning=JSON, tool_calls=CALLS | JSON)
CHOICES = like(index=LEAVES, delta=DELTAS | JSON, finish_reason=JSON, text=JSON)
FRAMES = st.one_of(
    *(REFUSALS, OBJECTS, JSON, like(response=JSON, usage=USAGES | JSON, tool_calls=CALLS)),
    like(choices=st.lists(CHOICES, max_size=2) | JSON, usage=USAGES | JSON, error=JSON),
)
UNITS = st.sampled_from(("per M input tokens", "per M output tokens")) | JSON
PROPERTIES = like(
    property_id=st.sampled_from(("price", "context_window", "vision")) | JSON,
    value=st.lists(like(unit=UNITS, price=LEAVES), max_size=2) | JSON,
)
MODELS = like(
    name=st.text(max_size=5) | JSON, task=JSON, properties=st.lists(PROPERTIES | JSON, max_size=3)
)
BODIES = st.one_of(
    *(FRAMES, USAGES, REFUSALS),
    like(result=st.lists(MODELS | JSON, max_size=3), result_info=like(total_count=LEAVES) | JSON),
    like(result=like(status=JSON, expires_on=JSON) | JSON, success=st.just(value=True)),
    like(data=st.lists(like(index=JSON, embedding=st.lists(LEAVES, max_size=2))), usage=USAGES),
)
# Nested deeper than Python's json module can parse.
DEEP = {
    "a choice": b'{"choices":' + b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "an array": b"[" * 100_000 + b"]" * 100_000,
}
