"""A number that every run brings (duration, rows, bytes, queue wait) and that has left its usual level.

The logarithms of the last runs are compared with those of the 60 runs before: the median of three answers fast and
bears one wild run, the clipped mean of eight finds small shifts. Runs are compared, not clock times.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Literal

from flexiroaster.ai.insights.budget import AlertBudget

REFERENCE_RUNS = 60
LEAST_REFERENCE = 15
FAST_RUNS, FAST_UNIT = 3, 2.45
SLOW_RUNS, SLOW_UNIT = 8, 1.22
"""A unit is the spread that clean runs exceed about once in 3,000: a score of 1."""
CLIP = 3.0
LEAST_SPREAD = 0.008
"""Of logarithms. A shift of two per cent is nobody's incident, however steady the runs were."""
QUIET_RUNS = 20
MAD_TO_DEVIATION = 1.4826
TAIL = 0.95
TAIL_DEVIATIONS = 1.96

Direction = Literal["up", "down", "both"]


@dataclass(frozen=True, slots=True)
class Level:
    """What the monitor says after one run. `usual` and `now` are in the unit of the values."""

    score: float
    threshold: float
    usual: float
    now: float
    spread: float
    """Of the usual runs: the factor by which one lies above or below `usual`, minus 1."""
    alert: bool
    """True for the one run at which the shift became certain."""

    @property
    def ratio(self) -> float:
        return self.now / self.usual if self.usual else math.inf


class LevelMonitor:
    """Watches one number of one pipeline or stage. Feed it in the order in which runs ended.

    `offset` is added to every value before the logarithm: what is small against it does not count.
    """

    def __init__(self, *, direction: Direction = "up", offset: float = 0.0, budget: AlertBudget | None = None) -> None:
        self._direction = direction
        self._offset = offset
        self._budget = budget or AlertBudget()
        self._logs: deque[float] = deque(maxlen=REFERENCE_RUNS + SLOW_RUNS)
        self._recent: deque[float] = deque(maxlen=QUIET_RUNS)
        self._raised = False
        self._quiet = 0

    def observe(self, value: float) -> Level | None:
        """None until there are enough runs to compare with. A value that has no logarithm is a ValueError."""
        if not value + self._offset > 0:
            raise ValueError(f"The value {value!r} has no logarithm: give a positive one, or an offset.")
        self._logs.append(math.log(value + self._offset))
        if len(self._logs) < LEAST_REFERENCE + SLOW_RUNS:
            return None
        usual, spread, signed, now = self._compare()
        score = {"up": signed, "down": -signed, "both": abs(signed)}[self._direction]
        alert = self._judge(score)
        return Level(
            score,
            self._budget.threshold,
            math.exp(usual) - self._offset,
            math.exp(now) - self._offset,
            math.expm1(spread),
            alert,
        )

    def _compare(self) -> tuple[float, float, float, float]:
        """The usual level, its spread, the signed score of the newest runs, and their level. Logarithms."""
        logs = list(self._logs)
        reference = sorted(logs[:-SLOW_RUNS])
        usual = _middle(reference)
        spread = _spread(reference, usual)
        newest = logs[-SLOW_RUNS:]
        fast = median(newest[-FAST_RUNS:]) - usual
        bound = CLIP * spread
        slow = sum(min(max(log - usual, -bound), bound) for log in newest) / SLOW_RUNS
        by_fast, by_slow = fast / spread / FAST_UNIT, slow / spread / SLOW_UNIT
        if abs(by_fast) >= abs(by_slow):
            return usual, spread, by_fast, usual + fast
        return usual, spread, by_slow, usual + slow

    def _judge(self, score: float) -> bool:
        """Whether this run starts an alert: the first of its shift, and no other one shortly before."""
        threshold = self._budget.threshold
        is_peak = all(score > other for other in self._recent)
        self._recent.append(score)
        self._quiet = max(self._quiet - 1, 0)
        if self._raised:
            # Half the threshold, so that a level that hovers around it does not alert again and again.
            self._raised = score >= threshold / 2
            return False
        self._budget.learn(score if is_peak else 0.0)
        if score < threshold or self._quiet:
            return False
        self._raised, self._quiet = True, QUIET_RUNS
        return True


def slow_runs(durations: Iterable[float]) -> Iterator[float]:
    """A score for each run from the durations in seconds: 1 or more is a slowdown, told once."""
    monitor = LevelMonitor(offset=1e-3)
    recent: deque[float] = deque(maxlen=QUIET_RUNS)
    for seconds in durations:
        level = monitor.observe(seconds)
        score = 0.0 if level is None else max(level.score / level.threshold, 0.0)
        yield score if all(score > other for other in recent) else 0.0
        recent.append(score)


def _middle(ordered: list[float]) -> float:
    half, odd = divmod(len(ordered), 2)
    return ordered[half] if odd else (ordered[half - 1] + ordered[half]) / 2


def _spread(ordered: list[float], usual: float) -> float:
    """The larger of what the middle and what the tails say: a few wild runs are part of what is usual."""
    distances = sorted(abs(log - usual) for log in ordered)
    middle = MAD_TO_DEVIATION * _middle(distances)
    tail = distances[int(TAIL * (len(distances) - 1))] / TAIL_DEVIATIONS
    return math.hypot(max(middle, tail), LEAST_SPREAD)
