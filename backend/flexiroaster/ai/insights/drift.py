"""A number that creeps: too slowly for one run to stand out, too far to be left alone.

Medians of 20 runs are compared with each other, each with each (Mann and Kendall's test): a trend that only moves one
way is improbable by chance long before its size is plain.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

BLOCK_RUNS = 20
BLOCKS = 25
LEAST_BLOCKS = 6
LEAST_CHANGE = 0.10
DIGITS = 3.0


@dataclass(frozen=True, slots=True)
class Drift:
    score: float
    before: float
    """The first block's median."""
    now: float
    runs: int
    chance: float


class DriftMonitor:
    """Feed it positive values in the order of time."""

    def __init__(self, *, factor: float = 1.0) -> None:
        self._threshold = factor
        self._block: list[float] = []
        self._medians: deque[float] = deque(maxlen=BLOCKS)

    @property
    def threshold(self) -> float:
        return self._threshold

    def reset(self) -> None:
        """After a sudden shift, which is another finding: what was before no longer counts."""
        self._block.clear()
        self._medians.clear()

    def observe(self, value: float) -> Drift | None:
        """A drift upwards, when it has become certain; the next one starts from the level reached by then."""
        self._block.append(value)
        if len(self._block) < BLOCK_RUNS:
            return None
        self._medians.append(median(self._block))
        self._block.clear()
        if len(self._medians) < LEAST_BLOCKS:
            return None
        drift = self._measure()
        if drift.score < self._threshold or drift.now < drift.before * (1 + LEAST_CHANGE):
            return None
        self.reset()
        return drift

    def _measure(self) -> Drift:
        medians = list(self._medians)
        blocks = len(medians)
        rises = sum((b > a) - (b < a) for i, a in enumerate(medians) for b in medians[i + 1 :])
        deviation = math.sqrt(blocks * (blocks - 1) * (2 * blocks + 5) / 18)
        chance = 0.5 * math.erfc((rises - 1) / deviation / math.sqrt(2))
        return Drift(
            score=-math.log10(max(chance, 1e-300)) / DIGITS,
            before=median(medians[:2]),
            now=median(medians[-2:]),
            runs=blocks * BLOCK_RUNS,
            chance=chance,
        )
