"""Find the recorded calls of displayed answers, and format recorded requests as text."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .contents import Contents
from .fingerprint import RecordedRequest, canonical_json
from .interaction import Interaction


class PromptPart(NamedTuple):
    """A part of a prompt: the role of a message or the name of a field, and the text."""

    name: str
    text: str


class RecordedAnswers:
    """The interactions of a recording, from which those of displayed answers are taken."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._counts: Counter[tuple[int, str]] = Counter()
        self._used: set[tuple[str, int]] = set()

    def take(self, fingerprint: str, cell: int, shown_text: str) -> Interaction | None:
        """Return the interaction of a displayed answer, or None if it is not recorded.

        If the same request was recorded several times, the interaction has the text that the cell
        shows. Otherwise, identical requests of one cell have the order of their recordings.
        """
        matches = self._contents.find(fingerprint)
        if not matches:
            return None
        position = self._counts[cell, fingerprint]
        self._counts[cell, fingerprint] += 1
        by_order = matches[position % len(matches)]
        same_text = (match for match in matches if has_same_text(match.text, shown_text))
        interaction = by_order if len(matches) == 1 else next(same_text, by_order)
        self._used.add(interaction.sort_key)
        return interaction

    @property
    def unused(self) -> list[Interaction]:
        """The interactions that no displayed answer was taken from."""
        return [each for each in self._contents.interactions if each.sort_key not in self._used]


def has_same_text(recorded_text: str, shown_text: str) -> bool:
    """Return whether one of the texts has the other one, apart from spaces.

    An output shows JSON with indentation, and code in a fence or without the text around it.
    """
    recorded, shown = ("".join(text.split()) for text in (recorded_text, shown_text))
    shown_code = shown.strip("`").removeprefix("json").removeprefix("python")
    return bool(recorded and shown_code) and (recorded in shown or shown_code in recorded)


def iter_prompt_parts(request: RecordedRequest) -> Iterator[PromptPart]:
    """Yield the parts of a recorded prompt. Images and files are hashes."""
    fields = request.fields
    messages = fields.get("messages")
    if isinstance(messages, list):
        for message in messages:
            yield from _iter_message_parts(message)
    if "texts" in fields:
        yield PromptPart("texts", _format_content(fields["texts"]))
    content = fields.get("input")
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield PromptPart(str(name), _format_content(value))
    elif content is not None:
        yield PromptPart("input", _format_content(content))


def _iter_message_parts(message: Any) -> Iterator[PromptPart]:
    if not isinstance(message, Mapping):
        yield PromptPart("", canonical_json(message))
        return
    role = str(message.get("role", ""))
    content = message.get("content")
    if content is not None:
        yield PromptPart(role, _format_content(content))
    others = {name: value for name, value in message.items() if name not in {"role", "content"}}
    if others:
        yield PromptPart(role, canonical_json(others))


def _format_content(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(map(_format_item, content))
    return canonical_json(content)


def _format_item(item: Any) -> str:
    """Return a content part as text. An image is a hash, as in image/png;sha256:…."""
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping):
        image = item.get("image_url")
        url = image.get("url") if isinstance(image, Mapping) else None
        if isinstance(item.get("text"), str):
            return str(item["text"])
        if isinstance(url, str):
            return f"[{url}]"
    return canonical_json(item)
