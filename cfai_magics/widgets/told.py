"""Widgets that tell what a person entered; what is set from here tells nobody."""

from collections.abc import Callable
from typing import Any

from ipywidgets import Button, Checkbox, Dropdown, Select, Text, Textarea, Widget


def _nothing() -> None:
    """Nobody listens yet."""


class _Told:
    """Calls `entered` when the page has changed what is entered here."""

    entered: Callable[[], None] = staticmethod(_nothing)
    entry = "value"

    def set_state(self, sync_data: dict[str, Any]) -> None:
        super().set_state(sync_data)  # type: ignore[misc]
        if self.entry in sync_data:
            self.entered()


class TextBox(_Told, Text):
    """One line of text."""


class TextArea(_Told, Textarea):
    """Several lines of text."""


class Tick(_Told, Checkbox):
    """Yes or no."""


class Menu(_Told, Dropdown):
    """One of a few."""

    entry = "index"


class Choice(_Told, Select):
    """One of a list."""

    entry = "index"


def button(text: str, pressed: Callable[[], None], **traits: Any) -> Button:
    """Return a button that calls back when it is pressed."""
    made = Button(description=text, **traits)
    made.on_click(lambda _button: pressed())
    return made


def offer(widget: Select | Dropdown, options: tuple[Any, ...], chosen: Any) -> None:
    """Offer options and choose one of them, or none; nothing is sent where nothing changed."""
    with widget.hold_sync():
        if widget.options != options:
            widget.options = options
        names = [option[1] if isinstance(option, tuple) else option for option in options]
        index = names.index(chosen) if chosen in names else None
        if widget.index != index:
            widget.index = index


def close_all(widget: Widget) -> None:
    """Close a widget with its children, its layout and its style, which all have comms."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for part in (getattr(widget, "layout", None), getattr(widget, "style", None)):
        if isinstance(part, Widget):
            part.close()
    widget.close()
