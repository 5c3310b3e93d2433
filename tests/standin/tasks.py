"""The native route /ai/run, its tasks, the Batch API, /ai/v1/embeddings and toMarkdown.

Recorded or documented: the input and the format of each result, and the bills of images. Invented:
the results. Vectors are pseudo-random, but texts that share words are similar; images and sounds
are empty; other results are the text of the `answer` switch or a fixed text.
"""

import asyncio
import base64
import csv
import hashlib
import html
import io
import json
import math
import random
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.message import Message
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, NamedTuple

from . import chat, media
from .behavior import HangUp, Script
from .catalog import Model, no_such_model, resolve_model
from .dialects import count_tokens
from .errors import Fault, Refusal, Reply, enveloped, plain, refusal
from .state import Call, Exchange, Received

MAX_BATCH_BYTES = 10_000_000
NO_LIMIT = 10**9
MAX_TEXTS = 100
BAD_WORDS = frozenset({"awful", "bad", "boring", "hate", "not", "poor", "terrible", "worst"})
WORD_WEIGHT = 4.0
PLACES_OF_A_WORD = 8
TILE_PIXELS = 512 * 512
# Default edge and steps, derived from recorded bills.
IMAGE_DEFAULTS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"flux-1-schnell": (1024, 4), "lucid-origin": (1120, 15), "flux-2-dev": (1024, 50)}
)
OTHER_IMAGE_DEFAULTS = (1024, 25)
MARKDOWN_TYPES: Mapping[str, str] = MappingProxyType(
    {".csv": "text/csv", ".html": "text/html", ".png": "image/png", ".txt": "text/plain"}
)


# Input


class File(NamedTuple):
    """One file of a form."""

    name: str
    mime_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """Input of one task: `fields` of JSON or a form, or `data` of a binary body."""

    fields: Mapping[str, Any]
    data: bytes = b""
    files: tuple[tuple[str, File], ...] = ()
    multipart: bool = False

    def require(self, *names: str) -> None:
        """Raise Refusal if one of these fields is missing."""
        if not all(name in self.fields for name in names):
            raise _missing(*names)

    def text(self, name: str, default: str = "") -> str:
        """Return a field as text."""
        return str(self.fields.get(name, default))

    def number(self, name: str, default: int) -> int:
        """Return a field as an integer; form fields are text."""
        try:
            return int(self.fields.get(name) or default)
        except (TypeError, ValueError):
            raise refusal(5006, f"Bad input: Error: '/{name}' must be integer") from None

    def binary(self, name: str) -> bytes:
        """Return a binary body, or a field with base64 or a list of numbers."""
        if self.data:
            return self.data
        self.require(name)
        given = self.fields[name]
        try:
            if isinstance(given, str):
                return base64.b64decode(given, validate=True)
            return bytes(given)
        except (TypeError, ValueError):
            raise refusal(5004) from None


def _missing(*names: str) -> Refusal:
    listed = ",".join(names)
    return refusal(5006, f"Bad input: Error: required properties at '/' are '{listed}'")


def _read_payload(received: Received) -> Payload:
    """Read a request's body: JSON, a form with files, or binary data."""
    if received.content_type == "multipart/form-data":
        return _read_form(received)
    if isinstance(received.json, dict):
        return Payload(received.json)
    if not received.body_bytes:
        raise refusal(3003)
    return Payload({}, data=received.body_bytes)


def _read_form(received: Received) -> Payload:
    """Read a multipart form."""
    head = f"Content-Type: {received.headers['content-type']}\r\n\r\n".encode()
    fields, files = {}, []
    for part in message_from_bytes(head + received.body_bytes).walk():
        name, filename = part.get_param("name", header="content-disposition"), part.get_filename()
        if filename is not None:
            file = File(filename, part.get_content_type(), _part_content(part))
            files.append((str(name), file))
        elif name is not None:
            fields[str(name)] = _part_content(part).decode("utf-8", "replace")
    return Payload(fields, files=tuple(files), multipart=True)


def _part_content(part: "Message[str, str]") -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


# Routes


@dataclass(frozen=True, slots=True)
class Job:
    """A task; `next_answer(prompt, default)` is the text of the switches or the default."""

    model: Model
    payload: Payload
    next_answer: Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Done:
    """Result of a task: JSON, or bytes with a content type, and the billed work."""

    result: Any = None
    data: bytes = b""
    content_type: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usage: bool = False
    work: Mapping[str, float] = field(default_factory=dict)


