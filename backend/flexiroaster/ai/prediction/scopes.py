"""What is remembered of the runs of one stage, pipeline, connector, kind or version: counters that forget.

Every state here is updated once per ended run, in the order in which the runs ended, and read at the start of others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


class Scope:
    """Outcomes of the runs that share one key: the newest ones, the streak, and shares that forget with time."""

    __slots__ = (
        "_at",
        "_failures",
        "_runs",
        "failures",
        "half_lives",
        "last",
        "last_class",
        "last_failure",
        "last_seen",
        "last_success",
        "runs",
        "streak",
    )

    def __init__(self, half_lives: tuple[float, ...]) -> None:
        self.half_lives = half_lives
        self.runs = 0
        self.failures = 0
        self.last = 0.0
        """Share of failures that forgets by runs, half of it in five."""
        self.streak = 0
        """Successes since the last failure, or minus the failures since the last success."""
        self.last_success: float | None = None
        self.last_failure: float | None = None
        self.last_seen: float | None = None
        self.last_class = ""
        self._at = -math.inf
        self._failures = [0.0] * len(half_lives)
        self._runs = [0.0] * len(half_lives)

    def add(self, at: float, failed: bool, error_class: str) -> None:
        self._forget(at)
        self.runs += 1
        self.last_seen = at
        for index in range(len(self._runs)):
            self._runs[index] += 1.0
        self.last += 0.13 * ((1.0 if failed else 0.0) - self.last)
        if failed:
            self.failures += 1
            self.last_failure = at
            self.last_class = error_class
            self.streak = min(self.streak, 0) - 1
            for index in range(len(self._failures)):
                self._failures[index] += 1.0
        else:
            self.last_success = at
            self.streak = max(self.streak, 0) + 1

    def _forget(self, at: float) -> None:
        passed = at - self._at
        if passed <= 0:
            return
        self._at = at
        for index, half_life in enumerate(self.half_lives):
            keep: float = 0.5 ** (passed / half_life)
            self._failures[index] *= keep
            self._runs[index] *= keep

    def shares(self, at: float, usual: float, strength: float = 2.0) -> list[float]:
        """Share of failures per half-life, drawn towards `usual` as if `strength` runs had shown it."""
        self._forget(at)
        return [
            (failures + strength * usual) / (runs + strength)
            for failures, runs in zip(self._failures, self._runs, strict=True)
        ]


def since(at: float, then: float | None) -> float:
    """Logarithm of the seconds that passed; not a number when it never happened."""
    return math.nan if then is None else math.log1p(max(at - then, 0.0))


@dataclass(slots=True)
class Spread:
    """How often a failure of a class was followed by the same failure in the next run of the same scope.

    An outage or a broken version strikes again, a flaky test does not: learned here per class, not told.
    """

    window: float
    """Seconds within which the next run must start to count."""
    hits: dict[str, float] = field(default_factory=dict)
    cases: dict[str, float] = field(default_factory=dict)
    open: dict[str, tuple[float, str, str]] = field(default_factory=dict)
    """Scope key → the last failure there: when it ended, its class, the pipeline or execution it came from."""

    def share(self, error_class: str) -> float:
        return (self.hits.get(error_class, 0.0) + 0.6) / (self.cases.get(error_class, 0.0) + 3.0)

    def add(self, key: str, at: float, origin: str, failed_class: str | None) -> None:
        """`failed_class` is None for a success. Runs of the same origin say nothing about others."""
        before = self.open.get(key)
        if before is not None and before[2] != origin:
            ended, error_class, _ = self.open.pop(key)
            if at - ended <= self.window:
                self.cases[error_class] = 0.998 * self.cases.get(error_class, 0.0) + 1.0
                self.hits[error_class] = 0.998 * self.hits.get(error_class, 0.0) + (failed_class == error_class)
        if failed_class is not None:
            self.open[key] = (at, failed_class, origin)


@dataclass(slots=True)
class Trouble:
    """The probability that a scope is in trouble now: a filter with two states, usual and in trouble.

    In trouble nearly every run fails; trouble begins rarely and lasts `lasts` seconds on average. Each outcome moves
    the odds by the ratio of its probabilities in the two states (a hidden Markov model's forward step).
    """

    lasts: float
    rarely: float
    """Probability of trouble when nothing is known."""
    probability: float = -1.0
    at: float = -math.inf

    def now(self, at: float) -> float:
        if self.probability < 0:
            return self.rarely
        faded: float = math.exp(-max(at - self.at, 0.0) / self.lasts)
        return self.rarely + (self.probability - self.rarely) * faded

    def add(self, at: float, failed: bool, usual: float, shared: float) -> None:
        """`usual` is the probability of this very outcome in usual times (for a failure: of its class);
        `shared` the probability that a failure of this class has a cause which stays.
        """
        before = self.now(at)
        ratio = 1.0 - shared + shared * FAILS_IN_TROUBLE / usual if failed else (1.0 - FAILS_IN_TROUBLE) / usual
        odds = before / (1.0 - before) * ratio
        self.probability = min(odds / (1.0 + odds), 0.995)
        self.at = max(at, self.at)


FAILS_IN_TROUBLE = 0.85


class Usual:
    """Mean and spread of a logarithm (duration, rows) of one key; forgets by runs."""

    __slots__ = ("count", "last", "mean", "variance")

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.variance = 0.0
        self.last = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        step = max(1.0 / self.count, 0.06)
        difference = value - self.mean
        self.mean += step * difference
        self.variance = (1.0 - step) * (self.variance + step * difference * difference)
        self.last = value

    def apart(self, value: float) -> float:
        """How far from usual, in logarithms; not a number before the second run."""
        return math.nan if self.count < 2 else value - self.mean
