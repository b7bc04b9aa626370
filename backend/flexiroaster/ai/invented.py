"""A history of invented pipelines whose true failure probabilities are known: what a perfect predictor would say.

Models are measured against it on seeds that they were not made for. The causes are those of real fleets: flaky stages,
outages of a connector that several pipelines share, broken versions, days with bad input, nights with timeouts, too
many rows. Durations follow the rows read, drift, and jump now and then.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from flexiroaster.ai.runs import DAY, HOUR, MINUTE, Run

BEGIN = 1_700_006_400.0
KINDS = ("input", "validation", "sql", "python", "http", "output")
CONNECTORS = ("orders-api", "billing-db", "lake", "mail-gateway")
MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Span:
    begin: float
    end: float

    def holds(self, at: float) -> bool:
        return self.begin <= at < self.end


@dataclass(frozen=True, slots=True)
class Invented:
    """`truth[i]` is the probability with which attempt `runs[i]` failed, given all that chance had not yet decided."""

    runs: list[Run]
    truth: list[float]
    outages: dict[str, list[Span]]


@dataclass(slots=True)
class _Stage:
    name: str
    kind: str
    connector: str
    needs: tuple[str, ...]
    flaky: float
    night: bool
    seconds: float
    per_rows: float
    drift: float
    jump: tuple[float, float]
    spread: float


@dataclass(slots=True)
class _Pipeline:
    name: str
    every: float
    rows: float
    stages: list[_Stage]
    versions: list[tuple[float, str]]
    """When a version began, and the stage that it broke, if any."""
    bad_days: set[int] = field(default_factory=set)


def history(seed: int, pipelines: int = 40, days: float = 90.0) -> Invented:
    """The same seed gives the same history. About 14 stage attempts a day and pipeline, one in twenty fails."""
    chance = random.Random(seed)
    outages = {name: list(_outages(chance, days)) for name in CONNECTORS}
    found: list[tuple[Run, float]] = []
    for number in range(pipelines):
        pipeline = _pipeline(chance, f"pipeline-{number:02}", days)
        for execution, at in enumerate(_starts(chance, pipeline, days)):
            found += _execution(chance, pipeline, f"{pipeline.name}-{execution}", at, outages)
    found.sort(key=lambda pair: pair[0].started_at)
    return Invented([run for run, _ in found], [truth for _, truth in found], outages)


def _outages(chance: random.Random, days: float) -> Iterator[Span]:
    rate = chance.uniform(2.0, 8.0) * DAY
    at = BEGIN + chance.expovariate(1 / rate)
    while at < BEGIN + days * DAY:
        lasts = 10 * MINUTE + chance.expovariate(1 / (60 * MINUTE))
        yield Span(at, at + lasts)
        at += lasts + chance.expovariate(1 / rate)


def _pipeline(chance: random.Random, name: str, days: float) -> _Pipeline:
    stages = [_stage(chance, number, days) for number in range(chance.randint(2, 6))]
    for number, stage in enumerate(stages[1:], 1):
        stage.needs = tuple(sorted({stages[chance.randrange(number)].name, stages[number - 1].name}))
    versions = [(BEGIN, "")]
    while versions[-1][0] < BEGIN + days * DAY:
        at = versions[-1][0] + chance.expovariate(1 / (14 * DAY))
        broken = chance.choice(stages).name if chance.random() < 0.3 else ""
        versions.append((at, broken))
        if broken:
            versions.append((at + chance.uniform(3 * HOUR, 30 * HOUR), ""))
    bad_days = {day for day in range(int(days) + 1) if chance.random() < 0.015}
    every = chance.choice((1.5, 3.0, 6.0, 12.0, 24.0)) * HOUR
    return _Pipeline(name, every, math.exp(chance.uniform(6, 12)), stages, versions, bad_days)


def _stage(chance: random.Random, number: int, days: float) -> _Stage:
    return _Stage(
        name=f"stage-{number}",
        kind="input" if number == 0 else chance.choice(KINDS[1:]),
        connector=chance.choice((*CONNECTORS, "", "")),
        needs=(),
        flaky=chance.uniform(0.04, 0.12) if chance.random() < 0.12 else chance.uniform(0.001, 0.01),
        night=chance.random() < 0.06,
        seconds=math.exp(chance.uniform(0.5, 5.5)),
        per_rows=chance.choice((0.0, 0.3, 0.6, 0.9)),
        drift=chance.gauss(0.0, 0.002),
        jump=(BEGIN + chance.uniform(0, 3 * days) * DAY, chance.uniform(0.2, 0.8)),
        spread=chance.uniform(0.06, 0.3),
    )


def _starts(chance: random.Random, pipeline: _Pipeline, days: float) -> Iterator[float]:
    at = BEGIN + chance.uniform(0, pipeline.every)
    while at < BEGIN + days * DAY:
        yield at + chance.uniform(0, 20)
        at += pipeline.every


def _execution(
    chance: random.Random, pipeline: _Pipeline, name: str, at: float, outages: dict[str, list[Span]]
) -> Iterator[tuple[Run, float]]:
    rows = pipeline.rows * math.exp(chance.gauss(0.0, 0.35)) * (1.0 + 0.3 * math.sin(at / (7 * DAY) * math.tau))
    number, broken = _version(pipeline, at)
    bad_day = int((at - BEGIN) // DAY) in pipeline.bad_days
    ended: dict[str, float] = {}
    for stage in pipeline.stages:
        ready = max((ended[need] for need in stage.needs), default=at)
        for attempt in range(1, MOST_ATTEMPTS + 1):
            started = ready + chance.expovariate(1 / 4.0)
            causes = _causes(stage, started, rows / pipeline.rows, bad_day, broken == stage.name, outages)
            truth = 1.0 - math.prod(1.0 - share for _, share in causes)
            failed = chance.random() < truth
            error = chance.choices([cause for cause, _ in causes], [share for _, share in causes])[0] if failed else ""
            seconds = _seconds(chance, stage, started, rows / pipeline.rows)
            if failed:
                seconds *= 3.0 if error == "Timeout" else chance.uniform(0.1, 0.9)
            yield (
                Run(
                    execution=name,
                    pipeline=pipeline.name,
                    stage=stage.name,
                    kind=stage.kind,
                    connector=stage.connector,
                    needs=stage.needs,
                    version=str(number),
                    trigger="schedule",
                    attempt=attempt,
                    queued_at=ready,
                    started_at=started,
                    ended_at=started + seconds,
                    status="failed" if failed else "success",
                    error_class=error,
                    input_rows=round(rows),
                ),
                truth,
            )
            ready = started + seconds
            if not failed:
                break
            ready += 30.0 * 2.0 ** (attempt - 1)
        else:
            return
        ended[stage.name] = ready


def _version(pipeline: _Pipeline, at: float) -> tuple[int, str]:
    for number, (version, following) in enumerate(pairwise(pipeline.versions), 1):
        if version[0] <= at < following[0]:
            return number, version[1]
    return len(pipeline.versions), pipeline.versions[-1][1]


def _causes(
    stage: _Stage, at: float, ratio: float, bad_day: bool, broken: bool, outages: dict[str, list[Span]]
) -> list[tuple[str, float]]:
    causes = [("Flake", stage.flaky)]
    if any(span.holds(at) for span in outages.get(stage.connector, ())):
        causes.append(("ConnectionError", 0.85))
    if broken:
        causes.append(("TypeError", 0.9))
    if bad_day and stage.kind == "validation":
        causes.append(("ValidationError", 0.6))
    if stage.night and 1 <= at % DAY // HOUR < 5:
        causes.append(("Timeout", 0.25))
    if ratio > 2.0 and stage.per_rows > 0.5:
        causes.append(("Timeout", 0.35))
    return causes


def _seconds(chance: random.Random, stage: _Stage, at: float, ratio: float) -> float:
    slower = stage.drift * (at - BEGIN) / DAY + (stage.jump[1] if at >= stage.jump[0] else 0.0)
    grown: float = stage.seconds * ratio**stage.per_rows
    return grown * math.exp(slower + chance.gauss(0.0, stage.spread))
