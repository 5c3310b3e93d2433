"""How an answer of each form is shown: as a MIME bundle in a notebook, as text elsewhere."""

import json
import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from ..escaping import MATH_IN_HTML, alone
from ..forms.form import Form
from ..formulas import REACHES_OUT
from ..markdown import first_code, without_remote_content
from ..terminal import safe_json, safe_text
from ..values import Answer
from .formats import Bundle

# Nothing in the frame runs, for it is sandboxed, which stops <meta http-equiv=refresh> too; and
# nothing is loaded from elsewhere, for the policy stands before all that could be.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
FRAME = (
    '<iframe sandbox="" title="HTML of the answer" referrerpolicy="no-referrer" '
    'style="width: 100%; height: 24em; resize: vertical; background: white; '
    'border: 1px solid var(--jp-border-color2, GrayText)" srcdoc="{}"></iframe>'
)
MATH = re.compile(r"\$|\\\(|\\\[|\\begin\b")
DOCUMENT = r"\begin{document}"


def markdown(text: str) -> Bundle:
    """Return Markdown that loads nothing from elsewhere."""
    return {"text/markdown": without_remote_content(text)}


def fenced(text: str, language: str = "") -> str:
    """Return a text as a code block of Markdown, whatever backticks are in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def while_coming(text: str, form: Form) -> Bundle:
    """Return a part of an answer for the time until it is whole."""
    if form.fence and not text.lstrip().startswith("```"):
        return markdown(fenced(text, form.fence))
    return markdown(text)


def whole(answer: Answer, form: Form) -> Bundle:
    """Return the whole answer as its form shows it; as Markdown where it is not of its form."""
    if form.show is not None and answer.parsed is not None:
        return {"text/plain": safe_text(answer.text), **form.show(answer)}
    shown = SHOWN.get(form.name)
    if shown is None or answer.parsed is None:
        return {**markdown(answer.text), "text/plain": safe_text(answer.text)}
    return {**shown(answer), "text/plain": safe_text(plain(answer, form))}


def plain(answer: Answer, form: Form) -> str:
    """Return the whole answer as text."""
    if answer.parsed is None or form.show is not None:
        return answer.text
    if form.name == "json":
        return pretty(answer.parsed)
    return str(answer.parsed).rstrip("\n")


def pretty(value: Any) -> str:
    """Return a JSON value, or a pydantic model, as indented JSON."""
    if callable(getattr(value, "model_dump", None)):  # pydantic
        value = value.model_dump(mode="json")
    return safe_json(json.dumps(value, indent=2, ensure_ascii=False))


def _code(answer: Answer) -> Bundle:
    """Return the code with what the model said around it."""
    said = answer.text if "```" in answer.text else fenced(answer.text, "python")
    return markdown(said)


def _block(answer: Answer) -> Bundle:
    found = first_code(answer.text)
    return markdown(fenced(answer.parsed, found.language if found else ""))


def _json(answer: Answer) -> Bundle:
    return markdown(fenced(pretty(answer.parsed), "json"))


def frame(html: str) -> str:
    """Return HTML in a frame where it can run nothing, load nothing and reach nothing."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return FRAME.format(escape(f"<!DOCTYPE html>{policy}{html}"))


def _html(answer: Answer) -> Bundle:
    return {"text/html": frame(answer.parsed)}


def _latex(answer: Answer) -> Bundle:
    """Return LaTeX for MathJax, which knows formulas but no documents."""
    source = answer.parsed.strip()
    if DOCUMENT in source or REACHES_OUT.search(source):
        return markdown(fenced(source, "latex"))
    return {"text/latex": source if MATH.search(source) else f"$$\n{source}\n$$"}


def _table(answer: Answer) -> Bundle:
    table = answer.parsed.to_html(escape=True, max_rows=60, border=0)
    return {"text/html": MATH_IN_HTML.sub(alone, table)}  # no attribute of it holds such a sign


SHOWN: Mapping[str, Callable[[Answer], Bundle]] = {
    "block": _block,
    "code": _code,
    "correction": _code,
    "json": _json,
    "html": _html,
    "latex": _latex,
    "table": _table,
}
