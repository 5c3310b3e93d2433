"""Defaults section of the panel."""

import pytest

from cfai_magics.settings import load_settings
from cfai_magics.types.messages import Message
from cfai_magics.widgets.panel import Panel
from tests.standin import Standin
from tests.widgets.conftest import enter

HI: list[Message] = [{"role": "user", "content": "Hi"}]


def test_nothing_is_sent_that_is_not_set(panel: Panel, account: Standin) -> None:
    assert (panel.defaults.system.value, panel.defaults.temperature.value) == ("", "")
    assert panel.defaults.max_tokens.value == ""
    panel.session.ask(panel.session.build_request(HI))
    assert "temperature" not in account.requests[-1].json


def test_what_is_entered_is_set_and_taken_away_again(panel: Panel) -> None:
    settings, options = panel.session.settings, panel.defaults
    enter(options.system, value="You are kind.")
    enter(options.temperature, value=" 0,7 ")
    enter(options.max_tokens, value="1,000")
    assert (settings.system, settings.temperature, settings.max_tokens) == (
        "You are kind.",
        0.7,
        1_000,
    )
    assert (options.temperature.value, options.max_tokens.value) == ("0.7", "1000")
    enter(options.temperature, value="")
    enter(options.max_tokens, value="")
    assert (settings.temperature, settings.max_tokens) == (None, 2048)


@pytest.mark.parametrize(
    ("field", "text"),
    [("temperature", t) for t in ("hot", "-1", "7", "nan")]
    + [("max_tokens", t) for t in ("0", "-5", "many", "1.5", "²")],
)
def test_what_can_not_be_is_refused_with_a_reason(panel: Panel, field: str, text: str) -> None:
    widget = getattr(panel.defaults, field)
    enter(widget, value=text)
    assert "must be" in panel.defaults.message.value
    assert widget.value == ""
    assert (panel.session.settings.temperature, panel.session.settings.max_tokens) == (None, 2048)
    enter(widget, value="1")
    assert "must be" not in panel.defaults.message.value


def test_settings_made_elsewhere_show(panel: Panel) -> None:
    panel.session.settings.temperature = 0.25
    panel.session.settings.system = "Short."
    assert panel.defaults.temperature.value == "0.25"
    assert panel.defaults.system.value == "Short."


def test_keeping_writes_what_is_set_and_takes_away_what_is_not(panel: Panel) -> None:
    home = panel.session.home
    enter(panel.defaults.system, value='Say "hello" 👋\nand\x7f stop.')
    enter(panel.defaults.temperature, value="0.5")
    panel.session.settings.model = "gpt-oss-20b"
    panel.defaults.save_button.click()
    assert "Saved" in panel.defaults.message.value
    kept = load_settings(home)
    assert (kept.model, kept.temperature) == ("gpt-oss-20b", 0.5)
    assert kept.system == 'Say "hello" 👋\nand\x7f stop.'
    enter(panel.defaults.temperature, value="")
    panel.defaults.save_button.click()
    assert load_settings(home).temperature is None
    assert "max_tokens" not in (home / "settings.toml").read_text(encoding="utf-8")
