"""Moments as people write them: `2026-03-05`, `2026-03-05T06:00`, with an offset or on the clocks of a time zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flexiroaster.engine.quoting import quoted

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
MOMENT_PATTERN = rf"^{_DAY}([T ]{_TIME}(Z|[+-][0-9]{{2}}:[0-9]{{2}})?)?$"
_MOMENT = re.compile(MOMENT_PATTERN, re.ASCII)
FIRST_YEAR, LAST_YEAR = 1970, 9998
"""Any of them is still a moment in every time zone."""
_DAY_LENGTH = len("2026-03-05")


class InvalidMoment(ValueError):
    """The text is no moment; the message says how to write one."""


def parse_moment(text: str, timezone: str, *, last: bool = False) -> datetime:
    """In UTC; without an offset it is read on the clocks of `timezone`. A day alone is its first moment, or its last.

    Raises InvalidMoment.
    """
    moment = _read(text)
    if moment is None:
        raise InvalidMoment(f"{quoted(text)} is not a moment: write for example 2026-03-05 or 2026-03-05T06:00.")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InvalidMoment(f"{quoted(text)} is not in the years {FIRST_YEAR} to {LAST_YEAR}.")
    if len(text) == _DAY_LENGTH and last:
        return _on_clocks(moment + timedelta(days=1), timezone) - timedelta(microseconds=1)
    return _on_clocks(moment, timezone) if moment.tzinfo is None else moment.astimezone(UTC)


def _read(text: str) -> datetime | None:
    if not _MOMENT.fullmatch(text):
        return None
    try:
        if len(text) == _DAY_LENGTH:
            return datetime.combine(date.fromisoformat(text), time())
        return datetime.fromisoformat(text)
    except ValueError:  # the 30th of February
        return None


def _on_clocks(moment: datetime, timezone: str) -> datetime:
    return moment.replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC)
