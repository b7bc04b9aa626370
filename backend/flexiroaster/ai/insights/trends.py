"""Numbers of pipelines and stages that have left their usual level: durations, rows, bytes, waits, failures."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from flexiroaster.ai.insights.adjusted import WorkAdjusted
from flexiroaster.ai.insights.budget import AlertBudget
from flexiroaster.ai.insights.drift import Drift, DriftMonitor
from flexiroaster.ai.insights.finding import EXECUTIONS_SHOWN, Insight, Rule, named, subject_of
from flexiroaster.ai.insights.levels import FAST_RUNS, REFERENCE_RUNS, SLOW_RUNS, Direction, Level, LevelMonitor
from flexiroaster.ai.insights.past import Past, StageKey
from flexiroaster.ai.insights.rates import FailureMonitor, Rise
from flexiroaster.ai.insights.weekly import learning_until, without_weekdays
from flexiroaster.ai.runs import Run
from flexiroaster.ai.wording import count, share, size, span

LEAST_SECONDS = 0.05
"""Added to durations: a stage of some milliseconds that takes some more is nobody's trouble."""
LEAST_WAIT = 5.0
LEAST_ROWS = 1.0
LEAST_BYTES = 100.0
SCORE_DEVIATIONS = 3.4
"""What a level's score of 1 is in standard deviations of clean runs, for the confidence."""
FLEET_FACTOR = 1.6
"""An alert on one series may be false once in 1,000 runs. Among thousands of series that would bury what is true, so an
insight has to be as improbable as a list of a whole fleet needs it to be."""
LEAST_RUNS = 5
"""A shift that was over sooner is not worth a line in a list."""
FIRST_WEEKS_LEAST = 4.0
"""Five times as much, or a fifth: hardly a weekend."""
BACK_RATIO = 1 / 3
"""A shift is over when this share of it, in logarithms, is left."""

Factor = Callable[[Rule, str], float]


@dataclass(frozen=True, slots=True)
class _Watched:
    """One number that levels are kept of."""

    rule: Rule
    direction: Direction
    offset: float
    words: str
    write: Callable[[float], str]
    least: float
    """Changes below this share are not told."""
    learns_weeks: bool = False
    """Whether only the extreme is told before two weeks were seen."""


_DURATION = _Watched("slow_runs", "up", LEAST_SECONDS, "takes", span, 0.1)
_ROWS = _Watched("rows_changed", "both", LEAST_ROWS, "gets", lambda rows: f"{count(rows)} rows", 0.2, True)
_ROWS_OUT = _Watched("rows_changed", "both", LEAST_ROWS, "hands on", lambda rows: f"{count(rows)} rows", 0.2, True)
_BYTES = _Watched("bytes_changed", "both", LEAST_BYTES, "gets", size, 0.2, True)
_WAIT = _Watched("queue_wait", "up", LEAST_WAIT, "waits", span, 0.5)


def changed_levels(past: Past, factor: Factor) -> list[Insight]:
    """Shifts of durations, rows, bytes and waits, and slow drifts of durations, one insight for each event."""
    found: list[Insight] = []
    for key, outcomes in past.by_stage.items():
        passed = [one.last for one in outcomes if one.last.status == "success"]
        found += _durations(key, passed, factor)
        found += _levels(_ROWS, key, _with(passed, lambda run: run.input_rows), factor)
        found += _levels(_ROWS_OUT, key, _with(passed, lambda run: run.output_rows), factor)
        found += _levels(_BYTES, key, _with(passed, lambda run: run.input_bytes), factor)
    for pipeline, runs in _by_pipeline(past.executions).items():
        found += _levels(_WAIT, (pipeline, ""), _with(runs, _waited), factor)
    return _one_for_each_event(found)


