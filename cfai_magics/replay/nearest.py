"""Tells which part of a question is another than in the recorded question that is most like it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import count, zip_longest
from typing import Any

from .asked import Asked, Fields, bare, canonical

MOST_COMPARED = 2_000  # characters: telling two texts apart letter by letter takes their square
AROUND = 30  # characters shown of a text, from where it differs
LONGEST = 60  # characters shown of a parameter
SCHEMA = "the schema"
TEXTS = ("message", "the system", "text", "input", SCHEMA)  # parts that are shown as texts
UNNAMED = {"task", "local", "messages", "texts", "input", "response_format"}
MARKS = {"\n": "⏎", "\t": "⇥"}  # what stands for what can't be seen

Parts = Mapping[str, Any]


def changed(asked: Asked, recorded: Iterable[Asked]) -> str:
    """Return what is other than in the nearest recorded question; empty where there is none."""
    now = _parts(asked.fields)
    known = [(each, _parts(each.fields)) for each in recorded if each.task == asked.task]
    if not known:
        return ""
    fewest = min(len(_unlike(parts, now)) for _, parts in known)
    alike = [pair for pair in known if len(_unlike(pair[1], now)) == fewest]
    _, was = max(alike, key=lambda pair: _likeness(pair[0].fields, asked.fields))
    return "; ".join(_difference(name, was.get(name), now.get(name)) for name in _unlike(was, now))


def _unlike(was: Parts, now: Parts) -> list[str]:
    """Return the names of the parts that are not the same, in the order of the question."""
    return [name for name in {**now, **was} if was.get(name) != now.get(name)]


def _likeness(one: Fields, other: Fields) -> float:
    """Return a quick measure of how many letters two questions share."""
    before, after = (canonical(each)[:MOST_COMPARED] for each in (one, other))
    return SequenceMatcher(None, before, after, autojunk=False).quick_ratio()


# --- the parts of a question, by the names that they are told by


def _parts(fields: Fields) -> dict[str, Any]:
    """Return all that decides the answer, but for the model that happens to run here."""
    return {
        **dict(_messages(fields.get("messages", ()))),
        **{f"text {n}": text for n, text in enumerate(fields.get("texts", ()), 1)},
        **_input(fields.get("input")),
        **({"model": fields["model"]} if "model" in fields else {}),
        **_form(fields),
        **{f"parameter {n}": fields[n] for n in sorted(fields) if n not in {*UNNAMED, "model"}},
    }


def _messages(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the texts and images of messages; the system prompt does not count as one."""
    systems, numbers = count(1), count(1)
    for message in messages:
        if message.get("role") == "system":
            number = next(systems)
            name = "the system prompt" if number == 1 else f"the system prompt no. {number}"
            yield name, _text(message.get("content"))
        else:
            yield from _message(f"message {next(numbers)}", message)


def _message(name: str, message: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    content = message.get("content")
    pieces = content if isinstance(content, list) else [{"text": content}]
    told = [piece["text"] for piece in pieces if "text" in piece]
    yield f"{name} ({message.get('role')})", "\n".join(map(_text, told))
    others = [piece for piece in pieces if "text" not in piece]
    for number, piece in enumerate(others, 1):
        yield f"image {number} of {name}", _text(piece)
    for field in sorted(set(message) - {"role", "content"}):
        yield f"{field} of {name}", _text(message[field])


def _input(given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return {f"input {name}": given[name] for name in sorted(given)}
    return {} if given is None else {"input": given}


def _form(fields: Fields) -> dict[str, Any]:
    form = bare(fields.get("response_format"))
    if isinstance(form, Mapping) and "json_schema" in form:
        return {SCHEMA: _text(form["json_schema"])}
    return {} if form is None else {"parameter response_format": form}


# --- how two parts differ, in words


def _difference(name: str, was: Any, now: Any) -> str:
    is_text = name.startswith(TEXTS) and all(isinstance(each, str | list) for each in (was, now))
    if was is None and not name.startswith(("parameter", "input")):
        return f"{name} is new"
    if now is None and not name.startswith(("parameter", "input")):
        return f"{name} is missing"
    if all("sha256:" in _text(each) for each in (was, now)):
        return f"{name} is another"
    if is_text or max(len(_text(each)) for each in (was, now)) > LONGEST:
        return f"{name} {first_difference(was, now)}"
    return f"{name} {_shown(now)} instead of {_shown(was)}"


def first_difference(was: Any, now: Any) -> str:
    """Return both texts from where they part."""
    before, after = (_text(item) for item in (was, now))
    pairs = enumerate(zip_longest(before, after))
    start = next((place for place, (one, other) in pairs if one != other), 0)
    start = max(0, start - AROUND // 3)
    return f"says {_part(after, start)} instead of {_part(before, start)}"


def _text(item: Any) -> str:
    return item if isinstance(item, str) else canonical(item)


def _part(text: str, start: int) -> str:
    end = start + AROUND
    shown = "".join(map(_visible, text[start:end]))
    return f"“{'…' if start else ''}{shown}{'…' if len(text) > end else ''}”"


def _visible(letter: str) -> str:
    """Return what stands for a letter: blank space of another kind may be all that differs."""
    if letter.isprintable():
        return letter
    return MARKS.get(letter) or ascii(letter)[1:-1]


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
