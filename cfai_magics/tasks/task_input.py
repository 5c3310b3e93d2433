"""Read the text, lists of strings, images and files for a native task from a cell."""

from argparse import Namespace
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..chat.attachments import AttachmentKind, load_file, load_image, load_value
from ..chat.frontend import Frontend
from ..errors import InvalidOptionError
from ..i18n import _
from ..media.images import Image
from ..prompt.builder import Evaluate, build_user_message
from ..prompt.serialize import SizeLimits, is_missing, to_text
from ..prompt.template import Field, evaluate_field, field_errors, parse_template

NOT_LISTS = (str, bytes, bytearray, memoryview, Mapping)  # collections that are one value


@dataclass
class TaskInput:
    """The input from a cell with --task.

    Attributes:
        fields: The request fields set with -p.
        values: The texts that replaced template fields, by expression.
    """

    frontend: Frontend
    prompt: str
    options: Namespace
    fields: Mapping[str, Any]
    values: dict[str, str] = field(default_factory=dict)
    _texts: tuple[str, ...] | None = None

    @property
    def _evaluate(self) -> Evaluate | None:
        notebook_state = self.frontend.notebook_state
        return notebook_state.evaluate if notebook_state and not self.options.raw else None

    @property
    def _limits(self) -> SizeLimits:
        return self.frontend.session.settings.size_limits

    @property
    def text(self) -> str:
        """The cell's text, with each template field replaced by its value."""
        user_message = build_user_message(self.prompt, self._evaluate, lambda: self._limits)
        if any(part.image for part in user_message.parts):
            raise InvalidOptionError(
                # The message contains literal braces, so it must not be formatted.
                _("This task takes only text in {{…}}, not an image"),
                _("Add the image with --image."),
            )
        self.values |= {
            part.name: part.text for part in user_message.parts if part.kind == "variable"
        }
        return "".join(part.text for part in user_message.parts).strip()

    @property
    def texts(self) -> tuple[str, ...]:
        """The input strings, one per line.

        A {{list}} on its own line is replaced by one string per element. The expressions are
        evaluated only once, because a generator cannot be read again.
        """
        if self._texts is None:
            self._texts = self._build_texts()
        return self._texts

    def _build_texts(self) -> tuple[str, ...]:
        rows = [""]
        for piece in self._template_pieces():
            if not isinstance(piece, Field):
                first, *lines = piece.split("\n")
                rows[-1] += first
                rows += lines
                continue
            value = self._evaluate_field(piece)
            with field_errors(piece):
                items = to_list(value)
            if items is None or rows[-1].strip():
                _require_text(piece.expression, value)
                with field_errors(piece):
                    texts = [to_text(value, self._limits).text]
                rows[-1] += texts[0]
            else:
                texts = list(_iter_texts(piece, items))
                rows[-1:] = [*texts, ""]
            self.values[piece.expression] = "\n".join(texts)
        return tuple(text.strip() for text in rows if text.strip())

    def _template_pieces(self) -> tuple[str | Field, ...]:
        return parse_template(self.prompt).pieces if self._evaluate else (self.prompt,)

    def _evaluate_field(self, field: Field) -> Any:
        if self._evaluate is None:
            return field.source_text
        return evaluate_field(field, self._evaluate, lambda value: value)

    @property
    def images(self) -> tuple[Image, ...]:
        """The images specified with --image."""
        notebook_state = self.frontend.notebook_state
        return tuple(load_image(source, notebook_state) for source in self.options.image or ())

    def load_files(self, attachment_kind: AttachmentKind) -> tuple[tuple[str, bytes], ...]:
        """Return the name and content of the file, URL or variable on each line."""
        files = tuple(self._iter_files(attachment_kind))
        if not files:
            raise InvalidOptionError(
                _("{option}: the cell does not name a file").format(
                    option=attachment_kind.option_label
                ),
                _(attachment_kind.hint),
            )
        return files

    def _iter_files(self, attachment_kind: AttachmentKind) -> Iterator[tuple[str, bytes]]:
        for line in filter(str.strip, self.prompt.splitlines()):
            pieces = parse_template(line.strip()).pieces
            if len(pieces) == 1 and isinstance(pieces[0], Field):
                yield load_value(
                    pieces[0].expression, self._evaluate_field(pieces[0]), attachment_kind
                )
            else:
                yield load_file(line.strip(), self.frontend.notebook_state, attachment_kind)


def _iter_texts(field: Field, items: Sequence[Any]) -> Iterator[str]:
    """Yield each item as a string.

    Raises:
        InvalidOptionError: An item is not a text or number, or is blank.
        VariableError: An item can't be converted to a string.
    """
    for index, item in enumerate(items):
        label = _("{name}: item {index}").format(name=field.expression, index=index)
        _require_text(label, item)
        if isinstance(item, Iterable) and not isinstance(item, str):
            raise _type_error(label, item)
        with field_errors(field):
            text = str(item)
        if not text.strip():
            raise InvalidOptionError(
                _("{name} is blank").format(name=label), _("Remove the item.")
            )
        yield text


def _require_text(name: str, value: Any) -> None:
    """Raise InvalidOptionError if the value is missing, such as None or NaN, or is bytes."""
    if is_missing(value):
        raise InvalidOptionError(
            _("{name} has no value").format(name=name), _("Remove it, or use a text.")
        )
    if isinstance(value, bytes | bytearray | memoryview):
        raise _type_error(name, value)


def _type_error(name: str, value: Any) -> InvalidOptionError:
    return InvalidOptionError(
        _("{name} is of type {type}, not a text").format(name=name, type=type(value).__name__),
        _("Convert it to a str."),
    )


def to_list(value: Any) -> Sequence[Any] | None:
    """Return the elements of a collection, iterator, 1-D array or series, or None for others."""
    shape = getattr(value, "shape", None)  # numpy, pandas, polars
    if shape is None:
        is_list = isinstance(value, Collection | Iterator)
        return list(value) if is_list and not isinstance(value, NOT_LISTS) else None
    if isinstance(shape, tuple) and len(shape) == 1 and hasattr(value, "tolist"):
        return list(value.tolist())
    return list(value.to_list()) if hasattr(value, "to_list") and shape else None
