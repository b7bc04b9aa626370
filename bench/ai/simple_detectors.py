"""The detectors that everybody would write first, as a measure for ours."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from statistics import median


def ewma(values: Iterable[float], step: float = 0.01) -> Iterator[float]:
    """Distance from the exponential mean in exponential standard deviations."""
    mean = variance = 0.0
    for row, value in enumerate(values):
        difference = value - mean if row else 0.0
        yield abs(difference) / math.sqrt(variance) if variance > 0 else 0.0
        mean = mean + step * difference if row else value
        variance = (1 - step) * (variance + step * difference * difference)


def rolling_mad(values: Iterable[float], window: int = 300) -> Iterator[float]:
    """Distance from the rolling median in rolling median distances (taken at every tenth row: it is slow)."""
    kept: list[float] = []
    ordered: list[float] = []
    middle = spread = 0.0
    for row, value in enumerate(values):
        yield abs(value - middle) / (spread + 1e-9) if row > 20 else 0.0
        kept.append(value)
        insort(ordered, value)
        if len(kept) > window:
            ordered.pop(bisect_left(ordered, kept.pop(0)))
        if row % 10 == 0:
            middle = median(ordered)
            spread = 1.4826 * median([abs(one - middle) for one in ordered])


def cusum(values: Iterable[float], step: float = 0.01, slack: float = 0.5) -> Iterator[float]:
    """The sum of what exceeds the exponential mean by more than half a deviation, either way; anew after each alarm."""
    mean = variance = up = down = 0.0
    for row, value in enumerate(values):
        difference = value - mean if row else 0.0
        if variance > 0:
            z = max(min(difference / math.sqrt(variance), 10.0), -10.0)
            up, down = max(up + z - slack, 0.0), max(down - z - slack, 0.0)
        yield max(up, down)
        if max(up, down) > 50:
            up = down = 0.0
        mean = mean + step * difference if row else value
        variance = (1 - step) * (variance + step * difference * difference)


def robust_log(values: Sequence[float]) -> Iterator[float]:
    """The median of the last three logarithms against median and median distance of the 60 before."""
    recent = [0.0, 0.0, 0.0]
    for middle, spread, log in _against_the_last(values):
        recent = [*recent[1:], log]
        yield (median(recent) - middle) / spread if spread else 0.0


def cusum_log(values: Sequence[float], slack: float = 1.0) -> Iterator[float]:
    """The sum of what exceeds the median of the last 60 logarithms by more than one spread; anew when it is large."""
    total = 0.0
    for middle, spread, log in _against_the_last(values):
        z = (log - middle) / spread if spread else 0.0
        total = max(total + min(z, 8.0) - slack, 0.0)
        yield total
        if total > 60:
            total = 0.0


def _against_the_last(values: Sequence[float], window: int = 60) -> Iterator[tuple[float, float, float]]:
    """(median, spread, logarithm): of the values before, and of this one. The spread is 0 while there are few."""
    logs = [math.log(value) for value in values]
    for row, log in enumerate(logs):
        before = logs[max(row - window, 0) : row]
        if len(before) < 20:
            yield 0.0, 0.0, log
            continue
        middle = median(before)
        yield middle, 1.4826 * median([abs(one - middle) for one in before]) + 1e-3, log
