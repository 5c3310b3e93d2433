"""Login section of the panel."""

from pathlib import Path

import pytest

from cfai_magics.errors import MissingCredentialsError
from cfai_magics.widgets.panel import Panel
from tests.canaries import account_id, token
from tests.standin import Standin
from tests.standin.accounts import EDIT, EVERYTHING, READ
from tests.widgets.conftest import all_state, type_in


def log_in(panel: Panel, account: str, secret: str) -> str:
    fields = (panel.account.account_id_field, panel.account.token_field)
    for field, text in zip(fields, (account, secret), strict=True):
        if text:
            type_in(field, text)
    panel.account.verify_button.click()
    return str(panel.account.message.value)


def test_verify_tells_state_owner_and_place_and_the_account_is_used(
    fresh: Panel, cloudflare: Standin, home: Path
) -> None:
    assert "No account is set yet" in fresh.account.summary.value
    told = log_in(fresh, f" {cloudflare.account_id}\n", f" {cloudflare.token} ")
    assert "The token is active and belongs to a user." in told
    assert f"Saved in the file {home / 'credentials.json'}" in told
    assert f"…{cloudflare.account_id[-4:]}, from the file" in fresh.account.summary.value
    assert fresh.session.backend.credentials().api_token.reveal() == cloudflare.token
    assert "cfai-gauge" in fresh.usage.gauge.value


@pytest.mark.parametrize(
    ("permissions", "owner", "told"),
    [
        ((READ,), "user", "lacks the permission Workers AI - Edit"),
        ((EDIT,), "user", "lacks the permission Workers AI - Read"),
        (EVERYTHING, "account", "belongs to the account"),
    ],
    ids=["no Edit", "no Read", "owned by the account"],
)
def test_verify_tells_what_is_missing_and_who_owns_it(
    fresh: Panel, cloudflare: Standin, permissions: tuple[str, ...], owner: str, told: str
) -> None:
    made = cloudflare.issue_token(permissions, owner="account" if owner == "account" else "user")
    assert told in log_in(fresh, cloudflare.account_id, made)


def test_the_token_is_in_no_state_and_in_no_message(
    fresh: Panel, cloudflare: Standin, sent: list[str]
) -> None:
    type_in(fresh.account.token_field, cloudflare.token)
    assert "Entered" in fresh.account.token_field.placeholder
    assert cloudflare.token not in all_state()
    log_in(fresh, cloudflare.account_id, "")
    assert "active" in fresh.account.message.value
    assert cloudflare.token not in all_state()
    assert cloudflare.token not in "".join(sent)
    assert cloudflare.account_id not in "".join(sent)
    assert cloudflare.token not in repr(vars(fresh.account))


def test_a_token_as_account_id_is_named_as_such_and_not_held(
    fresh: Panel, cloudflare: Standin, sent: list[str]
) -> None:
    told = log_in(fresh, cloudflare.token, "")
    assert "No API token was entered" in told
    type_in(fresh.account.account_id_field, cloudflare.token)
    assert "looks like an API token, not an account id" in fresh.account.message.value
    assert cloudflare.token not in all_state() + "".join(sent)
    assert cloudflare.requests == ()


def test_an_account_id_as_token_is_named_as_such(fresh: Panel, cloudflare: Standin) -> None:
    type_in(fresh.account.token_field, account_id())
    assert "looks like an account id" in fresh.account.message.value


@pytest.mark.parametrize("missing", ["token", "account"])
def test_verify_says_what_was_not_entered(fresh: Panel, cloudflare: Standin, missing: str) -> None:
    account = "" if missing == "account" else cloudflare.account_id
    told = log_in(fresh, account, "" if missing == "token" else cloudflare.token)
    assert {"token": "No API token", "account": "No Cloudflare account"}[missing] in told
    assert cloudflare.requests == ()


def test_a_wrong_token_is_refused_not_kept_and_forgotten(
    fresh: Panel, cloudflare: Standin
) -> None:
    told = log_in(fresh, cloudflare.account_id, token())
    assert "Check that the token is active" in told
    with pytest.raises(MissingCredentialsError):
        fresh.session.backend.credentials()
    assert "No API token was entered" in log_in(fresh, "", "")


def test_a_new_token_alone_is_for_the_account_in_use(fresh: Panel, cloudflare: Standin) -> None:
    log_in(fresh, cloudflare.account_id, cloudflare.token)
    newer = cloudflare.issue_token(EVERYTHING)
    later = Panel(fresh.session)
    assert "active" in log_in(later, "", newer)
    assert fresh.session.backend.credentials().api_token.reveal() == newer
    later.close()


def test_what_is_kept_but_comes_second_is_told(panel: Panel, account: Standin) -> None:
    told = log_in(panel, account.account_id, account.token)
    assert "The credentials in the environment take precedence." in told


def test_forget_forgets_what_is_kept_and_what_was_typed(
    fresh: Panel, cloudflare: Standin, home: Path
) -> None:
    log_in(fresh, cloudflare.account_id, cloudflare.token)
    type_in(fresh.account.token_field, cloudflare.token)
    fresh.account.forget_button.click()
    assert "Removed from the file" in fresh.account.message.value
    assert "No account is set yet" in fresh.account.summary.value
    assert not (home / "credentials.json").exists()
    assert "No API token was entered" in log_in(fresh, cloudflare.account_id, "")


def test_the_fields_fold_away_where_there_is_an_account(panel: Panel, fresh: Panel) -> None:
    assert panel.account.form.layout.display == "none"
    panel.account.change_button.click()
    assert panel.account.form.layout.display is None
    assert fresh.account.form.layout.display is None


def test_trouble_with_the_environment_and_a_local_model_are_told(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "nonsense")
    panel.refresh()
    assert "CLOUDFLARE_ACCOUNT_ID in the environment" in panel.account.summary.value
    panel.session.settings.local = "small"
    assert "no account is needed" in panel.account.summary.value
