"""What an insight is, and how its subject is named."""

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
CauseKind = Literal["connector_outage", "version", "input", "bad_rows", "upstream_late", "slow", "flaky", "unknown"]
EXECUTIONS_SHOWN = 50


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
