"""Cron texts: what is refused, and each instant around every clock change against every minute that the clocks show."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate, product, takewhile
from zoneinfo import ZoneInfo

import pytest

from flexiroaster.engine import cron
from flexiroaster.engine.definition.trigger_checks import cron_problem

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONES = {
    "Australia/Lord_Howe": 6,  # by half an hour
    "Europe/Berlin": 6,
    "America/St_Johns": 6,  # which is half an hour off
    "Africa/Casablanca": 6,  # back first
    "Asia/Kathmandu": 0,
}
MINUTES = {"0": {0}, "30": {30}, "5,45": {5, 45}, "*/15": {0, 15, 30, 45}, "*": set(range(60))}
HOURS = (
    {str(hour): {hour} for hour in range(24)}
    | {f"{hour}-23": set(range(hour, 24)) for hour in range(1, 4)}
    | {"*": set(range(24)), "*/2": set(range(0, 24, 2)), "1-23/3": set(range(1, 24, 3))}
)


def changes(zone: ZoneInfo) -> Iterator[datetime]:
    """Of its clocks, in three years."""
    hours = (datetime(2025, 1, 1, tzinfo=UTC) + number * HOUR for number in range(3 * 365 * 24))
    before = None
    for hour in hours:
        offset = hour.astimezone(zone).utcoffset()
        if before not in (None, offset):
            yield hour
        before = offset


@pytest.mark.parametrize(("name", "count"), ZONES.items())
def test_no_instant_is_lost_or_made_up_around_a_clock_change(name: str, count: int) -> None:
    zone = ZoneInfo(name)
    found = list(changes(zone))
    assert len(found) == count
    for change in found or [datetime(2026, 3, 29, tzinfo=UTC)]:
        first, last = change - 15 * HOUR, change + 15 * HOUR
        moments = [first + number * MINUTE for number in range((last - first) // MINUTE + 1)]
        faces = [moment.astimezone(zone).replace(tzinfo=None, fold=0) for moment in moments]
        farthest = list(accumulate(faces, max))
        for (minute, minutes), (hour, hours) in product(MINUTES.items(), HOURS.items()):
            shown = [(face.hour in hours and face.minute in minutes) for face in faces]
            if minute.startswith("*") or hour.startswith("*"):
                expected = [moment for moment, is_shown in zip(moments, shown, strict=True) if is_shown]
            else:
                days = {face.date() for face in faces}
                times = [datetime(day.year, day.month, day.day, h, m) for day in days for h in hours for m in minutes]
                places = {bisect_left(farthest, time) for time in times if faces[0] <= time <= farthest[-1]}
                expected = [moments[place] for place in sorted(places)]
            text = f"{minute} {hour} * * *"
            assert between(text, name, first, last) == expected, (text, change)
            assert back(text, name, first, last) == expected[::-1], (text, change)


def between(text: str, zone: str, first: datetime, last: datetime) -> list[datetime]:
    return list(takewhile(lambda instant: instant <= last, cron.instants(text, zone, first - MINUTE)))


def back(text: str, zone: str, first: datetime, last: datetime) -> list[datetime]:
    return list(takewhile(lambda instant: instant >= first, cron.instants(text, zone, last, reverse=True)))


@pytest.mark.parametrize("minutes", range(0, 112, 7))
@pytest.mark.parametrize("text", ["*/10 * * * *", "45 1 * * *", "15,45 1-2 * * *"])
def test_it_may_begin_in_a_repeated_half_hour(text: str, minutes: int) -> None:
    zone, moment = "Australia/Lord_Howe", datetime(2026, 4, 4, 14, 40, 30, 500, tzinfo=UTC) + minutes * MINUTE
    around = between(text, zone, moment - 2 * DAY, moment + 2 * DAY)
    assert next(cron.instants(text, zone, moment)) == min(instant for instant in around if instant > moment)
    latest = next(cron.instants(text, zone, moment, reverse=True))
    assert latest == max(instant for instant in around if instant <= moment)


@pytest.mark.parametrize(
    ("text", "same"), [("@midnight", "0 0 * * *"), ("@annually", "0 0 1 1 *"), ("@yearly", "0 0 1 1 *")]
)
def test_short_forms(text: str, same: str) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    assert next(cron.instants(text, "Europe/Berlin", moment)) == next(cron.instants(same, "Europe/Berlin", moment))
    assert cron_problem(text) is None


@pytest.mark.parametrize(
    "text",
    ["*/59 * * * *", "0 */23 * * *", "0 0 */30 * *", "0 0 1 */11 *", "0 0 * * */6", "10-20/10 * * * *", "5/2 * * * *",
     "0 0 * * mon-fri/2", "0 0 1 jan-mar/2 *", "0 0 L * *", "0 0 LW * mon", "0 0 * * 5L", "0 0 * * mon#1,7",
     "0 0 29 2 mon", "0 0 29 2 *", "0 0 31 1,2 mon"],
)  # fmt: skip
def test_what_comes_as_it_says(text: str) -> None:
    assert cron_problem(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("*/61 * * * *", "the step of '*/61' is larger than the field: it comes to 0 alone, write that."),
        ("*/60 * * * *", "it comes to 0 alone"),
        ("50/20 * * * *", "it comes to 50 alone"),
        ("1,10-20/15 * * * *", "it comes to 10 alone"),
        ("0 */24 * * *", "it comes to 0 alone"),
        ("0 0 */31 * *", "it comes to 1 alone"),
        ("0 0 1 */12 *", "it comes to 1 alone"),
        ("0 0 * * */7", "it comes to 0 alone"),
        ("0 0 * * mon-fri/9", "it comes to 1 alone"),
        ("* * * * 7/1", "it comes to 0 alone"),
        ("5-5/2 * * * *", "'5-5/2' begins and ends at 5: write 5."),
        ("0 0 * * mon-MON/2", "begins and ends at MON: write MON."),
        ("0 0 L/5 * *", "'L' is one day, and takes no step."),
        ("0 0 lw/2 * *", "'lw' is one day, and takes no step."),
        ("0 0 31 2 mon", "no month of these has the day '31', so that the day-of-week alone would decide"),
        ("0 0 30-31 2 1", "no month of these has the day '30-31'"),
        ("0 0 31 2 *", "bad day-of-month"),
        ("*/0 * * * *", "bad minute"),
        ("0 0 * * fri-sun", "'fri-sun' goes beyond the end of its field: write fri-6,sun."),
        ("0 0 * * sat-sun", "write sat,sun."),
        ("0 0 1 nov-feb *", "write nov-12,1-feb."),
        ("0 22-2 * * *", "write 22-23,0-2."),
        ("0 0 1-L * *", "bad day-of-month"),
        ("0 0 * * fri-mon/2", "bad day-of-week"),
        ("0 0 * 2 1#6", "bad day-of-week"),
        ("0 0 30 2 */2", "bad day-of-month"),
        ("@Midnight", "the short forms are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually"),
    ],
)
def test_what_is_refused_since_nobody_means_it(text: str, said: str) -> None:
    problem = cron_problem(text)
    assert problem is not None
    assert said in problem
