"""An invented fleet in which we know what is wrong, and a count of how much of it is found.

Nothing of it is made to fit the rules: durations vary by a tenth and follow the rows, one attempt in three hundred
fails for no reason, rows follow the week. What is planted is listed, with the time from which it can be seen.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from flexiroaster.ai.insights.finding import CauseKind, Insight, Rule, subject_of
from flexiroaster.ai.runs import DAY, HOUR, Run

BEGIN = 1_760_313_600.0
"""A Monday."""
CONNECTORS = ("warehouse", "shop-api", "lake", "billing")
STAGES = ("extract", "check", "load")
SPREAD = 0.1
FAILS_ANYWAY = 1 / 300
MOST_ATTEMPTS = 3
DETECTION_DAYS = 5.0
"""How long after its end a thing that was planted may be reported."""


@dataclass(frozen=True, slots=True)
class Plant:
    """`factor`: of duration, rows or wait; the growth by run of a drift; the share of attempts that fail."""

    rule: Rule
    pipeline: str
    stage: str
    since: float
    until: float
    factor: float
    connector: str = ""

    @property
    def subject(self) -> str:
        if self.connector:
            return f"connector:{self.connector}"
        if self.rule in ("bad_version", "queue_wait"):
            return self.pipeline
        return subject_of(self.pipeline, self.stage)

    def holds(self, at: float) -> bool:
        return self.since <= at < self.until

    def is_found_by(self, insight: Insight) -> bool:
        alike = _ALIKE.get(self.rule, (self.rule,))
        whose = self.connector == insight.subject.partition(":")[2] if self.connector else self._touches(insight)
        return (
            insight.rule in alike and whose and self.since - DAY <= insight.since <= self.until + DETECTION_DAYS * DAY
        )

    def _touches(self, insight: Insight) -> bool:
        if self.rule == "rows_changed":
            return insight.pipelines == (self.pipeline,)
        return insight.subject in (self.subject, self.pipeline)


_ALIKE: dict[Rule, tuple[Rule, ...]] = {
    # A drift that is steep enough is a slowdown, and stays one.
    "slow_drift": ("slow_drift", "slow_runs"),
    "slow_runs": ("slow_runs", "slow_drift"),
}
CAUSES: dict[Rule, CauseKind] = {"outage": "connector_outage", "bad_version": "version", "flaky_stage": "flaky"}
"""What the cause of a failure is called that a plant has brought about."""


@dataclass(frozen=True, slots=True)
class Fleet:
    runs: list[Run]
    plants: list[Plant]
    failures: dict[str, Plant | None]
    """Failed execution → what made its last attempt fail; None for mere chance."""
    now: float


def fleet(seed: int, *, pipelines: int = 24, days: int = 40, apart: float = 1.0) -> Fleet:
    """The same seed gives the same fleet. `apart`: how many times as far apart executions are as one to three hours;
    all that is planted lasts for as many times as long.
    """
    chance = random.Random(seed)
    days = round(days * apart)
    end = BEGIN + days * DAY
    names = [f"pipeline-{number:02}" for number in range(pipelines)]
    uses = {name: chance.choice(CONNECTORS) for name in names}
    plants = _plants(chance, names, days, apart)
    runs: list[Run] = []
    failures: dict[str, Plant | None] = {}
    for name in names:
        own = [plant for plant in plants if plant.pipeline == name or plant.connector == uses[name]]
        for run, cause in _history(chance, name, uses[name], own, end, apart):
            runs.append(run)
            if run.failed:
                failures[run.execution] = cause
    runs.sort(key=lambda run: run.started_at)
    return Fleet(runs, plants, failures, end)


def score(found: Sequence[Insight], plants: Iterable[Plant]) -> tuple[float, float]:
    """(precision, recall): the share of insights that tell of a plant, and that of plants which an insight tells of."""
    plants = list(plants)
    right = sum(any(plant.is_found_by(insight) for plant in plants) for insight in found)
    seen = sum(any(plant.is_found_by(insight) for insight in found) for plant in plants)
    return right / len(found) if found else 0.0, seen / len(plants)


def _plants(chance: random.Random, names: list[str], days: int, apart: float) -> list[Plant]:
    """Each pipeline has one trouble at most, a connector two at most."""
    free = list(names)
    chance.shuffle(free)
    end = BEGIN + days * DAY

    def later(share: float) -> float:
        return BEGIN + days * DAY * chance.uniform(share, 0.75)

    plants = []
    for connector in chance.sample(CONNECTORS, 3):
        at = later(0.3)
        plants.append(Plant("outage", "", "", at, at + chance.uniform(1.5, 4) * apart * HOUR, 0.85, connector))
    for _ in range(3):
        at = later(0.3)
        until = at + chance.uniform(1, 2) * apart * DAY
        plants.append(Plant("bad_version", free.pop(), chance.choice(STAGES), at, until, chance.uniform(0.6, 0.95)))
    for _ in range(3):
        plants.append(Plant("slow_runs", free.pop(), chance.choice(STAGES), later(0.3), end, chance.uniform(1.3, 2)))
    for _ in range(2):
        plants.append(Plant("slow_drift", free.pop(), chance.choice(STAGES), BEGIN, end, chance.uniform(0.001, 0.002)))
    for _ in range(3):
        plants.append(Plant("flaky_stage", free.pop(), chance.choice(STAGES), BEGIN, end, chance.uniform(0.08, 0.15)))
    for factor in (0.2, 4.0):
        plants.append(Plant("rows_changed", free.pop(), "", later(0.3), end, factor))
    at = later(0.4)
    plants.append(Plant("queue_wait", free.pop(), "", at, at + 3 * apart * DAY, 40.0))
    return plants


def _history(
    chance: random.Random, name: str, connector: str, plants: list[Plant], end: float, apart: float
) -> Iterator[tuple[Run, Plant | None]]:
    every = chance.choice((1, 2, 3)) * apart * HOUR
    rows = math.exp(chance.uniform(7, 12))
    seconds = {stage: math.exp(chance.uniform(1, 5)) for stage in STAGES}
    grows = {stage: chance.choice((0.0, 0.5, 0.9)) for stage in STAGES}
    at = BEGIN + chance.uniform(0, every)
    number = 0
    while at < end - HOUR:
        number += 1
        yield from _execution(chance, f"{name}-{number}", name, connector, plants, at, number, rows, seconds, grows)
        at += every


def _execution(
    chance: random.Random,
    execution: str,
    name: str,
    connector: str,
    plants: list[Plant],
    at: float,
    number: int,
    usual_rows: float,
    seconds: dict[str, float],
    grows: dict[str, float],
) -> Iterator[tuple[Run, Plant | None]]:
    weekend = (at - BEGIN) % (7 * DAY) >= 5 * DAY
    rows = usual_rows * (0.6 if weekend else 1.0) * math.exp(chance.gauss(0, 0.1))
    rows *= math.prod(plant.factor for plant in plants if plant.rule == "rows_changed" and plant.holds(at))
    wait = chance.expovariate(1.0)
    wait *= math.prod(plant.factor for plant in plants if plant.rule == "queue_wait" and plant.holds(at))
    bad = next((plant for plant in plants if plant.rule == "bad_version"), None)
    version = 1 if bad is None or at < bad.since else 2 if at < bad.until else 3
    ready, queued = at + wait, at
    for place, stage in enumerate(STAGES):
        for attempt in range(1, MOST_ATTEMPTS + 1):
            cause = _failing(chance, plants, ready, stage)
            failed = cause is not None or chance.random() < FAILS_ANYWAY
            lasts = seconds[stage] * (rows / usual_rows) ** grows[stage] * math.exp(chance.gauss(0, SPREAD))
            lasts *= math.prod(_slower(plant, stage, ready, number) for plant in plants)
            lasts *= chance.uniform(0.1, 0.9) if failed else 1.0
            error = {"outage": "ConnectionError", "bad_version": "TypeError"}.get(
                cause.rule if cause else "", "OSError"
            )
            yield (
                Run(
                    execution=execution,
                    pipeline=name,
                    stage=stage,
                    kind=stage,
                    connector=connector if stage != "check" else "",
                    version=str(version),
                    attempt=attempt,
                    queued_at=queued,
                    started_at=ready,
                    ended_at=ready + lasts,
                    status="failed" if failed else "success",
                    error_class=error if failed else "",
                    input_rows=round(rows),
                    needs=STAGES[place - 1 : place] if place else (),
                ),
                cause,
            )
            queued = ready = ready + lasts
            if not failed:
                break
            ready += 30.0 * 2 ** (attempt - 1)
        else:
            return


def _failing(chance: random.Random, plants: list[Plant], at: float, stage: str) -> Plant | None:
    for plant in plants:
        touched = plant.stage == stage if not plant.connector else stage != "check"
        if plant.rule in CAUSES and touched and plant.holds(at) and chance.random() < plant.factor:
            return plant
    return None


def _slower(plant: Plant, stage: str, at: float, number: int) -> float:
    if plant.stage != stage or not plant.holds(at):
        return 1.0
    if plant.rule == "slow_drift":
        return (1 + plant.factor) ** number
    return plant.factor if plant.rule == "slow_runs" else 1.0
