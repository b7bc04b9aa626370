"""Pipelines that wait because their schedules begin at the same moment."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from flexiroaster.ai.optimizer.replay import Arrival, waits
from flexiroaster.ai.runs import Run
from flexiroaster.ai.wording import span
from flexiroaster.engine.plurals import counted

SHIFTS = (5, 10, 15, 20, 30)
"""Minutes later."""
NEWEST = 20_000
LEAST_SHARE = 0.2
LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Shift:
    """A pipeline whose schedule would better be so many minutes later. Waits are means over the stage runs of all."""

    pipeline: str
    minutes: int
    text: str
    wait_now: float
    wait_then: float
    executions: int


def contention(runs: Iterable[Run], workers: int) -> list[Shift]:
    """For each pipeline that a schedule starts, the shift that spares all of them most; the best first. `runs` are
    stage runs of every pipeline, since all of them share the workers.
    """
    known = sorted((run for run in runs if run.stage and run.seconds is not None), key=_wanted_at)[-NEWEST:]
    started: dict[str, set[str]] = defaultdict(set)
    for run in known:
        if run.trigger == "schedule":
            started[run.pipeline].add(run.execution)
    now = _mean_wait(known, workers, "", 0)
    found = []
    for pipeline, executions in started.items():
        then, minutes = min((_mean_wait(known, workers, pipeline, minutes), minutes) for minutes in SHIFTS)
        if now - then >= LEAST_SECONDS and (now - then) / now >= LEAST_SHARE:
            text = (
                f"Start {pipeline} {minutes} minutes later: with {counted(workers, 'worker')}, stages would wait "
                f"{span(then)} on average instead of {span(now)}, replayed on {len(known)} stage runs."
            )
            found.append(Shift(pipeline, minutes, text, now, then, len(executions)))
    return sorted(found, key=lambda shift: shift.wait_then)


def _mean_wait(runs: list[Run], workers: int, pipeline: str, minutes: int) -> float:
    arrivals = [
        Arrival(
            _wanted_at(run) + (minutes * 60 if run.pipeline == pipeline and run.trigger == "schedule" else 0),
            run.seconds or 0.0,
        )
        for run in runs
    ]
    return statistics.fmean(waits(arrivals, workers)) if arrivals else 0.0


def _wanted_at(run: Run) -> float:
    return run.started_at if run.queued_at is None else run.queued_at
