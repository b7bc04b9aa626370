from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.engine.deadline import next_time


@pytest.mark.parametrize(
    ("after", "by", "zone", "expected"),
    [
        ("2026-01-05T02:15", "06:00", "UTC", "2026-01-05T06:00"),
        ("2026-01-05T06:00", "06:00", "UTC", "2026-01-06T06:00"),
        ("2026-01-05T06:01", "06:00", "UTC", "2026-01-06T06:00"),
        ("2026-01-05T23:30", "00:15", "Europe/Paris", "2026-01-06T23:15"),  # in Paris it is already the 6th
        ("2026-01-05T02:15", "06:00", "Europe/Paris", "2026-01-05T05:00"),
        ("2026-07-05T02:15", "06:00", "Europe/Paris", "2026-07-05T04:00"),
        ("2026-01-05T02:15", "06:00", "America/New_York", "2026-01-05T11:00"),
        # clocks are put forward at 02:00 on 29 March: 02:30 does not exist and counts as 03:30
        ("2026-03-28T20:00", "02:30", "Europe/Paris", "2026-03-29T01:30"),
        ("2026-03-29T20:00", "02:30", "Europe/Paris", "2026-03-30T00:30"),
        # clocks are put back at 03:00 on 25 October: of the two 02:30 the first counts
        ("2026-10-24T20:00", "02:30", "Europe/Paris", "2026-10-25T00:30"),
        ("2026-10-25T00:45", "02:30", "Europe/Paris", "2026-10-26T01:30"),
    ],
)
def test_the_next_time_of_day(after: str, by: str, zone: str, expected: str) -> None:
    found = next_time(by, zone, datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.times(),
    st.sampled_from(
        ["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"]
    ),
)
def test_it_lies_ahead_and_less_than_two_days(after: datetime, by: object, zone: str) -> None:
    assert 0 < (next_time(f"{by:%H:%M}", zone, after) - after).total_seconds() < 2 * 86_400
