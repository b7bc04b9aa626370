"""Days of the week that are unlike the others, taken out of a series: a calm Sunday is no event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

DAY_SECONDS = 86_400.0
WEEK_DAYS = 7
WEEKS = 4
LEARNING_DAYS = 15
"""Two of every weekday: one may have been an event."""
LEAST_OFFSET = 0.15
"""Of logarithms. Smaller differences between days are noise as often as not, and harmless."""
MOST_FIRST_OFFSET = 1.6
"""A day of the first weeks that differs by more than a factor of five is an event, for all one can know."""


def learning_until(times: Sequence[float]) -> float:
    """Before this time nobody can know what the days of the week are like."""
    return (times[0] + LEARNING_DAYS * DAY_SECONDS) if times else 0.0


def without_weekdays(times: Sequence[float], logs: Sequence[float], *, learning: bool) -> list[float]:
    """The logarithms less what the same weekday brought in the weeks before. `times` are rising seconds.

    Each value is judged by earlier weeks alone. With `learning`, days without two such are judged by themselves: that
    makes a clean reference of them, and hides what happened on them.
    """
    by_day: dict[int, list[float]] = defaultdict(list)
    for at, log in zip(times, logs, strict=True):
        by_day[int(at // DAY_SECONDS)].append(log)
    middles = {day: median(values) for day, values in by_day.items()}
    off = {day: middle - _week_before(middles, day) for day, middle in middles.items()}
    offsets = {day: _offset(off, day, learning=learning) for day in by_day}
    return [log - offsets[int(at // DAY_SECONDS)] for at, log in zip(times, logs, strict=True)]


def _week_before(middles: dict[int, float], day: int) -> float:
    """The level of the week that ends with this day."""
    return median([middles[one] for one in range(day - WEEK_DAYS + 1, day + 1) if one in middles])


def _offset(off: dict[int, float], day: int, *, learning: bool) -> float:
    same = [off[day - WEEK_DAYS * weeks] for weeks in range(1, WEEKS + 1) if day - WEEK_DAYS * weeks in off]
    if len(same) >= 2:
        found = _agreed(same)
    else:
        found = off[day] if learning and abs(off[day]) <= MOST_FIRST_OFFSET else 0.0
    return found if abs(found) >= LEAST_OFFSET else 0.0


def _agreed(same: list[float]) -> float:
    """What most of the weeks say; of two the one that says less."""
    if len(same) > 2:
        return median(same)
    first, second = same
    return min(first, second, key=abs) if first * second > 0 else 0.0
