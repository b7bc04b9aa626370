"""The share of failed runs of one pipeline or stage, and whether it has risen.

After each failure the last 5, 10, 20 and 50 runs are set against those before: how probable is it that so many fail?
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from flexiroaster.ai.insights.budget import AlertBudget
from flexiroaster.ai.insights.chance import at_least, rate, surprise

WINDOWS = (5, 10, 20, 50)
REFERENCE_RUNS = 300
LEAST_REFERENCE = 10
PRIOR_RATE, PRIOR_STRENGTH = 0.05, 10.0
"""What is assumed of a pipeline that has hardly run."""
LEAST_FAILURES = 3
DIGITS = 4.0
"""One window in 10,000: four of them overlap, which keeps to about one false alert in 1,000 runs."""
QUIET_RUNS = 20


@dataclass(frozen=True, slots=True)
class Rise:
    score: float
    threshold: float
    failures: int
    runs: int
    """The window in which they lie."""
    usual: float
    """Share of failed runs before it."""
    chance: float


class FailureMonitor:
    """Feed it each run's outcome in the order in which runs ended."""

    def __init__(self, budget: AlertBudget | None = None) -> None:
        self._budget = budget or AlertBudget()
        self._outcomes: deque[bool] = deque(maxlen=REFERENCE_RUNS + WINDOWS[-1])
        self._raised = False
        self._quiet = 0

    def observe(self, *, failed: bool) -> Rise | None:
        """What has risen, at the one run at which that became certain."""
        self._outcomes.append(failed)
        self._quiet = max(self._quiet - 1, 0)
        rise = self._strongest() if failed else None
        if self._raised:
            self._raised = sum(list(self._outcomes)[-WINDOWS[0] :]) > 0
            return None
        self._budget.learn(rise.score if rise else 0.0)
        if rise is None or rise.score < self._budget.threshold or self._quiet:
            return None
        self._raised, self._quiet = True, QUIET_RUNS
        return rise

    def _strongest(self) -> Rise | None:
        outcomes = list(self._outcomes)
        found: Rise | None = None
        for window in WINDOWS:
            if len(outcomes) < window + LEAST_REFERENCE:
                break
            failures = sum(outcomes[-window:])
            if failures < LEAST_FAILURES:
                continue
            before = outcomes[:-window]
            usual = rate(sum(before), len(before), prior=PRIOR_RATE, strength=PRIOR_STRENGTH)
            chance = at_least(failures, window, usual)
            score = surprise(chance) / DIGITS
            if found is None or score > found.score:
                share = sum(before) / len(before)
                found = Rise(score, self._budget.threshold, failures, window, share, chance)
        return found
