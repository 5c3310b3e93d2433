"""Explain a cassette miss: diff the request against the closest recorded one."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import count, zip_longest
from typing import Any

from .fingerprint import Fields, RecordedRequest, canonical_json, unwrap_schema

MAX_COMPARED_CHARS = 2_000  # comparing two texts takes quadratic time
EXCERPT_CHARS = 30  # shown of a text, from its first difference
MAX_VALUE_CHARS = 60  # shown of a parameter
SCHEMA_PART = "the schema"
TEXT_PARTS = ("message", "the system", "text", "input", SCHEMA_PART)  # shown as excerpts
NON_PARAMETER_FIELDS = {"task", "local", "messages", "texts", "input", "response_format"}
VISIBLE_MARKS = {"\n": "⏎", "\t": "⇥"}  # shown for invisible characters

Parts = Mapping[str, Any]


def explain_mismatch(
    request: RecordedRequest, recorded_requests: Iterable[RecordedRequest]
) -> str:
    """Describe how a request differs from the closest recorded one; empty if there is none."""
    current_parts = _split_parts(request.fields)
    candidates = [
        (recorded, _split_parts(recorded.fields))
        for recorded in recorded_requests
        if recorded.task == request.task
    ]
    if not candidates:
        return ""
    min_differences = min(len(_differing_parts(parts, current_parts)) for _, parts in candidates)
    closest = [
        pair
        for pair in candidates
        if len(_differing_parts(pair[1], current_parts)) == min_differences
    ]
    _, recorded_parts = max(closest, key=lambda pair: _similarity(pair[0].fields, request.fields))
    return "; ".join(
        _describe_difference(name, recorded_parts.get(name), current_parts.get(name))
        for name in _differing_parts(recorded_parts, current_parts)
    )


def _differing_parts(recorded: Parts, current: Parts) -> list[str]:
    """Return the names of the differing parts, in the order of the request."""
    return [name for name in {**current, **recorded} if recorded.get(name) != current.get(name)]


def _similarity(one: Fields, other: Fields) -> float:
    """Return an upper bound (0 to 1) of the text similarity of two requests."""
    before, after = (canonical_json(fields)[:MAX_COMPARED_CHARS] for fields in (one, other))
    return SequenceMatcher(None, before, after, autojunk=False).quick_ratio()


# --- the parts of a request, by the names shown to the user


def _split_parts(fields: Fields) -> dict[str, Any]:
    """Return all parts that affect the answer, except the local model."""
    return {
        **dict(_message_parts(fields.get("messages", ()))),
        **{f"text {n}": text for n, text in enumerate(fields.get("texts", ()), 1)},
        **_input_parts(fields.get("input")),
        **({"model": fields["model"]} if "model" in fields else {}),
        **_response_format_part(fields),
        **{
            f"parameter {name}": fields[name]
            for name in sorted(fields)
            if name not in {*NON_PARAMETER_FIELDS, "model"}
        },
    }


def _message_parts(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the texts and images of messages; system prompts are numbered separately."""
    systems, numbers = count(1), count(1)
    for message in messages:
        if message.get("role") == "system":
            number = next(systems)
            name = "the system prompt" if number == 1 else f"the system prompt no. {number}"
            yield name, _to_text(message.get("content"))
        else:
            yield from _parts_of_message(f"message {next(numbers)}", message)


def _parts_of_message(name: str, message: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    content = message.get("content")
    content_parts = content if isinstance(content, list) else [{"text": content}]
    texts = [piece["text"] for piece in content_parts if "text" in piece]
    yield f"{name} ({message.get('role')})", "\n".join(map(_to_text, texts))
    others = [piece for piece in content_parts if "text" not in piece]
    for number, piece in enumerate(others, 1):
        yield f"image {number} of {name}", _to_text(piece)
    for field in sorted(set(message) - {"role", "content"}):
        yield f"{field} of {name}", _to_text(message[field])


def _input_parts(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {f"input {name}": value[name] for name in sorted(value)}
    return {} if value is None else {"input": value}


def _response_format_part(fields: Fields) -> dict[str, Any]:
    response_format = unwrap_schema(fields.get("response_format"))
    if isinstance(response_format, Mapping) and "json_schema" in response_format:
        return {SCHEMA_PART: _to_text(response_format["json_schema"])}
    return {} if response_format is None else {"parameter response_format": response_format}


# --- the difference of two parts, in words


def _describe_difference(name: str, recorded: Any, current: Any) -> str:
    is_text = name.startswith(TEXT_PARTS) and all(
        isinstance(value, str | list) for value in (recorded, current)
    )
    if recorded is None and not name.startswith(("parameter", "input")):
        return f"{name} is new"
    if current is None and not name.startswith(("parameter", "input")):
        return f"{name} is missing"
    if all("sha256:" in _to_text(value) for value in (recorded, current)):
        return f"{name} is another"
    if is_text or max(len(_to_text(value)) for value in (recorded, current)) > MAX_VALUE_CHARS:
        return f"{name} {first_difference(recorded, current)}"
    return f"{name} {_format_value(current)} instead of {_format_value(recorded)}"


def first_difference(recorded: Any, current: Any) -> str:
    """Describe two texts by excerpts that start near their first difference."""
    before, after = (_to_text(item) for item in (recorded, current))
    pairs = enumerate(zip_longest(before, after))
    start = next((position for position, (one, other) in pairs if one != other), 0)
    start = max(0, start - EXCERPT_CHARS // 3)
    return f"says {_excerpt(after, start)} instead of {_excerpt(before, start)}"


def _to_text(item: Any) -> str:
    return item if isinstance(item, str) else canonical_json(item)


def _excerpt(text: str, start: int) -> str:
    end = start + EXCERPT_CHARS
    visible = "".join(map(_visible_char, text[start:end]))
    return f"“{'…' if start else ''}{visible}{'…' if len(text) > end else ''}”"


def _visible_char(char: str) -> str:
    """Return a visible form of a character: texts may differ only in their whitespace."""
    if char.isprintable():
        return char
    return VISIBLE_MARKS.get(char) or ascii(char)[1:-1]


def _format_value(value: Any) -> str:
    if value is None:
        return "unset"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
