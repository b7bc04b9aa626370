"""What an insight is, and how its numbers are written for a person."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Rule = Literal[
    "slow_runs",
    "slow_drift",
    "rows_changed",
    "bytes_changed",
    "queue_wait",
    "failure_rate",
    "bad_version",
    "flaky_stage",
    "outage",
    "new_error",
    "metric",
]
EXECUTIONS_SHOWN = 50
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Insight:
    """One thing that is abnormal, with all that made it one. Times are seconds since 1970, UTC."""

    rule: Rule
    subject: str
    """What it is about: `pipeline`, `pipeline/stage`, `connector:name`, `error:fingerprint` or `metric:name`.
    Verdicts hang on it."""
    text: str
    """A sentence or two with the numbers in it."""
    since: float
    until: float | None
    """None while it lasts."""
    score: float
    threshold: float
    """The score had to reach this; what people said of earlier insights is in it."""
    confidence: float
    """1 minus the probability that ordinary runs show as much by chance."""
    pipelines: tuple[str, ...]
    executions: tuple[str, ...]
    """Newest first, at most `EXECUTIONS_SHOWN`."""
    stage: str = ""
    event: str = ""
    """What tells it from another one of the same rule and subject; its start, if empty."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """What the text is made from."""

    @property
    def id(self) -> str:
        """The same for the same event, however often it is looked for."""
        event = self.event or f"{self.since:.0f}"
        return hashlib.sha256(f"{self.rule}\x1f{self.subject}\x1f{event}".encode()).hexdigest()[:16]


def newest(executions: Mapping[str, None] | list[str]) -> tuple[str, ...]:
    """Each execution once, newest first, from those in order of time."""
    return tuple(dict.fromkeys(reversed(list(executions))))[:EXECUTIONS_SHOWN]


def subject_of(pipeline: str, stage: str = "") -> str:
    return f"{pipeline}/{stage}" if stage else pipeline


def named(pipeline: str, stage: str = "") -> str:
    return f"Stage {stage} of {pipeline}" if stage else f"Pipeline {pipeline}"


def span(seconds: float) -> str:
    """0.04 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    for name, unit, below, less in (("min", MINUTE, HOUR, "s"), ("h", HOUR, DAY, "min"), ("d", DAY, None, "h")):
        if below is None or seconds < below:
            smaller = {"s": 1.0, "min": MINUTE, "h": HOUR}[less]
            whole, rest = divmod(round(seconds / smaller), round(unit / smaller))
            return f"{whole} {name}" + (f" {rest} {less}" if rest else "")
    raise AssertionError("days have no bound")


def share(part: float) -> str:
    """Of a whole: 0.4 %, 12 %."""
    percent = 100 * part
    return f"{percent:.1f} %" if 0 < percent < 1 else f"{percent:.0f} %"


def count(number: float) -> str:
    """12, 1,250, 3.4 million."""
    if abs(number) >= 1e6:
        return f"{number / 1e6:.3g} million"
    return f"{number:,.0f}" if abs(number) >= 10 or number == round(number) else f"{number:.2g}"


def size(number: float) -> str:
    for name, unit in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:.0f} B"
