"""The part of the panel that counts neurons: the gauge, sums by model, and the budget."""

from ipywidgets import HTML, HBox, VBox

from ..errors import NoCredentials
from ..neurons.budget import amount_in, name_of
from ..render.formats import neurons
from ..session import Session
from ..store.budgets import Place
from ..values import Limit
from .gauge import Reading, by_model, gauge
from .notes import heading, note, told_in
from .told import TextBox, button


class CounterPart:
    """Shows where today stands, also while an answer comes; takes the budget of the day."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.gauge = HTML()
        self.models = HTML()
        self.budget = TextBox(
            description="Budget for today, all kernels (neurons)",
            placeholder="off (free allowance)",
            continuous_update=False,
        ).add_class("cfai-short")
        self.budget.entered = self._set_budget
        self.reopen = button("Open the day again", self._reopen)
        self.reopen.layout.display = "none"
        self.others = HTML()
        self.message = HTML(note(""))
        self.box = VBox(
            [
                heading("Neurons today"),
                self.gauge,
                self.models,
                HBox([self.budget, self.reopen]).add_class("cfai-row"),
                self.others,
                self.message,
            ]
        )

    def show(self) -> None:
        """Show where today stands at this moment."""
        session, ledger = self._session, self._session.books.ledger
        with told_in(self.gauge):
            account = self._payer()
            if session.settings.local:
                self.gauge.value = note("Answers come from this machine: they cost no neurons.")
            elif elsewhere := session.route.elsewhere:
                told = f"Questions go to {elsewhere.name}: no day of an account is counted for it."
                self.gauge.value = note(told)
            elif account:
                day = session.standing()
                self.gauge.value = gauge(Reading(day, session.running), session.now())
                self.reopen.layout.display = None if day.closed else "none"
            else:
                self.gauge.value = note("Nothing is counted before there is an account.")
            self._show_limits(ledger.budgets.limits(Place(account, session.notebook)))
            self.models.value = by_model(
                ledger.history.totals("model", 1, account) if account else ()
            )

    def _payer(self) -> str:
        try:
            return self._session.route.payer()
        except NoCredentials:
            return ""

    def _show_limits(self, limits: list[Limit]) -> None:
        own = [limit for limit in limits if not limit.of_course]
        of_day = next((limit for limit in own if limit.scope == "day"), None)
        self.budget.value = f"{of_day.neurons:g}" if of_day else ""
        told = [
            f"{name_of(limit).capitalize()}: {neurons(limit.spent)} of "
            f"{limit.neurons:,.0f} neurons used or reserved."
            for limit in limits
            if limit is not of_day
        ]
        self.others.value = note("\n".join(told))

    def _set_budget(self) -> None:
        text = self.budget.value.strip()
        self.message.value = note("")
        with told_in(self.message):
            amount = None if text in ("", "off") else amount_in(text)
            self._session.books.ledger.budgets.set("day", amount)
            self.message.value = note("The budget holds for all kernels.", "good")
        self._session.watchers.tell()

    def _reopen(self) -> None:
        with told_in(self.message):
            self._session.books.ledger.reopen_day(self._session.route.payer())
        self._session.watchers.tell()
