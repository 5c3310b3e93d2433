"""The part of the panel about models: search the list, choose the default."""

from collections.abc import Callable, Sequence

from ipywidgets import HTML, HBox, VBox

from ..catalogue import fits
from ..errors import CfaiError
from ..session import Session
from ..values import Model, Usage
from .notes import heading, note, told_in
from .rows import CHAT, Row, answers_left, detail, lines
from .told import Choice, Menu, TextBox, Tick, button, offer

ALL = "all tasks"
TICKS = {"free": "Free plan", "vision": "Vision", "tools": "Tools", "reasoning": "Reasoning"}
LEGEND = "in, out: neurons per 1,000 tokens · answers left: like your last, in what is left today"


class ModelsPart:
    """Lists the models that fit the search; choosing one makes it this kernel's default."""

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        self._session = session
        self._changed = changed
        self._left: tuple[Usage | None, float] = (None, 0.0)
        self._shown: tuple[object, ...] = ()
        self.search = TextBox(description="Search models", placeholder="words of name or task")
        self.task = Menu(description="Task")
        self.ticks = {word: Tick(description=text, indent=False) for word, text in TICKS.items()}
        self.choice = Choice(rows=10).add_class("cfai-models")
        self.detail = HTML()
        self.message = HTML(note(""))
        self.update = button("Update the list", self._update)
        for widget in (self.search, self.task, *self.ticks.values()):
            widget.entered = changed
        self.choice.entered = self._choose
        offer(self.task, (CHAT,), CHAT)
        self.box = VBox(
            [
                heading("Model"),
                HBox([self.search, self.task]).add_class("cfai-row"),
                HBox(list(self.ticks.values())).add_class("cfai-row"),
                self.choice,
                self.detail,
                HBox([self.update, self.message]).add_class("cfai-row"),
            ]
        )

    def show(self) -> None:
        """Bring the list up to date, with the words of the search and the sums of today."""
        catalogue = self._session.catalogue()
        tasks = sorted({model.task for model in catalogue.models if model.task})
        offer(self.task, (ALL, *tasks), self.task.value or ALL)
        words = [*self.search.value.lower().split(), *self._ticked()]
        found = [model for model in catalogue.models if self._fits(model, words)]
        if not self._session.running:  # in between, what is left changes with each word
            self._left = self._last_and_left()
        if self._shown != (shown := (found, self._left)):
            self._shown = shown
            self._show_rows([self._row(model) for model in found])
        self._show_chosen()

    def _ticked(self) -> list[str]:
        return [word for word, tick in self.ticks.items() if tick.value]

    def _fits(self, model: Model, words: Sequence[str]) -> bool:
        if self.task.value not in (ALL, model.task):
            return False
        return all(fits(model, word) for word in words)

    def _last_and_left(self) -> tuple[Usage | None, float]:
        """Return what the last answer used, and what is left today; both change with an answer."""
        try:
            day = self._session.standing()
            last = self._session.books.ledger.history.last(self._session.route.payer())
        except CfaiError:
            return None, 0.0
        return last, day.limit - day.spent - day.reserved

    def _row(self, model: Model) -> Row:
        last, left = self._left
        if last is None:
            return Row(model)
        return Row(model, answers_left(self._session.books.rates(model), last, left))

    def _show_rows(self, rows: Sequence[Row]) -> None:
        head, texts = lines(rows)
        self.choice.description = head
        options = tuple((text, row.model.name) for text, row in zip(texts, rows, strict=True))
        offer(self.choice, options, self.choice.value)
        count = f"{len(rows)} of {len(self._session.catalogue().models)} models. {LEGEND}."
        self.message.value = note(f"{count} {self._origin()}")

    def _origin(self) -> str:
        catalogue = self._session.catalogue()
        kind = {"live": "", "cached": "kept ", "shipped": "shipped "}[catalogue.source]
        return f"The {kind}list is of {catalogue.date}."

    def _show_chosen(self) -> None:
        with told_in(self.detail):
            model = self._session.model(self._session.settings.model)
            offer(self.choice, self.choice.options, model.name)
            self.detail.value = detail(self._row(model))

    def _choose(self) -> None:
        if self.choice.value:
            with told_in(self.message):
                self._session.settings.model = self.choice.value
            self._changed()  # what a course refused is chosen no more

    def _update(self) -> None:
        with told_in(self.message):
            self.message.value = note("Asking Cloudflare for the list…")
            self._shown = ()
            self._session.fetch_catalogue()  # which is told to all who watch
