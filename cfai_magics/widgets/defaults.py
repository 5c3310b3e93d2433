"""Provide the panel section for the default system prompt, temperature and max_tokens."""

from collections.abc import Callable
from functools import partial

from ipywidgets import HBox, VBox

from ..arguments import MAX_TEMPERATURE
from ..errors import InvalidOptionError
from ..i18n import _
from ..session.session import Session
from ..settings import Cfai, update_settings_file
from .inputs import (
    CheckboxInput,
    Note,
    NumberInput,
    SliderInput,
    TextAreaInput,
    TextInput,
    create_button,
    create_heading,
    show_errors_in,
)

DEFAULT_MAX_TOKENS: int = Cfai.max_tokens.default_value
FIRST_TEMPERATURE = 0.7  # the slider's position until a temperature is set
TEMPERATURE_DECIMALS = 2


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
        temperature_traits = {
            "description": _("Temperature (0 to {maximum:g})").format(maximum=MAX_TEMPERATURE),
            "value": FIRST_TEMPERATURE,
            "min": 0.0,
            "max": MAX_TEMPERATURE,
            "step": 0.1,
            "continuous_update": False,
        }
        # Screen readers need a name that the handle of a slider lacks (ipywidgets 8.1). The panel
        # next to a notebook adds it and shows the slider; an output shows the number field.
        self.temperature = SliderInput(**temperature_traits).add_class("cfai-slider")
        self.temperature_field = NumberInput(**temperature_traits).add_class("cfai-number")
        self.use_model_temperature = CheckboxInput(
            description=_("Use the model's default temperature"), indent=False
        )
        self.max_tokens = TextInput(
            description=_("Maximum answer length (tokens)"),
            placeholder=_("{count:,} (default)").format(count=DEFAULT_MAX_TOKENS),
            continuous_update=False,
        )
        self.save_button = create_button(_("Save as my defaults"), self._save_defaults)
        self.message = Note(session.home)
        self.system.on_edit = self._create_edit_handler(self._apply_system)
        for widget in (self.temperature, self.temperature_field):
            apply_temperature = partial(self._apply_temperature, widget)
            widget.on_edit = self._create_edit_handler(apply_temperature)
        self.use_model_temperature.on_edit = self._create_edit_handler(
            self._apply_temperature_choice
        )
        self.max_tokens.on_edit = self._create_edit_handler(self._apply_max_tokens)
        self.box = VBox(
            [
                create_heading(_("Sent with each request")),
                self.system,
                HBox(
                    [self.temperature, self.temperature_field, self.use_model_temperature]
                ).add_class("cfai-row"),
                HBox([self.max_tokens, self.save_button]).add_class("cfai-row"),
                self.message,
            ]
        )

    def refresh(self) -> None:
        """Show the current settings."""
        settings = self._session.settings
        self.system.value = settings.system
        temperature = settings.temperature
        self.use_model_temperature.value = temperature is None
        for widget in (self.temperature, self.temperature_field):
            if temperature is not None:
                widget.value = temperature
            widget.disabled = temperature is None
        self.temperature.readout = temperature is not None
        self.temperature_field.layout.display = "none" if temperature is None else None
        max_tokens = settings.max_tokens
        self.max_tokens.value = "" if max_tokens == DEFAULT_MAX_TOKENS else str(max_tokens)

    def _create_edit_handler(self, apply_edit: Callable[[], None]) -> Callable[[], None]:
        def handle_edit() -> None:
            self.message.show("")
            with show_errors_in(self.message):
                apply_edit()
            self._on_change()  # shows the previous value again if the edit was not valid

        return handle_edit

    def _apply_system(self) -> None:
        self._session.settings.system = self.system.value

    def _apply_temperature(self, widget: SliderInput | NumberInput) -> None:
        self._session.settings.temperature = round(widget.value, TEMPERATURE_DECIMALS)

    def _apply_temperature_choice(self) -> None:
        if self.use_model_temperature.value:
            self._session.settings.temperature = None
        else:
            self._apply_temperature(self.temperature)

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
            self.message.show(
                _("Saved. New kernels start with these settings and this model."), "good"
            )
