"""Provide the panel's login section, with write-only fields for the account ID and token."""

from collections.abc import Callable
from typing import Any

from ipywidgets import HTML, HBox, Password, Text, VBox
from ipywidgets.widgets.widget_link import DirectionalLink
from traitlets import Unicode

from ..backends.credentials import Credentials, parse_account_id, parse_token
from ..backends.selector import LOGIN_STEPS, WORKERS_AI_PAGE, log_in
from ..display.tables import format_retry_message
from ..errors import CfaiError, InvalidOptionError, MissingCredentialsError
from ..i18n import _, mark
from ..markdown.escaping import escape_html
from ..secret import Secret
from ..session.session import Session
from .inputs import close_widget_tree, create_button, create_heading, format_note, show_errors_in

ACCOUNT_ID_PLACEHOLDER = mark("32 characters: 0-9 and a-f")
TOKEN_PLACEHOLDER = mark("Paste your API token")


class _HiddenReceiver(Text):
    """A widget that passes a value from the page to `on_secret` and does not store or echo it."""

    def __init__(self, on_secret: Callable[[Secret], None]) -> None:
        super().__init__(placeholder="")  # the clear link copies this empty string
        self._on_secret = on_secret

    def set_state(self, sync_data: dict[str, Any]) -> None:
        secret = Secret.from_reader(lambda: sync_data.pop("value", ""))
        super().set_state(sync_data)
        if secret:
            self._on_secret(secret)


class _ClearLink(DirectionalLink):
    """A link with an extra trait, `poke`.

    In the page, a link copies its source to its target when any trait of the link changes. A
    change to `poke` therefore triggers a copy.
    """

    poke = Unicode().tag(sync=True)


class WriteOnlyField:
    """Links that make a text or password field write-only.

    The page clears the field as soon as the text is sent. The kernel can't do this, because it may
    be busy until after the notebook is saved. Links are the only core widgets that act in the
    page:

    1. When the user enters text, the first link copies the text to the receiver, which sends it to
       the kernel.
    2. The second link copies the text to the `poke` trait of the clear link. This makes the clear
       link copy the receiver's empty placeholder to the field.
    3. The third link copies the now empty field to `poke`, which removes the text from `poke`.

    The page does all this in one event, so the text can't be saved in between.
    """

    def __init__(self, field: Text, on_secret: Callable[[Secret], None]) -> None:
        field.continuous_update = False
        receiver = _HiddenReceiver(on_secret)
        clear_link = _ClearLink((receiver, "placeholder"), (field, "value"))
        send_link, poke_link, unpoke_link = (
            DirectionalLink((field, "value"), target)
            for target in ((receiver, "value"), (clear_link, "poke"), (clear_link, "poke"))
        )
        self._widgets = (send_link, poke_link, unpoke_link, clear_link, receiver)

    def close(self) -> None:
        """Close the links and the receiver widget."""
        for widget in self._widgets:
            close_widget_tree(widget)


