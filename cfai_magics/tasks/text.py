"""Define the translate, embed, classify, rerank and markdown tasks."""

import mimetypes
from argparse import Namespace
from collections.abc import Container, Mapping
from itertools import chain, count
from pathlib import PurePath
from typing import Any

from ..chat.attachments import AttachmentKind
from ..display.heatmap import HeatMap
from ..display.tables import MimeBundle, Table
from ..errors import InvalidOptionError
from ..i18n import _, mark, ngettext
from ..session.session import EMBEDDING_MODEL, Session
from ..session.task_calls import TO_MARKDOWN_MODEL
from ..types.messages import Answer
from ..types.results import TaskResult
from ..workers_ai.retry import OnRetry
from ..workers_ai.task_requests import (
    TaskRequest,
    classification_request,
    parse_documents,
    parse_labels,
    parse_ranking,
    parse_translation,
    ranking_request,
    translation_request,
)
from .spec import (
    TaskOutput,
    TaskSpec,
    constant_model,
    constant_tasks,
    file_count,
    format_tokens,
    no_text_error,
    require_text,
)
from .task_input import TaskInput

DOCUMENT_ATTACHMENT = AttachmentKind(
    "--task markdown", mark("On each line, enter a file, a URL or a variable that contains bytes.")
)
SCORE_FORMAT = "{:.3f}"
RERANKER_MARK, RANKING_EMBEDDER_SUFFIX = "rerank", "/bge-m3"  # in model names


def _build_translation_request(model: str, task_input: TaskInput) -> TaskRequest:
    languages = task_input.options.source, task_input.options.target
    if not all(languages):
        raise InvalidOptionError(
            _("--task translate needs both languages"),
            _("Example: {option}").format(option="--from en --to de"),
        )
    return translation_request(model, require_text(task_input), languages, task_input.fields)


def _parse_translation_output(task_result: TaskResult, _task_input: TaskInput) -> TaskOutput:
    return TaskOutput(parse_translation(task_result))


def _build_classification_request(model: str, task_input: TaskInput) -> TaskRequest:
    images = task_input.images
    if len(images) > 1:
        raise InvalidOptionError(
            _("--task classify takes one image"), _("Specify only one image with --image.")
        )
    if RERANKER_MARK in model:
        raise InvalidOptionError(
            _("{model} ranks texts and can't classify them").format(model=model),
            _("Use --task rerank."),
        )
    return classification_request(
        model, images[0] if images else require_text(task_input), task_input.fields
    )


def _parse_classification_output(task_result: TaskResult, task_input: TaskInput) -> TaskOutput:
    rows = parse_labels(task_result)
    notes = (_("Only the image was sent, not the text."),) if task_input.options.image else ()
    return TaskOutput(str(_build_table(rows)), rows, notes)


def _build_ranking_request(model: str, task_input: TaskInput) -> TaskRequest:
    if RERANKER_MARK not in model and not model.endswith(RANKING_EMBEDDER_SUFFIX):
        raise InvalidOptionError(
            _("{model} can't rank texts").format(model=model),
            _("Use {models}.").format(models="bge-reranker-base, bge-m3"),
        )
    query, *texts = task_input.texts or ("",)
    if not texts:
        raise InvalidOptionError(
            _("--task rerank needs a query and texts"),
            _("Enter the query on the first line, followed by one text per line."),
        )
    return ranking_request(model, query, texts, task_input.fields)


def _parse_ranking_output(task_result: TaskResult, task_input: TaskInput) -> TaskOutput:
    rows = parse_ranking(task_result, task_input.texts[1:])
    return TaskOutput(str(_build_table(rows)), rows)


def _build_table(rows: list[dict[str, Any]]) -> Table:
    names = tuple(rows[0]) if rows else ()
    return Table(
        names,
        tuple(tuple(_format_cell(row.get(name)) for name in names) for row in rows),
        "" if rows else _("The model returned no results."),
        number_columns=tuple(
            position for position, name in enumerate(names) if _has_numbers(rows, name)
        ),
    )


def _has_numbers(rows: list[dict[str, Any]], name: str) -> bool:
    return all(isinstance(row.get(name), int | float) for row in rows)


def _format_cell(value: Any) -> str:
    if isinstance(value, Mapping):  # a bounding box
        return ", ".join(f"{name} {side}" for name, side in value.items())
    return SCORE_FORMAT.format(value) if isinstance(value, float) else str(value)


def _render_scores(answer: Answer) -> MimeBundle:
    return {"text/html": _build_table(answer.parsed)._repr_html_()}


def _build_embedding_request(model: str, task_input: TaskInput) -> TaskRequest:
    if not task_input.texts:
        raise no_text_error(task_input)
    return TaskRequest(model, {"text": list(task_input.texts)})


