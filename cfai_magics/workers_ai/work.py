"""A native task as it is sent, and how much work it is, as its request and its reply tell."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BadOption
from ..media.images import picture_size
from ..media.sounds import sound_kind, sound_seconds
from ..neurons.units import DEFAULT_SIDE, Work
from ..values.results import RawResult

Payload = Mapping[str, Any] | bytes
DEFAULT_STEPS = 4
# The side and the steps where none are asked, of the models of which they are known.
DEFAULTS: Mapping[str, tuple[int, int]] = {
    "flux-1-schnell": (DEFAULT_SIDE, DEFAULT_STEPS),
    "lucid-origin": (1120, 15),
    "phoenix-1.0": (DEFAULT_SIDE, 25),
    "flux-2-dev": (DEFAULT_SIDE, 50),
}
TEXT_FIELDS = ("text", "prompt", "input_text", "query", "messages", "contexts", "content")
ANSWER_FIELDS = ("translated_text", "summary", "description", "response")
LANGUAGES = ("target_lang", "target_language")
STEP_FIELDS = ("steps", "num_steps")
DEFAULT_TOKENS = 256  # of the older models, which the native tasks serve
PLAIN = {"text/csv", "text/plain", "text/html", "text/xml", "application/xml", "application/json"}
MOST_SECONDS = 1e7  # of one sound, four months: more in a reply is nonsense
SECONDS_A_BYTE = 0.12  # of text to speak, at most: half the pace of slow speech, in any script


def check_payload(payload: Any) -> None:
    """Raise BadOption for a payload that is neither JSON fields nor bytes."""
    if not isinstance(payload, Mapping | bytes):
        raise BadOption(
            f"The payload is of type {type(payload).__name__}",
            'Give a dict such as {"text": ["…"]}, or bytes.',
        )


def check_files(files: Any) -> None:
    """Raise BadOption unless each file is its name, its bytes and its MIME type."""
    each = tuple(files) if isinstance(files, list | tuple) else (None,)
    if not all(_is_file(file) for file in each):
        raise BadOption(
            "files are not a list of (name, bytes, MIME type)",
            '[("a.csv", b"…", "text/csv")]',
        )


def _is_file(file: Any) -> bool:
    if not isinstance(file, tuple | list) or len(file) != 3:  # noqa: PLR2004 - as its type says
        return False
    name, data, kind = file
    return isinstance(name, str) and isinstance(data, bytes) and isinstance(kind, str)


@dataclass(frozen=True, slots=True)
class Job:
    """One native task: JSON, or bytes with their `content_type`; with `files`, all as a form.

    `files` are as httpx takes them.
    """

    model: str
    payload: Payload
    content_type: str | None = None
    files: Mapping[str, Any] | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of JSON or of a form; none where bytes are sent."""
        return self.payload if isinstance(self.payload, Mapping) else {}


def work_of(job: Job, reply: RawResult = RawResult()) -> Work:  # noqa: B008 - it is immutable
    """Return the work: what its reply shows, else the most that its request asks for."""
    fields = job.fields
    side, most_steps = DEFAULTS.get(job.model.rpartition("/")[2], (DEFAULT_SIDE, DEFAULT_STEPS))
    width, height = (_whole(fields.get(name)) or side for name in ("width", "height"))
    steps = [_whole(fields.get(name)) for name in STEP_FIELDS]
    made = picture_size(_made(reply, "image"))
    return Work(
        pixels=made[0] * made[1] if made else width * height,
        input_pixels=sum(map(_pixels, (job.files or {}).values())),
        steps=next((count for count in steps if count), most_steps),
        seconds=_told_seconds(reply.result) or _seconds(job, reply),
        characters=len(text_of(fields)),
    )


def knows_steps(job: Job) -> bool:
    """Whether it is known in how many steps an image is made."""
    return job.model.rpartition("/")[2] in DEFAULTS or bool(set(STEP_FIELDS) & set(job.fields))


def is_free(job: Job) -> bool:
    """Whether it is a conversion to Markdown that asks no model: images and PDFs may."""
    files = job.files or {}
    return job.model == "tomarkdown" and all(file[2] in PLAIN for file in files.values())


def text_of(fields: Mapping[str, Any]) -> str:
    """Return all the text of a request that is billed by its tokens or characters."""
    return "".join(text for name in TEXT_FIELDS for text in _texts(fields.get(name)))


def answer_of(result: Any) -> str:
    """Return the text of a reply that is billed by its tokens."""
    fields = result if isinstance(result, Mapping) else {}
    return "".join(text for name in ANSWER_FIELDS for text in _texts(fields.get(name)))


def tokens_asked(fields: Mapping[str, Any]) -> int:
    """Return the most tokens of an answer; where the request says none, the default there.

    A translation has as many as it needs: a token for each byte of the original at the most.
    """
    translated = len(text_of(fields).encode()) if set(LANGUAGES) & set(fields) else 0
    return _whole(fields.get("max_tokens")) or max(DEFAULT_TOKENS, translated)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for name in TEXT_FIELDS for text in _texts(value.get(name)))
    elif isinstance(value, list | tuple):
        yield from (text for item in value for text in _texts(item))


def _seconds(job: Job, reply: RawResult) -> float:
    """Return the length of the sound that was made or sent, or that the text may take at most."""
    made = _made(reply, "audio")
    if sound_kind(made):
        return sound_seconds(made) or 0.0
    sent = job.payload if isinstance(job.payload, bytes) else _bytes(job.fields.get("audio"))
    if sent:
        return sound_seconds(sent) or 0.0
    return len(text_of(job.fields).encode()) * SECONDS_A_BYTE


def _told_seconds(result: Any) -> float:
    told = result.get("transcription_info") if isinstance(result, Mapping) else None
    duration = told.get("duration") if isinstance(told, Mapping) else None
    if not isinstance(duration, int | float) or isinstance(duration, bool):
        return 0.0
    return float(duration) if 0 < duration <= MOST_SECONDS else 0.0


def _made(reply: RawResult, name: str) -> bytes:
    """Return the image or sound of a reply: bare, or as base64 in a field of this name."""
    if reply.content is not None:
        return reply.content
    return _bytes(reply.result.get(name)) if isinstance(reply.result, Mapping) else b""


def _bytes(value: Any) -> bytes:
    """Return bytes that JSON holds as base64 or as a list of numbers."""
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
        return bytes(value) if isinstance(value, list) else b""
    except (binascii.Error, TypeError, ValueError):
        return b""


def _pixels(file: Any) -> int:
    """Return the pixels of a form's file, given as (name, bytes, type)."""
    content = file[1] if isinstance(file, tuple) and len(file) > 1 else file
    size = picture_size(content) if isinstance(content, bytes) else None
    return size[0] * size[1] if size else 0


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
