"""When a schedule comes: the instants of a cron text or an interval, and which of them are made up for afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, groupby, islice, takewhile
from operator import ge, le
from typing import Literal

from flexiroaster.engine import cron
from flexiroaster.engine.moments import parse_moment
from flexiroaster.engine.pipeline import ScheduleTrigger

SHORTEST = timedelta(seconds=1)
"""Between two instants of a schedule."""
ON_TIME = timedelta(minutes=1)
"""An instant that nobody came to for longer is missed: `catchup` says what becomes of it."""
MOST_MADE_UP_FOR = 1_000
"""With `catchup: all`, the latest ones: a year of missed minutes would keep everything else from running."""
MOST_LOOKED_AT = 10_000
"""Instants that have passed; those before them are missed without being counted."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The next instant of a schedule that has ended: later than all others, in every list of what comes next."""
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Missed:
    """Instants that nothing is started for; `count` does not go beyond `MOST_LOOKED_AT`."""

    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Due:
    """`instants` to start an execution for, the earliest first."""

    instants: list[datetime]
    missed: Missed | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Instants are moments in UTC, none before `start` or after `end`. An interval counts from 1970-01-01T00:00Z, so
    that every server has the same ones.

    A time of the day comes once on every day: one that the clocks skip comes when they have been put forward, of one
    that they show twice the first counts. Where the minute or the hour of a cron text begins with a star it comes
    whenever the clocks show it, in a repeated hour too.
    """

    cron: str | None
    every: timedelta | None
    timezone: str
    catchup: Literal["none", "latest", "all"]
    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def of(cls, trigger: ScheduleTrigger) -> Schedule:
        zone = trigger.timezone
        start = None if trigger.start is None else parse_moment(trigger.start, zone)
        end = None if trigger.end is None else parse_moment(trigger.end, zone, last=True)
        return cls(trigger.cron, trigger.every, zone, trigger.catchup, start, end)

    @property
    def rhythm(self) -> str:
        """The same for schedules that have the same instants, if not the same start and end."""
        return f"{self.cron} {self.timezone}" if self.every is None else f"every {self.every.total_seconds()}s"

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Those later than `moment`."""
        begin = moment if self.start is None else max(moment, self.start - TICK)
        instants = self._intervals(begin) if self.cron is None else cron.instants(self.cron, self.timezone, begin)
        last = NEVER - TICK if self.end is None else min(self.end, NEVER - TICK)
        return takewhile(partial(ge, last), _as_far_as_dates_go(instants))

    def until(self, moment: datetime) -> Iterator[datetime]:
        """Those up to `moment`, the latest first."""
        begin = moment if self.end is None else min(moment, self.end)
        if self.cron is None:
            instants = self._intervals(begin, -1)
        else:
            instants = cron.instants(self.cron, self.timezone, begin, reverse=True)
        instants = _as_far_as_dates_go(instants)
        return instants if self.start is None else takewhile(partial(le, self.start), instants)

    def next(self, moment: datetime) -> datetime:
        """NEVER where it has ended then."""
        return next(self.after(moment), NEVER)

    def between(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """With both of them, the earliest first."""
        return takewhile(lambda instant: instant <= last, self.after(first - TICK))

    def passed(self, first: datetime, now: datetime, most: int = MOST_LOOKED_AT) -> list[datetime]:
        """The instant `first` and those that came after it until now, the latest first and so many at most."""
        return list(takewhile(lambda instant: instant >= first, islice(self.until(now), most)))

    def due(self, first: datetime, now: datetime) -> Due:
        """What to do at `now` about the instant `first` and those that came after it."""
        passed = self.passed(first, now)
        on_time = [instant for instant in passed if now - instant <= ON_TIME]
        late = passed[len(on_time) :]
        made_up = late[: self._makes_up_for(bool(on_time))]
        missed = late[len(made_up) :]
        came_to_nothing = Missed(missed[-1], missed[0], len(missed)) if missed else None
        return Due([*made_up[::-1], *on_time[::-1]], came_to_nothing)

    def without(self, dealt_with: Collection[datetime], last: datetime, count: int) -> list[Missed]:
        """What remains of `count` missed instants, of which `last` is the last, in stretches.

        All of it where it is no instant of this schedule, which was another one then.
        """
        instants = list(islice(self.until(last), count))
        if not instants or instants[0] != last:
            return [Missed(last, last, count)]
        return stretches(instants, dealt_with)

    def _makes_up_for(self, others: bool) -> int:
        """Of so many that are late, where there are `others` that are not."""
        if self.catchup == "all":
            return MOST_MADE_UP_FOR
        return 1 if self.catchup == "latest" and not others else 0

    def _intervals(self, moment: datetime, step: int = 1) -> Iterator[datetime]:
        """Beginning after `moment`, or backwards with it."""
        assert self.every is not None, "a schedule has one of both"
        passed = (moment - EPOCH) // self.every
        return (EPOCH + number * self.every for number in count(passed + max(step, 0), step))


def stretches(instants: Sequence[datetime], dealt_with: Collection[datetime]) -> list[Missed]:
    """Of instants that passed, the latest first, those that follow each other and were not dealt with."""
    parts = groupby(instants, key=lambda instant: instant in dealt_with)
    left = [list(part) for gone, part in parts if not gone]
    return [Missed(part[-1], part[0], len(part)) for part in left]


def _as_far_as_dates_go(instants: Iterator[datetime]) -> Iterator[datetime]:
    """Looking for the next one ends where the calendar does, in the years 1 and 9999."""
    try:
        yield from instants
    except OverflowError:
        return
