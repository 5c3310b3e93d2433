"""Owns `{{expression}}` in a prompt: where one stands, and what it says; all else is as typed."""

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import VariableError

LONGEST = 2_000  # characters between the braces: beyond, no expression is looked for
DEEPEST = 20  # braces within braces
OPENING = re.compile(r"\{\{+")
TOKEN = re.compile(
    r"""\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[^{}'"]+|.""", re.DOTALL
)
CONVERSION = re.compile(r"(.*?)\s*!([rsa])\s*", re.DOTALL)
# Python's own mini-language, or strftime's: {{color: red}} of TypeScript is neither.
SPEC = re.compile(r"(?:.?[<>=^])?[-+ ]?z?#?0?\d*[,_]?(?:\.\d+)?[a-zA-Z%]?|[^{}\n]*%[^{}\n]*")
Written = TypeVar("Written")
CONVERSIONS: dict[str, Callable[[Any], str]] = {"r": repr, "s": str, "a": ascii}
RAW = "Add --raw to send braces as they are typed."


@dataclass(frozen=True, slots=True)
class Field:
    """One `{{…}}`: as `typed`, its expression, and how Python's format is to write the value."""

    typed: str
    expression: str
    conversion: str = ""
    spec: str = ""

    @property
    def source(self) -> str:
        """The expression for eval, which takes more than one line only in brackets."""
        return f"({self.expression}\n)" if "\n" in self.expression else self.expression

    def formatted(self, value: Any) -> Any:
        """Return the value as conversion and spec write it, or itself where there are none."""
        if self.conversion:
            value = CONVERSIONS[self.conversion](value)
        return format(value, self.spec) if self.spec else value


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt in pieces: text as typed and fields. `odd` are `{{…}}` that are no expression."""

    pieces: tuple[str | Field, ...]
    odd: tuple[str, ...] = ()


def read(text: str) -> Template:
    """Cut a prompt into its pieces; joined as typed, they are the text."""
    pieces: list[str | Field] = []
    odd: list[str] = []
    taken = 0
    opening = OPENING.search(text)
    while opening:
        start, place = opening.end() - 2, opening.end()  # of a run of braces, the inner two
        end = _end(text, place)
        field = _field(text[start:end]) if end else None
        if field:
            pieces += [text[taken:start], field]
            taken = place = end
        elif end and not _is_plain(text[start + 2 : end - 2]):
            odd.append(text[start:end])
        opening = OPENING.search(text, place)
    return Template(tuple(piece for piece in [*pieces, text[taken:]] if piece), tuple(odd))


def _end(text: str, place: int) -> int:
    """Return where the braces end whose inside begins at `place`; 0 where they do not."""
    depth = 2
    for token in TOKEN.finditer(text, place, place + LONGEST):
        brace = token[0]
        depth += (brace == "{") - (brace == "}")
        if depth == 1 and not text.startswith("}", token.end()):
            return 0
        if depth == 1:
            return token.end() + 1
        if depth > DEEPEST:
            return 0
    return 0


def _field(typed: str) -> Field | None:
    """Return the field, or None where no reading of its inside is an expression."""
    inside = typed[2:-2].strip()
    for expression, conversion, spec in _readings(inside):
        node = _parsed(expression) if SPEC.fullmatch(spec) else None
        if node and (spec or conversion or not _is_plain(expression)):
            return Field(typed, expression, conversion, spec)
    return None


def _readings(inside: str) -> Iterator[tuple[str, str, str]]:
    """Yield expression, conversion and spec: the first as long as it can be."""
    yield inside, "", ""
    colons = [match.start() for match in re.finditer(":", inside)]
    for end in [len(inside), *colons]:
        left, spec = inside[:end], inside[end + 1 :]
        converted = CONVERSION.fullmatch(left)
        if converted:
            yield converted[1], converted[2], spec
        elif end < len(inside):
            yield left.rstrip(), "", spec


def _parsed(expression: str) -> ast.expr | None:
    source = f"({expression}\n)" if "\n" in expression else expression
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as for "\d", which the evaluation tells
            return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_plain(inside: str) -> bool:
    """Whether it is nothing, or a bare value: C's {{1, 2}} and LaTeX's x^{{12}} stay as typed.

    A bare text is none of those: {{'{{x}}'}} is how {{x}} is written.
    """
    node = _parsed(inside.strip()) if inside.strip() else None
    if node is None:
        return not inside.strip()
    try:
        return not isinstance(ast.literal_eval(node), str)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return False


def evaluated(
    field: Field, evaluate: Callable[[str], Any], write: Callable[[Any], Written]
) -> Written:
    """Return the field's value as `write` puts it; VariableError where any of that fails."""
    try:
        return write(field.formatted(evaluate(field.source)))
    except Exception as error:  # noqa: BLE001 - it is the user's own expression
        raise _unfilled(field, error) from None


def _unfilled(field: Field, error: Exception) -> VariableError:
    shown = field.typed if len(field.typed) <= 60 else f"{field.typed[:57]}…"  # noqa: PLR2004
    if isinstance(error, NameError):
        return VariableError(f"{shown}: {error}", f"Define it first. {RAW}")
    told = str(error) or type(error).__name__
    kind = "" if told.startswith(type(error).__name__) else f"{type(error).__name__}: "
    return VariableError(f"{shown}: {kind}{told}", f"Correct the expression. {RAW}")
