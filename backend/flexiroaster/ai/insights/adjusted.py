"""How long a run took, for as much as it had to do.

Where durations grow with the rows or bytes that came in, a day with more data is no slowdown. The growth is learnt from
the runs themselves: a line through the logarithms of the last ones.
"""

from __future__ import annotations

import math

STEP = 0.01
LEAST_RUNS = 30
LEAST_SPREAD = 0.05
"""Of the logarithm of the amount. Amounts that hardly differ tell nothing about growth."""
STEEPEST = 1.5


class WorkAdjusted:
    """Turns durations into durations for the usual amount. Feed it in the order in which runs ended."""

    def __init__(self) -> None:
        self._runs = 0
        self._mean_work = self._mean_time = 0.0
        self._anchor = 0.0
        """The amount that durations are told for. It stays, or they would creep after every change of the amount."""
        self._variance = self._covariance = 0.0

    @property
    def slope(self) -> float:
        """By how many per cent a run is longer with one per cent more to do."""
        if self._runs < LEAST_RUNS or self._variance < LEAST_SPREAD**2:
            return 0.0
        return min(max(self._covariance / self._variance, 0.0), STEEPEST)

    def seconds(self, seconds: float, amount: float | None) -> float:
        """What the run would have taken with the amount of the first runs, by those before it; it is learnt then."""
        if amount is None or amount < 0 or seconds <= 0:
            return seconds
        work, time = math.log1p(amount), math.log(seconds)
        adjusted = time - self.slope * (work - self._anchor)
        self._learn(work, time)
        return math.exp(adjusted)

    def _learn(self, work: float, time: float) -> None:
        self._runs += 1
        if self._runs <= LEAST_RUNS:
            self._anchor += (work - self._anchor) / self._runs
        step = max(STEP, 1 / self._runs)
        off_work, off_time = work - self._mean_work, time - self._mean_time
        if self._runs > LEAST_RUNS:
            # One empty or stuck run must not turn the line.
            bound = 4 * math.sqrt(self._variance) + LEAST_SPREAD
            off_work = min(max(off_work, -bound), bound)
            off_time = min(max(off_time, -1.0), 1.0)
        self._mean_work += step * off_work
        self._mean_time += step * off_time
        self._variance = (1 - step) * (self._variance + step * off_work * off_work)
        self._covariance = (1 - step) * (self._covariance + step * off_work * off_time)
