"""What is left of an execution: when it will end, on which path, and how likely it is to fail on the way.

The graph of the stages that have not ended is played through many times with durations drawn from the predictions.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from flexiroaster.ai.prediction.duration import DurationPrediction

DRAWS = 300
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Ahead:
    """A stage that has not ended. Stages it needs that are not named here have ended."""

    stage: str
    duration: DurationPrediction
    failure: float = 0.0
    """Probability that its next (or present) attempt fails."""
    needs: tuple[str, ...] = ()
    elapsed: float | None = None
    """Seconds since the present attempt began; None before it began."""
    retries: tuple[float, ...] = ()
    """Probability that each further attempt fails, given that the one before did."""
    delay: float = 0.0
    """Seconds before another attempt."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Seconds from now until the last stage ends, if none fails for good."""

    p10: float
    p50: float
    p90: float
    failure: float
    """That some stage fails in its last attempt."""
    critical: tuple[str, ...]
    """The stages that the end most often waits for, in the order in which they run."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Stage → share of the draws in which the end waited for it."""


def outlook(stages: Sequence[Ahead], seed: int = 0) -> Outlook:
    """Every stage begins when what it needs has ended. The same seed gives the same answer.

    Raises ValueError when the stages need each other in a circle.
    """
    ordered = _in_order(stages)
    if not ordered:
        return Outlook(0.0, 0.0, 0.0, 0.0, ())
    chance = random.Random(seed)
    ends: list[float] = []
    waited: dict[str, int] = dict.fromkeys((stage.stage for stage in ordered), 0)
    for _ in range(DRAWS):
        end, path = _play(ordered, chance)
        ends.append(end)
        for name in path:
            waited[name] += 1
    ends.sort()
    shares = {name: count / DRAWS for name, count in waited.items()}
    return Outlook(
        p10=ends[DRAWS // 10],
        p50=ends[DRAWS // 2],
        p90=ends[DRAWS * 9 // 10],
        failure=1.0 - math.prod(1.0 - fails_for_good(stage) for stage in ordered),
        critical=tuple(name for name, share in shares.items() if share >= 0.5),
        shares=shares,
    )


def fails_for_good(stage: Ahead) -> float:
    return stage.failure * math.prod(stage.retries)


def _in_order(stages: Sequence[Ahead]) -> list[Ahead]:
    """Every stage behind what it needs."""
    left = {stage.stage: stage for stage in stages}
    ordered: list[Ahead] = []
    while left:
        free = [stage for stage in left.values() if not any(need in left for need in stage.needs)]
        if not free:
            raise ValueError(f"The stages {', '.join(left)} need each other in a circle: cut one of the edges.")
        for stage in free:
            ordered.append(left.pop(stage.stage))
    return ordered


def _play(ordered: Sequence[Ahead], chance: random.Random) -> tuple[float, list[str]]:
    """One draw: when the last stage ended, and the chain of stages that it waited for."""
    ended: dict[str, float] = {}
    behind: dict[str, str | None] = {}
    for stage in ordered:
        last = max((need for need in stage.needs if need in ended), key=ended.__getitem__, default=None)
        behind[stage.stage] = last
        ended[stage.stage] = (0.0 if last is None else ended[last]) + _draw(stage, chance)
    final = max(ended, key=ended.__getitem__)
    path, name = [], behind[final]
    while name is not None:
        path.append(name)
        name = behind[name]
    return ended[final], [*reversed(path), final]


def _draw(stage: Ahead, chance: random.Random) -> float:
    seconds = _left(stage.duration, stage.elapsed or 0.0, chance)
    fails = stage.failure
    for again in stage.retries:
        if chance.random() >= fails:
            break
        seconds += stage.delay + _left(stage.duration, 0.0, chance)
        fails = again
    return seconds


def _left(duration: DurationPrediction, elapsed: float, chance: random.Random) -> float:
    """Seconds that remain of a log-normal duration with these quantiles, given what has passed of it."""
    middle = math.log(max(duration.p50, 1e-3))
    above = max(math.log(max(duration.p90, 1e-3)) - middle, 1e-3) / NINETIETH
    below = max(middle - math.log(max(duration.p10, 1e-3)), 1e-3) / NINETIETH

    def spread(z: float) -> float:
        return above if z > 0 else below

    if elapsed <= 0:
        z = _NORMAL.inv_cdf(max(chance.random(), 1e-9))
        return math.exp(middle + z * spread(z))
    apart = math.log(elapsed) - middle
    passed = _NORMAL.cdf(apart / (above if apart > 0 else below))
    if passed > 0.999:
        # It already takes longer than ever seen: as long again is the best guess (Lindy), with the usual spread.
        return elapsed * math.exp(above * _NORMAL.inv_cdf(max(chance.random(), 1e-9))) * 0.5
    z = _NORMAL.inv_cdf(passed + (1.0 - passed) * min(max(chance.random(), 1e-9), 1 - 1e-9))
    return max(math.exp(middle + z * spread(z)) - elapsed, 0.0)


NINETIETH = _NORMAL.inv_cdf(0.9)
