"""Login section of the panel."""

from pathlib import Path

import pytest

from cfai_magics.errors import MissingCredentialsError
from cfai_magics.widgets.panel import Panel
from tests.canaries import account_id, class_key, token
from tests.standin import Standin
from tests.standin.state import EDIT, EVERYTHING, READ
from tests.widgets.conftest import all_state, press_enter, receiver_of, type_in


def log_in(panel: Panel, account: str, secret: str) -> str:
    fields = (panel.account.account_id_field, panel.account.token_field)
    for field, text in zip(fields, (account, secret), strict=True):
        if text:
            type_in(field, text)
    panel.account.verify_button.click()
    return str(panel.account.message.value)


def test_verify_reports_token_state_owner_and_storage_location(
    empty_panel: Panel, cloudflare: Standin, home: Path
) -> None:
    assert "No account yet" in empty_panel.account.summary.value
    message = log_in(empty_panel, f" {cloudflare.account_id}\n", f" {cloudflare.token} ")
    assert "Token verified: user token, active." in message
    assert "Saved in the file credentials.json" in message
    assert (home / "credentials.json").exists()
    assert f"…{cloudflare.account_id[-4:]}, from the file" in empty_panel.account.summary.value
    assert empty_panel.session.backend.credentials().api_token.reveal() == cloudflare.token
    assert "cfai-gauge" in empty_panel.usage.gauge.value


@pytest.mark.parametrize(
    ("permissions", "owner", "message"),
    [
        ((READ,), "user", "lacks the Workers AI - Edit permission"),
        ((EDIT,), "user", "lacks the Workers AI - Read permission"),
        (EVERYTHING, "account", "Token verified: account token, active."),
    ],
    ids=["no Edit", "no Read", "owned by the account"],
)
def test_verify_reports_missing_permissions_and_the_token_owner(
    empty_panel: Panel,
    cloudflare: Standin,
    permissions: tuple[str, ...],
    owner: str,
    message: str,
) -> None:
    issued = cloudflare.issue_token(permissions, owner="account" if owner == "account" else "user")
    assert message in log_in(empty_panel, cloudflare.account_id, issued)


def test_the_token_is_not_in_widget_state_or_messages(
    empty_panel: Panel, cloudflare: Standin, sent: list[str]
) -> None:
    type_in(empty_panel.account.token_field, cloudflare.token)
    assert "Entered" in empty_panel.account.token_field.placeholder
    assert cloudflare.token not in all_state()
    log_in(empty_panel, cloudflare.account_id, "")
    assert "active" in empty_panel.account.message.value
    assert cloudflare.token not in all_state()
    assert cloudflare.token not in "".join(sent)
    assert cloudflare.account_id not in "".join(sent)
    assert cloudflare.token not in repr(vars(empty_panel.account))


def test_a_token_entered_as_account_id_is_reported_and_not_stored(
    empty_panel: Panel, cloudflare: Standin, sent: list[str]
) -> None:
    message = log_in(empty_panel, cloudflare.token, "")
    assert "No API token was entered" in message
    type_in(empty_panel.account.account_id_field, cloudflare.token)
    assert receiver_of(empty_panel.account.account_id_field).placeholder == ""
    assert "looks like an API token, not an account ID" in empty_panel.account.message.value
    assert cloudflare.token not in all_state() + "".join(sent)
    assert cloudflare.requests == ()


def test_an_account_id_entered_as_token_is_reported(
    empty_panel: Panel, cloudflare: Standin
) -> None:
    type_in(empty_panel.account.token_field, account_id())
    assert "looks like an account ID" in empty_panel.account.message.value


@pytest.mark.parametrize("missing", ["token", "account"])
def test_verify_reports_empty_fields(
    empty_panel: Panel, cloudflare: Standin, missing: str
) -> None:
    account = "" if missing == "account" else cloudflare.account_id
    message = log_in(empty_panel, account, "" if missing == "token" else cloudflare.token)
    assert {"token": "No API token", "account": "No Cloudflare account"}[missing] in message
    assert cloudflare.requests == ()


def test_a_wrong_token_is_rejected_and_not_saved(empty_panel: Panel, cloudflare: Standin) -> None:
    message = log_in(empty_panel, cloudflare.account_id, token())
    assert "Check that the token is active" in message
    with pytest.raises(MissingCredentialsError):
        empty_panel.session.backend.credentials()
    assert "No API token was entered" in log_in(empty_panel, "", "")


def test_a_new_token_without_account_id_is_saved_for_the_current_account(
    empty_panel: Panel, cloudflare: Standin
) -> None:
    log_in(empty_panel, cloudflare.account_id, cloudflare.token)
    newer = cloudflare.issue_token(EVERYTHING)
    later = Panel(empty_panel.session)
    assert "active" in log_in(later, "", newer)
    assert empty_panel.session.backend.credentials().api_token.reveal() == newer
    later.close()


def test_credentials_in_the_environment_take_precedence(panel: Panel, account: Standin) -> None:
    message = log_in(panel, account.account_id, account.token)
    assert "The credentials in the environment take precedence." in message


