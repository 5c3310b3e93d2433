"""Build requests for native tasks, parse their results and compute the billed work units."""

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..arguments import check_fields
from ..errors import BadRequestError, InvalidOptionError, ServerError
from ..i18n import _, ngettext
from ..media.generated import GeneratedMedia, audio_duration, audio_mime, detect_media
from ..media.images import Image, read_image_size
from ..pricing.prices import DEFAULT_IMAGE_SIDE, WorkUnits, get_max_tokens_field
from ..pricing.tokens import split_content
from ..types.messages import Message, Payload, Request
from ..types.results import TaskResult
from ..types.usage import CHAT_TASK, TASK_MAX_TOKENS, Model

DEFAULT_STEPS = 4
# Default side length in pixels and default steps, for image models with known defaults.
IMAGE_DEFAULTS: Mapping[str, tuple[int, int]] = {
    "flux-1-schnell": (DEFAULT_IMAGE_SIDE, DEFAULT_STEPS),
    "lucid-origin": (1120, 15),
    "phoenix-1.0": (DEFAULT_IMAGE_SIDE, 25),
    "flux-2-dev": (DEFAULT_IMAGE_SIDE, 50),
}
TEXT_FIELDS = ("text", "prompt", "input_text", "query", "messages", "contexts", "content")
ANSWER_FIELDS = ("translated_text", "summary", "description", "response")
LANGUAGE_FIELDS = ("target_lang", "target_language")
DESCRIPTION_FIELDS = ("description", "answer", "caption", "response", "text")
# Fields of a chat model that add to the cost of its prompt or answer.
BILLED_CHAT_FIELDS = ("n", "tools", "functions", "response_format")
STEP_FIELDS = ("steps", "num_steps")
PLAIN_TEXT_TYPES = {
    "text/csv",
    "text/plain",
    "text/html",
    "text/xml",
    "application/xml",
    "application/json",
}
MAX_AUDIO_SECONDS = 1e7  # four months: a larger duration in a response is not valid
MAX_SECONDS_PER_BYTE = 0.12  # for text to speech: half the speed of slow speech, in any script
Fields = Mapping[str, Any]
FORM_ONLY_MODELS = "/flux-2-"  # these models do not accept JSON
IMAGE_INPUT_MODELS = ("img2img", "inpainting")
MAX_PROMPT_CHARS = {"flux-1-schnell": 2048}
BASE64_AUDIO_SUFFIX = "-turbo"
PROMPT_FIELD_MODEL = "/melotts"  # other speech models use the field "text"
QUESTION_FIELD_MODEL = "/moondream"


def check_payload(payload: Any, files: Any = None) -> None:
    """Raise InvalidOptionError unless `payload` is JSON fields or bytes and `files` is a mapping.

    `files` has the files of a multipart form by field name; None means that no form is sent.
    """
    if not isinstance(files, Mapping | None):
        raise InvalidOptionError(
            _("files is of type {type}, not a dict").format(type=type(files).__name__),
            _("Example: {example}").format(example='{"input_image_0": b"…"}'),
        )
    if not isinstance(payload, Mapping | bytes):
        raise InvalidOptionError(
            _("The payload is of type {type}").format(type=type(payload).__name__),
            _("Pass a dict such as {example}, or bytes.").format(example='{"text": ["…"]}'),
        )
    if isinstance(payload, Mapping):
        check_fields(payload, _("The payload"))


def parse_payload(payload: Payload, files: Any, model: Model) -> Payload:
    """Return the payload, with bytes that are a JSON object as a dict.

    Budgets and courses then apply to the fields in the same way.

    Raises:
        InvalidOptionError: The model is a chat model, and the request is not a JSON object.
    """
    if not isinstance(payload, Mapping):
        try:
            fields = json.loads(payload)
        except (ValueError, RecursionError):
            fields = None
        if isinstance(fields, dict):
            check_payload(fields)
            payload = fields
    if model.task == CHAT_TASK and (files is not None or not isinstance(payload, Mapping)):
        raise InvalidOptionError(
            _("{model} accepts only JSON").format(model=model.short_name),
            _("Pass a dict such as {example}.").format(example='{"prompt": "…"}'),
        )
    return payload


