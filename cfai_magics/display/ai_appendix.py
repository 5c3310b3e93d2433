"""Render the prompts and answers of a notebook as Markdown, HTML and CSV, to hand them in."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape

from ..i18n import _, get_language, mark, ngettext
from ..markdown.escaping import escape_markdown, format_inline_code
from ..replay.recorded_answers import PromptPart
from .ai_use_report import protect_csv_value, translate_label
from .formats import fence_code
from .tables import format_date, format_neurons

APPENDIX_TITLE = mark("AI use in this notebook: prompts and answers")
CSV_COLUMNS = (
    *("number", "cell", "date", "model", "version", "parameters", "tokens_in", "tokens_out"),
    *("neurons", "basis", "ended", "request", "sha256", "prompt_source", "prompt"),
    *("answer_source", "answer", "notes"),
)
PROMPT_SOURCES = {
    "recording": mark("Prompt, as sent (from the recording)"),
    "cell": mark("Prompt (the text of the cell)"),
}
ANSWER_SOURCES = {
    "output": mark("Answer (from the notebook's output)"),
    "recording": mark("Answer (from the recording)"),
}
# Black on white also in dark themes, because the page is printed.
STYLE = """
body { font: 11pt/1.45 system-ui, sans-serif; max-width: 48em; margin: 1.5em auto; padding: 0 1em;
  color: #000; background: #fff }
section { border-top: 1px solid #777; margin-top: 1.5em }
h2, h3 { break-after: avoid }
h3 { font-size: 1em; margin: 1em 0 .3em }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3em 0; padding: .5em .8em;
  border-left: 3px solid #777; font: 10pt/1.4 ui-monospace, monospace }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1em 1em; margin: .5em 0 }
dd { margin: 0; overflow-wrap: anywhere }
@page { margin: 1.5cm }
"""
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendixEntry:
    """An answer in the appendix, with its prompt. All texts are free of control characters.

    Attributes:
        cell: The position of the cell in the notebook, from 1. It is 0 for an answer that is only
            in the recording.
        date: The time of the call in UTC, or the date of the recording, or "" if unknown.
        model: The full model name, or "" if unknown.
        version: The version of this package, or "" if unknown.
        parameters: The fields of the request that are not part of the prompt.
        tokens_in: The number of prompt tokens, or None if unknown.
        tokens_out: The number of answer tokens, or None if unknown.
        neurons: The number of neurons used, or None if unknown.
        cost_basis: "billed", "estimated", "replayed" or "local", or "" if unknown.
        finish_reason: Why the answer ended, or "" if unknown.
        request_fingerprint: The hash of the request, or "" if unknown.
        prompt: The parts of the prompt.
        prompt_source: A key of PROMPT_SOURCES.
        answer: The text of the answer.
        answer_source: A key of ANSWER_SOURCES.
        media_hash: The SHA-256 of a generated image or audio clip, or "".
        notes: What the reader must know about this entry.
    """

    cell: int
    date: str
    model: str
    version: str
    parameters: Mapping[str, str | int | float | bool]
    tokens_in: int | None
    tokens_out: int | None
    neurons: float | None
    cost_basis: str
    finish_reason: str
    request_fingerprint: str
    prompt: Sequence[PromptPart]
    prompt_source: str
    answer: str
    answer_source: str
    media_hash: str = ""
    notes: Sequence[str] = ()

    @property
    def answer_hash(self) -> str:
        """The SHA-256 of the media, or of the text in UTF-8; "" for an empty answer."""
        if self.media_hash or not self.answer:
            return self.media_hash
        return sha256(self.answer.encode()).hexdigest()

    @property
    def prompt_text(self) -> str:
        """The prompt as one text. Parts have headings, unless it is one user message."""
        if len(self.prompt) == 1 and self.prompt[0].name in {"", "user"}:
            return self.prompt[0].text
        return "\n\n".join(f"[{part.name}]\n{part.text}" for part in self.prompt)


class AiAppendix:
    """The prompts and answers of a notebook.

    Args:
        notebook_name: The file name of the notebook.
        entries: The answers, in order.
        iso_date: The date of the appendix.
        notes: What the reader must know about the appendix.
    """

    def __init__(
        self,
        notebook_name: str,
        entries: Sequence[AppendixEntry],
        iso_date: str,
        notes: Sequence[str] = (),
    ) -> None:
        self._notebook_name = notebook_name
        self.entries = tuple(entries)
        self._iso_date = iso_date
        self.notes = tuple(notes)

    def to_markdown(self) -> str:
        """Return the appendix as Markdown. Prompts and answers are in code blocks."""
        parts = [f"# {_(APPENDIX_TITLE)}", escape_markdown(self._format_subject())]
        parts += map(escape_markdown, self._list_paragraphs())
        for number, entry in enumerate(self.entries, start=1):
            parts.append(f"## {escape_markdown(_format_heading(number, entry))}")
            parts.append("\n".join(_format_fact(*fact) for fact in _list_facts(entry)))
            parts += [f"*{escape_markdown(note)}*" for note in entry.notes]
            for heading, texts in _list_texts(entry):
                parts.append(f"### {escape_markdown(heading)}")
                for name, text in texts:
                    parts += [f"{escape_markdown(name)}:"] if name else []
                    parts.append(fence_code(text, "text"))
        return "\n\n".join(parts) + "\n"

    def to_html(self) -> str:
        """Return the appendix as an HTML page without scripts and external content."""
        language = (get_language() or "en").replace("_", "-")
        title = escape(_(APPENDIX_TITLE))
        paragraphs = "".join(
            f'<p dir="auto">{escape(text)}</p>\n'
            for text in (self._format_subject(), *self._list_paragraphs())
        )
        sections = "".join(
            _render_entry(number, entry) for number, entry in enumerate(self.entries, start=1)
        )
        return (
            f'<!doctype html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">\n'
            f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
            f"<h1>{title}</h1>\n{paragraphs}{sections}</body>\n</html>\n"
        )

    def to_csv(self) -> str:
        """Return CSV with a header line and one row per answer.

        Text that looks like a formula is prefixed with an apostrophe.
        """
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for number, entry in enumerate(self.entries, start=1):
            writer.writerow(map(protect_csv_value, _build_csv_row(number, entry)))
        return buffer.getvalue()

    def _format_subject(self) -> str:
        count = len(self.entries)
        subject = _("Notebook {notebook}, as of {date} (UTC).").format(
            notebook=self._notebook_name, date=format_date(self._iso_date)
        )
        count_text = ngettext("{count:,} answer.", "{count:,} answers.", count).format(count=count)
        return f"{subject} {count_text}"

    def _list_paragraphs(self) -> list[str]:
        counts = Counter(entry.model or _("unknown") for entry in self.entries)
        models = _(", ").join(f"{model} ×{count:,}" for model, count in sorted(counts.items()))
        return [
            _("Models: {models}").format(models=models),
            *self.notes,
            _(
                "The request is a hash of model, prompt and parameters: identical requests have "
                "the same hash. SHA-256 is the hash of the answer's text as it is printed here, "
                "in UTF-8, or of the image or audio file. Neurons are Cloudflare's billing unit."
            ),
            _(
                "To check the answers, run the notebook next to its recording with %cfai replay "
                "only: it shows the recorded answers, and their request hashes must be equal. "
                "%cfai verify sends some of the recorded prompts again and compares the answers."
            ),
        ]


def _format_heading(number: int, entry: AppendixEntry) -> str:
    if entry.cell:
        return _("{number}. Cell {cell}").format(number=number, cell=entry.cell)
    return _("{number}. Only in the recording").format(number=number)


def _list_facts(entry: AppendixEntry) -> Iterator[tuple[str, str, bool]]:
    """Yield the label and the value of each property, and whether the value is code."""
    unknown = _("unknown")
    parameters = ", ".join(f"{name}={value}" for name, value in entry.parameters.items())
    yield _("model"), entry.model or unknown, False
    yield _("date (UTC)"), entry.date or unknown, False
    yield _("version of cfai-magics"), entry.version or unknown, False
    if parameters:
        yield _("parameters"), parameters, True
    yield (
        _("tokens"),
        f"{_format_count(entry.tokens_in)} → {_format_count(entry.tokens_out)}",
        False,
    )
    yield _("neurons"), _format_cost(entry), False
    yield _("finish reason"), entry.finish_reason or unknown, False
    yield _("request"), entry.request_fingerprint or unknown, bool(entry.request_fingerprint)
    if entry.answer_hash:
        yield "SHA-256", entry.answer_hash, True


def _format_count(count: int | None) -> str:
    return _("unknown") if count is None else f"{count:,}"


def _format_cost(entry: AppendixEntry) -> str:
    neurons = _("unknown") if entry.neurons is None else format_neurons(entry.neurons)
    if not entry.cost_basis:
        return neurons
    basis = translate_label(entry.cost_basis)
    return _("{neurons} ({basis})").format(neurons=neurons, basis=basis)


def _list_texts(entry: AppendixEntry) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the headings of the prompt and the answer, with their named texts."""
    is_single = len(entry.prompt) == 1
    prompt = [("" if is_single else part.name, part.text) for part in entry.prompt]
    yield _(PROMPT_SOURCES[entry.prompt_source]), prompt
    if entry.answer:
        yield _(ANSWER_SOURCES[entry.answer_source]), [("", entry.answer)]


def _format_fact(label: str, value: str, is_code: bool) -> str:  # noqa: FBT001 - part of a tuple
    text = format_inline_code(value) if is_code else escape_markdown(value)
    return "- " + _("{label}: {value}").format(label=escape_markdown(label), value=text)


def _render_entry(number: int, entry: AppendixEntry) -> str:
    facts = "".join(
        f'<dt>{escape(label)}</dt><dd dir="auto">'
        + (f"<code>{escape(value)}</code>" if is_code else escape(value))
        + "</dd>\n"
        for label, value, is_code in _list_facts(entry)
    )
    notes = "".join(f'<p dir="auto"><em>{escape(note)}</em></p>\n' for note in entry.notes)
    texts = "".join(
        f"<h3>{escape(heading)}</h3>\n" + "".join(_render_text(*text) for text in named_texts)
        for heading, named_texts in _list_texts(entry)
    )
    heading = escape(_format_heading(number, entry))
    return f"<section>\n<h2>{heading}</h2>\n<dl>\n{facts}</dl>\n{notes}{texts}</section>\n"


def _render_text(name: str, text: str) -> str:
    label = f"<div>{escape(name)}:</div>\n" if name else ""
    # HTML removes a line break after <pre>.
    return f'{label}<pre dir="auto">\n{escape(text)}</pre>\n'


def _build_csv_row(number: int, entry: AppendixEntry) -> tuple[object, ...]:
    """Return the values for CSV_COLUMNS. An unknown value is empty."""
    return (
        *(number, entry.cell or "", entry.date, entry.model, entry.version),
        json.dumps(entry.parameters, ensure_ascii=False) if entry.parameters else "",
        *(entry.tokens_in, entry.tokens_out, entry.neurons, entry.cost_basis),
        *(entry.finish_reason, entry.request_fingerprint, entry.answer_hash),
        *(entry.prompt_source, entry.prompt_text, entry.answer_source, entry.answer),
        " ".join(entry.notes),
    )
