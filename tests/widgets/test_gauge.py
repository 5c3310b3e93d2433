"""The gauge as HTML."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cfai_magics.store.history import Total
from cfai_magics.values import AccountFigure, Running, Standing, Usage
from cfai_magics.widgets.gauge import Reading, by_model, gauge, reset_clock

NOW = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)
FOUR_HOURS = 4 * 3600.0


def day(
    billed: float, estimated: float = 0.0, reserved: float = 0.0, limit: float = 100.0
) -> Standing:
    return Standing(billed, estimated, reserved, limit, FOUR_HOURS)


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("standing", "level", "words"),
    [
        (day(79.9), "green", "enough left"),
        (day(70, 10), "amber", "running low"),
        (day(99.9), "amber", "running low"),
        (day(60, 40), "red", "used up"),
        (day(0, limit=0), "red", "used up"),
        (Standing(1, 0, 0, 100, 1, closed=True), "red", "closed by Cloudflare"),
    ],
)
def test_the_level_is_told_in_colour_and_words(standing: Standing, level: str, words: str) -> None:
    shown = gauge(Reading(standing), NOW)
    assert f"cfai-gauge cfai-{level}" in shown
    assert words in shown


def test_billed_estimated_running_and_reserved_are_told_apart_and_never_twice() -> None:
    reading = Reading(day(40, 10, 30), (Running("m", Usage(1, 5, 0, 12.0, "estimated")),))
    assert (reading.used, reading.reserved) == (62, 18)
    shown = gauge(reading, NOW)
    widths = dict(re.findall(r'cfai-part cfai-(\w+)" style="width: ([\d.]+)%', shown))
    assert widths == {
        "billed": "40.00",
        "estimated": "10.00",
        "running": "12.00",
        "reserved": "18.00",
    }
    assert 'aria-valuetext="62.0 of 100 neurons, 62 %"' in shown
    assert "left <b>20.0</b>" in shown


def test_a_bar_is_never_fuller_than_full() -> None:
    shown = gauge(Reading(day(90, 60, 50)), NOW)
    widths = [float(width) for width in re.findall(r"width: ([\d.]+)%", shown)]
    assert sum(widths) == pytest.approx(100, abs=0.1)
    assert 'aria-valuenow="100.0"' in shown


def test_a_call_that_used_more_than_reserved_leaves_nothing_reserved() -> None:
    reading = Reading(day(0, 0, 5), (Running("m", Usage(neurons=9.0)), Running("n")))
    assert (reading.so_far, reading.reserved) == (9.0, 0.0)


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Europe/Berlin", "00:00 UTC (01:00 CET, local time), in 4 h 0 min"),
        ("America/New_York", "00:00 UTC (19:00 EST, local time)"),
        ("UTC", "00:00 UTC (local time too)"),
    ],
    indirect=["zone"],
)
def test_the_clock_tells_utc_and_local_time(zone: None, told: str) -> None:
    assert told in reset_clock(day(1), NOW)


def test_models_of_today_stand_in_a_table_as_text() -> None:
    total = Total("@cf/x/<b>bold</b>", 2, 1_000, 2_000, 3.25, 1.0, 0.0)
    shown = by_model([total])
    assert "<b>bold" not in shown
    assert "1,000 → 2,000" in shown
    assert by_model([]) == ""


def test_cloudflares_own_figure_stands_beside_the_ledgers() -> None:
    assert "Cloudflare's own figure" not in gauge(Reading(day(1)), NOW)
    figure = AccountFigure(3_500, datetime(2026, 11, 25, 14, 5, tzinfo=UTC).timestamp())
    shown = gauge(Reading(replace(day(1), account=figure)), NOW)
    assert "Cloudflare's own figure: 3,500 at 14:05 UTC, with other programs' calls." in shown