def rising_failures(past: Past, explained: Container[str], factor: Factor) -> list[Insight]:
    """`explained`: executions whose failures have a better explanation, such as an outage or a version."""
    found: list[Insight] = []
    for pipeline, runs in _by_pipeline(past.executions).items():
        monitor = FailureMonitor(AlertBudget(factor=factor("failure_rate", pipeline)))
        counted = [run for run in runs if not (run.failed and run.execution in explained)]
        for place, run in enumerate(counted):
            if rise := monitor.observe(failed=run.failed):
                found.append(_rise(pipeline, counted, place, rise))
    return found


def _one_for_each_event(found: Iterable[Insight]) -> list[Insight]:
    """Of several stages of one pipeline whose rows or bytes changed in the same executions, the first to see it.

    Durations are kept apart: each stage may be slow for a reason of its own.
    """
    kept: dict[tuple[str, str], list[Insight]] = {}
    for one in sorted(found, key=lambda one: (one.since, -one.score, one.subject)):
        others = kept.setdefault((one.rule, one.pipelines[0]), [])
        same = any(set(one.executions) & set(other.executions) for other in others)
        if not (same and one.rule in ("rows_changed", "bytes_changed")):
            others.append(one)
    return [one for others in kept.values() for one in others]


def _durations(key: StageKey, runs: Sequence[Run], factor: Factor) -> list[Insight]:
    subject = subject_of(*key)
    adjusted = WorkAdjusted()
    values = [adjusted.seconds(run.seconds or 0.0, run.input_rows or run.input_bytes) for run in runs]
    shifts = _levels(_DURATION, key, list(zip(runs, values, strict=True)), factor)
    since = {insight.since for insight in shifts}
    drifts = DriftMonitor(factor=FLEET_FACTOR * factor("slow_drift", subject))
    found = []
    for place, (run, seconds) in enumerate(zip(runs, values, strict=True)):
        if run.started_at in since:
            drifts.reset()
        if drift := drifts.observe(seconds + LEAST_SECONDS):
            found.append(_drift(key, runs[place + 1 - drift.runs : place + 1], drift, drifts.threshold))
    return shifts + found


def _levels(watched: _Watched, key: StageKey, values: Sequence[tuple[Run, float]], factor: Factor) -> list[Insight]:
    budget = AlertBudget(factor=FLEET_FACTOR * factor(watched.rule, subject_of(*key)))
    monitor = LevelMonitor(direction=watched.direction, budget=budget)
    times = [run.started_at for run, _ in values]
    logs = [math.log(value + watched.offset) for _, value in values]
    logs = without_weekdays(times, logs, learning=watched.learns_weeks)
    adjusted = [(run, math.exp(log)) for (run, _), log in zip(values, logs, strict=True)]
    quiet_until = learning_until(times) if watched.learns_weeks else 0.0
    found = []
    for place, (run, value) in enumerate(adjusted):
        level = monitor.observe(value)
        if level and level.alert:
            shift = _shift(watched, key, adjusted, place, level)
            least = watched.least if run.started_at >= quiet_until else FIRST_WEEKS_LEAST
            if shift.numbers["runs"] >= LEAST_RUNS and abs(math.log(level.ratio)) >= math.log1p(least):
                found.append(shift)
    return found


def _shift(watched: _Watched, key: StageKey, values: Sequence[tuple[Run, float]], place: int, level: Level) -> Insight:
    start = _begin(values, place, level)
    end = _back(values, place, level)
    touched = values[start : end if end is not None else len(values)]
    until = None if end is None else values[end][0].started_at
    now = max(median(value for _, value in touched) - watched.offset, 0.0)
    usual = max(level.usual - watched.offset, 0.0)
    seen = min(place + 1 - SLOW_RUNS, REFERENCE_RUNS)
    return Insight(
        rule=watched.rule,
        subject=subject_of(*key),
        text=(
            f"{named(*key)} {watched.words} {watched.write(now)}, {_compared(now, usual)}: in the {seen} runs "
            f"before it was {watched.write(usual)}, give or take {share(level.spread)}. "
            f"That holds for {len(touched)} {'run' if len(touched) == 1 else 'runs'} by now."
        ),
        since=values[start][0].started_at,
        until=until,
        score=level.score,
        threshold=level.threshold,
        confidence=_confidence(level.score),
        pipelines=(key[0],),
        stage=key[1],
        executions=_newest([run for run, _ in touched]),
        numbers={
            "usual": usual,
            "now": now,
            "spread": level.spread,
            "runs": len(touched),
            "runs_before": seen,
        },
    )


