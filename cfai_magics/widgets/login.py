"""Provide the panel's login section, with write-only fields for the account ID and token."""

from collections.abc import Callable
from typing import Any

from ipywidgets import HTML, HBox, Password, Text, VBox
from ipywidgets.widgets.widget_link import DirectionalLink
from traitlets import Int, Unicode

from ..backends.credentials import (
    EMPTY_SECRET,
    TOKEN_VARIABLE,
    Credentials,
    parse_account_id,
    parse_token,
)
from ..backends.selector import LOGIN_STEPS, WORKERS_AI_PAGE, log_in
from ..display.tables import format_retry_message
from ..errors import (
    CfaiError,
    InvalidAccountIdError,
    InvalidOptionError,
    MissingCredentialsError,
)
from ..i18n import _, mark
from ..markdown.escaping import escape_html
from ..secret import Secret, call_without_traceback
from ..secret_patterns import may_contain_secret
from ..session.session import Session
from .inputs import Note, close_widget_tree, create_button, create_heading, show_errors_in

ACCOUNT_ID_PLACEHOLDER = mark("32 characters: 0-9 and a-f")
TOKEN_PLACEHOLDER = mark("Paste your API token")
KEPT_TEXT_PREFIX = "\N{HAIR SPACE}"  # stripped from an account ID, and not typed by users


