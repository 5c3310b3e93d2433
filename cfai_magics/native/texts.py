"""The native tasks with texts: translate, embed, classify, rerank, markdown."""

import mimetypes
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from ..asking.attachments import Wanted
from ..errors import BadOption
from ..render.formats import Bundle, Table
from ..render.heatmap import HeatMap
from ..route.route import OnRetry
from ..session.calls import TO_MARKDOWN
from ..session.session import EMBEDDING_MODEL, Session
from ..values import Answer
from ..values.results import RawResult
from ..workers_ai import jobs
from ..workers_ai.work import Job
from .given import Given
from .task import Made, Task, always, count, only, text, tokens

DOCUMENT = Wanted("--task markdown", "Name a file, an address or a variable with bytes a line.")
SCORE = "{:.3f}"
RANKS, RANKS_TOO = "rerank", "/bge-m3"  # in the names of models


def _translation(model: str, given: Given) -> Job:
    languages = given.options.source, given.options.target
    if not all(languages):
        raise BadOption(
            "--task translate needs both languages", "Write for example --from en --to de."
        )
    return jobs.translation_job(model, text(given), languages, given.fields)


def _translated(reply: RawResult, _given: Given) -> Made:
    return Made(jobs.translated(reply))


def _labelling(model: str, given: Given) -> Job:
    images = given.images
    if len(images) > 1:
        raise BadOption("--task classify looks at one image", "Name one.")
    if RANKS in model:
        raise BadOption(f"{model} ranks texts, and classifies none", "Use --task rerank.")
    return jobs.labels_job(model, images[0] if images else text(given), given.fields)


def _labelled(reply: RawResult, given: Given) -> Made:
    rows = jobs.labels(reply)
    told = ("The image alone was sent, and not the text.",) if given.options.image else ()
    return Made(str(_table(rows)), rows, told)


def _ranking(model: str, given: Given) -> Job:
    if RANKS not in model and not model.endswith(RANKS_TOO):
        raise BadOption(f"{model} ranks no texts", "bge-reranker-base and bge-m3 do.")
    query, *texts = given.texts or ("",)
    if not texts:
        raise BadOption(
            "--task rerank needs a question and texts", "The question first, then a text a line."
        )
    return jobs.ranking_job(model, query, texts, given.fields)


def _ranked(reply: RawResult, given: Given) -> Made:
    rows = jobs.ranking(reply, given.texts[1:])
    return Made(str(_table(rows)), rows)


def _table(rows: list[dict[str, Any]]) -> Table:
    names = tuple(rows[0]) if rows else ()
    return Table(names, tuple(tuple(_cell(row.get(name)) for name in names) for row in rows))


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):  # a box
        return ", ".join(f"{name} {side}" for name, side in value.items())
    return SCORE.format(value) if isinstance(value, float) else str(value)


def _scores(answer: Answer) -> Bundle:
    return {"text/html": _table(answer.parsed)._repr_html_()}


def _embedding(model: str, given: Given) -> Job:
    return Job(model, {"text": list(given.texts)})


def _embed(session: Session, job: Job, tell: OnRetry, most: float | None) -> RawResult:
    texts = job.fields["text"]
    found = session.embed(texts, job.model, on_retry=tell, max_neurons=most)
    return RawResult(
        found,
        usage=found.usage,
        notes=found.notes,
        standing=found.standing,
        origin=found.origin,
    )


def _embedded(reply: RawResult, _given: Given) -> Made:
    found = reply.result
    heat = HeatMap(found.texts, found.similarities())
    return Made(f"{found!r}\n{heat}", found)


def _nearness(answer: Answer) -> Bundle:
    found = answer.parsed
    return {"text/html": HeatMap(found.texts, found.similarities()).html}


def _converting(model: str, given: Given) -> Job:
    files = {
        name: (name, data, mimetypes.guess_type(name)[0] or "application/octet-stream")
        for name, data in given.files(DOCUMENT)
    }
    return Job(model, {}, files=files)


def _convert(session: Session, job: Job, tell: OnRetry, most: float | None) -> RawResult:
    return session.to_markdown(tuple((job.files or {}).values()), on_retry=tell, max_neurons=most)


def _converted(reply: RawResult, _given: Given) -> Made:
    found, notes = jobs.documents(reply)
    titled = [f"## {name}\n\n{text}" for name, text in found.items()]
    return Made("\n\n".join(titled if len(found) > 1 else found.values()), found, tuple(notes))


def _classifying(options: Namespace) -> frozenset[str]:
    seen, read = {"Image Classification", "Object Detection"}, {"Text Classification"}
    return frozenset(seen if options.image else read)


def _classifier(options: Namespace) -> str:
    return "resnet-50" if options.image else "distilbert-sst-2-int8"


def _labels_amount(job: Job, reply: RawResult) -> str:
    return "1 image" if isinstance(job.payload, bytes) else tokens(job, reply)


TRANSLATE = Task(
    "translate",
    only("Translation"),
    always("m2m100-1.2b"),
    _translation,
    _translated,
    tokens,
    takes=frozenset({"source", "target", "save"}),
)
EMBED = Task(
    "embed",
    only("Text Embeddings"),
    always(EMBEDDING_MODEL),
    _embedding,
    _embedded,
    tokens,
    _nearness,
    send=_embed,
    local=True,
)
CLASSIFY = Task(
    "classify",
    _classifying,
    _classifier,
    _labelling,
    _labelled,
    _labels_amount,
    _scores,
    frozenset({"image"}),
)
RERANK = Task(
    "rerank",
    only("Text Classification", "Text Embeddings"),
    always("bge-reranker-base"),
    _ranking,
    _ranked,
    tokens,
    _scores,
)
MARKDOWN = Task(
    "markdown",
    only(TO_MARKDOWN.task),
    always(TO_MARKDOWN.name),
    _converting,
    _converted,
    count("document", "documents"),
    takes=frozenset({"save"}),
    send=_convert,
)
