"""The usage gauge as HTML."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cfai_magics.storage.usage_queries import Total
from cfai_magics.types.usage import AccountFigure, ActiveCall, DayUsage, Usage
from cfai_magics.widgets.usage_gauge import (
    GaugeState,
    format_reset_time,
    render_gauge,
    render_model_table,
)

NOW = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)
FOUR_HOURS = 4 * 3600.0


def day(
    billed: float, estimated: float = 0.0, reserved: float = 0.0, limit: float = 100.0
) -> DayUsage:
    return DayUsage(billed, estimated, reserved, limit, FOUR_HOURS)


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("day_usage", "level", "words"),
    [
        (day(79.9), "green", "80 %"),
        (day(70, 10), "amber", "running low"),
        (day(99.9), "amber", "running low"),
        (day(60, 40), "red", "used up"),
        (day(0, limit=0), "red", "used up"),
        (DayUsage(1, 0, 0, 100, 1, is_closed=True), "red", "quota used up at Cloudflare"),
    ],
)
def test_the_level_is_shown_by_color_and_words(
    day_usage: DayUsage, level: str, words: str
) -> None:
    html = render_gauge(GaugeState(day_usage), NOW)
    assert f"cfai-gauge cfai-{level}" in html
    assert words in html


def test_each_part_of_the_usage_is_counted_once() -> None:
    state = GaugeState(day(40, 10, 30), (ActiveCall("m", Usage(1, 5, 0, 12.0, "estimated")),))
    assert (state.used, state.reserved) == (62, 18)
    html = render_gauge(state, NOW)
    widths = dict(re.findall(r'cfai-part cfai-(\w+)" style="width: ([\d.]+)%', html))
    assert widths == {
        "billed": "40.00",
        "estimated": "10.00",
        "running": "12.00",
        "reserved": "18.00",
    }
    assert 'aria-valuetext="62.0 of 100 neurons, 62 %"' in html
    assert "left <b>20.0</b>" in html


def test_the_parts_of_the_bar_sum_to_at_most_100_percent() -> None:
    html = render_gauge(GaugeState(day(90, 60, 50)), NOW)
    widths = [float(width) for width in re.findall(r"width: ([\d.]+)%", html)]
    assert sum(widths) == pytest.approx(100, abs=0.1)
    assert 'aria-valuenow="100.0"' in html


def test_a_call_above_its_reservation_leaves_nothing_reserved() -> None:
    state = GaugeState(day(0, 0, 5), (ActiveCall("m", Usage(neurons=9.0)), ActiveCall("n")))
    assert (state.in_flight, state.reserved) == (9.0, 0.0)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Berlin", "00:00 UTC (01:00 CET, local time), in 4 h 0 min"),
        ("America/New_York", "00:00 UTC (19:00 EST, local time)"),
        ("UTC", "00:00 UTC, in 4 h 0 min"),
    ],
    indirect=["zone"],
)
def test_the_reset_time_is_shown_in_utc_and_local_time(zone: None, expected: str) -> None:
    assert expected in format_reset_time(day(1), NOW)


def test_the_model_table_escapes_model_names() -> None:
    total = Total("@cf/x/<b>bold</b>", 2, 1_000, 2_000, 3.25, 1.0, 0.0)
    html = render_model_table([total])
    assert "<b>bold" not in html
    assert "1,000 → 2,000" in html
    assert render_model_table([]) == ""


def test_the_account_usage_from_cloudflare_is_shown() -> None:
    assert "Cloudflare" not in render_gauge(GaugeState(day(1)), NOW)
    figure = AccountFigure(3_500, datetime(2026, 11, 25, 14, 5, tzinfo=UTC).timestamp())
    html = render_gauge(GaugeState(replace(day(1), account=figure)), NOW)
    assert "figure for the whole account: 3,500 at 14:05 UTC." in html
