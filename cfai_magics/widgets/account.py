"""The part of the panel about the account: enter, verify and forget account id and token."""

from ipywidgets import HTML, HBox, Password, Text, VBox

from ..credentials.store import Credentials, valid_account_id, valid_token
from ..errors import BadOption, CfaiError, NoCredentials
from ..escaping import html_text
from ..render.formats import next_try
from ..route.login import HOW_TO, WORKERS_AI_PAGE, log_in
from ..secret import Secret
from ..session import Session
from .notes import heading, note, told_in
from .one_way import OneWay
from .told import button

STEPS = "".join(f"<li>{html_text(line)}</li>" for line in HOW_TO)
HOW = (
    f'<ol class="cfai-steps">{STEPS}</ol>'
    f'<a href="{WORKERS_AI_PAGE}" target="_blank" rel="noopener noreferrer">'
    "Open Workers AI on the Cloudflare dashboard</a>"
)


class AccountPart:
    """Says which account is in use, and takes another one; no field keeps what is typed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._account_id = ""
        self._token: Secret | None = None
        self.summary = HTML()
        self.account_id = Text(description="Account ID", placeholder="32 characters 0-9 and a-f")
        self.token = Password(description="API token", placeholder="shown to nobody")
        self.verify = button("Verify", self._verify)
        self.forget = button("Forget", self._forget)
        self.change = button("Change…", self._open)
        self.message = HTML(note(""))
        self.form = VBox(
            [
                HTML(HOW),
                HBox([self.account_id, self.token, self.verify]).add_class("cfai-row"),
            ]
        )
        self._one_ways = (
            OneWay(self.account_id, self._take_account_id),
            OneWay(self.token, self._take_token),
        )
        head = HBox([self.summary, self.change, self.forget]).add_class("cfai-head")
        self.box = VBox([heading("Account"), head, self.form, self.message])
        self._show_form(open_=not self._has_account())

    def close(self) -> None:
        """Free what the box does not hold."""
        for one_way in self._one_ways:
            one_way.close()
        self._token = None

    def show(self) -> None:
        """Say which account is in use."""
        self.forget.layout.display = None
        try:
            self.summary.value = note(self._in_use())
        except NoCredentials:
            self.forget.layout.display = "none"
            self.summary.value = note("No account is set yet.")
        except CfaiError as error:
            self.summary.value = note(str(error), "bad")

    def _in_use(self) -> str:
        route = self._session.route
        if self._session.settings.local:
            return "Answers come from this machine: no account is needed."
        if elsewhere := route.elsewhere:
            return f"Questions go to {elsewhere.name}, named by {elsewhere.source}."
        found = route.credentials()
        return f"Account …{found.account_tail}, from {found.source}."

    def _has_account(self) -> bool:
        try:
            return bool(self._in_use())
        except CfaiError:
            return False

    def _show_form(self, *, open_: bool) -> None:
        self.form.layout.display = None if open_ else "none"
        self.change.layout.display = "none" if open_ else None

    def _open(self) -> None:
        self._show_form(open_=True)

    def _take_account_id(self, text: Secret) -> None:
        self._account_id = ""
        _emptied(self.account_id, "type it again")
        with told_in(self.message):
            self._account_id = valid_account_id(text)
            _emptied(self.account_id, f"…{self._account_id[-4:]} received")
            self.message.value = note("")

    def _take_token(self, text: Secret) -> None:
        self._token = None
        _emptied(self.token, "type it again")
        with told_in(self.message):
            self._token = valid_token(text)
            _emptied(self.token, "received: press Verify")
            self.message.value = note("")

    def _verify(self) -> None:
        self.verify.disabled = True
        try:
            with told_in(self.message):
                account_id, token = self._entered()
                self.message.value = note("Asking Cloudflare…")
                credentials = Credentials(account_id, token, "the panel")
                told = log_in(self._session.route, credentials, self._tell_of_retry)
                self.message.value = note(told, "bad" if "lacks" in told else "good")
                self._show_form(open_=False)
        finally:
            self.verify.disabled = False

    def _tell_of_retry(self, error: CfaiError, seconds: float, number: int) -> None:
        self.message.value = note(next_try(error, seconds, number))

    def _entered(self) -> tuple[str, Secret]:
        """Return what was entered, which is forgotten here; the account in use if none was."""
        token, self._token = self._token, None
        if token is None:
            raise BadOption("No API token was entered", "Type or paste it, then press Verify.")
        _emptied(self.token, "shown to nobody")
        account_id = self._account_id or self._session.route.credentials().account_id
        return account_id, token

    def _forget(self) -> None:
        self._account_id, self._token = "", None
        _emptied(self.account_id, "32 characters 0-9 and a-f")
        _emptied(self.token, "shown to nobody")
        with told_in(self.message):
            forgotten = self._session.route.store.forget()
            self._session.route.credentials_changed()
            self.message.value = note("\n".join(forgotten), "good")


def _emptied(field: Text, placeholder: str) -> None:
    """Let the page draw the field anew, empty: it does so when something of it changes."""
    field.placeholder = ""
    field.placeholder = placeholder