def check_files(files: Any) -> None:
    """Raise InvalidOptionError unless each file is a tuple (name, bytes, MIME type)."""
    items = tuple(files) if isinstance(files, list | tuple) else (None,)
    if not all(_is_file(file) for file in items):
        raise InvalidOptionError(
            _("files must be a list of (name, bytes, MIME type)"),
            _("Example: {example}").format(example='[("a.csv", b"…", "text/csv")]'),
        )


def _is_file(file: Any) -> bool:
    if not isinstance(file, tuple | list) or len(file) != 3:  # noqa: PLR2004 - the length of the tuple
        return False
    name, data, mime_type = file
    return isinstance(name, str) and isinstance(data, bytes) and isinstance(mime_type, str)


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """The request for one native task: JSON, bytes with a `content_type`, or a multipart form.

    `files` is in the format that httpx accepts. If it is set, all fields are sent as
    multipart/form-data.
    """

    model: str
    payload: Payload
    content_type: str | None = None
    files: Mapping[str, Any] | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of the JSON body or form; empty if the payload is bytes."""
        return self.payload if isinstance(self.payload, Mapping) else {}


def work_units(task_request: TaskRequest, task_result: TaskResult = TaskResult()) -> WorkUnits:  # noqa: B008 - it is immutable
    """Return the work units in the result of a task, or the maximum that was requested."""
    fields = task_request.fields
    default_side, default_steps = IMAGE_DEFAULTS.get(
        task_request.model.rpartition("/")[2], (DEFAULT_IMAGE_SIDE, DEFAULT_STEPS)
    )
    width, height = (
        _positive_int_or_zero(fields.get(name)) or default_side for name in ("width", "height")
    )
    steps = [_positive_int_or_zero(fields.get(name)) for name in STEP_FIELDS]
    image_size = read_image_size(_media_bytes(task_result, "image"))
    return WorkUnits(
        pixels=image_size[0] * image_size[1] if image_size else width * height,
        input_pixels=sum(map(_count_pixels, (task_request.files or {}).values())),
        steps=next((count for count in steps if count), default_steps),
        seconds=_reported_seconds(task_result.result) or _audio_seconds(task_request, task_result),
        characters=len(collect_text(fields)),
    )


def has_known_steps(task_request: TaskRequest) -> bool:
    """Return whether the number of steps in an image task is known."""
    return task_request.model.rpartition("/")[2] in IMAGE_DEFAULTS or bool(
        set(STEP_FIELDS) & set(task_request.fields)
    )


def is_free_conversion(task_request: TaskRequest) -> bool:
    """Return whether a task only converts text files to Markdown, without using a model.

    Converting images and PDFs may use a model.
    """
    files = task_request.files or {}
    return task_request.model == "tomarkdown" and all(
        file[2] in PLAIN_TEXT_TYPES for file in files.values()
    )


def collect_text(fields: Mapping[str, Any]) -> str:
    """Return all text in the request fields that is billed by token or character."""
    return "".join(text for name in TEXT_FIELDS for text in _iter_texts(fields.get(name)))


def collect_answer_text(result: Any) -> str:
    """Return all text in a result that is billed by token."""
    fields = result if isinstance(result, Mapping) else {}
    return "".join(text for name in ANSWER_FIELDS for text in _iter_texts(fields.get(name)))


def text_request(task_request: TaskRequest) -> Request:
    """Return a chat request with the same cost as a native task that is billed by token."""
    fields = task_request.fields
    extra = {name: fields[name] for name in BILLED_CHAT_FIELDS if name in fields}
    messages = fields.get("messages")
    items = messages if isinstance(messages, list | tuple) else ()
    chat = [item for item in items if isinstance(item, Mapping)]
    calls = [json.dumps(item["tool_calls"]) for item in chat if item.get("tool_calls")]
    images = [{"type": "image_url", "image_url": url} for url in _image_urls(fields, chat)]
    content = [{"type": "text", "text": "".join([collect_text(fields), *calls])}, *images]
    others: list[Message] = [{"content": ""}] * (len(chat) - 1)  # a message has a few tokens
    return Request(
        task_request.model,
        ({"content": content}, *others),
        max_tokens=_max_answer_tokens(fields),
        extra=extra,
    )


def _image_urls(fields: Mapping[str, Any], chat: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the URLs of the images in the messages of a chat and in the field `image`."""
    with_parts = [item for item in chat if isinstance(item.get("content"), list)]
    urls = split_content(with_parts).image_urls
    image = fields.get("image")
    if not image:
        return urls
    if isinstance(image, str) and ":" in image:  # a URL, not base64
        return [*urls, image]
    return [*urls, f"data:;base64,{base64.b64encode(_decode_bytes(image)).decode()}"]


