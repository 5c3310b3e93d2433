"""What each native task is sent, by model, and how its reply is read."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import BadInput, BadOption, ServerError
from ..media.images import Image
from ..media.made import Media, media
from ..values.results import RawResult
from .work import Job

Fields = Mapping[str, Any]
FORM_ONLY = "/flux-2-"  # these models take no JSON
TAKES_AN_IMAGE = ("img2img", "inpainting")
LONGEST_PROMPT = {"flux-1-schnell": 2048}  # characters
HEARS_BASE64 = "-turbo"
SPEAKS_PROMPT = "/melotts"  # the others call it text
ASKS_QUESTION = "/moondream"


# --- what is sent


def picture_job(model: str, prompt: str, images: Sequence[Image], fields: Fields) -> Job:
    """Return the job of making an image, out of others where the model can."""
    most = LONGEST_PROMPT.get(model.rpartition("/")[2])
    if most and len(prompt) > most:
        raise BadOption(f"The prompt has {len(prompt):,} characters, of {most:,} taken", "Cut it.")
    body = {"prompt": prompt, **fields}
    if FORM_ONLY in model:
        files = {
            f"input_image_{at}": (image.name, image.data, f"image/{image.kind}")
            for at, image in enumerate(images)
        }
        return Job(model, body, files=files)
    if not images:
        return Job(model, body)
    if len(images) > 1 or not any(name in model for name in TAKES_AN_IMAGE):
        raise BadOption(
            f"{model.rpartition('/')[2]} makes no image out of {len(images)}",
            "flux-2-dev and its kin take up to four, stable-diffusion-v1-5-img2img takes one.",
        )
    return Job(model, {**body, "image_b64": base64.b64encode(images[0].data).decode()})


def speech_job(model: str, text: str, fields: Fields) -> Job:
    """Return the job of speaking a text."""
    return Job(model, {"prompt" if SPEAKS_PROMPT in model else "text": text, **fields})


def hearing_job(model: str, sound: bytes, kind: str, fields: Fields) -> Job:
    """Return the job of writing down what a sound of a MIME type says."""
    if model.endswith(HEARS_BASE64):
        return Job(model, {"audio": base64.b64encode(sound).decode(), **fields})
    _need_none(model, fields)
    return Job(model, sound, kind)


def translation_job(model: str, text: str, languages: tuple[str, str], fields: Fields) -> Job:
    """Return the job of translating a text from the first language to the second."""
    source, target = languages
    return Job(model, {"text": text, "source_lang": source, "target_lang": target, **fields})


def labels_job(model: str, what: str | Image, fields: Fields) -> Job:
    """Return the job of saying what a text or an image is."""
    if isinstance(what, str):
        return Job(model, {"text": what, **fields})
    _need_none(model, fields)
    return Job(model, what.data, f"image/{what.kind}")


def ranking_job(model: str, query: str, texts: Sequence[str], fields: Fields) -> Job:
    """Return the job of ordering texts by how well each answers a query."""
    return Job(model, {"query": query, "contexts": [{"text": one} for one in texts], **fields})


def description_job(model: str, image: Image, prompt: str, fields: Fields) -> Job:
    """Return the job of saying in words what an image shows."""
    if ASKS_QUESTION in model:
        return Job(model, {"task": "query", "image": image.url, "question": prompt, **fields})
    return Job(model, {"image": list(image.data), "prompt": prompt, **fields})


def _need_none(model: str, fields: Fields) -> None:
    if fields:
        told = f"{model.rpartition('/')[2]} is sent the bytes alone: no field {next(iter(fields))}"
        raise BadOption(told, "Leave -p out, or choose another model with -m.")


# --- what comes back


def made(reply: RawResult, field: str, prompt: str) -> Media:
    """Return the image or sound of a reply: bare, or as base64 in a field."""
    content = reply.content
    if content is None:
        try:
            content = base64.b64decode(_field(reply, field, str))
        except ValueError:
            raise _unreadable(f"no {field}") from None
    found = media(content, reply.content_type, prompt)
    if found is None:
        raise _unreadable(f"no {field} that is known, but {reply.content_type or 'no type'}")
    return found


def heard(reply: RawResult) -> str:
    """Return the text that was heard: of whisper, or of nova's first channel."""
    result = reply.result
    try:
        if "results" in result:
            result = result["results"]["channels"][0]["alternatives"][0]
        return str(result["transcript"] if "transcript" in result else result["text"]).strip()
    except (KeyError, IndexError, TypeError):
        raise _unreadable("no text that was heard") from None


def translated(reply: RawResult) -> str:
    """Return the translation."""
    result = reply.result if isinstance(reply.result, Mapping) else {}
    several = result.get("translations")
    return "\n".join(map(str, several)) if several else _field(reply, "translated_text", str)


def described(reply: RawResult) -> str:
    """Return the description; some models answer with nothing, which is told as it is."""
    result = reply.result if isinstance(reply.result, Mapping) else {}
    found = result.get("description") or result.get("answer") or result.get("caption") or ""
    return str(found).strip()


def labels(reply: RawResult) -> list[dict[str, Any]]:
    """Return what a text or image is: `label` and `score` of each, the likeliest first."""
    return sorted(_rows(reply.result, "label"), key=lambda row: -row["score"])


def ranking(reply: RawResult, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the `id`, `score` and `text` of each text, the best first."""
    found = _rows(_field(reply, "response", list), "id")
    try:
        placed = [{**row, "text": texts[row["id"]]} for row in found]
    except (IndexError, TypeError):
        raise _unreadable("places of texts that were not sent") from None
    return sorted(placed, key=lambda row: -row["score"])


def documents(reply: RawResult) -> tuple[dict[str, str], list[str]]:
    """Return the Markdown of each document by its name, and why some have none.

    Raises BadInput where none has.
    """
    rows = _rows(reply.result, "name", "format")
    failed = [row for row in rows if row["format"] == "error"]
    told = [f"{row['name']} was not converted: {row.get('error', 'no reason')}" for row in failed]
    if failed and len(failed) == len(rows):
        raise BadInput("; ".join(told), "Save it in another format.")
    done = [row for row in rows if row not in failed]
    return {str(row["name"]): str(row.get("data", "")) for row in done}, told


def _field(reply: RawResult, name: str, kind: type) -> Any:
    value = reply.result.get(name) if isinstance(reply.result, Mapping) else None
    if not isinstance(value, kind):
        raise _unreadable(f"no {name}")
    return value


def _rows(value: Any, *names: str) -> list[dict[str, Any]]:
    names = names if len(names) > 1 else (*names, "score")
    if not isinstance(value, list) or any(not _has(row, names) for row in value):
        raise _unreadable(f"no list of {' and '.join(names)}")
    return [dict(row) for row in value]


def _has(row: Any, names: tuple[str, ...]) -> bool:
    return isinstance(row, Mapping) and set(names) <= set(row)


def _unreadable(what: str) -> ServerError:
    return ServerError(f"The reply holds {what}")
