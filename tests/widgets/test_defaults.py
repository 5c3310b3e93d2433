"""Defaults section of the panel."""

import pytest

from cfai_magics.settings import load_settings
from cfai_magics.types.messages import Message
from cfai_magics.widgets.panel import Panel
from tests.standin import Standin
from tests.widgets.conftest import enter

HI: list[Message] = [{"role": "user", "content": "Hi"}]


def test_unset_options_are_not_sent(panel: Panel, account: Standin) -> None:
    assert panel.defaults.system.value == ""
    assert panel.defaults.use_model_temperature.value
    assert panel.defaults.temperature.disabled
    assert not panel.defaults.temperature.readout
    assert panel.defaults.max_tokens.value == ""
    panel.session.ask(panel.session.build_request(HI))
    assert "temperature" not in account.requests[-1].json


def test_an_entered_option_is_set_and_can_be_cleared(panel: Panel) -> None:
    settings, options = panel.session.settings, panel.defaults
    enter(options.system, value="You are kind.")
    enter(options.use_model_temperature, value=False)
    enter(options.temperature, value=1.2000000000000002)
    enter(options.max_tokens, value="1,000")
    assert (settings.system, settings.temperature, settings.max_tokens) == (
        "You are kind.",
        1.2,
        1_000,
    )
    assert (options.temperature.value, options.max_tokens.value) == (1.2, "1000")
    assert not options.temperature.disabled
    enter(options.use_model_temperature, value=True)
    enter(options.max_tokens, value="")
    assert (settings.temperature, settings.max_tokens) == (None, 2048)


@pytest.mark.parametrize("name", ["temperature", "temperature_field"])
@pytest.mark.parametrize(("entered", "applied"), [(9, 5), (-1, 0), (0, 0)])
def test_slider_and_field_limit_the_temperature(
    panel: Panel, name: str, entered: float, applied: float
) -> None:
    options = panel.defaults
    enter(getattr(options, name), value=entered)
    assert panel.session.settings.temperature == applied
    assert options.temperature.value == options.temperature_field.value == applied


def test_the_number_field_is_hidden_if_the_model_selects_the_temperature(panel: Panel) -> None:
    options = panel.defaults
    assert options.temperature_field.layout.display == "none"
    enter(options.use_model_temperature, value=False)
    assert options.temperature_field.layout.display is None


@pytest.mark.parametrize("text", ["0", "-5", "many", "1.5", "²"])
def test_an_invalid_value_is_rejected_with_a_reason(panel: Panel, text: str) -> None:
    widget = panel.defaults.max_tokens
    enter(widget, value=text)
    assert "must be" in panel.defaults.message.value
    assert widget.value == ""
    assert panel.session.settings.max_tokens == 2048
    enter(widget, value="1")
    assert "must be" not in panel.defaults.message.value


def test_changed_settings_are_shown(panel: Panel) -> None:
    panel.session.settings.temperature = 0.25
    panel.session.settings.system = "Short."
    assert panel.defaults.temperature.value == 0.25
    assert not panel.defaults.use_model_temperature.value
    assert panel.defaults.system.value == "Short."


def test_saving_writes_set_options_and_removes_unset_ones(panel: Panel) -> None:
    home = panel.session.home
    enter(panel.defaults.system, value='Say "hello" 👋\nand\x7f stop.')
    enter(panel.defaults.temperature, value=0.5)
    panel.session.settings.model = "gpt-oss-20b"
    panel.defaults.save_button.click()
    assert "Saved" in panel.defaults.message.value
    saved = load_settings(home)
    assert (saved.model, saved.temperature) == ("gpt-oss-20b", 0.5)
    assert saved.system == 'Say "hello" 👋\nand\x7f stop.'
    enter(panel.defaults.use_model_temperature, value=True)
    panel.defaults.save_button.click()
    assert load_settings(home).temperature is None
    assert "max_tokens" not in (home / "settings.toml").read_text(encoding="utf-8")
