"""Anomalies in one metric, row by row: constant work and memory, nothing to train, no constant for a single series.

Three questions are asked of each value, each answered in multiples of what is usual for this very series:

* is it far from what this hour of the week has brought so far (until a week has passed: from this hour itself)?
* has the short average left the long one?
* does it leave the range of everything seen before?

The answers are capped and added, so that no single heavy tail decides. A score of 1 is worth an alert. A score counts
only where it beats all those of the last `QUIET_ROWS`: one event gives one alert, not one a row.

The weights were set together for half of the Numenta Anomaly Benchmark and for copies of it with moved clocks, added
noise and cut beginnings, and rounded; all of them lie on a plateau.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

HOURS_OF_WEEK = 168
ROWS_PER_HOUR = 12
"""Of a stream that has no times."""
QUIET_ROWS = 400
LEARNING_ROWS = 60
MEMORY = 5_000
"""Rows over which what is usual may drift."""
PROFILE_STEP = 0.1
SHORT_STEP = 0.07
LONG_STEP = 0.002
HOUR_UNIT, HOUR_CAP = 6.0, 3.0
"""Standard deviations that count as one; the most that one answer counts."""
SHIFT_UNIT, SHIFT_CAP, SHIFT_WEIGHT = 4.0, 2.0, 0.7
RANGE_UNIT, RANGE_CAP, RANGE_WEIGHT = 0.05, 1.5, 0.7
"""Share of the range by which it was left."""
ALERT = 1.65
LARGEST = 1e100
"""Larger values count as this: their squares must stay numbers."""

Timestamp = datetime | float | str


@dataclass(frozen=True, slots=True)
class Reading:
    """What the detector says of one row."""

    score: float
    """1 or more is an anomaly; 0 while it learns, in the quiet after a stronger one, and for a missing value."""
    expected: float
    """What this hour of the week has brought so far."""
    deviations: float
    """How many standard deviations the value is from that, beyond the usual distance."""
    shift: float
    """How many standard deviations the short average is from the long one, beyond the usual distance."""
    outside: float
    """By what share of the range so far the value leaves it."""


class MetricDetector:
    """Scores one metric. Feed it in the order of time."""

    def __init__(self) -> None:
        self._rows = 0
        self._profile: dict[int, tuple[float, int]] = {}
        self._distance = _Usual()
        self._short = self._long = 0.0
        self._gap = _Usual()
        self._low, self._high = math.inf, -math.inf
        self._recent: deque[tuple[int, float]] = deque()
        """(row, raw score) of the last `QUIET_ROWS`, falling."""

    def score(self, value: float | None, at: Timestamp | None = None) -> float:
        return self.read(value, at).score

    def read(self, value: float | None, at: Timestamp | None = None) -> Reading:
        """`at` is a datetime (its own clock says which hour it is), seconds, or an ISO text; None counts rows."""
        if value is None or not math.isfinite(value):
            return Reading(0.0, math.nan, 0.0, 0.0, 0.0)
        value = min(max(value, -LARGEST), LARGEST)
        hour = _hour_of_week(at, self._rows)
        self._rows += 1
        expected, deviations = self._of_hour(value, hour)
        shift = self._of_averages(value)
        outside = self._of_range(value)
        raw = (
            min(deviations / HOUR_UNIT, HOUR_CAP)
            + SHIFT_WEIGHT * min(shift / SHIFT_UNIT, SHIFT_CAP)
            + RANGE_WEIGHT * min(outside / RANGE_UNIT, RANGE_CAP)
        ) / ALERT
        return Reading(self._after_quiet(raw), expected, deviations, shift, outside)

    def _of_hour(self, value: float, hour: int) -> tuple[float, float]:
        mean, count = self._profile.get(hour, (value, 0))
        distance = abs(value - mean)
        deviations = self._distance.beyond(distance)
        count += 1
        self._profile[hour] = (mean + max(PROFILE_STEP, 1 / count) * (value - mean), count)
        return mean, deviations

    def _of_averages(self, value: float) -> float:
        self._short += max(SHORT_STEP, 1 / self._rows) * (value - self._short)
        self._long += max(LONG_STEP, 1 / self._rows) * (value - self._long)
        return self._gap.beyond(abs(self._short - self._long))

    def _of_range(self, value: float) -> float:
        low, high = self._low, self._high
        self._low, self._high = min(low, value), max(high, value)
        if low <= value <= high or low > high:
            return 0.0
        return max(value - high, low - value) / (high - low) if high > low else math.inf

    def _after_quiet(self, raw: float) -> float:
        recent, row = self._recent, self._rows
        while recent and recent[0][0] < row - QUIET_ROWS:
            recent.popleft()
        is_new = not recent or raw > recent[0][1]
        while recent and recent[-1][1] <= raw:
            recent.pop()
        recent.append((row, raw))
        return raw if is_new and row > LEARNING_ROWS else 0.0


class _Usual:
    """Mean and spread of a distance, over all that was seen and at most about `MEMORY` rows."""

    __slots__ = ("_count", "_mean", "_variance")

    def __init__(self) -> None:
        self._count = 0
        self._mean = self._variance = 0.0

    def beyond(self, distance: float) -> float:
        """Standard deviations above the mean of the earlier ones; `distance` is learnt."""
        difference = distance - self._mean
        variance = self._variance
        self._count += 1
        step = max(1 / MEMORY, 1 / self._count)
        self._mean += step * difference
        self._variance = (1 - step) * (variance + step * difference * difference)
        if difference <= 0:
            return 0.0
        # A series that never moved has no spread: any move is then beyond all measure.
        return difference / math.sqrt(variance) if variance > 0 else math.inf


def detector(stream: Iterable[Any]) -> Iterator[float]:
    """A score for each row, as it comes. 1 or more is an anomaly.

    A row is `(timestamp, value)`, a mapping with `timestamp` and `value`, or a bare value.
    """
    metric = MetricDetector()
    for row in stream:
        at, value = _row(row)
        yield metric.score(value, at)


def _row(row: Any) -> tuple[Timestamp | None, float | None]:
    if isinstance(row, Mapping):
        at, value = row.get("timestamp"), row["value"]
    elif isinstance(row, list | tuple):
        at, value = row
    else:
        at, value = None, row
    return at, None if value is None or value == "" else float(value)


def _hour_of_week(at: Timestamp | None, row: int) -> int:
    if at is None:
        return row // ROWS_PER_HOUR % HOURS_OF_WEEK
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if isinstance(at, datetime):
        return at.weekday() * 24 + at.hour
    return int(at // 3600) % HOURS_OF_WEEK