def _send_embedding(
    session: Session, task_request: TaskRequest, on_retry: OnRetry, max_neurons: float | None
) -> TaskResult:
    texts = task_request.fields["text"]
    embeddings = session.embed(
        texts, task_request.model, on_retry=on_retry, max_neurons=max_neurons
    )
    return TaskResult(
        embeddings,
        usage=embeddings.usage,
        notes=embeddings.notes,
        day_usage=embeddings.day_usage,
        provenance=embeddings.provenance,
    )


def _parse_embedding_output(task_result: TaskResult, _task_input: TaskInput) -> TaskOutput:
    embeddings = task_result.result
    heatmap = HeatMap(embeddings.texts, embeddings.similarities())
    return TaskOutput(f"{embeddings!r}\n{heatmap}", embeddings)


def _render_similarities(answer: Answer) -> MimeBundle:
    embeddings = answer.parsed
    return {"text/html": HeatMap(embeddings.texts, embeddings.similarities()).html}


def _build_conversion_request(model: str, task_input: TaskInput) -> TaskRequest:
    files: dict[str, tuple[str, bytes, str]] = {}
    for loaded_name, data in task_input.load_files(DOCUMENT_ATTACHMENT):
        name = _make_unique(loaded_name, files)
        files[name] = name, data, mimetypes.guess_type(name)[0] or "application/octet-stream"
    return TaskRequest(model, {}, files=files)


def _make_unique(name: str, known_names: Container[str]) -> str:
    """Return the name of a file, with a number if it is known: the response has only names."""
    path = PurePath(name)
    numbered = (f"{path.stem} ({number}){path.suffix}" for number in count(2))
    return next(new for new in chain((name,), numbered) if new not in known_names)


def _send_conversion(
    session: Session, task_request: TaskRequest, on_retry: OnRetry, max_neurons: float | None
) -> TaskResult:
    return session.to_markdown(
        tuple((task_request.files or {}).values()), on_retry=on_retry, max_neurons=max_neurons
    )


def _parse_conversion_output(task_result: TaskResult, _task_input: TaskInput) -> TaskOutput:
    text_by_name, notes = parse_documents(task_result)
    sections = [f"## {name}\n\n{text}" for name, text in text_by_name.items()]
    return TaskOutput(
        "\n\n".join(sections if len(text_by_name) > 1 else text_by_name.values()),
        text_by_name,
        tuple(notes),
    )


def _classification_tasks(options: Namespace) -> frozenset[str]:
    image_tasks, text_tasks = {"Image Classification", "Object Detection"}, {"Text Classification"}
    return frozenset(image_tasks if options.image else text_tasks)


def _default_classifier(options: Namespace) -> str:
    return "resnet-50" if options.image else "distilbert-sst-2-int8"


def _format_classification_amount(task_request: TaskRequest, task_result: TaskResult) -> str:
    if isinstance(task_request.payload, bytes):
        return ngettext("{count:,} image", "{count:,} images", 1).format(count=1)
    return format_tokens(task_request, task_result)


TRANSLATE_TASK = TaskSpec(
    "translate",
    constant_tasks("Translation"),
    constant_model("m2m100-1.2b"),
    _build_translation_request,
    _parse_translation_output,
    format_tokens,
    allowed_options=frozenset({"source", "target", "save"}),
)
EMBED_TASK = TaskSpec(
    "embed",
    constant_tasks("Text Embeddings"),
    constant_model(EMBEDDING_MODEL),
    _build_embedding_request,
    _parse_embedding_output,
    format_tokens,
    _render_similarities,
    send=_send_embedding,
    can_run_locally=True,
)
CLASSIFY_TASK = TaskSpec(
    "classify",
    _classification_tasks,
    _default_classifier,
    _build_classification_request,
    _parse_classification_output,
    _format_classification_amount,
    _render_scores,
    frozenset({"image"}),
)
RERANK_TASK = TaskSpec(
    "rerank",
    constant_tasks("Text Classification", "Text Embeddings"),
    constant_model("bge-reranker-base"),
    _build_ranking_request,
    _parse_ranking_output,
    format_tokens,
    _render_scores,
)
MARKDOWN_TASK = TaskSpec(
    "markdown",
    constant_tasks(TO_MARKDOWN_MODEL.task),
    constant_model(TO_MARKDOWN_MODEL.name),
    _build_conversion_request,
    _parse_conversion_output,
    file_count(
        lambda count: ngettext("{count:,} document", "{count:,} documents", count).format(
            count=count
        )
    ),
    allowed_options=frozenset({"save"}),
    send=_send_conversion,
)
