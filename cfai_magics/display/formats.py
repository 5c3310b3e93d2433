"""Render answers in each output format, as a MIME bundle for notebooks or as plain text."""

import json
import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from ..i18n import _
from ..markdown.blocks import strip_remote_content
from ..markdown.escaping import MATH_SIGN_PATTERN, isolate_math_sign
from ..prompt.output_formats import OutputFormat
from ..terminal import sanitize_json, sanitize_text
from ..types.messages import Answer
from .tables import MimeBundle

# The sandbox blocks scripts and <meta http-equiv=refresh> in the frame. The policy blocks external
# content, and its tag must come before the model's HTML.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
)
IFRAME_TEMPLATE = (
    '<iframe sandbox="" title="{title}" referrerpolicy="no-referrer" '
    'style="width: 100%; height: 24em; resize: vertical; background: white; '
    'border: 1px solid var(--jp-border-color2, GrayText)" srcdoc="{document}"></iframe>'
)
MAX_PLAIN_CHARS = 60  # of an answer that an output also has as Markdown
MATH_PATTERN = re.compile(r"\$|\\\(|\\\[|\\begin\b")
LATEX_DOCUMENT_START = r"\begin{document}"


def render_markdown(text: str) -> MimeBundle:
    """Remove external content from Markdown, and return the result as a MIME bundle."""
    return {"text/markdown": strip_remote_content(text)}


def fence_code(text: str, language: str = "") -> str:
    """Return text as a fenced Markdown code block.

    The fence is longer than any run of backticks in the text.
    """
    longest_run = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest_run + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def shorten_plain_text(text: str) -> str:
    """Return text for the plain form of an output that has the whole answer in another form.

    A long answer is cut to its start and its length, so that the notebook does not save it twice.
    """
    start = " ".join(text.split())[:MAX_PLAIN_CHARS]
    excerpt = _("{start}… ({count:,} characters)").format(start=start, count=len(text))
    return min(text, excerpt, key=len)


def render_partial_answer(text: str, output_format: OutputFormat) -> MimeBundle:
    """Return a MIME bundle for an incomplete answer that is being streamed."""
    if output_format.stream_fence and not text.lstrip().startswith("```"):
        text = fence_code(text, output_format.stream_fence)
    return {"text/markdown": strip_remote_content(text)}


def render_final_answer(answer: Answer, output_format: OutputFormat) -> MimeBundle:
    """Return a MIME bundle for a complete answer.

    If the answer could not be parsed, the bundle shows the answer as Markdown.
    """
    if answer.tokens and answer.parsed is None:
        from .probabilities import render_tokens

        return {
            "text/html": render_tokens(answer.tokens),
            "text/plain": sanitize_text(answer.text),
        }
    if output_format.render is not None and answer.parsed is not None:
        return {"text/plain": sanitize_text(answer.text), **output_format.render(answer)}
    renderer = RENDERERS.get(output_format.name)
    if renderer is None or answer.parsed is None:
        text = answer.text
        bundle: MimeBundle = {"text/markdown": strip_remote_content(text)}
    else:
        bundle, text = renderer(answer), render_plain_text(answer, output_format)
    # Front ends without Markdown can show neither HTML nor LaTeX, so these keep the whole text.
    plain_text = shorten_plain_text(text) if "text/markdown" in bundle else text
    return {**bundle, "text/plain": sanitize_text(plain_text)}


def render_plain_text(answer: Answer, output_format: OutputFormat) -> str:
    """Return a complete answer as plain text."""
    if answer.parsed is None or output_format.render is not None:
        return answer.text
    if output_format.name == "json":
        return format_json(answer.parsed)
    return str(answer.parsed).rstrip("\n")


def format_json(value: Any) -> str:
    """Return a JSON value or pydantic model as indented JSON text."""
    if callable(getattr(value, "model_dump", None)):  # a pydantic model
        value = value.model_dump(mode="json")
    return sanitize_json(json.dumps(value, indent=2, ensure_ascii=False))


def _render_code(answer: Answer) -> MimeBundle:
    """Return a MIME bundle with the code and any text that the model wrote around the code."""
    source = answer.text if "```" in answer.text else fence_code(answer.text, "python")
    return render_markdown(source)


def _render_block(answer: Answer) -> MimeBundle:
    from ..markdown.blocks import find_first_code_block

    block = find_first_code_block(answer.text)
    return render_markdown(fence_code(answer.parsed, block.language if block else ""))


def _render_json(answer: Answer) -> MimeBundle:
    return render_markdown(fence_code(format_json(answer.parsed), "json"))


def wrap_in_iframe(html: str) -> str:
    """Wrap HTML in a sandboxed iframe that blocks scripts and external content."""
    policy_tag = f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">'
    return IFRAME_TEMPLATE.format(
        title=escape(_("Answer as HTML")),
        document=escape(f"<!DOCTYPE html>{policy_tag}{html}"),
    )


def _render_html(answer: Answer) -> MimeBundle:
    return {"text/html": wrap_in_iframe(answer.parsed)}


def _render_latex(answer: Answer) -> MimeBundle:
    """Return a MIME bundle with LaTeX for MathJax.

    A complete document or LaTeX with unsafe commands is shown as a code block instead.
    """
    from ..markdown.formulas import UNSAFE_TEX_PATTERN

    source = answer.parsed.strip()
    if LATEX_DOCUMENT_START in source or UNSAFE_TEX_PATTERN.search(source):
        return render_markdown(fence_code(source, "latex"))
    return {"text/latex": source if MATH_PATTERN.search(source) else f"$$\n{source}\n$$"}


def _render_table(answer: Answer) -> MimeBundle:
    table_html = answer.parsed.to_html(escape=True, max_rows=60, border=0)
    # This is safe because no attribute in the table contains a math sign.
    return {"text/html": MATH_SIGN_PATTERN.sub(isolate_math_sign, table_html)}


RENDERERS: Mapping[str, Callable[[Answer], MimeBundle]] = {
    "block": _render_block,
    "code": _render_code,
    "correction": _render_code,
    "json": _render_json,
    "html": _render_html,
    "latex": _render_latex,
    "table": _render_table,
}