class _HiddenReceiver(Text):
    """A widget that passes a value from the page to `on_secret` and does not store or echo it.

    The clear link copies `placeholder` to the field: the empty string, or a kept text. The links
    then send the kept text to this widget again, which ignores it. The prefix distinguishes it
    from a text that the user enters.
    """

    placeholder: str
    enter_count = Int(0).tag(sync=True)
    enter_echo = Int(0).tag(sync=True)

    def __init__(
        self, on_secret: Callable[[Secret], None], on_enter: Callable[[], None] | None
    ) -> None:
        super().__init__(placeholder="")
        self._on_secret = on_secret
        self._on_enter = on_enter
        self._previous_placeholder = ""
        self._is_shown = False  # whether the page has shown the kept text
        self._handled_enters = 0

    def keep(self, text: str) -> None:
        """Show the text in the field, or empty the field if the text is empty."""
        placeholder = KEPT_TEXT_PREFIX + text if text else ""
        if placeholder != self.placeholder:
            self._previous_placeholder = self.placeholder or self._previous_placeholder
            self._is_shown = False
            self.placeholder = placeholder

    def set_state(self, sync_data: dict[str, Any]) -> None:
        has_value = "value" in sync_data
        secret = Secret.from_reader(lambda: sync_data.pop("value", ""))
        super().set_state(sync_data)
        if secret and secret == Secret(self.placeholder):
            self._is_shown = True
        elif secret and secret != Secret(self._previous_placeholder):
            self._on_secret(secret)
        elif has_value and not secret and self._is_shown:  # the user deleted the kept text
            self.keep("")
            self._on_secret(EMPTY_SECRET)
        if self._on_enter and self._handled_enters < self.enter_echo == self.enter_count:
            self._handled_enters = self.enter_count
            self._on_enter()


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

    When the user presses Enter, the page reports the key before it sends the text. The kernel
    therefore increments `enter_count`, and a fourth link copies it to `enter_echo`. The echo
    arrives after the text.
    """

    def __init__(
        self,
        field: Text,
        on_secret: Callable[[Secret], None],
        on_enter: Callable[[], None] | None = None,
    ) -> None:
        field.continuous_update = False
        field.on_msg(self._request_echo)
        self._field = field
        self._receiver = receiver = _HiddenReceiver(on_secret, on_enter)
        clear_link = _ClearLink((receiver, "placeholder"), (field, "value"))
        send_link, poke_link, unpoke_link = (
            DirectionalLink((field, "value"), target)
            for target in ((receiver, "value"), (clear_link, "poke"), (clear_link, "poke"))
        )
        echo_link = DirectionalLink((receiver, "enter_count"), (receiver, "enter_echo"))
        self._widgets = (send_link, poke_link, unpoke_link, clear_link, echo_link, receiver)

    def show(self, placeholder: str, kept_text: str = "") -> None:
        """Show a placeholder in the empty field, or show a text that is not a secret."""
        self._receiver.keep(kept_text)
        self._field.placeholder = ""  # a change makes the page redraw the field
        self._field.placeholder = placeholder

    def _request_echo(self, _field: Text, content: dict[str, Any], _buffers: object) -> None:
        if content.get("event") == "submit":
            self._receiver.enter_count += 1

    def close(self) -> None:
        """Close the links and the receiver widget."""
        for widget in self._widgets:
            close_widget_tree(widget)


class AccountSection:
    """The account in use, and a login form with write-only fields."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._entered_account_id = ""
        self._account_id_fault = ""  # of the text that is kept in the field
        self._entered_token: Secret | None = None
        self.summary = Note(session.home)
        self.account_id_field = Text(
            description=_("Account ID"), placeholder=_(ACCOUNT_ID_PLACEHOLDER)
        )
        self.token_field = Password(description=_("API token"), placeholder=_(TOKEN_PLACEHOLDER))
        self.verify_button = create_button(_("Verify"), self._verify)
        self.remove_button = create_button(_("Remove token…"), self._ask_to_remove)
        self.removal_note = Note(session.home)
        self.confirm_button = create_button(_("Remove token"), self._remove)
        self.cancel_button = create_button(_("Cancel"), self._cancel_removal)
        self.change_button = create_button(_("Change…"), self._open_form)
        self.message = Note(session.home)
        self.form = VBox(
            [
                HTML(_render_help()),
                HBox([self.account_id_field, self.token_field, self.verify_button]).add_class(
                    "cfai-row"
                ),
            ]
        )
        self._account_id_input = WriteOnlyField(self.account_id_field, self._receive_account_id)
        self._token_input = WriteOnlyField(self.token_field, self._receive_token, self._verify)
        header = HBox([self.summary, self.change_button, self.remove_button]).add_class(
            "cfai-head"
        )
        confirmation = HBox(
            [self.removal_note, self.confirm_button, self.cancel_button]
        ).add_class("cfai-head")
        self.box = VBox(
            [create_heading(_("Account")), header, confirmation, self.form, self.message]
        )
        self._show_confirmation(is_open=False)
        self._show_form(is_open=not self._has_account())

    def close(self) -> None:
        """Close the widgets that are not in the box, and discard the entered token."""
        self._account_id_input.close()
        self._token_input.close()
        self._entered_token = None

    def refresh(self) -> None:
        """Show which account is in use."""
        has_environment_token = self._session.backend.credential_store.has_environment_token
        explanation = _(
            "The API token is set in the environment. To remove it, unset {variable} and restart "
            "the kernel."
        ).format(variable=TOKEN_VARIABLE)
        self.remove_button.disabled = has_environment_token
        self.remove_button.tooltip = explanation if has_environment_token else None
        has_account = True
        try:
            lines = [self._describe_account(), explanation if has_environment_token else ""]
            self.summary.show("\n".join(filter(None, lines)))
        except MissingCredentialsError:
            has_account = False
            self.summary.show(_("No account yet."))
        except CfaiError as error:
            self.summary.show(str(error), "bad")
        self.change_button.description = _("Change…") if has_account else _("Add account…")
        self.remove_button.layout.display = None if has_account else "none"
        if has_environment_token or not has_account:
            self._show_confirmation(is_open=False)

    def _describe_account(self) -> str:
        backend = self._session.backend
        if self._session.settings.local:
            return _("The local model is in use, so no account is needed.")
        if self._session.settings.private:
            return _("Only recorded answers are allowed, so no account is needed.")
        if server := backend.server:
            return _("Requests go to {server}, which is set by {source}.").format(
                server=server.name, source=server.source
            )
        if class_server := backend.class_server:
            key = backend.class_credentials(class_server)
            return _("Class server {server}, with the key {key} from {source}.").format(
                server=class_server.name, key=key.masked_key, source=key.source
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
        self._entered_account_id = self._account_id_fault = ""
        self.account_id_field.remove_class("cfai-invalid")
        self.message.show("")
        placeholder, kept_text = _(ACCOUNT_ID_PLACEHOLDER), ""
        try:
            if secret:
                self._entered_account_id = account_id = parse_account_id(secret)
                placeholder = _("…{suffix} entered").format(suffix=account_id[-4:])
        except InvalidAccountIdError as error:
            kept_text = self._reject_account_id(secret, error.cause)
        self._account_id_input.show(placeholder, kept_text)

    def _reject_account_id(self, secret: Secret, cause: str) -> str:
        """Report an invalid account ID, and return it, or "" if it may be a secret."""
        self.message.show(str(_create_account_id_error(cause)), "bad")
        if call_without_traceback(lambda: may_contain_secret(secret.reveal())):
            return ""
        self._account_id_fault = cause
        self.account_id_field.add_class("cfai-invalid")
        return secret.reveal().strip()

    def _receive_token(self, secret: Secret) -> None:
        self._entered_token = None
        self._token_input.show(_(TOKEN_PLACEHOLDER))
        with show_errors_in(self.message):
            self._entered_token = parse_token(secret)
            self._token_input.show(_("Entered, not yet verified"))
            self.message.show("")

    def _verify(self) -> None:
        self.verify_button.disabled = True
        try:
            with show_errors_in(self.message):
                account_id, token = self._pop_entered_credentials()
                self.message.show(_("Verifying with Cloudflare…"))
                credentials = Credentials(account_id, token, _("the panel"))
                result = log_in(self._session.backend, credentials, self._show_retry)
                self.message.show(result.message, "good" if result.has_permissions else "bad")
                self._show_form(is_open=False)
        finally:
            self.verify_button.disabled = False

    def _show_retry(self, error: CfaiError, delay: float, attempt: int) -> None:
        self.message.show(format_retry_message(error, delay, attempt))

    def _pop_entered_credentials(self) -> tuple[str, Secret]:
        """Return the entered account ID and token, and delete the stored token.

        If no account ID was entered, return the ID of the account in use instead.

        Raises:
            InvalidOptionError: No token was entered, or the account ID is not valid.
        """
        if self._account_id_fault:
            raise _create_account_id_error(self._account_id_fault)
        token, self._entered_token = self._entered_token, None
        if token is None:
            raise InvalidOptionError(
                _("No API token was entered"), _("Paste the token, then press Enter.")
            )
        self._token_input.show(_(TOKEN_PLACEHOLDER))
        account_id = self._entered_account_id or self._session.backend.credentials().account_id
        return account_id, token

    def _ask_to_remove(self) -> None:
        if not self.remove_button.disabled:
            self._show_confirmation(is_open=True)

    def _show_confirmation(self, *, is_open: bool) -> None:
        question = _("Remove the saved account ID and API token from this computer?")
        self.removal_note.show(question if is_open else "")
        for button in (self.confirm_button, self.cancel_button):
            button.layout.display = None if is_open else "none"

    def _cancel_removal(self) -> None:
        self._show_confirmation(is_open=False)
        self.remove_button.focus()  # the focused button is now hidden

    def _remove(self) -> None:
        self._show_confirmation(is_open=False)
        self._receive_account_id(EMPTY_SECRET)
        self._entered_token = None
        self._token_input.show(_(TOKEN_PLACEHOLDER))
        with show_errors_in(self.message):
            messages = self._session.backend.credential_store.delete()
            self._session.backend.invalidate_credentials()
            self.message.show("\n".join(messages), "good")
        is_form_open = self.form.layout.display is None
        (self.account_id_field if is_form_open else self.change_button).focus()


def _create_account_id_error(cause: str) -> InvalidOptionError:
    return InvalidOptionError(
        cause, _("Enter the account ID again. It has 32 characters, 0-9 and a-f.")
    )


def _render_help() -> str:
    """Return HTML with instructions for getting an account ID and an API token."""
    steps_html = "".join(f"<li>{escape_html(_(line))}</li>" for line in LOGIN_STEPS)
    link_text = escape_html(_("Open Workers AI in the Cloudflare dashboard"))
    return (
        f'<ol class="cfai-steps">{steps_html}</ol>'
        f'<a href="{WORKERS_AI_PAGE}" target="_blank" rel="noopener noreferrer">{link_text}</a>'
    )
