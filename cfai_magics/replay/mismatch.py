"""Explain a cassette miss by comparing the request with the closest recorded request."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import count, zip_longest
from typing import Any, Literal, NamedTuple

from ..i18n import _
from .fingerprint import Fields, RecordedRequest, canonical_json, unwrap_schema

MAX_COMPARED_CHARS = 2_000  # the comparison takes quadratic time
EXCERPT_CHARS = 30  # length of an excerpt, which starts near the first difference
MAX_VALUE_CHARS = 60  # longer parameter values are shown as excerpts
NON_PARAMETER_FIELDS = {"task", "local", "messages", "texts", "input", "response_format"}
VISIBLE_MARKS = {"\n": "⏎", "\t": "⇥"}  # shown in place of invisible characters


class PartName(NamedTuple):
    """The name of a part of a request, as shown to the user, and the kind of part."""

    label: str
    kind: Literal["text", "input", "parameter", "other"]


Parts = Mapping[PartName, Any]


def explain_mismatch(
    request: RecordedRequest, recorded_requests: Iterable[RecordedRequest]
) -> str:
    """Describe how a request differs from the closest recorded request.

    Return "" if no request for the same task is recorded.
    """
    current_parts = _split_parts(request.fields)
    candidates = [
        (recorded, _split_parts(recorded.fields))
        for recorded in recorded_requests
        if recorded.task == request.task
    ]
    if not candidates:
        return ""
    min_differences = min(
        len(_differing_parts(parts, current_parts)) for _recorded, parts in candidates
    )
    closest = [
        pair
        for pair in candidates
        if len(_differing_parts(pair[1], current_parts)) == min_differences
    ]
    _recorded, recorded_parts = max(
        closest, key=lambda pair: _similarity(pair[0].fields, request.fields)
    )
    return "; ".join(
        _describe_difference(name, recorded_parts.get(name), current_parts.get(name))
        for name in _differing_parts(recorded_parts, current_parts)
    )


def _differing_parts(recorded: Parts, current: Parts) -> list[PartName]:
    """Return the names of the parts that differ, in the order of the request."""
    return [name for name in {**current, **recorded} if recorded.get(name) != current.get(name)]


def _similarity(one: Fields, other: Fields) -> float:
    """Return an upper bound on the text similarity (0 to 1) of two requests."""
    before, after = (canonical_json(fields)[:MAX_COMPARED_CHARS] for fields in (one, other))
    return SequenceMatcher(None, before, after, autojunk=False).quick_ratio()


# --- splitting a request into named parts


def _split_parts(fields: Fields) -> dict[PartName, Any]:
    """Return all parts of a request that affect the answer, except the local model."""
    return {
        **dict(_message_parts(fields.get("messages", ()))),
        **{
            PartName(_("text {number}").format(number=number), "text"): text
            for number, text in enumerate(fields.get("texts", ()), 1)
        },
        **_input_parts(fields.get("input")),
        **({PartName(_("model"), "other"): fields["model"]} if "model" in fields else {}),
        **_response_format_part(fields),
        **{
            _parameter_name(name): fields[name]
            for name in sorted(fields)
            if name not in {*NON_PARAMETER_FIELDS, "model"}
        },
    }


def _parameter_name(name: str) -> PartName:
    return PartName(_("parameter {name}").format(name=name), "parameter")


def _message_parts(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[PartName, Any]]:
    """Yield the named parts of messages, such as their text and images.

    System prompts are numbered separately.
    """
    systems, numbers = count(1), count(1)
    for message in messages:
        if message.get("role") == "system":
            number = next(systems)
            label = (
                _("the system prompt")
                if number == 1
                else _("system prompt {number}").format(number=number)
            )
            yield PartName(label, "text"), _to_text(message.get("content"))
        else:
            yield from _parts_of_message(next(numbers), message)


def _parts_of_message(
    message_number: int, message: Mapping[str, Any]
) -> Iterator[tuple[PartName, Any]]:
    content = message.get("content")
    content_parts = content if isinstance(content, list) else [{"text": content}]
    texts = [piece["text"] for piece in content_parts if "text" in piece]
    label = _("message {number} ({role})").format(number=message_number, role=message.get("role"))
    yield PartName(label, "text"), "\n".join(map(_to_text, texts))
    others = [piece for piece in content_parts if "text" not in piece]
    for number, piece in enumerate(others, 1):
        label = _("image {number} of message {message_number}").format(
            number=number, message_number=message_number
        )
        yield PartName(label, "other"), _to_text(piece)
    for field in sorted(set(message) - {"role", "content"}):
        label = _("{field} of message {message_number}").format(
            field=field, message_number=message_number
        )
        yield PartName(label, "other"), _to_text(message[field])


def _input_parts(value: Any) -> dict[PartName, Any]:
    if isinstance(value, Mapping):
        return {
            PartName(_("input {name}").format(name=name), "input"): value[name]
            for name in sorted(value)
        }
    return {} if value is None else {PartName(_("input"), "input"): value}


def _response_format_part(fields: Fields) -> dict[PartName, Any]:
    response_format = unwrap_schema(fields.get("response_format"))
    if isinstance(response_format, Mapping) and "json_schema" in response_format:
        return {PartName(_("the schema"), "text"): _to_text(response_format["json_schema"])}
    return {} if response_format is None else {_parameter_name("response_format"): response_format}


# --- describing how two parts differ


def _describe_difference(name: PartName, recorded: Any, current: Any) -> str:
    is_text = name.kind in {"text", "input"} and all(
        isinstance(value, str | list) for value in (recorded, current)
    )
    is_optional = name.kind in {"parameter", "input"}
    if recorded is None and not is_optional:
        return _("{part} is new").format(part=name.label)
    if current is None and not is_optional:
        return _("{part} is missing").format(part=name.label)
    if all("sha256:" in _to_text(value) for value in (recorded, current)):
        return _("{part} is different").format(part=name.label)
    if is_text or max(len(_to_text(value)) for value in (recorded, current)) > MAX_VALUE_CHARS:
        return f"{name.label}: {first_difference(recorded, current)}"
    difference = _("{current} instead of {recorded}").format(
        current=_format_value(current), recorded=_format_value(recorded)
    )
    return f"{name.label}: {difference}"


def first_difference(recorded: Any, current: Any) -> str:
    """Describe how two values differ, using excerpts that start near the first difference."""
    before, after = (_to_text(item) for item in (recorded, current))
    pairs = enumerate(zip_longest(before, after))
    start = next((position for position, (one, other) in pairs if one != other), 0)
    start = max(0, start - EXCERPT_CHARS // 3)
    return _("{current} instead of {recorded}").format(
        current=_excerpt(after, start), recorded=_excerpt(before, start)
    )


def _to_text(item: Any) -> str:
    return item if isinstance(item, str) else canonical_json(item)


def _excerpt(text: str, start: int) -> str:
    end = start + EXCERPT_CHARS
    visible = "".join(map(_visible_char, text[start:end]))
    return f"“{'…' if start else ''}{visible}{'…' if len(text) > end else ''}”"


def _visible_char(char: str) -> str:
    """Return a visible form of a character, because strings may differ only in whitespace."""
    if char.isprintable():
        return char
    return VISIBLE_MARKS.get(char) or ascii(char)[1:-1]


def _format_value(value: Any) -> str:
    if value is None:
        return _("unset")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
