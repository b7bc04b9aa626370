"""Rate limits: how many may start, and when the next one may."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.engine.pipeline import RateLimit
from flexiroaster.engine.rates import Passed, TooSoon, passes
from tests.engine.simulation import START

FIVE_PER_SECOND = RateLimit(key="shop", limit=5, per=timedelta(seconds=1))


def test_a_burst_of_the_limit_starts_at_once_then_one_each_interval() -> None:
    full_at: datetime | None = None
    for _ in range(5):
        found = passes(FIVE_PER_SECOND, full_at, START)
        assert isinstance(found, Passed)
        full_at = found.full_at
    assert passes(FIVE_PER_SECOND, full_at, START) == TooSoon(START + timedelta(milliseconds=200))
    later = START + timedelta(milliseconds=200)
    found = passes(FIVE_PER_SECOND, full_at, later)
    assert isinstance(found, Passed)
    assert passes(FIVE_PER_SECOND, found.full_at, later) == TooSoon(later + timedelta(milliseconds=200))


def test_after_a_rest_the_whole_burst_is_there_again() -> None:
    full_at = START + timedelta(seconds=1)
    assert passes(FIVE_PER_SECOND, full_at, START + timedelta(hours=1)) == Passed(
        START + timedelta(hours=1, milliseconds=200)
    )


@given(
    st.integers(1, 7),
    st.integers(1, 10),
    st.lists(st.integers(0, 3_000), min_size=1, max_size=80),
)
def test_never_more_than_the_limit_and_what_the_time_allows(limit: int, seconds: int, pauses: list[int]) -> None:
    """In any span: `limit`, and one more for each interval that it lasts. Who is told a moment passes then."""
    rate = RateLimit(key="k", limit=limit, per=timedelta(seconds=seconds))
    now, full_at, starts = START, None, []
    for pause in pauses:
        now += timedelta(milliseconds=pause)
        found = passes(rate, full_at, now)
        if isinstance(found, TooSoon):
            assert found.until > now
            assert isinstance(passes(rate, full_at, found.until), Passed)
            assert isinstance(passes(rate, full_at, found.until - timedelta(microseconds=1)), TooSoon)
        else:
            full_at = found.full_at
            starts.append(now)
    step = rate.per / rate.limit
    for first, begin in enumerate(starts):
        for count, end in enumerate(starts[first:], start=1):
            assert count <= limit + (end - begin) / step + 1e-3
