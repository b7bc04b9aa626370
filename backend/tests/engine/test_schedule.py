"""When schedules come, through clock changes and outages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.engine.pipeline import ScheduleTrigger
from flexiroaster.engine.schedule import EPOCH, MOST_LOOKED_AT, MOST_MADE_UP_FOR, NEVER, ON_TIME, TICK, Schedule

Catchup = Literal["none", "latest", "all"]

CRONS = ["30 2 * * *", "*/15 * * * *", "0 * * * *", "0 2-4 * * sun", "5 1 1 * *", "@daily", "@hourly", "0 0 * * mon#1"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def cron(text: str, zone: str = "Europe/Berlin", catchup: Catchup = "latest") -> Schedule:
    return Schedule(text, None, zone, catchup)


def every(seconds: float, catchup: Catchup = "latest") -> Schedule:
    return Schedule(None, timedelta(seconds=seconds), "UTC", catchup)


unbounded = st.one_of(
    st.builds(cron, st.sampled_from(CRONS), st.sampled_from(ZONES)),
    st.builds(every, st.integers(1, 200_000)),
)
moments = st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("schedule", "after", "instants"),
    [
        pytest.param(
            cron("30 2 * * *"),
            "2026-03-28T00:00+00:00",
            ["2026-03-28T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"],
            id="a daily time that the clocks skip comes when they have been put forward",
        ),
        pytest.param(
            cron("30 2 * * *"),
            "2026-10-24T12:00+00:00",
            ["2026-10-25T00:30Z", "2026-10-26T01:30Z"],
            id="of a daily time that the clocks show twice the first counts",
        ),
        pytest.param(
            cron("0 * * * *"),
            "2026-10-24T23:30+00:00",
            ["2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z"],
            id="an hourly one comes in the repeated hour too",
        ),
        pytest.param(
            every(25_200),
            "1970-01-01T06:59:59+00:00",
            ["1970-01-01T07:00Z", "1970-01-01T14:00Z", "1970-01-01T21:00Z", "1970-01-02T04:00Z"],
            id="an interval counts from the beginning of 1970",
        ),
        pytest.param(every(60), "2026-01-01T00:01+00:00", ["2026-01-01T00:02Z"], id="the moment itself is over"),
        pytest.param(cron("@daily", "UTC"), "2026-01-01T00:00+00:00", ["2026-01-02T00:00Z"], id="a short form"),
    ],
)
def test_instants(schedule: Schedule, after: str, instants: list[str]) -> None:
    assert list(islice(schedule.after(at(after)), len(instants))) == [at(instant) for instant in instants]


schedules = st.builds(replace, unbounded, start=st.one_of(st.none(), moments))


@given(schedules, moments)
def test_looking_back_finds_what_looking_ahead_does(schedule: Schedule, moment: datetime) -> None:
    ahead = list(islice(schedule.after(moment), 40))
    back = list(takewhile(lambda instant: instant > moment, schedule.until(ahead[-1])))
    assert back == ahead[::-1]
    assert sorted(set(ahead)) == ahead


@given(unbounded, moments, moments, moments)
def test_no_instant_lies_outside_start_and_end(
    schedule: Schedule, one: datetime, other: datetime, now: datetime
) -> None:
    start, end = sorted((one, other))
    bounded = replace(schedule, start=start, end=end)
    inside = list(islice(schedule.between(start, end), 60))
    assert list(islice(bounded.after(start - timedelta(days=900)), 60)) == inside
    assert list(islice(bounded.between(start, end), 60)) == inside
    back = list(islice(bounded.until(end + timedelta(days=900)), 60))
    assert back == list(takewhile(lambda instant: instant >= start, islice(schedule.until(end), 60)))
    following = bounded.next(now)
    assert following == NEVER or (max(start, now) <= following <= end and following > now)
    assert bounded.next(end) == NEVER
    assert bounded.rhythm == schedule.rhythm


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("schedule", [cron("0 0 29 2 *"), cron("0 0 * 2 mon#5"), cron("@yearly"), every(3650 * 86400)])
def test_it_ends_where_the_calendar_does(schedule: Schedule, zone: str) -> None:
    far = replace(schedule, timezone=zone, start=at("9960-01-01T00:00Z"))
    instants = list(far.after(at(NOON)))
    assert instants
    assert max(instants) < NEVER
    assert list(far.until(NEVER - TICK)) == instants[::-1]
    assert far.next(instants[-1]) == NEVER
    assert replace(far, start=at("9998-12-31T23:59-23:59")).next(at(NOON)) == NEVER
    assert min(replace(far, start=None).until(at("0099-01-01T00:00Z"))).year <= 99


def test_start_and_end_are_read_in_the_zone() -> None:
    trigger = ScheduleTrigger(
        id="a", type="schedule", cron="@daily", timezone="Europe/Berlin", start="2026-03-29", end="2026-03-30"
    )
    schedule = Schedule.of(trigger)
    assert list(schedule.after(EPOCH)) == [at("2026-03-28T23:00Z"), at("2026-03-29T22:00Z")]
    assert list(schedule.until(at("2030-01-01T00:00Z"))) == [at("2026-03-29T22:00Z"), at("2026-03-28T23:00Z")]


def test_what_was_missed_ends_with_it() -> None:
    hourly = replace(cron("0 * * * *", "UTC", "all"), end=at("2026-03-02T10:30Z"))
    due = hourly.due(at("2026-03-02T09:00Z"), at(NOON))
    assert due.instants == [at("2026-03-02T09:00Z"), at("2026-03-02T10:00Z")]


NOON = "2026-03-02T12:00:00+00:00"


@pytest.mark.parametrize(
    ("catchup", "first", "started", "missed"),
    [
        ("latest", "2026-03-02T12:00Z", ["2026-03-02T12:00Z"], None),
        ("none", "2026-03-02T12:00Z", ["2026-03-02T12:00Z"], None),
        ("none", "2026-03-02T09:00Z", ["2026-03-02T12:00Z"], ("2026-03-02T09:00Z", "2026-03-02T11:00Z", 3)),
        ("latest", "2026-03-02T09:00Z", ["2026-03-02T12:00Z"], ("2026-03-02T09:00Z", "2026-03-02T11:00Z", 3)),
        ("all", "2026-03-02T10:00Z", ["2026-03-02T10:00Z", "2026-03-02T11:00Z", "2026-03-02T12:00Z"], None),
    ],
)
def test_what_was_missed(catchup: Catchup, first: str, started: list[str], missed: tuple[str, str, int] | None) -> None:
    due = cron("0 * * * *", "UTC", catchup).due(at(first), at(NOON))
    assert due.instants == [at(instant) for instant in started]
    found = due.missed and (due.missed.first, due.missed.last, due.missed.count)
    assert found == (missed and (at(missed[0]), at(missed[1]), missed[2]))


@pytest.mark.parametrize(("catchup", "started"), [("none", []), ("latest", ["2026-03-02T11:00Z"])])
def test_between_two_instants(catchup: Catchup, started: list[str]) -> None:
    due = cron("0 * * * *", "UTC", catchup).due(at("2026-03-02T10:00Z"), at("2026-03-02T11:30Z"))
    assert due.instants == [at(instant) for instant in started]
    assert due.missed is not None
    assert due.missed.count == 2 - len(started)


@given(schedules, moments, st.integers(0, 3_000), st.sampled_from(["none", "latest", "all"]))
def test_every_instant_is_started_or_missed(
    schedule: Schedule, moment: datetime, passed: int, catchup: Catchup
) -> None:
    """And only those that are on time, or made up for, are started; in order."""
    schedule = replace(schedule, catchup=catchup)
    instants = list(islice(schedule.after(moment), passed + 1))
    now = instants[-1] + timedelta(seconds=30)
    due = schedule.due(instants[0], now)
    come = schedule.passed(instants[0], now)[::-1]
    assert come[: len(instants)] == instants
    lost = 0 if due.missed is None else due.missed.count
    assert len(come) == lost + len(due.instants)
    assert come[lost:] == due.instants
    late = [instant for instant in due.instants if now - instant > ON_TIME]
    assert len(late) <= {"none": 0, "latest": 0, "all": MOST_MADE_UP_FOR}[catchup]
    if due.missed is not None:
        assert (due.missed.first, due.missed.last) == (come[0], come[lost - 1])


def test_a_long_outage_is_looked_at_in_a_moment() -> None:
    due = every(1, "all").due(at("2020-01-01T00:00Z"), at("2026-01-01T00:00Z"))
    assert due.missed is not None
    assert due.missed.count + len(due.instants) == MOST_LOOKED_AT
    assert due.instants[-1] == at("2026-01-01T00:00Z")


def test_rhythm_says_whether_two_have_the_same_instants() -> None:
    assert every(60).rhythm == every(60, "all").rhythm != every(61).rhythm
    assert cron("0 * * * *").rhythm == cron("0 * * * *", catchup="none").rhythm
    assert cron("0 * * * *").rhythm != cron("0 * * * *", "UTC").rhythm


@given(unbounded, moments, st.integers(1, 300), st.sets(st.integers(0, 300)))
def test_what_remains_missed(schedule: Schedule, moment: datetime, count: int, gone: set[int]) -> None:
    instants = list(islice(schedule.until(moment), count))
    dealt_with = {instants[place] for place in gone if place < count}
    left = schedule.without(dealt_with, instants[0], count)
    assert sum(one.count for one in left) == count - len(dealt_with)
    for one in left:
        stretch = list(islice(schedule.until(one.last), one.count))
        assert stretch[-1] == one.first
        assert dealt_with.isdisjoint(stretch)


def test_what_another_schedule_has_missed_remains() -> None:
    (left,) = every(3600).without({at(NOON)}, at("2026-03-02T12:30Z"), 5)
    assert (left.last, left.count) == (at("2026-03-02T12:30Z"), 5)
