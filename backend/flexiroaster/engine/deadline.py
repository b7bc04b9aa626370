"""Times of day in a time zone, as moments."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def next_time(by: str, timezone: str, after: datetime) -> datetime:
    """The first moment after `after` at which it is `by` (`06:00`) there.

    A time that the clocks skip in spring counts as if they had not been put forward yet (02:30 is then shown as
    03:30); of one that they show twice in autumn the first counts.
    """
    zone = ZoneInfo(timezone)
    day = after.astimezone(zone).date()
    while True:
        moment = datetime.combine(day, time.fromisoformat(by), zone).astimezone(UTC)
        if moment > after:
            return moment
        day += timedelta(days=1)
