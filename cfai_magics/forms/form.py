"""Owns the forms an answer can be asked for: what the model is told, and what is made of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from ..errors import BadOption
from ..markdown import first_code, first_table
from ..values import Answer

ONLY = "Answer with {} and nothing else: no introduction, no explanation."


class Unfit(ValueError):
    """The answer is not of its form; the message says so to the reader."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form: what the system prompt says of it, and how `parsed` is made of an answer's text.

    `fence` is the language an answer is shown in while it comes, where it is no Markdown itself.
    `show` makes the MIME types of what a native task made, whose text is its description.
    """

    name: str
    instruction: str = ""
    parse: Callable[[str], Any] = lambda _: None
    fence: str = ""
    show: Callable[[Answer], Mapping[str, Any]] | None = None


def _code(text: str) -> str:
    """Return the first code block; an answer without one is taken to be code itself."""
    found = first_code(text)
    return found.text if found else text.strip("\n") + "\n"


def _block(text: str) -> str:
    found = first_code(text)
    if found is None:
        raise Unfit("There is no code block in the answer; this is all of it.")
    return found.text


def _json(text: str) -> Any:
    try:
        return json_in(text)
    except ValueError as error:
        raise Unfit(f"The answer is no JSON: {error}.") from None


def json_in(text: str) -> Any:
    """Return the JSON value that a text is, or that its first code block holds."""
    try:
        return Answer("", text).json()
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _source(text: str) -> str:
    found = first_code(text)
    return found.text if found else text


def _table(text: str) -> Any:
    found = first_table(text) or first_table(_source(text))
    if found is None:
        raise Unfit("There is no table in the answer.")
    import pandas as pd

    frame = pd.DataFrame(found.rows, columns=found.columns)
    for place in range(len(found.columns)):
        try:
            frame.isetitem(place, pd.to_numeric(frame.iloc[:, place]))
        except (ValueError, TypeError):
            continue  # it stays text
    return frame


FORMS: Mapping[str, Form] = {
    form.name: form
    for form in (
        Form("markdown"),
        Form("text"),
        Form("raw"),
        Form("block", parse=_block),  # -x
        Form("correction", parse=_block),  # %cfai fix: words and code
        Form("code", ONLY.format("one fenced block of Python code"), _code, "python"),
        Form("json", ONLY.format("JSON"), _json, "json"),
        Form(
            "html",
            ONLY.format("HTML whose styles are in it, without scripts and without links out"),
            _source,
            "html",
        ),
        Form("latex", ONLY.format("LaTeX that MathJax can show"), _source, "latex"),
        Form("table", ONLY.format("one Markdown table"), _table),
    )
}
WITHOUT_EXTRACT = {"raw", "json", "html", "latex", "table"}


def form_for(name: str, *, extract: bool) -> Form:
    """Return the form of this name; with `extract` (-x), that of its first code block."""
    if extract and name in WITHOUT_EXTRACT:
        raise BadOption(f"-x and -f {name} exclude each other", "-x shows the first code block.")
    if name == "table" and not find_spec("pandas"):
        raise BadOption("-f table makes a pandas DataFrame", "Install it: %pip install pandas.")
    return FORMS["block" if extract and name != "code" else name]


def formed(answer: Answer, form: Form) -> Answer:
    """Return the answer with what its form makes of it, or with the remark that it is not so."""
    if not answer.text:
        return answer
    try:
        return replace(answer, parsed=form.parse(answer.text))
    except Unfit as unfit:
        return replace(answer, notes=(*answer.notes, str(unfit)))
