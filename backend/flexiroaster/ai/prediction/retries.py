"""Whether another try helps: by attempt, error class, pipeline and stage, with a rule when to stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flexiroaster.ai.prediction.models import log_odds, probability
from flexiroaster.ai.prediction.prior import interval
from flexiroaster.ai.runs import Run

STRENGTH = 5.0
KEEP = 0.995
FIRST_GUESS = 0.5
SUREST = 0.01
"""No count makes a retry hopeless or certain beyond this."""
WORTH = 0.15
"""The least chance of success that a retry is worth, unless the caller weighs it otherwise."""


@dataclass(frozen=True, slots=True)
class RetryAdvice:
    """`stop` is advised only when even the hopeful end of the interval is not worth a try."""

    probability: float
    """That the retry succeeds."""
    low: float
    high: float
    stop: bool
    runs: int
    """Earlier retries after such an error, of any stage."""
    words: str


@dataclass(slots=True)
class Tries:
    successes: float = 0.0
    expected: float = 0.0
    """Successes that the levels above had let expect."""
    runs: float = 0.0
    seen: int = 0
    succeeded: int = 0

    def add(self, success: bool, expected: float = 0.0) -> None:
        self.successes = KEEP * self.successes + success
        self.expected = KEEP * self.expected + expected
        self.runs = KEEP * self.runs + 1.0
        self.seen += 1
        self.succeeded += success


@dataclass
class Retries:
    """Attempt → error class → pipeline → stage and class.

    A class is drawn towards its attempt. A pipeline and a stage see several classes: they move the chance by how much
    better or worse they did than their classes let expect.
    """

    tries: dict[tuple[str, ...], Tries] = field(default_factory=dict)

    def add(self, run: Run, error_before: str) -> None:
        """A run with attempt ≥ 2 that ended, and the error class of the attempt before it."""
        success = not run.failed
        expected = [value for _, value in self._chain(run, error_before)]
        for key, value in zip(_levels(run, error_before), [FIRST_GUESS, *expected], strict=False):
            self.tries.setdefault(key, Tries()).add(success, value)
        self.tries.setdefault(("stage", run.pipeline, run.stage), Tries()).add(success)

    def share(self, key: tuple[str, ...], usual: float, strength: float) -> float:
        """Share of successes of one level alone."""
        tries = self.tries.get(key)
        return usual if tries is None else (tries.successes + strength * usual) / (tries.runs + strength)

    def success(self, run: Run, error_before: str) -> float:
        """The probability that `run`, an attempt after a failure, succeeds."""
        *_, (_, value) = self._chain(run, error_before)
        return value

    def _chain(self, run: Run, error_before: str) -> Iterator[tuple[tuple[str, ...], float]]:
        """The answer of every level, the most special one last."""
        value = FIRST_GUESS
        for key in _levels(run, error_before):
            tries = self.tries.get(key)
            if tries is not None and key[0] in {"attempt", "class"}:
                value = (tries.successes + STRENGTH * value) / (tries.runs + STRENGTH)
            elif tries is not None:
                happened = (tries.successes + STRENGTH * value) / (tries.runs + STRENGTH)
                expected = (tries.expected + STRENGTH * value) / (tries.runs + STRENGTH)
                value = probability(log_odds(value) + log_odds(happened) - log_odds(expected))
            value = min(max(value, SUREST), 1.0 - SUREST)
            yield key, value

    def advise(self, run: Run, error_before: str, success: float | None = None, worth: float = WORTH) -> RetryAdvice:
        """`success` replaces the counts' answer by a better informed one (a learned model's)."""
        value = self.success(run, error_before) if success is None else success
        alike = self.tries.get(("class", error_before, _attempt(run))) or Tries()
        own = self.tries.get(("stage", run.pipeline, run.stage, error_before)) or Tries()
        weight = STRENGTH + min(alike.runs, 40.0) / 4.0 + own.runs
        low, high = interval(value, weight)
        stop = high < worth
        return RetryAdvice(value, low, high, stop, alike.seen, self._words(run, error_before, value, alike, own, stop))

    @staticmethod
    def _words(run: Run, error_before: str, value: float, alike: Tries, own: Tries, stop: bool) -> str:
        error = error_before or "an error"
        if not alike.seen:
            return f"No attempt {run.attempt} after {error} was seen yet: what else is known says {value:.0%}."
        words = f"{alike.succeeded} of {alike.seen} attempts number {run.attempt} after {error} succeeded"
        if own.seen:
            words += f", {own.succeeded} of {own.seen} of this stage"
        return words + ("; another try is not worth it." if stop else ".")


def _levels(run: Run, error_before: str) -> Iterator[tuple[str, ...]]:
    yield ("attempt", _attempt(run))
    yield ("class", error_before, _attempt(run))
    yield ("pipeline", run.pipeline, _attempt(run))
    yield ("stage", run.pipeline, run.stage, error_before)


def _attempt(run: Run) -> str:
    return str(min(run.attempt, 6))
