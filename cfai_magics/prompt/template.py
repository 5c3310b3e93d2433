"""Parse and evaluate `{{expression}}` fields in a prompt."""

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import VariableError
from ..i18n import _, mark
from ..texts import get_error_message, shorten_line

MAX_FIELD_CHARS = 2_000  # characters between the braces; longer text is not parsed
MAX_BRACE_DEPTH = 20  # levels of nested braces
OPENING_PATTERN = re.compile(r"\{\{+")
TOKEN_PATTERN = re.compile(
    r"""\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[^{}'"]+|.""", re.DOTALL
)
CONVERSION_PATTERN = re.compile(r"(.*?)\s*!([rsa])\s*", re.DOTALL)
# Python's format mini-language, or a strftime format. {{color: red}} in TypeScript is neither.
FORMAT_SPEC_PATTERN = re.compile(
    r"(?:.?[<>=^])?[-+ ]?z?#?0?\d*[,_]?(?:\.\d+)?[a-zA-Z%]?|[^{}\n]*%[^{}\n]*"
)
T = TypeVar("T")
CONVERSION_FUNCTIONS: dict[str, Callable[[Any], str]] = {"r": repr, "s": str, "a": ascii}
MAX_ERROR_CHARS = 300  # maximum length of the message of the user's error
PROGRAM_EXITS = (KeyboardInterrupt, SystemExit)
MAX_SOURCE_CHARS = 60  # maximum length of a field in a message
UNDEFINED_HINT = mark("Define it first, or add --raw to send braces as typed.")
EXPRESSION_HINT = mark("Correct the expression, or add --raw to send braces as typed.")


@dataclass(frozen=True, slots=True)
class Field:
    """A `{{…}}` field, split into its expression, conversion and format spec.

    `source_text` is the complete field as typed.
    """

    source_text: str
    expression: str
    conversion: str = ""
    spec: str = ""

    @property
    def eval_source(self) -> str:
        """The expression for eval, in parentheses if it spans several lines."""
        return f"({self.expression}\n)" if "\n" in self.expression else self.expression

    def format_value(self, value: Any) -> Any:
        """Return the value with the conversion and format spec applied, if any."""
        if self.conversion:
            value = CONVERSION_FUNCTIONS[self.conversion](value)
        return format(value, self.spec) if self.spec else value


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt split into text and fields.

    `unparsed` contains each `{{…}}` that looks like a field but is not an expression.
    """

    pieces: tuple[str | Field, ...]
    unparsed: tuple[str, ...] = ()


def parse_template(text: str) -> Template:
    """Split a prompt into text and fields, without changing any text."""
    pieces: list[str | Field] = []
    unparsed: list[str] = []
    text_start = 0
    opening = OPENING_PATTERN.search(text)
    while opening:
        start, position = opening.end() - 2, opening.end()  # the innermost two braces of a run
        end = _find_end(text, position)
        field = _parse_field(text[start:end]) if end else None
        if field:
            pieces += [text[text_start:start], field]
            text_start = position = end
        elif end and not _is_literal(text[start + 2 : end - 2]):
            unparsed.append(text[start:end])
        opening = OPENING_PATTERN.search(text, position)
    return Template(
        tuple(piece for piece in [*pieces, text[text_start:]] if piece), tuple(unparsed)
    )


def _find_end(text: str, start: int) -> int:
    """Return the position after the closing braces of a field, or 0 if they are missing.

    `start` is the position after the opening braces.
    """
    depth = 2
    for token in TOKEN_PATTERN.finditer(text, start, start + MAX_FIELD_CHARS):
        brace = token[0]
        depth += (brace == "{") - (brace == "}")
        if depth == 1 and not text.startswith("}", token.end()):
            return 0
        if depth == 1:
            return token.end() + 1
        if depth > MAX_BRACE_DEPTH:
            return 0
    return 0


def _parse_field(source_text: str) -> Field | None:
    """Return the field, or None if its text is not an expression."""
    inside = source_text[2:-2].strip()
    for expression, conversion, spec in _iter_candidates(inside):
        node = _parse_expression(expression) if FORMAT_SPEC_PATTERN.fullmatch(spec) else None
        if node and (spec or conversion or not _is_literal(expression)):
            return Field(source_text, expression, conversion, spec)
    return None


def _iter_candidates(inside: str) -> Iterator[tuple[str, str, str]]:
    """Yield (expression, conversion, spec) candidates, starting with the longest expression."""
    yield inside, "", ""
    colons = [match.start() for match in re.finditer(":", inside)]
    for end in [len(inside), *colons]:
        left, spec = inside[:end], inside[end + 1 :]
        conversion_match = CONVERSION_PATTERN.fullmatch(left)
        if conversion_match:
            yield conversion_match[1], conversion_match[2], spec
        elif end < len(inside):
            yield left.rstrip(), "", spec


def _parse_expression(expression: str) -> ast.expr | None:
    source = f"({expression}\n)" if "\n" in expression else expression
    try:
        with warnings.catch_warnings():
            # Evaluation repeats these warnings, for example, about "\d".
            warnings.simplefilter("ignore")
            return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_literal(inside: str) -> bool:
    """Return whether a field is empty or a literal, such as {{1, 2}} in C or x^{{12}} in LaTeX.

    Such fields are sent as typed. String literals do not count, because users write {{'{{x}}'}}
    to send {{x}}.
    """
    node = _parse_expression(inside.strip()) if inside.strip() else None
    if node is None:
        return not inside.strip()
    try:
        return not isinstance(ast.literal_eval(node), str)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return False


def evaluate_field(
    field: Field, evaluate: Callable[[str], Any], serialize: Callable[[Any], T]
) -> T:
    """Evaluate a field, and return its serialized value.

    Raises:
        VariableError: The expression can't be evaluated, formatted or serialized.
    """
    with field_errors(field):
        return serialize(field.format_value(evaluate(field.eval_source)))


@contextmanager
def field_errors(field: Field) -> Iterator[None]:
    """Raise a VariableError that names the field for any error of the user's code in it.

    An interrupt or the end of the program remains as it is.
    """
    try:
        yield
    except VariableError as error:
        cause = f"{truncate_source(field.source_text)}: {error.cause}"
        raise VariableError(cause, error.hint) from None
    except PROGRAM_EXITS:
        raise
    except BaseException as error:  # noqa: BLE001 - includes asyncio.CancelledError
        raise _variable_error(field, error) from None


def truncate_source(source_text: str) -> str:
    """Return the text of a field, truncated for a message."""
    if len(source_text) <= MAX_SOURCE_CHARS:
        return source_text
    return f"{source_text[: MAX_SOURCE_CHARS - 3]}…"


def _variable_error(field: Field, error: BaseException) -> VariableError:
    short_source = truncate_source(field.source_text)
    if isinstance(error, NameError):
        message = shorten_line(get_error_message(error), MAX_ERROR_CHARS) or "NameError"
        return VariableError(f"{short_source}: {message}", _(UNDEFINED_HINT))
    return VariableError(f"{short_source}: {describe_error(error)}", _(EXPRESSION_HINT))


def describe_error(error: BaseException) -> str:
    """Return the type and message of an error that the user's code raised, on one line."""
    message = shorten_line(get_error_message(error), MAX_ERROR_CHARS)
    name = type(error).__name__
    if not message or message.startswith(name):
        return message or name
    return f"{name}: {message}"
