"""Provide input widgets that respond only to user edits, and helper functions for widgets."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ipywidgets import (
    HTML,
    BoundedFloatText,
    Button,
    Checkbox,
    Dropdown,
    FloatSlider,
    Select,
    Text,
    Textarea,
    Widget,
)

from ..errors import CfaiError
from ..markdown.escaping import escape_html

# The folders of an absolute path, including the last separator. URLs and model names don't match.
FOLDERS = re.compile(
    r"""(?<![A-Za-z0-9_:/\\@.~-])(?:[A-Za-z]:[\\/]|~?[\\/]+)(?:[^\s\\/'"<>:,;()]+[\\/])+"""
)


def _do_nothing() -> None:
    """Do nothing. This is the default for `on_edit`."""


class UserEditMixin:
    """A mixin that calls `on_edit` when the user, rather than the kernel, changes the value."""

    on_edit: Callable[[], None] = staticmethod(_do_nothing)
    edited_trait = "value"

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Apply front-end state, and call `on_edit` if the state includes the edited trait."""
        super().set_state(sync_data)  # type: ignore[misc]
        if self.edited_trait in sync_data:
            self.on_edit()


class TextInput(UserEditMixin, Text):
    """A single-line text field."""


class TextAreaInput(UserEditMixin, Textarea):
    """A multi-line text field."""


class CheckboxInput(UserEditMixin, Checkbox):
    """A checkbox."""


class DropdownInput(UserEditMixin, Dropdown):
    """A dropdown with one selected option."""

    edited_trait = "index"


class SliderInput(UserEditMixin, FloatSlider):
    """A slider for a number."""


class NumberInput(UserEditMixin, BoundedFloatText):
    """A field for a number."""


class ListInput(UserEditMixin, Select):
    """A list with one selected option."""

    edited_trait = "index"


def create_button(label: str, on_press: Callable[[], None], **traits: Any) -> Button:
    """Return a button that calls `on_press` when it is clicked."""
    widget = Button(description=label, **traits)
    widget.on_click(lambda _button: on_press())
    return widget


def set_options(widget: Select | Dropdown, options: tuple[Any, ...], selected: Any) -> None:
    """Set a widget's options and selection, and send only the changed state.

    Args:
        widget: The widget to update.
        options: The options, as values or as (label, value) pairs.
        selected: The value to select, or None for no selection.
    """
    with widget.hold_sync():
        if widget.options != options:
            widget.options = options
        names = [option[1] if isinstance(option, tuple) else option for option in options]
        index = names.index(selected) if selected in names else None
        if widget.index != index:
            widget.index = index


def close_widget_tree(widget: Widget) -> None:
    """Close a widget and its children, layouts and styles, because each has its own comm."""
    for child in getattr(widget, "children", ()):
        close_widget_tree(child)
    for part in (getattr(widget, "layout", None), getattr(widget, "style", None)):
        if isinstance(part, Widget):
            part.close()
    widget.close()


def create_heading(text: str) -> HTML:
    """Return a heading for screen readers that is not in the notebook's table of contents."""
    return HTML(
        f'<div class="cfai-heading" role="heading" aria-level="3">{escape_html(text)}</div>'
    )


def format_note(text: str, kind: str = "") -> str:
    """Return HTML that screen readers announce when it changes.

    Args:
        text: The text of the note.
        kind: "good", "bad" or "".
    """
    prefix = {"good": "✓ ", "bad": "⚠ "}.get(kind, "")
    lines = "<br>".join(escape_html(prefix + text).splitlines())
    return f'<div class="cfai-note cfai-{kind or "plain"}" role="status">{lines}</div>'


def remove_folders(text: str, home: Path) -> str:
    """Return the text with file names in place of paths, because notebooks save widget state.

    Args:
        text: The text, which may contain paths.
        home: The state folder, whose path may contain spaces.
    """
    text = text.replace(f"{home}{os.sep}", "")
    return FOLDERS.sub("", text)


class Note(HTML):
    """A note that screen readers announce when it changes. It contains no local path."""

    def __init__(self, home: Path) -> None:
        super().__init__(format_note(""))
        self._home = home

    def show(self, text: str, kind: str = "") -> None:
        """Show the text. The kind is "good", "bad" or ""."""
        self.value = format_note(remove_folders(text, self._home), kind)


@contextmanager
def show_errors_in(target: Note) -> Iterator[None]:
    """Suppress a CfaiError raised in the `with` block, and show it in `target`."""
    try:
        yield
    except CfaiError as error:
        target.show(str(error), "bad")
