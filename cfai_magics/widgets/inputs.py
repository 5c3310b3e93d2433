"""Input widgets that distinguish user edits from kernel updates, and helpers for widgets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ipywidgets import HTML, Button, Checkbox, Dropdown, Select, Text, Textarea, Widget

from ..errors import CfaiError
from ..markdown.escaping import escape_html


def _do_nothing() -> None:
    """Do nothing: the default for `on_edit`."""


class UserEditMixin:
    """Mixin that calls `on_edit` if the user changes the value, not if the kernel does."""

    on_edit: Callable[[], None] = staticmethod(_do_nothing)
    edited_trait = "value"

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Apply the state from the front end, and call `on_edit` if it contains the value."""
        super().set_state(sync_data)  # type: ignore[misc]
        if self.edited_trait in sync_data:
            self.on_edit()


class TextInput(UserEditMixin, Text):
    """A text field of one line."""


class TextAreaInput(UserEditMixin, Textarea):
    """A text field of several lines."""


class CheckboxInput(UserEditMixin, Checkbox):
    """A checkbox."""


class DropdownInput(UserEditMixin, Dropdown):
    """A dropdown with one selected option."""

    edited_trait = "index"


class ListInput(UserEditMixin, Select):
    """A list with one selected option."""

    edited_trait = "index"


def create_button(label: str, on_press: Callable[[], None], **traits: Any) -> Button:
    """Return a button that calls `on_press` when it is clicked."""
    widget = Button(description=label, **traits)
    widget.on_click(lambda _button: on_press())
    return widget


def set_options(widget: Select | Dropdown, options: tuple[Any, ...], selected: Any) -> None:
    """Set the options and the selection of a widget, and send only changed state.

    Args:
        widget: The widget.
        options: The options: values, or pairs of label and value.
        selected: The selected value; None for no selection.
    """
    with widget.hold_sync():
        if widget.options != options:
            widget.options = options
        names = [option[1] if isinstance(option, tuple) else option for option in options]
        index = names.index(selected) if selected in names else None
        if widget.index != index:
            widget.index = index


def close_widget_tree(widget: Widget) -> None:
    """Close a widget with its children, layout and style: each has a comm of its own."""
    for child in getattr(widget, "children", ()):
        close_widget_tree(child)
    for part in (getattr(widget, "layout", None), getattr(widget, "style", None)):
        if isinstance(part, Widget):
            part.close()
    widget.close()


def create_heading(text: str) -> HTML:
    """Return a heading for screen readers that the notebook's table of contents leaves out."""
    return HTML(
        f'<div class="cfai-heading" role="heading" aria-level="3">{escape_html(text)}</div>'
    )


def format_note(text: str, kind: str = "") -> str:
    """Return HTML that screen readers announce when it changes; `kind` is "good", "bad" or ""."""
    prefix = {"good": "✓ ", "bad": "⚠ "}.get(kind, "")
    lines = "<br>".join(escape_html(prefix + line) for line in text.splitlines())
    return f'<div class="cfai-note cfai-{kind or "plain"}" role="status">{lines}</div>'


@contextmanager
def show_errors_in(target: HTML) -> Iterator[None]:
    """Suppress a CfaiError of the `with` block, and show it in `target`."""
    try:
        yield
    except CfaiError as error:
        target.value = format_note(str(error), "bad")
