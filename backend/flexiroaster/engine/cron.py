"""The instants of a cron text in a time zone, through clock changes.

The library walks over the face of a clock that is never changed; which moments show that face is decided here. Left to
itself it goes through a zone in steps of an hour, and so passes over whole hours where a change is of half an hour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import dropwhile
from operator import gt, lt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from cronsim import CronSim

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def instants(text: str, timezone: str, moment: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    """In UTC, those later than `moment`; with `reverse` those up to it, the latest first."""
    from cronsim import CronSim

    text, zone = ALIASES.get(text, text), ZoneInfo(timezone)
    here = moment.astimezone(zone)
    begin = here.replace(tzinfo=None, fold=0)
    shown_again = max(_offset(begin, zone, 0) - _offset(begin, zone, 1), timedelta())
    faces = CronSim(text, begin + shown_again + SECOND if reverse else begin - shown_again, reverse)
    found = _each_day(faces, zone) if _is_of_a_day(text) else _as_shown(faces, zone, reverse=reverse)
    if reverse:
        return dropwhile(lambda instant: instant > moment, found)
    return dropwhile(lambda instant: instant <= moment, found)


def _is_of_a_day(text: str) -> bool:
    """It names times of the day, as `30 2 * * *` does: a clock change makes none of them come twice, or not at all."""
    minute, hour, *_ = text.split()
    return not minute.startswith("*") and not hour.startswith("*")


def _each_day(faces: CronSim, zone: ZoneInfo) -> Iterator[datetime]:
    """What is skipped comes when the clocks have been put forward, and of what is shown twice the first counts."""
    before: datetime | None = None
    for face in faces:
        while _offset(face, zone, 0) < _offset(face, zone, 1):
            face += MINUTE
        instant = _moment(face, _offset(face, zone, 0))
        if instant != before:
            yield instant
        before = instant


def _as_shown(faces: CronSim, zone: ZoneInfo, *, reverse: bool) -> Iterator[datetime]:
    """What is skipped does not come, and what is shown twice comes twice."""
    comes_before, other_time = (gt if reverse else lt), deque[datetime]()
    for face in faces:
        first, second = _offset(face, zone, 0), _offset(face, zone, 1)
        if first < second:
            continue
        instant = _moment(face, second if reverse else first)
        while other_time and comes_before(other_time[0], instant):
            yield other_time.popleft()
        yield instant
        if first != second:
            other_time.append(_moment(face, first if reverse else second))
    yield from other_time


def _offset(face: datetime, zone: ZoneInfo, fold: int) -> timedelta:
    """How far the clock is ahead of UTC: less the second time it shows a face (`fold` 1), more for one it skips."""
    offset = face.replace(tzinfo=zone, fold=fold).utcoffset()
    assert offset is not None, "a zone has one at every moment"
    return offset


def _moment(face: datetime, offset: timedelta) -> datetime:
    return (face - offset).replace(tzinfo=UTC)
