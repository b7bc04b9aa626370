"""How often an alert may be false, and the threshold that keeps to it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

FALSE_PER_RUN = 1 / 1_000
PRIOR_RUNS = 1_000
"""Own runs after which the own scores count as much as what was measured elsewhere."""
KEPT_RUNS = 5_000
RELEARN_RUNS = 50
LOWEST, HIGHEST = 0.8, 1.6
"""How far the own scores may move a threshold: a history full of real incidents must not blind it."""

NOISE_STEP, USEFUL_STEP = 1.15, 0.96
LEAST_FACTOR, MOST_FACTOR = 0.7, 3.0
SHARED_WEIGHT = 0.25
"""How much a verdict on one subject says about the same rule on another."""


class AlertBudget:
    """A threshold for scores that are 1 where an alert is due by default, learnt from the own runs that had none.

    `factor` is what people's verdicts make of it (`Sensitivity`).
    """

    def __init__(self, *, per_run: float = FALSE_PER_RUN, factor: float = 1.0) -> None:
        self._per_run = per_run
        self._factor = factor
        self._runs = 0
        self._peaks: deque[tuple[int, float]] = deque()
        """(run, score) of those high enough to matter, of the last `KEPT_RUNS`."""
        self.threshold = factor

    def learn(self, score: float) -> None:
        """The score of a run. Runs of a slowdown that is already known are not to be learnt."""
        self._runs += 1
        if score > LOWEST / 2:
            self._peaks.append((self._runs, score))
        while self._peaks and self._peaks[0][0] <= self._runs - KEPT_RUNS:
            self._peaks.popleft()
        known = min(self._runs, KEPT_RUNS)
        if self._runs % RELEARN_RUNS == 0 and (own := self._own(known)) is not None:
            learnt = (PRIOR_RUNS + known * own) / (PRIOR_RUNS + known)
            self.threshold = min(max(learnt, LOWEST), HIGHEST) * self._factor

    def _own(self, known: int) -> float | None:
        """The score that only the allowed share of the own runs has exceeded; None before one was allowed."""
        allowed = math.floor(known * self._per_run)
        if allowed < 1:
            return None
        highest = sorted((score for _, score in self._peaks), reverse=True)
        return highest[allowed] if len(highest) > allowed else LOWEST


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person said of an insight."""

    rule: str
    subject: str
    verdict: Literal["useful", "noise"]


class Sensitivity:
    """What verdicts make of thresholds: noise raises that of its rule and subject, and a little that of its rule."""

    def __init__(self, verdicts: Iterable[Verdict] = ()) -> None:
        self._own: dict[tuple[str, str], float] = {}
        self._shared: dict[str, float] = {}
        for verdict in verdicts:
            step = math.log(NOISE_STEP if verdict.verdict == "noise" else USEFUL_STEP)
            key = (verdict.rule, verdict.subject)
            self._own[key] = self._own.get(key, 0.0) + step
            self._shared[verdict.rule] = self._shared.get(verdict.rule, 0.0) + step

    def factor(self, rule: str, subject: str) -> float:
        """By how much a threshold is to be multiplied; 1 without verdicts."""
        own = self._own.get((rule, subject), 0.0)
        others = self._shared.get(rule, 0.0) - own
        return min(max(math.exp(own + SHARED_WEIGHT * others), LEAST_FACTOR), MOST_FACTOR)
