"""Anomalies of a metric as insights: what a person reads of the scores."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from flexiroaster.ai.insights.finding import Insight
from flexiroaster.ai.insights.metrics import (
    HOUR_CAP,
    HOUR_UNIT,
    RANGE_CAP,
    RANGE_UNIT,
    RANGE_WEIGHT,
    SHIFT_CAP,
    SHIFT_UNIT,
    SHIFT_WEIGHT,
    MetricDetector,
    Reading,
)
from flexiroaster.ai.wording import count

FALSE_SHARE = 0.5
"""Of alerts at a score of 1 on public metrics with labels; every further half halves it."""


def metric_anomalies(name: str, rows: Iterable[tuple[datetime, float | None]], *, factor: float = 1.0) -> list[Insight]:
    """One insight for each event in the metric, in the order of time. `factor` is what people's verdicts make of 1."""
    detector = MetricDetector()
    found = []
    for at, value in rows:
        reading = detector.read(value, at)
        if value is not None and reading.score >= factor:
            found.append(_event(name, at, value, reading, factor))
    return found


def _event(name: str, at: datetime, value: float, reading: Reading, factor: float) -> Insight:
    when = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return Insight(
        rule="metric",
        subject=f"metric:{name}",
        text=(
            f"{name} was {count(value)} on {at:%A, %d %B at %H:%M}; at this hour of the week it has been about "
            f"{count(reading.expected)}. {_why(reading)}"
        ),
        since=when.timestamp(),
        until=when.timestamp(),
        score=reading.score,
        threshold=factor,
        confidence=1 - FALSE_SHARE ** (2 * reading.score - 1),
        pipelines=(),
        executions=(),
        numbers={
            "value": value,
            "expected": reading.expected,
            "deviations": reading.deviations,
            "shift": reading.shift,
            "outside": reading.outside,
        },
    )


def _why(reading: Reading) -> str:
    """The part of the score that weighed most."""
    parts = {
        "It is further from that than values ever used to be.": min(reading.deviations / HOUR_UNIT, HOUR_CAP),
        "The average of the last rows has left the long one.": SHIFT_WEIGHT
        * min(reading.shift / SHIFT_UNIT, SHIFT_CAP),
        "It leaves the range of everything before.": RANGE_WEIGHT * min(reading.outside / RANGE_UNIT, RANGE_CAP),
    }
    return max(parts, key=parts.__getitem__)