async def run_model(exchange: Exchange) -> Reply:
    """Answer POST /ai/run/{model}: a poll, a batch for the queue, or an ordinary call."""
    if set(exchange.body) == {"request_id"}:
        return await _poll_batch(exchange, exchange.body["request_id"])
    model = resolve_model(exchange, exchange.parts["model"])
    if exchange.received.query.get("queueRequest") == "true":
        return _queue_batch(exchange, model)
    return await _run(exchange, model)


async def run_model_in_body(exchange: Exchange) -> Reply:
    """Answer POST /ai/run, which names the model in the body and wraps the input."""
    body = exchange.body
    if not isinstance(body.get("input"), dict):
        raise _missing("model", "input")
    inner = replace(exchange, received=replace(exchange.received, json=body["input"]))
    return await _run(inner, resolve_model(inner, body.get("model")))


async def _run(exchange: Exchange, model: Model) -> Reply:
    """Run the task of one model."""
    if model.task == chat.TASK:
        return await chat.run_chat(exchange, model, exchange.body)
    task = TASKS.get(model.task)
    if task is None:
        raise no_such_model(model.name)
    job = Job(model, _read_payload(exchange.received), exchange.script.next_answer)
    exchange.admit(model)
    await asyncio.sleep(exchange.switches.delay_before_headers)
    if exchange.switches.drop_connection_after is not None:
        raise HangUp
    return _bill(exchange, model, task(job))


def _bill(exchange: Exchange, model: Model, done: Done) -> Reply:
    """Bill the work and return the result."""
    prompt, completion = done.prompt_tokens, done.completion_tokens
    neurons = model.token_cost(prompt, completion) + model.cost(done.work)
    exchange.cloud.ledger.book(Call(model.name, prompt, completion, neurons))
    headers = exchange.make_headers(model, neurons)
    if done.content_type:
        return Reply(done.data, content_type=done.content_type, headers=headers)
    result = done.result
    if done.usage and not exchange.switches.omit_usage:
        usage: dict[str, float] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        if not exchange.switches.omit_neurons_body:
            usage["neurons"] = neurons
        result = {**result, "usage": usage}
    return enveloped(result, headers)


async def openai_embeddings(exchange: Exchange) -> Reply:
    """Answer POST /ai/v1/embeddings: the vectors of the native route, without `usage`."""
    body = exchange.body
    model = resolve_model(exchange, body.get("model"))
    if "rerank" in model.name:
        raise _missing("query", "contexts")
    if model.task != "Text Embeddings":
        raise no_such_model(model.name)
    if "input" not in body:
        raise _missing("input")
    texts = [body["input"]] if isinstance(body["input"], str) else list(body["input"])
    exchange.admit(model)
    await asyncio.sleep(exchange.switches.delay_before_headers)
    vectors = _embed_texts(model, texts)
    prompt = sum(map(count_tokens, texts))
    neurons = model.token_cost(prompt, 0)
    exchange.cloud.ledger.book(Call(model.name, prompt, 0, neurons))
    data = [
        {"object": "embedding", "embedding": vector, "index": index}
        for index, vector in enumerate(vectors)
    ]
    answer: dict[str, object] = {"object": "list", "data": data, "model": model.name}
    if exchange.switches.embeddings_usage:
        answer["usage"] = {"prompt_tokens": prompt, "total_tokens": prompt}
    return plain(answer, headers=exchange.make_headers(model, neurons))


# The Batch API


@dataclass(slots=True)
class Batch:
    """Queued requests; `polls` counts the polls before they are done."""

    model: Model
    requests: list[Mapping[str, Any]]
    polls: int = 0
    result: dict[str, Any] | None = None


def _queue_batch(exchange: Exchange, model: Model) -> Reply:
    """Add a batch to the queue."""
    requests = exchange.body.get("requests")
    if not model.async_queue or not isinstance(requests, list):
        raise _missing("requests")
    if len(exchange.received.body_bytes) >= MAX_BATCH_BYTES:
        raise refusal(3006)
    identity = str(uuid.uuid4())
    exchange.cloud.batches[identity] = Batch(model, requests)
    return _batch_status("queued", identity, model)


def _batch_status(name: str, identity: str, model: Model) -> Reply:
    return enveloped({"status": name, "request_id": identity, "model": model.name})


