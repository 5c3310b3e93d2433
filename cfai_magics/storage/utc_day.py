"""Days in UTC: the free neurons are reset at 00:00 UTC."""

from datetime import UTC, datetime, time, timedelta

DAY_SECONDS = 86_400.0  # s


def utc_day(timestamp: float) -> str:
    """Return the UTC day of a time in seconds since 1970 as an ISO date."""
    return datetime.fromtimestamp(timestamp, UTC).date().isoformat()


def seconds_to_midnight(timestamp: float) -> float:
    """Return the seconds from a time (seconds since 1970) to the next 00:00 UTC."""
    now = datetime.fromtimestamp(timestamp, UTC)
    tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    return (tomorrow - now).total_seconds()
