"""The prior that answers from the first run on: shares of failures, each level drawn towards the one above it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, lgamma, log, log1p

from flexiroaster.ai.runs import Run

STRENGTH = 4.0
"""As many runs as the level above counts for."""
HALF_LIVES = {"all": 200.0, "kind": 20.0, "pipeline": 7.0, "stage": 7.0}
"""Runs after which an outcome counts half. Trouble comes and goes: what a pipeline did of late says more than what it
did in all. All of them together change slowly.
"""
FIRST_GUESS = 0.1


@dataclass(slots=True)
class Share:
    """Failures and runs that forget by runs."""

    keep: float
    failures: float = 0.0
    runs: float = 0.0
    seen: int = 0
    recent: int = 0
    """The newest 16 outcomes, a bit each, 1 for a failure."""

    def add(self, failed: bool) -> None:
        self.failures = self.keep * self.failures + failed
        self.runs = self.keep * self.runs + 1.0
        self.seen += 1
        self.recent = (self.recent << 1 | failed) & 0xFFFF

    def towards(self, above: float) -> float:
        return (self.failures + STRENGTH * above) / (self.runs + STRENGTH)


@dataclass
class Prior:
    """Global → kind → pipeline → stage, weighted by recency. Never looks at anything but ended runs."""

    shares: dict[str, Share] = field(default_factory=dict)

    def add(self, run: Run) -> None:
        for level, key in levels(run):
            share = self.shares.get(key)
            if share is None:
                share = self.shares[key] = Share(0.5 ** (1.0 / HALF_LIVES[level]))
            share.add(run.failed)

    def probability(self, run: Run) -> float:
        value = FIRST_GUESS
        for _, key in levels(run):
            share = self.shares.get(key)
            if share is not None:
                value = share.towards(value)
        return value

    def weight(self, run: Run) -> float:
        """As many runs as the answer for this stage stands on, the level above included."""
        share = self.shares.get(levels(run)[-1][1])
        return STRENGTH + (share.runs if share else 0.0)

    def above(self, run: Run) -> float:
        """What is to be expected in this pipeline, without this stage's own history."""
        value = FIRST_GUESS
        for _, key in levels(run)[:-1]:
            share = self.shares.get(key)
            if share is not None:
                value = share.towards(value)
        return value

    def words(self, run: Run) -> str:
        """The counts behind the number, for a person."""
        share = self.shares.get(levels(run)[-1][1])
        around = f"{self.above(run):.0%} of its pipeline's latest"
        if share is None:
            return f"It never ran before; {around} runs failed."
        seen = min(share.seen, 6 if share.seen < 16 else 16)
        failed = (share.recent & ((1 << seen) - 1)).bit_count()
        return f"{failed} of the last {seen} run{'s' if seen > 1 else ''} failed, {around}."


def levels(run: Run) -> tuple[tuple[str, str], ...]:
    return (
        ("all", "*"),
        ("kind", f"k\0{run.kind}"),
        ("pipeline", f"p\0{run.pipeline}"),
        ("stage", f"s\0{run.pipeline}\0{run.stage}"),
    )


def interval(value: float, weight: float, inside: float = 0.8) -> tuple[float, float]:
    """What a share may be that was seen as `value` in `weight` runs: quantiles of the Beta distribution, with half a
    run of either outcome before the first (Jeffreys).
    """
    a, b = value * weight + 0.5, (1.0 - value) * weight + 0.5
    tail = (1.0 - inside) / 2.0
    return min(beta_quantile(a, b, tail), value), max(beta_quantile(a, b, 1.0 - tail), value)


def beta_quantile(a: float, b: float, share: float) -> float:
    """By bisection on the distribution."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2.0
        low, high = (middle, high) if beta_below(a, b, middle) < share else (low, middle)
    return (low + high) / 2.0


def beta_below(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function (Lentz's continued fraction; Numerical Recipes 6.4)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_below(b, a, 1.0 - x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    result = d
    for m in range(1, 200):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _away_from_zero(1.0 + numerator * d)
            c = _away_from_zero(1.0 + numerator / c)
            result *= c * d
        if abs(c * d - 1.0) < 1e-9:
            break
    return front * result


def _away_from_zero(value: float) -> float:
    return value if abs(value) > 1e-30 else 1e-30