async def _poll_batch(exchange: Exchange, identity: str) -> Reply:
    """Answer with the status of a batch, or with all answers when it is done."""
    batch = exchange.cloud.batches.get(identity)
    if batch is None:
        raise Refusal(Fault(404, 3042, "No such request"))
    if batch.polls < exchange.switches.batch_polls:
        batch.polls += 1
        status = "queued" if batch.polls == 1 else "running"
        return _batch_status(status, identity, batch.model)
    if batch.result is None:
        batch.result = await _run_batch(exchange, batch)
    return enveloped(batch.result)


async def _run_batch(exchange: Exchange, batch: Batch) -> dict[str, Any]:
    """Return all answers; the queue has no limit of calls per minute."""
    unlimited = Script(replace(exchange.switches, calls_per_minute=NO_LIMIT))
    inner = replace(exchange, script=unlimited)
    requests = enumerate(batch.requests)
    answers = [await _run_queued(inner, batch.model, index, one) for index, one in requests]
    usage: dict[str, float] = {}
    for answer in answers:
        for name, amount in answer["result"].get("usage", {}).items():
            if isinstance(amount, int | float):
                usage[name] = usage.get(name, 0) + amount
    # "Order not guaranteed": the answers are in reverse order.
    return {"responses": answers[::-1], "usage": usage}


