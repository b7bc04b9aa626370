"""The AI layer's measurements: one module or package per block of the table, each with `run(data)`.

`run(data: Path | None)` gets the folder with data from outside (None without one: measure on what the project ships)
and returns `Row`s. A block whose data are not there returns no rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One measured number beside what simpler methods reach on the same data."""

    workload: str
    """Begins with `ai_`."""
    metric: str
    value: float
    unit: str = ""
    baselines: dict[str, float] = field(default_factory=dict)
    at_least: float | None = None
    at_most: float | None = None
    better: str = "higher"
    """`higher` or `lower`: which baseline is the best one."""

    @property
    def missed(self) -> bool:
        too_little = self.at_least is not None and not self.value >= self.at_least
        return too_little or (self.at_most is not None and not self.value <= self.at_most)

    @property
    def best_baseline(self) -> float | None:
        if not self.baselines:
            return None
        return (max if self.better == "higher" else min)(self.baselines.values())