def accepts_max_tokens(task_request: TaskRequest, model: Model) -> bool:
    """Return whether the field max_tokens limits the answer to a native task."""
    if not isinstance(task_request.payload, Mapping) or task_request.files is not None:
        return False
    return model.task in ("", CHAT_TASK) or bool(get_max_tokens_field(task_request.payload))


def _max_answer_tokens(fields: Mapping[str, Any]) -> int:
    """Return the maximum number of tokens in the answer: max_tokens or the default.

    For a long translation without max_tokens, the maximum is one token per byte of the original.
    """
    translation_tokens = (
        len(collect_text(fields).encode()) if set(LANGUAGE_FIELDS) & set(fields) else 0
    )
    return get_max_tokens_field(fields) or max(TASK_MAX_TOKENS, translation_tokens)


def _iter_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for name in TEXT_FIELDS for text in _iter_texts(value.get(name)))
    elif isinstance(value, list | tuple):
        yield from (text for item in value for text in _iter_texts(item))


def _audio_seconds(task_request: TaskRequest, task_result: TaskResult) -> float:
    """Return the duration of the generated or sent audio in seconds.

    For a text-to-speech request that has no result yet, return the maximum duration.
    """
    output_audio = _media_bytes(task_result, "audio")
    if audio_mime(output_audio):
        return audio_duration(output_audio) or 0.0
    input_audio = (
        task_request.payload
        if isinstance(task_request.payload, bytes)
        else _decode_bytes(task_request.fields.get("audio"))
    )
    if input_audio:
        return audio_duration(input_audio) or 0.0
    return len(collect_text(task_request.fields).encode()) * MAX_SECONDS_PER_BYTE


def _reported_seconds(result: Any) -> float:
    info = result.get("transcription_info") if isinstance(result, Mapping) else None
    duration = info.get("duration") if isinstance(info, Mapping) else None
    if not isinstance(duration, int | float) or isinstance(duration, bool):
        return 0.0
    return float(duration) if 0 < duration <= MAX_AUDIO_SECONDS else 0.0


def _media_bytes(task_result: TaskResult, field_name: str) -> bytes:
    """Return the image or audio in a result: its content, or base64 data in the named field."""
    if task_result.content is not None:
        return task_result.content
    return (
        _decode_bytes(task_result.result.get(field_name))
        if isinstance(task_result.result, Mapping)
        else b""
    )


def _decode_bytes(value: Any) -> bytes:
    """Return the bytes in a base64 string or list of numbers; b"" if the value is not valid."""
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
        return bytes(value) if isinstance(value, list) else b""
    except (binascii.Error, TypeError, ValueError):
        return b""


def _count_pixels(file: Any) -> int:
    """Return the number of pixels in an image sent as form data, or 0 if it is not an image.

    The file is either bytes or a tuple (name, bytes, MIME type).
    """
    content = file[1] if isinstance(file, tuple) and len(file) > 1 else file
    size = read_image_size(content) if isinstance(content, bytes) else None
    return size[0] * size[1] if size else 0


