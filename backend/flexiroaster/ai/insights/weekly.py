"""Days of the week that are unlike the others, taken out of a series: a calm Sunday is no event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

DAY_SECONDS = 86_400.0
WEEK_DAYS = 7
WEEKS = 4
LEARNING_DAYS = 8
LEAST_OFFSET = 0.15
"""Of logarithms. Smaller differences between days are noise as often as not, and harmless."""

MOST_FIRST_OFFSET = 1.2
"""A day of the first week that differs by more than a factor of three is an event, for all one can know."""


def learning_until(times: Sequence[float]) -> float:
    """Before this time nobody can know what the days of the week are like."""
    return (times[0] + LEARNING_DAYS * DAY_SECONDS) if times else 0.0


def without_weekdays(times: Sequence[float], logs: Sequence[float]) -> list[float]:
    """The logarithms less what the same weekday brought in the weeks before. `times` are rising seconds.

    Each value is judged by earlier weeks alone; those of the first days by themselves, as nothing came before.
    """
    if not times:
        return []
    by_day: dict[int, list[float]] = defaultdict(list)
    for at, log in zip(times, logs, strict=True):
        by_day[int(at // DAY_SECONDS)].append(log)
    middles = {day: median(values) for day, values in by_day.items()}
    off = {day: middle - _week_before(middles, day) for day, middle in middles.items()}
    first = int(times[0] // DAY_SECONDS)
    offsets = {day: _offset(off, day, first) for day in by_day}
    return [log - offsets[int(at // DAY_SECONDS)] for at, log in zip(times, logs, strict=True)]


def _week_before(middles: dict[int, float], day: int) -> float:
    """The level of the week that ends with this day."""
    return median([middles[one] for one in range(day - WEEK_DAYS + 1, day + 1) if one in middles])


def _offset(off: dict[int, float], day: int, first: int) -> float:
    same = [off[day - WEEK_DAYS * weeks] for weeks in range(1, WEEKS + 1) if day - WEEK_DAYS * weeks in off]
    if not same and day < first + LEARNING_DAYS:
        same = [off[day]] if abs(off[day]) <= MOST_FIRST_OFFSET else []
    found = median(same) if same else 0.0
    return found if abs(found) >= LEAST_OFFSET else 0.0