class AccountSection:
    """The account in use, and a login form with write-only fields."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._entered_account_id = ""
        self._entered_token: Secret | None = None
        self.summary = HTML()
        self.account_id_field = Text(
            description=_("Account ID"), placeholder=_(ACCOUNT_ID_PLACEHOLDER)
        )
        self.token_field = Password(description=_("API token"), placeholder=_(TOKEN_PLACEHOLDER))
        self.verify_button = create_button(_("Verify"), self._verify)
        self.forget_button = create_button(_("Log out"), self._forget)
        self.change_button = create_button(_("Change…"), self._open_form)
        self.message = HTML(format_note(""))
        self.form = VBox(
            [
                HTML(_render_help()),
                HBox([self.account_id_field, self.token_field, self.verify_button]).add_class(
                    "cfai-row"
                ),
            ]
        )
        self._write_only_fields = (
            WriteOnlyField(self.account_id_field, self._receive_account_id),
            WriteOnlyField(self.token_field, self._receive_token),
        )
        header = HBox([self.summary, self.change_button, self.forget_button]).add_class(
            "cfai-head"
        )
        self.box = VBox([create_heading(_("Account")), header, self.form, self.message])
        self._show_form(is_open=not self._has_account())

    def close(self) -> None:
        """Close the widgets that are not in the box, and discard the entered token."""
        for field in self._write_only_fields:
            field.close()
        self._entered_token = None

    def refresh(self) -> None:
        """Show which account is in use."""
        self.forget_button.layout.display = None
        change_label = _("Change…")
        try:
            self.summary.value = format_note(self._describe_account())
        except MissingCredentialsError:
            self.forget_button.layout.display = "none"
            change_label = _("Add account…")
            self.summary.value = format_note(_("No account is set yet."))
        except CfaiError as error:
            self.summary.value = format_note(str(error), "bad")
        self.change_button.description = change_label

    def _describe_account(self) -> str:
        backend = self._session.backend
        if self._session.settings.local:
            return _("The local model is in use, so no account is needed.")
        if server := backend.server:
            return _("Requests go to {server}, which is set by {source}.").format(
                server=server.name, source=server.source
            )
        credentials = backend.credentials()
        return _("Account …{suffix}, from {source}.").format(
            suffix=credentials.account_suffix, source=credentials.source
        )

    def _has_account(self) -> bool:
        try:
            return bool(self._describe_account())
        except CfaiError:
            return False

    def _show_form(self, *, is_open: bool) -> None:
        self.form.layout.display = None if is_open else "none"
        self.change_button.layout.display = "none" if is_open else None

    def _open_form(self) -> None:
        self._show_form(is_open=True)

    def _receive_account_id(self, secret: Secret) -> None:
        self._entered_account_id = ""
        _clear_field(self.account_id_field, _(ACCOUNT_ID_PLACEHOLDER))
        with show_errors_in(self.message):
            self._entered_account_id = parse_account_id(secret)
            _clear_field(
                self.account_id_field,
                _("…{suffix} entered").format(suffix=self._entered_account_id[-4:]),
            )
            self.message.value = format_note("")

    def _receive_token(self, secret: Secret) -> None:
        self._entered_token = None
        _clear_field(self.token_field, _(TOKEN_PLACEHOLDER))
        with show_errors_in(self.message):
            self._entered_token = parse_token(secret)
            _clear_field(self.token_field, _("Entered, not yet verified"))
            self.message.value = format_note("")

    def _verify(self) -> None:
        self.verify_button.disabled = True
        try:
            with show_errors_in(self.message):
                account_id, token = self._pop_entered_credentials()
                self.message.value = format_note(_("Verifying with Cloudflare…"))
                credentials = Credentials(account_id, token, _("the panel"))
                result = log_in(self._session.backend, credentials, self._show_retry)
                self.message.value = format_note(
                    result.message, "good" if result.has_permissions else "bad"
                )
                self._show_form(is_open=False)
        finally:
            self.verify_button.disabled = False

    def _show_retry(self, error: CfaiError, delay: float, attempt: int) -> None:
        self.message.value = format_note(format_retry_message(error, delay, attempt))

    def _pop_entered_credentials(self) -> tuple[str, Secret]:
        """Return the entered account ID and token, and delete the stored token.

        If no account ID was entered, return the ID of the account in use instead.

        Raises:
            InvalidOptionError: No token was entered.
        """
        token, self._entered_token = self._entered_token, None
        if token is None:
            raise InvalidOptionError(
                _("No API token was entered"), _("Paste the token, then press Verify.")
            )
        _clear_field(self.token_field, _(TOKEN_PLACEHOLDER))
        account_id = self._entered_account_id or self._session.backend.credentials().account_id
        return account_id, token

    def _forget(self) -> None:
        self._entered_account_id, self._entered_token = "", None
        _clear_field(self.account_id_field, _(ACCOUNT_ID_PLACEHOLDER))
        _clear_field(self.token_field, _(TOKEN_PLACEHOLDER))
        with show_errors_in(self.message):
            messages = self._session.backend.credential_store.delete()
            self._session.backend.invalidate_credentials()
            self.message.value = format_note("\n".join(messages), "good")


def _render_help() -> str:
    """Return HTML with instructions for getting an account ID and an API token."""
    steps_html = "".join(f"<li>{escape_html(_(line))}</li>" for line in LOGIN_STEPS)
    link_text = escape_html(_("Open Workers AI in the Cloudflare dashboard"))
    return (
        f'<ol class="cfai-steps">{steps_html}</ol>'
        f'<a href="{WORKERS_AI_PAGE}" target="_blank" rel="noopener noreferrer">{link_text}</a>'
    )


def _clear_field(field: Text, placeholder: str) -> None:
    """Make the page redraw the field without text, by changing the placeholder."""
    field.placeholder = ""
    field.placeholder = placeholder
