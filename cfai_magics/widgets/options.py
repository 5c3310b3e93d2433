"""The part of the panel about what goes with each question: off unless it is set."""

from collections.abc import Callable

from ipywidgets import HTML, HBox, VBox

from ..errors import BadOption
from ..session import Session
from ..settings import Cfai, keep_settings
from .notes import heading, note, told_in
from .told import TextArea, TextBox, button

HOTTEST = 5.0  # what Workers AI takes
MOST_TOKENS: int = Cfai.max_tokens.default_value  # where none is set


class OptionsPart:
    """System prompt, temperature and most tokens of this kernel, and keeping them for good."""

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        self._session = session
        self._changed = changed
        self.system = TextArea(
            description="System prompt", placeholder="off", continuous_update=False, rows=2
        ).add_class("cfai-wide")
        self.temperature = TextBox(
            description="Temperature (0 to 5)", placeholder="off", continuous_update=False
        )
        self.max_tokens = TextBox(
            description="Most tokens of an answer",
            placeholder=f"off ({MOST_TOKENS:,})",
            continuous_update=False,
        )
        self.keep = button("Keep as my default", self._keep)
        self.message = HTML(note(""))
        self.system.entered = self._entering(self._enter_system)
        self.temperature.entered = self._entering(self._enter_temperature)
        self.max_tokens.entered = self._entering(self._enter_max_tokens)
        self.box = VBox(
            [
                heading("Sent with each question"),
                self.system,
                HBox([self.temperature, self.max_tokens, self.keep]).add_class("cfai-row"),
                self.message,
            ]
        )

    def show(self) -> None:
        """Show the settings as they are."""
        settings = self._session.settings
        self.system.value = settings.system
        heat = settings.temperature
        self.temperature.value = "" if heat is None else f"{heat:g}"
        most = settings.max_tokens
        self.max_tokens.value = "" if most == MOST_TOKENS else str(most)

    def _entering(self, enter: Callable[[], None]) -> Callable[[], None]:
        def entered() -> None:
            self.message.value = note("")
            with told_in(self.message):
                enter()
            self._changed()  # what was refused goes from the field

        return entered

    def _enter_system(self) -> None:
        self._session.settings.system = self.system.value

    def _enter_temperature(self) -> None:
        text = self.temperature.value.strip().replace(",", ".")
        heat = _number(text) if text else None
        if heat is not None and not 0 <= heat <= HOTTEST:
            raise BadOption(f"{text} is no temperature", "Type 0 to 5, or nothing.")
        self._session.settings.temperature = heat

    def _enter_max_tokens(self) -> None:
        text = self.max_tokens.value.strip().replace(",", "")
        if text and not (text.isascii() and text.isdigit() and int(text) > 0):
            raise BadOption(f"{text} is no number of tokens", "Type 1 or more, or nothing.")
        self._session.settings.max_tokens = int(text) if text else MOST_TOKENS

    def _keep(self) -> None:
        settings = self._session.settings
        with told_in(self.message):
            keep_settings(
                self._session.home,
                {
                    "model": settings.model,
                    "system": settings.system or None,
                    "temperature": settings.temperature,
                    "max_tokens": None
                    if settings.max_tokens == MOST_TOKENS
                    else settings.max_tokens,
                },
            )
            self.message.value = note(
                "Kept: later kernels begin with these and the model.", "good"
            )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
