"""Tells which part of a question is another than in the recorded question that is most like it."""

import json
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from .asked import Asked, Fields, canonical

MOST_COMPARED = 2_000  # characters: telling two texts apart letter by letter takes their square
AROUND = 30  # characters shown of a text, from where it differs
LONGEST = 60  # characters shown of a parameter
LISTS = ("messages", "texts")


def changed(asked: Asked, recorded: Iterable[Asked]) -> str:
    """Return what is other than in the nearest recorded question; empty where there is none."""
    same_task = [each for each in recorded if each.task == asked.task]
    if not same_task:
        return ""
    nearest = max(same_task, key=lambda each: _likeness(asked.fields, each.fields))
    return "; ".join(_differences(nearest.fields, asked.fields))


def _likeness(one: Fields, other: Fields) -> tuple[int, float]:
    """Return how alike two questions are: by whole parts first, then by their words."""
    parts, others = (_parts(each) for each in (one, other))
    same = sum(1 for name, value in parts.items() if others.get(name) == value)
    texts = [canonical(each)[:MOST_COMPARED] for each in (one, other)]
    return same - abs(len(parts) - len(others)), _ratio(*texts)


def _ratio(one: str, other: str) -> float:
    """Return a quick measure of how many letters two texts share."""
    return SequenceMatcher(None, one, other, autojunk=False).quick_ratio()


def _parts(fields: Fields) -> dict[str, str]:
    single = {n: canonical(v) for n, v in fields.items() if n not in LISTS}
    listed = {
        f"{n} {place}": canonical(item)
        for n in LISTS
        for place, item in enumerate(fields.get(n, ()))
    }
    return single | listed


def _differences(was: Fields, now: Fields) -> Iterable[str]:
    for name in LISTS:
        yield from _items(name, was.get(name, []), now.get(name, []))
    for name in sorted({*was, *now} - {*LISTS}):
        before, after = was.get(name), now.get(name)
        if before != after:
            yield f"{_name(name)} {_shown(after)} instead of {_shown(before)}"


def _items(name: str, was: list[Any], now: list[Any]) -> Iterable[str]:
    one = name.removesuffix("s")
    for number, (before, after) in enumerate(zip_longest(was, now), start=1):
        if before is None or after is None:
            kind = "new" if before is None else "missing"
            yield f"{_who(one, number, before or after)} is {kind}"
        elif before != after:
            yield f"{_who(one, number, after)} {first_difference(before, after)}"


def _who(one: str, number: int, item: Any) -> str:
    role = item.get("role") if isinstance(item, Mapping) else None
    if role == "system":
        return "the system prompt"
    return f"{one} {number} ({role})" if role else f"{one} {number}"


def _name(name: str) -> str:
    return name if name in {"model", "input"} else f"parameter {name}"


def first_difference(was: Any, now: Any) -> str:
    """Return both texts from where they part."""
    before, after = (_text(item) for item in (was, now))
    pairs = enumerate(zip_longest(before, after))
    start = next((place for place, (one, other) in pairs if one != other), 0)
    start = max(0, start - AROUND // 3)
    return f"says {_part(after, start)} instead of {_part(before, start)}"


def _text(item: Any) -> str:
    content = item.get("content") if isinstance(item, Mapping) else item
    return content if isinstance(content, str) else canonical(item)


def _part(text: str, start: int) -> str:
    end = start + AROUND
    shown = " ".join(text[start:end].split())
    return f"“{'…' if start else ''}{shown}{'…' if len(text) > end else ''}”"


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
