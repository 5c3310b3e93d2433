"""Test the replacement of secrets in the text of cells."""

import pytest

from cfai_magics.redaction import redact_secrets


@pytest.mark.parametrize(
    "source",
    [
        "password = 'hunter2hunter2'",
        'os.environ["OPENAI_API_KEY"] = "hunter2hunter2"',
        "{'token': 'hunter2hunter2'}",
        "login(user='me', Password='hunter2hunter2')",
        "GITHUB_TOKEN='hunter2hunter2'",
    ],
)
def test_strings_that_are_assigned_to_secret_names_are_replaced(source: str) -> None:
    assert "[secret]" in redact_secrets(source)
    assert "hunter2" not in redact_secrets(source)


@pytest.mark.parametrize(
    "source",
    [
        "max_tokens = 2048",
        "sorted(rows, key='department')",
        "token = get_token()",
        "keys = df['a1'] == 'b2'",
        "x = 'hunter2hunter2'",
    ],
)
def test_other_code_is_unchanged(source: str) -> None:
    assert redact_secrets(source) == source


def test_values_of_secret_environment_variables_are_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_SERVICE_KEY", "correct-horse")
    monkeypatch.setenv("MY_SERVICE_SECRET", "correct-horse-battery")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent.sock")
    text = redact_secrets("correct-horse-battery, correct-horse, /tmp/agent.sock")
    assert text == "[secret], [secret], /tmp/agent.sock"
