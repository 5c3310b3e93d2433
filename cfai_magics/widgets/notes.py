"""Lines and headings of the panel as HTML, with every text escaped."""

from collections.abc import Iterator
from contextlib import contextmanager

from ipywidgets import HTML

from ..errors import CfaiError
from ..escaping import html_text


def heading(text: str) -> HTML:
    """Return a heading; it is none for the notebook's table of contents."""
    return HTML(f'<div class="cfai-heading" role="heading" aria-level="3">{html_text(text)}</div>')


def note(text: str, kind: str = "") -> str:
    """Return a line that screen readers read out when it changes; `kind` is good or bad."""
    mark = {"good": "✓ ", "bad": "⚠ "}.get(kind, "")
    lines = "<br>".join(html_text(mark + line) for line in text.splitlines())
    return f'<div class="cfai-note cfai-{kind or "plain"}" role="status">{lines}</div>'


@contextmanager
def told_in(line: HTML) -> Iterator[None]:
    """Show in the line what a person can do about an error."""
    try:
        yield
    except CfaiError as error:
        line.value = note(str(error), "bad")