async def _run_queued(
    exchange: Exchange, model: Model, index: int, request: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the answer to one request of a batch, or its error."""
    inner = replace(exchange.received, json=dict(request), query={})
    reference = {"external_reference": request.get("external_reference")}
    try:
        reply = await _run(replace(exchange, received=inner), model)
    except Refusal as raised:
        error = {"message": raised.fault.message, "code": raised.fault.code}
        return {"id": index, "result": {}, "success": False, "errors": [error], **reference}
    result = json.loads(reply.body)["result"] if isinstance(reply.body, bytes) else {}
    return {"id": index, "result": result, "success": True, **reference}


# Tasks on text


def _embed(job: Job) -> Done:
    """Return the vectors of one or more texts, or bge-m3's scores of contexts."""
    if "contexts" in job.payload.fields:
        return _rerank(job)
    job.payload.require("text")
    given = job.payload.fields["text"]
    texts = [given] if isinstance(given, str) else list(given)
    vectors = _embed_texts(job.model, texts)
    shape = [len(vectors), job.model.dimensions]
    result = {"shape": shape, "data": vectors, "pooling": job.payload.text("pooling", "mean")}
    return Done(result, prompt_tokens=sum(map(count_tokens, texts)), usage=True)


def _embed_texts(model: Model, texts: list[str]) -> list[list[float]]:
    """Return the vectors. Raises Refusal for too many or too long texts."""
    if not texts or len(texts) > MAX_TEXTS:
        raise refusal(5006, f"Bad input: Error: '/text' must hold 1 to {MAX_TEXTS} items")
    longest = max(map(count_tokens, texts))
    if model.max_input and longest > model.max_input:
        raise refusal(3030, f"Sequence too long: {longest} > {model.max_input}")
    return [_make_vector(model.name, text, model.dimensions) for text in texts]


def _make_vector(model: str, text: str, dimensions: int) -> list[float]:
    """Return a vector of length 1: the words have more weight than the text as a whole."""
    noise = _seeded(model, text)
    numbers = [noise.uniform(-0.5, 0.5) for _ in range(dimensions)]
    for word in re.findall(r"\w+", text.lower()):
        places = _seeded(model, "word", word)
        for _ in range(PLACES_OF_A_WORD):
            numbers[places.randrange(dimensions)] += places.choice((-WORD_WEIGHT, WORD_WEIGHT))
    length = math.sqrt(sum(number * number for number in numbers))
    return [round(number / length, 8) for number in numbers]


def _similarity(model: str, one: str, other: str, dimensions: int = 256) -> float:
    """Return the similarity of two texts, from -1 to 1."""
    first, second = (_make_vector(model, text, dimensions) for text in (one, other))
    return sum(left * right for left, right in zip(first, second, strict=True))


def _seeded(*parts: str) -> random.Random:
    """Return a random generator that is seeded with these texts."""
    return random.Random(hashlib.sha256("\0".join(parts).encode()).digest())


def _classify_text(job: Job) -> Done:
    """Return the sentiment of a text, or the scores of a reranker."""
    if "rerank" in job.model.name:
        return _rerank(job)
    job.payload.require("text")
    text = job.payload.text("text")
    negative = bool(BAD_WORDS & set(text.lower().replace(".", " ").split()))
    score = 0.98 if negative else 0.02
    labels = [{"label": "NEGATIVE", "score": score}, {"label": "POSITIVE", "score": 1 - score}]
    return Done(labels, prompt_tokens=count_tokens(text))


def _rerank(job: Job) -> Done:
    """Return the indexes and scores of the contexts, best first."""
    job.payload.require("query", "contexts")
    query = job.payload.text("query")
    texts = [str(one["text"]) for one in job.payload.fields["contexts"]]
    near = [_similarity(job.model.name, query, text) for text in texts]
    scores = [{"id": at, "score": 1 / (1 + math.exp(-6 * one))} for at, one in enumerate(near)]
    best = sorted(scores, key=lambda one: -one["score"])
    result = {"response": best[: job.payload.number("top_k", len(best))]}
    return Done(result, prompt_tokens=count_tokens(query + "".join(texts)), usage=True)


def _translate(job: Job) -> Done:
    """Return the text, prefixed with the target language."""
    job.payload.require("text", "target_lang")
    text = job.payload.text("text")
    output = job.next_answer(text, f"[{job.payload.text('target_lang')}] {text}")
    return _text_done({"translated_text": output}, text, output)


def _summarize(job: Job) -> Done:
    """Return the first words of the text."""
    job.payload.require("input_text")
    text = job.payload.text("input_text")
    output = job.next_answer(text, " ".join(text.split()[:12]))
    return _text_done({"summary": output}, text, output)


def _text_done(result: dict[str, str], given: str, output: str) -> Done:
    """Return a result that is billed by input and output tokens."""
    prompt, completion = count_tokens(given), count_tokens(output)
    return Done(result, prompt_tokens=prompt, completion_tokens=completion)


def _decide(job: Job) -> Done:
    """Return an answer to each question about `state`."""
    job.payload.require("model", "state", "questions")
    questions = job.payload.fields["questions"]
    given = job.payload.text("state") + str(questions)
    answers = [{"question": one, "answer": job.next_answer(str(one), "yes")} for one in questions]
    result = {"model": job.model.name, "answers": answers}
    return Done(result, prompt_tokens=count_tokens(given), usage=True)


# Tasks on images and sounds


def _generate_image(job: Job) -> Done:
    """Return an image of the requested size: binary, or as base64 in JSON."""
    by_form = "/flux-2-" in job.model.name
    if by_form and not job.payload.multipart:
        raise _missing("multipart")
    job.payload.require("prompt")
    name = job.model.name.rpartition("/")[2]
    edge, steps = IMAGE_DEFAULTS.get(name, OTHER_IMAGE_DEFAULTS)
    width, height = job.payload.number("width", edge), job.payload.number("height", edge)
    work = _image_work(job, width * height / TILE_PIXELS, steps)
    if by_form or name in ("flux-1-schnell", "lucid-origin"):
        encoded = base64.b64encode(media.jpeg(width, height)).decode()
        return Done({"image": encoded}, work=work)
    if name == "phoenix-1.0":
        return Done(data=media.jpeg(width, height), content_type="image/jpeg", work=work)
    gray = len(job.payload.text("prompt")) % 256
    return Done(data=media.png(width, height, gray), content_type="image/png", work=work)


def _image_work(job: Job, tiles: float, default_steps: int) -> dict[str, float]:
    """Return the work of an image; steps are priced per tile, and tiles are fractional."""
    steps = job.payload.number("steps", job.payload.number("num_steps", default_steps))
    megapixels, inputs = tiles / 4, len(job.payload.files)
    return {
        "512x512 tile": tiles,
        "step (per tile)": tiles * steps,
        "input 512x512 tile, per step": inputs * tiles * steps,
        "output 512x512 tile, per step": tiles * steps,
        "input 512x512 tile": inputs * tiles,
        "output 512x512 tile": tiles,
        "first MP (1024x1024)": 1.0,
        "subsequent MP": max(0.0, megapixels - 1),
        "input image MP": inputs * megapixels,
    }


def _classify_image(job: Job) -> Done:
    """Return the classes of an image, or objects with their boxes."""
    job.payload.binary("image")
    labels: list[dict[str, Any]] = [
        {"label": "TABBY", "score": 0.81},
        {"label": "CAT", "score": 0.14},
    ]
    if job.model.task == "Object Detection":
        box = {"xmin": 1, "ymin": 1, "xmax": 8, "ymax": 8}
        labels = [{**one, "box": box} for one in labels]
    return Done(labels, work={"M images": 1e-6})


def _describe_image(job: Job) -> Done:
    """Return a description of an image; moondream's complete answers are empty, as recorded."""
    if "moondream" in job.model.name:
        return Done({})
    if not job.payload.data:
        job.payload.require("image")
    text = job.next_answer(job.payload.text("prompt"), "A small grey square.")
    return Done({"description": f" {text}"})


def _transcribe(job: Job) -> Done:
    """Return the transcript: the text of the switches."""
    seconds = media.duration(job.payload.binary("audio"))
    transcript = job.next_answer("", "Hello from the stand-in.")
    words = [
        {"word": word, "start": at, "end": at + 0.4} for at, word in enumerate(transcript.split())
    ]
    work = {"audio minute": seconds / 60, "audio minute input": seconds / 60}
    if "/nova-3" in job.model.name:
        alternative = {"transcript": transcript, "confidence": 0.99, "words": words}
        return Done({"results": {"channels": [{"alternatives": [alternative]}]}}, work=work)
    vtt = f"WEBVTT\n\n00.000 --> {seconds:06.3f}\n{transcript}"
    result = {"text": transcript, "word_count": len(words), "vtt": vtt}
    if job.model.name.endswith("-turbo"):
        segment = {"start": 0, "end": seconds, "text": transcript, "words": words}
        info = {"language": job.payload.text("language", "en"), "duration": seconds}
        return Done({"transcription_info": info, **result, "segments": [segment]}, work=work)
    return Done({**result, "words": words}, work=work)


def _speak(job: Job) -> Done:
    """Return silence with the estimated duration of the text."""
    if job.model.name.endswith("/melotts"):
        job.payload.require("prompt")
        seconds = media.spoken_seconds(job.payload.text("prompt"))
        audio = base64.b64encode(media.mp3(seconds)).decode()
        return Done({"audio": audio}, work={"audio minute": seconds / 60})
    job.payload.require("text")
    text = job.payload.text("text")
    work = {"1k characters input": len(text) / 1000}
    seconds = media.spoken_seconds(text)
    if job.payload.text("container") == "wav":
        return Done(data=media.wav(seconds), content_type="audio/wav", work=work)
    return Done(data=media.mp3(seconds), content_type="audio/mpeg", work=work)


TASKS: Mapping[str, Callable[[Job], Done]] = MappingProxyType(
    {
        "Automatic Speech Recognition": _transcribe,
        "Decision": _decide,
        "Extraction": _decide,
        "Image Classification": _classify_image,
        "Image-to-Text": _describe_image,
        "Object Detection": _classify_image,
        "Summarization": _summarize,
        "Text Classification": _classify_text,
        "Text Embeddings": _embed,
        "Text-to-Image": _generate_image,
        "Text-to-Speech": _speak,
        "Translation": _translate,
    }
)


# toMarkdown


async def to_markdown(exchange: Exchange) -> Reply:
    """Answer POST /ai/tomarkdown with the Markdown of each file of the form."""
    files = [file for name, file in _read_payload(exchange.received).files if name == "files"]
    if not files:
        raise refusal(3003)
    return enveloped([_convert_file(file) for file in files])


async def markdown_formats(exchange: Exchange) -> Reply:
    """Answer GET /ai/tomarkdown/supported with the formats that can be converted."""
    formats = MARKDOWN_TYPES.items()
    return enveloped([{"extension": end, "mimeType": mime} for end, mime in formats])


def _convert_file(file: File) -> dict[str, Any]:
    """Return the entry of one file: its Markdown or an error."""
    mime = MARKDOWN_TYPES.get(PurePath(file.name).suffix.lower())
    entry = {"id": str(uuid.uuid4()), "name": file.name, "mimeType": mime or file.mime_type}
    if mime is None:
        return {**entry, "format": "error", "error": "Unsupported file type"}
    text = _convert_data(mime, file.data)
    return {**entry, "format": "markdown", "tokens": count_tokens(text), "data": text}


def _convert_data(mime: str, data: bytes) -> str:
    """Return the Markdown of a file's content."""
    if mime == "image/png":
        return "# Image\n\nA small grey square."
    text = data.decode("utf-8", "replace")
    if mime == "text/csv":
        return _convert_csv(text)
    return html.unescape(re.sub(r"<[^>]+>", "", text)).strip() if mime == "text/html" else text


def _convert_csv(text: str) -> str:
    """Return a CSV as a Markdown table."""
    head, *rows = ["| " + " | ".join(row) + " |" for row in csv.reader(io.StringIO(text))] or [""]
    return "\n".join((head, re.sub(r"[^|]+", " --- ", head), *rows))