def _positive_int_or_zero(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


# --- requests


def image_request(model: str, prompt: str, images: Sequence[Image], fields: Fields) -> TaskRequest:
    """Return the request that generates an image from a prompt and optional input images.

    Args:
        model: Full name of the model.
        prompt: Description of the image.
        images: Input images.
        fields: Additional fields of the request.

    Raises:
        InvalidOptionError: The prompt is too long, or the model does not accept the images.
    """
    max_chars = MAX_PROMPT_CHARS.get(model.rpartition("/")[2])
    if max_chars and len(prompt) > max_chars:
        raise InvalidOptionError(
            _("The prompt has {count:,} characters; the maximum is {maximum:,}").format(
                count=len(prompt), maximum=max_chars
            ),
            _("Shorten the prompt."),
        )
    body = {"prompt": prompt, **fields}
    if FORM_ONLY_MODELS in model:
        files = {
            f"input_image_{index}": (image.name, image.data, f"image/{image.image_format}")
            for index, image in enumerate(images)
        }
        return TaskRequest(model, body, files=files)
    if not images:
        return TaskRequest(model, body)
    if len(images) > 1 or not any(name in model for name in IMAGE_INPUT_MODELS):
        raise InvalidOptionError(
            ngettext(
                "{model} does not take {count} input image",
                "{model} does not take {count} input images",
                len(images),
            ).format(model=model.rpartition("/")[2], count=len(images)),
            _("flux-2 models such as {several} take up to four images; {one} takes one.").format(
                several="flux-2-dev", one="stable-diffusion-v1-5-img2img"
            ),
        )
    return TaskRequest(model, {**body, "image_b64": base64.b64encode(images[0].data).decode()})


def speech_request(model: str, text: str, fields: Fields) -> TaskRequest:
    """Return the request that converts text to speech."""
    return TaskRequest(
        model, {"prompt" if PROMPT_FIELD_MODEL in model else "text": text, **fields}
    )


def transcription_request(
    model: str, audio: bytes, content_type: str, fields: Fields
) -> TaskRequest:
    """Return the request that transcribes audio with the MIME type `content_type`."""
    if model.endswith(BASE64_AUDIO_SUFFIX):
        return TaskRequest(model, {"audio": base64.b64encode(audio).decode(), **fields})
    _reject_fields(model, fields)
    return TaskRequest(model, audio, content_type)


def translation_request(
    model: str, text: str, languages: tuple[str, str], fields: Fields
) -> TaskRequest:
    """Return the request that translates a text; `languages` is a tuple (source, target)."""
    source, target = languages
    return TaskRequest(
        model, {"text": text, "source_lang": source, "target_lang": target, **fields}
    )


def classification_request(model: str, text_or_image: str | Image, fields: Fields) -> TaskRequest:
    """Return the request that classifies a text or an image."""
    if isinstance(text_or_image, str):
        return TaskRequest(model, {"text": text_or_image, **fields})
    _reject_fields(model, fields)
    return TaskRequest(model, text_or_image.data, f"image/{text_or_image.image_format}")


def ranking_request(model: str, query: str, texts: Sequence[str], fields: Fields) -> TaskRequest:
    """Return the request that ranks texts by their relevance to a query."""
    return TaskRequest(
        model, {"query": query, "contexts": [{"text": text} for text in texts], **fields}
    )


def description_request(model: str, image: Image, prompt: str, fields: Fields) -> TaskRequest:
    """Return the request that describes an image, or answers a question about it."""
    if QUESTION_FIELD_MODEL in model:
        return TaskRequest(
            model, {"task": "query", "image": image.data_url, "question": prompt, **fields}
        )
    return TaskRequest(model, {"image": list(image.data), "prompt": prompt, **fields})


def _reject_fields(model: str, fields: Fields) -> None:
    if fields:
        message = _("{model} accepts only a file, not the field {name}").format(
            model=model.rpartition("/")[2], name=next(iter(fields))
        )
        raise InvalidOptionError(message, _("Remove -p, or choose another model with -m."))


# --- results


def parse_media(task_result: TaskResult, field: str, prompt: str) -> GeneratedMedia:
    """Return the image or audio in a result: its content, or base64 data in the named field.

    Raises:
        ServerError: The field is missing, or its data is not an image or audio.
    """
    content = task_result.content
    if content is None:
        try:
            content = base64.b64decode(_require_field(task_result, field, str))
        except ValueError:
            raise _missing_field_error(field) from None
    media = detect_media(content, task_result.content_type, prompt)
    if media is None:
        raise ServerError(
            _("The response contains {content_type} instead of the field {name}").format(
                content_type=task_result.content_type or _("unknown data"), name=field
            )
        )
    return media


def parse_transcript(task_result: TaskResult) -> str:
    """Return the transcript in a whisper result, or in the first channel of a nova result."""
    result = task_result.result
    try:
        if "results" in result:
            result = result["results"]["channels"][0]["alternatives"][0]
        text = result["transcript"] if "transcript" in result else result["text"]
        return str.strip(text)  # a TypeError if it is not text
    except (KeyError, IndexError, TypeError):
        raise ServerError(_("The response does not contain a transcript")) from None


def parse_translation(task_result: TaskResult) -> str:
    """Return the translated text in a result, which may have one text per line."""
    result = task_result.result if isinstance(task_result.result, Mapping) else {}
    translations = result.get("translations")
    if not translations:
        return str(_require_field(task_result, "translated_text", str))
    items = translations if isinstance(translations, list) else [translations]
    texts: list[Any] = [item.get("text") if isinstance(item, Mapping) else item for item in items]
    if not all(isinstance(text, str) for text in texts):
        raise _missing_field_error("translations")
    return "\n".join(texts)


def parse_description(task_result: TaskResult) -> str:
    """Return the description of an image; "" if the model returned none.

    Raises:
        ServerError: The result has another format.
    """
    result = task_result.result
    if isinstance(result, Mapping):
        is_empty = not result.keys() - {"usage"}  # moondream sends such results
        values = [result[name] or "" for name in DESCRIPTION_FIELDS if name in result]
        result = next(filter(None, values), "" if values or is_empty else None)
    if not isinstance(result, str):
        raise _missing_field_error(DESCRIPTION_FIELDS[0])
    return result.strip()


def parse_labels(task_result: TaskResult) -> list[dict[str, Any]]:
    """Return the classification rows with `label` and `score`, highest score first."""
    return _sorted_by_score(_require_rows(task_result.result, "label"))


def parse_ranking(task_result: TaskResult, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the ranking rows with `id`, `score` and `text`, highest score first."""
    rows = _require_rows(_require_field(task_result, "response", list), "id")
    if any(type(row["id"]) is not int or not 0 <= row["id"] < len(texts) for row in rows):
        raise ServerError(_("The response ranks texts that were not sent"))
    return _sorted_by_score([{**row, "text": texts[row["id"]]} for row in rows])


def _sorted_by_score(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with their scores as numbers, highest score first."""
    scored_rows = [{**row, "score": _parse_score(row["score"])} for row in rows]
    return sorted(scored_rows, key=lambda row: -row["score"])


def _parse_score(value: Any) -> float:
    try:
        score = float(value)
    except (TypeError, ValueError, OverflowError):
        score = math.nan
    if isinstance(value, bool) or not math.isfinite(score):
        raise ServerError(_("The response has a score that is not a number"))
    return score


def parse_documents(task_result: TaskResult) -> tuple[dict[str, str], list[str]]:
    """Return the Markdown for each document by name, and a note for each document that failed.

    Raises:
        BadRequestError: All documents failed.
    """
    rows = _require_rows(task_result.result, "name", "format")
    failed_rows = [
        row for row in rows if row["format"] == "error" or not isinstance(row.get("data", ""), str)
    ]
    failure_notes = [
        _("{name} was not converted: {reason}").format(
            name=row["name"], reason=row.get("error") or _("no reason given")
        )
        for row in failed_rows
    ]
    if failed_rows and len(failed_rows) == len(rows):
        raise BadRequestError("; ".join(failure_notes), _("Save it in another format."))
    converted_rows = [row for row in rows if row not in failed_rows]
    return {str(row["name"]): row.get("data", "") for row in converted_rows}, failure_notes


def _require_field(task_result: TaskResult, name: str, value_type: type) -> Any:
    value = task_result.result.get(name) if isinstance(task_result.result, Mapping) else None
    if not isinstance(value, value_type):
        raise _missing_field_error(name)
    return value


def _require_rows(value: Any, *names: str) -> list[dict[str, Any]]:
    names = names if len(names) > 1 else (*names, "score")
    if not isinstance(value, list) or any(not _has_fields(row, names) for row in value):
        raise ServerError(
            _("The response is not a list with the fields {names}").format(names=", ".join(names))
        )
    return [dict(row) for row in value]


def _has_fields(row: Any, names: tuple[str, ...]) -> bool:
    return isinstance(row, Mapping) and set(names) <= set(row)


def _missing_field_error(name: str) -> ServerError:
    return ServerError(_("The response does not contain the field {name}").format(name=name))
