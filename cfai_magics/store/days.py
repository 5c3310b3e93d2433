"""Owns the days that Cloudflare counts in: they begin and end at 00:00 UTC."""

from datetime import UTC, datetime, time, timedelta

DAY = 86_400.0  # s


def day_of(moment: float) -> str:
    """Return the UTC day of a time in seconds since 1970, as ISO."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def seconds_to_midnight(moment: float) -> float:
    """Return the seconds from a time until 00:00 UTC."""
    now = datetime.fromtimestamp(moment, UTC)
    tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    return (tomorrow - now).total_seconds()
