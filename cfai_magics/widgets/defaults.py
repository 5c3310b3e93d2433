"""Provide the panel section for the default system prompt, temperature and max_tokens."""

from collections.abc import Callable

from ipywidgets import HTML, HBox, VBox

from ..arguments import MAX_TEMPERATURE
from ..errors import InvalidOptionError
from ..i18n import _
from ..session.session import Session
from ..settings import Cfai, update_settings_file
from .inputs import (
    TextAreaInput,
    TextInput,
    create_button,
    create_heading,
    format_note,
    show_errors_in,
)

DEFAULT_MAX_TOKENS: int = Cfai.max_tokens.default_value


class DefaultsSection:
    """Fields for the kernel's system prompt, temperature and max_tokens, with a save button."""

    def __init__(self, session: Session, on_change: Callable[[], None]) -> None:
        self._session = session
        self._on_change = on_change
        self.system = TextAreaInput(
            description=_("System prompt"),
            placeholder=_("none"),
            continuous_update=False,
            rows=2,
        ).add_class("cfai-wide")
        self.temperature = TextInput(
            description=_("Temperature (0 to {maximum:g})").format(maximum=MAX_TEMPERATURE),
            placeholder=_("model default"),
            continuous_update=False,
        )
        self.max_tokens = TextInput(
            description=_("Maximum answer length (tokens)"),
            placeholder=_("{count:,} (default)").format(count=DEFAULT_MAX_TOKENS),
            continuous_update=False,
        )
        self.save_button = create_button(_("Save as my defaults"), self._save_defaults)
        self.message = HTML(format_note(""))
        self.system.on_edit = self._create_edit_handler(self._apply_system)
        self.temperature.on_edit = self._create_edit_handler(self._apply_temperature)
        self.max_tokens.on_edit = self._create_edit_handler(self._apply_max_tokens)
        self.box = VBox(
            [
                create_heading(_("Sent with each request")),
                self.system,
                HBox([self.temperature, self.max_tokens, self.save_button]).add_class("cfai-row"),
                self.message,
            ]
        )

    def refresh(self) -> None:
        """Show the current settings."""
        settings = self._session.settings
        self.system.value = settings.system
        temperature = settings.temperature
        self.temperature.value = "" if temperature is None else f"{temperature:g}"
        max_tokens = settings.max_tokens
        self.max_tokens.value = "" if max_tokens == DEFAULT_MAX_TOKENS else str(max_tokens)

    def _create_edit_handler(self, apply_edit: Callable[[], None]) -> Callable[[], None]:
        def handle_edit() -> None:
            self.message.value = format_note("")
            with show_errors_in(self.message):
                apply_edit()
            self._on_change()  # shows the previous value again if the edit was not valid

        return handle_edit

    def _apply_system(self) -> None:
        self._session.settings.system = self.system.value

    def _apply_temperature(self) -> None:
        text = self.temperature.value.strip().replace(",", ".")
        temperature = _parse_float(text) if text else None
        if temperature is not None and not 0 <= temperature <= MAX_TEMPERATURE:
            raise InvalidOptionError(
                _("Temperature must be between 0 and {maximum:g}").format(maximum=MAX_TEMPERATURE),
                _("Leave the field empty for the model's default."),
            )
        self._session.settings.temperature = temperature

    def _apply_max_tokens(self) -> None:
        text = self.max_tokens.value.strip().replace(",", "")
        if text and not (text.isascii() and text.isdigit() and int(text) > 0):
            raise InvalidOptionError(
                _("The maximum answer length must be a whole number of at least 1"),
                _("Leave the field empty for the default of {count:,} tokens.").format(
                    count=DEFAULT_MAX_TOKENS
                ),
            )
        self._session.settings.max_tokens = int(text) if text else DEFAULT_MAX_TOKENS

    def _save_defaults(self) -> None:
        settings = self._session.settings
        with show_errors_in(self.message):
            update_settings_file(
                self._session.home,
                {
                    "model": settings.model,
                    "system": settings.system or None,
                    "temperature": settings.temperature,
                    "max_tokens": None
                    if settings.max_tokens == DEFAULT_MAX_TOKENS
                    else settings.max_tokens,
                },
            )
            self.message.value = format_note(
                _("Saved. New kernels start with these settings and this model."), "good"
            )


def _parse_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