def _compared(now: float, usual: float) -> str:
    if usual <= 0:
        return "where there was nothing"
    ratio = now / usual
    if ratio >= 2:
        return f"{ratio:.2g} times as much"
    return f"{share(abs(ratio - 1))} {'more' if ratio > 1 else 'less'}"


def _begin(values: Sequence[tuple[Run, float]], place: int, level: Level) -> int:
    """The first of the runs just before the alert from which on all lie on the new side."""
    middle = (level.usual + level.now) / 2
    above = level.now > level.usual
    start = place
    while start > max(place - SLOW_RUNS, 0) and (values[start - 1][1] > middle) == above:
        start -= 1
    return start


def _back(values: Sequence[tuple[Run, float]], place: int, level: Level) -> int | None:
    """The first run after the alert from which on three in a row are near the usual again."""
    bound = level.usual + (level.now - level.usual) * BACK_RATIO
    above = level.now > level.usual
    near = 0
    for later in range(place + 1, len(values)):
        near = near + 1 if (values[later][1] < bound) == above else 0
        if near == FAST_RUNS:
            return later + 1 - FAST_RUNS
    return None


def _drift(key: StageKey, runs: Sequence[Run], drift: Drift, threshold: float) -> Insight:
    grown = drift.now / drift.before - 1
    return Insight(
        rule="slow_drift",
        subject=subject_of(*key),
        text=(
            f"{named(*key)} has become {share(grown)} slower over {drift.runs} runs, little by little: from "
            f"{span(drift.before)} to {span(drift.now)}."
        ),
        since=runs[0].started_at,
        until=None,
        score=drift.score,
        threshold=threshold,
        confidence=1 - drift.chance,
        pipelines=(key[0],),
        stage=key[1],
        executions=_newest(runs),
        numbers={"before": drift.before, "now": drift.now, "runs": drift.runs},
    )


def _rise(pipeline: str, runs: Sequence[Run], place: int, rise: Rise) -> Insight:
    window = runs[place + 1 - rise.runs : place + 1]
    failed = [run for run in window if run.failed]
    return Insight(
        rule="failure_rate",
        subject=pipeline,
        text=(
            f"{named(pipeline)} failed in {rise.failures} of its last {rise.runs} executions; before that in "
            f"{share(rise.usual)} of them."
        ),
        since=failed[0].started_at,
        until=None if any(run.failed for run in runs[-FAST_RUNS:]) else runs[place].ended_at,
        score=rise.score,
        threshold=rise.threshold,
        confidence=1 - rise.chance,
        pipelines=(pipeline,),
        executions=_newest(failed),
        numbers={"failed": rise.failures, "executions": rise.runs, "usual": rise.usual},
    )


def _confidence(score: float) -> float:
    """Of a level: clean runs whose scores are normally distributed, with twenty looks at each."""
    return 1 - min(20 * 0.5 * math.erfc(SCORE_DEVIATIONS * score / math.sqrt(2)), 1.0)


def _with(runs: Iterable[Run], number: Callable[[Run], float | None]) -> list[tuple[Run, float]]:
    return [(run, value) for run in runs if (value := number(run)) is not None and value >= 0]


def _waited(run: Run) -> float | None:
    return None if run.queued_at is None else max(run.started_at - run.queued_at, 0.0)


def _by_pipeline(executions: Iterable[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in executions:
        found.setdefault(run.pipeline, []).append(run)
    return found


def _newest(runs: Sequence[Run]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run.execution for run in reversed(runs)))[:EXECUTIONS_SHOWN]