def test_enter_in_the_token_field_verifies_the_entered_token(
    empty_panel: Panel, cloudflare: Standin
) -> None:
    type_in(empty_panel.account.account_id_field, cloudflare.account_id)
    press_enter(empty_panel.account.token_field, cloudflare.token)
    assert "Token verified: user token, active" in empty_panel.account.message.value
    newer = cloudflare.issue_token(EVERYTHING)
    type_in(empty_panel.account.token_field, token())
    press_enter(empty_panel.account.token_field, newer)
    assert empty_panel.session.backend.credentials().api_token.reveal() == newer
    type_in(empty_panel.account.token_field, cloudflare.token)
    assert empty_panel.session.backend.credentials().api_token.reveal() == newer
    press_enter(empty_panel.account.token_field)
    assert empty_panel.session.backend.credentials().api_token.reveal() == cloudflare.token


@pytest.mark.parametrize(
    "text",
    [
        "my account",
        "12345",
        pytest.param(account_id()[:-1], id="too short"),
        pytest.param(account_id()[:-1] + "O", id="letter O"),
    ],
)
def test_an_invalid_account_id_is_reported_and_kept(
    empty_panel: Panel, cloudflare: Standin, text: str
) -> None:
    field = empty_panel.account.account_id_field
    type_in(field, text)
    assert "Not a valid account ID" in empty_panel.account.message.value
    assert receiver_of(field).placeholder.strip() == text
    assert "Not a valid account ID" in log_in(empty_panel, "", cloudflare.token)
    assert cloudflare.requests == ()
    type_in(field, text)
    assert receiver_of(field).placeholder.strip() == text
    type_in(field, "another")
    assert receiver_of(field).placeholder.strip() == "another"
    type_in(field, cloudflare.account_id)
    assert receiver_of(field).placeholder == ""
    assert "active" in log_in(empty_panel, "", cloudflare.token)


def test_a_kept_account_id_can_be_deleted(empty_panel: Panel, cloudflare: Standin) -> None:
    log_in(empty_panel, cloudflare.account_id, cloudflare.token)
    field = empty_panel.account.account_id_field
    type_in(field, "my account")
    type_in(field, "")
    assert receiver_of(field).placeholder == ""
    assert "Not a valid" not in empty_panel.account.message.value
    assert "active" in log_in(empty_panel, "", cloudflare.issue_token(EVERYTHING))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(token(), id="token"),
        pytest.param(token()[:-1], id="incomplete token"),
        pytest.param(class_key(), id="class key"),
        pytest.param(class_key()[:15], id="piece of a class key"),
        "cfs_Ab3",
        "xK9-QwErTyUiOp12",
        "QwErTyUiOpAsDf",
        "cfut_Ab3",
        "aB3" * 13,
        "0a" * 18 + "0",
        pytest.param(f"https://dash.cloudflare.com/{account_id()}/ai", id="URL"),
    ],
)
def test_a_text_that_may_be_secret_is_not_kept(empty_panel: Panel, text: str) -> None:
    type_in(empty_panel.account.account_id_field, text)
    assert "account ID" in empty_panel.account.message.value
    assert receiver_of(empty_panel.account.account_id_field).placeholder == ""
    assert text not in all_state()


def test_a_class_key_in_the_token_field_is_rejected(empty_panel: Panel) -> None:
    key = class_key()
    type_in(empty_panel.account.token_field, key)
    assert "looks like a class key, not an API token" in empty_panel.account.message.value
    assert key not in all_state()


def test_removing_the_token_asks_for_confirmation(
    empty_panel: Panel, cloudflare: Standin, home: Path
) -> None:
    section = empty_panel.account
    log_in(empty_panel, cloudflare.account_id, cloudflare.token)
    assert section.confirm_button.layout.display == "none"
    section.remove_button.click()
    assert "Remove the saved account ID and API token" in section.removal_note.value
    assert section.confirm_button.layout.display is None
    section.cancel_button.click()
    assert section.confirm_button.layout.display == "none"
    assert (home / "credentials.json").exists()


def test_a_token_in_the_environment_cannot_be_removed(panel: Panel) -> None:
    assert panel.account.remove_button.disabled
    assert "unset CLOUDFLARE_API_TOKEN" in panel.account.summary.value
    assert "unset CLOUDFLARE_API_TOKEN" in str(panel.account.remove_button.tooltip)
    panel.account.remove_button.click()
    assert panel.account.confirm_button.layout.display == "none"


def test_removing_deletes_saved_and_entered_credentials(
    empty_panel: Panel, cloudflare: Standin, home: Path
) -> None:
    log_in(empty_panel, cloudflare.account_id, cloudflare.token)
    type_in(empty_panel.account.token_field, cloudflare.token)
    empty_panel.account.remove_button.click()
    empty_panel.account.confirm_button.click()
    assert empty_panel.account.confirm_button.layout.display == "none"
    assert "Removed from the file" in empty_panel.account.message.value
    assert "No account yet" in empty_panel.account.summary.value
    assert not (home / "credentials.json").exists()
    assert "No API token was entered" in log_in(empty_panel, cloudflare.account_id, "")


def test_the_form_is_hidden_if_an_account_is_set(panel: Panel, empty_panel: Panel) -> None:
    assert panel.account.form.layout.display == "none"
    panel.account.change_button.click()
    assert panel.account.form.layout.display is None
    assert empty_panel.account.form.layout.display is None


def test_an_invalid_environment_and_a_local_model_are_reported(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "nonsense")
    panel.refresh()
    assert "environment variable CLOUDFLARE_ACCOUNT_ID" in panel.account.summary.value
    panel.session.settings.local = "small"
    assert "no account is needed" in panel.account.summary.value
