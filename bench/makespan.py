"""How long real workflows take on 8 workers, through the engine's own planner and queue in virtual time.

DATA names a folder with workflow executions in WfFormat (`wfinstances/**/*.json.gz`, from wfcommons/WfInstances);
nothing of it is shipped here, and without it there is nothing to measure. The ratio is makespan over a lower bound
that no schedule can beat, as mean over the workflows.

The engine orders by the past durations of a pipeline's own stages, and the data has few workflows that ran more than
once. So each is given earlier runs: its durations, each times a ratio drawn from those that the repeated workflows in
the data show between a task's runs (six in ten are off by more than a tenth, one in five by more than half). "never
ran" is the first run, when the engine knows nothing but the graph; "in order of arrival" is what a plain queue does.
"""

from __future__ import annotations

import gzip
import heapq
import json
import os
import random
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from flexiroaster.dispatch.port import Ready, Work
from flexiroaster.dispatch.queue import ReadyQueue
from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.engine.pipeline import Pipeline
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.runs import Execution, ExecutionState, Key
from flexiroaster.engine.state import ExecutionStatus

WORKERS = 8
EARLIER_RUNS = 10
HISTORIES = 5
"""Sets of earlier runs that the mean is taken over."""
GOAL = 1.065
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Workflow:
    """`seconds` are the true durations by stage id."""

    name: str
    plan: Plan
    seconds: dict[str, float]

    @property
    def kin(self) -> tuple[str, int]:
        """The same for runs of the same workflow."""
        return re.sub(r"-\d+$", "", self.name), len(self.plan.stages)

    @cached_property
    def bound(self) -> float:
        return self.bound_of(WORKERS)

    def bound_of(self, workers: int) -> float:
        """No schedule is shorter: for all tasks that cannot begin before `head` and have `tail` to come after them,
        their work still takes its share of all workers in between. Holds the critical path and the mere work too.
        """
        stages = sorted(self.plan.stages, key=lambda stage: stage.rank)
        heads, tails = [0.0] * len(stages), [0.0] * len(stages)
        for stage in stages:
            heads[stage.position] = max((heads[n] + self._of(n) for n in stage.needs), default=0.0)
        for stage in reversed(stages):
            tails[stage.position] = max((tails[n] + self._of(n) for n in stage.successors), default=0.0)
        best = max(heads[n] + self._of(n) + tails[n] for n in range(len(stages)))
        latest_first = sorted(range(len(stages)), key=lambda n: -heads[n])
        for tail in set(tails):
            work = 0.0
            for n in latest_first:
                if tails[n] >= tail:
                    work += self._of(n)
                    best = max(best, heads[n] + work / workers + tail)
        return best

    def _of(self, position: int) -> float:
        return self.seconds[self.plan.stages[position].id]

    def ratio(self, tails: Sequence[float]) -> float:
        return makespan(self.plan, self.seconds, tails) / self.bound


def run() -> list[dict[str, Any]]:
    folder = os.environ.get("DATA")
    if not folder:
        print("makespan needs workflows: name their folder with DATA=…", file=sys.stderr)
        return []
    workflows = [read(path) for path in sorted(Path(folder).rglob("wfinstances/**/*.json.gz"))]
    variation = between_runs(workflows)
    known = mean(workflow.ratio(workflow.plan.tails(workflow.seconds)) for workflow in workflows)
    past = mean(
        workflow.ratio(workflow.plan.tails(history(workflow, variation, seed)))
        for workflow in workflows
        for seed in range(HISTORIES)
    )
    first = mean(workflow.ratio(workflow.plan.tails({})) for workflow in workflows)
    arrival = mean(workflow.ratio([0.0] * len(workflow.plan.stages)) for workflow in workflows)
    return [
        row("mean_ratio", past, known) | {"goal": GOAL},
        row("mean_ratio, never ran", first, known),
        row("mean_ratio, in order of arrival", arrival, known),
    ]


def row(metric: str, value: float, limit: float) -> dict[str, Any]:
    """The limit is the same order with true durations instead of expected ones."""
    return {"workload": "makespan", "metric": metric, "value": value, "unit": "× bound", "limit": limit}


def mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)


def read(path: Path) -> Workflow:
    document = document_of(path)
    tasks = document["specification"]["tasks"]
    ids = {task["id"]: f"s{number}" for number, task in enumerate(tasks)}
    stages = [
        {"id": ids[task["id"]], "type": "noop", "needs": sorted({ids[parent] for parent in task["parents"]})}
        for task in tasks
    ]
    pipeline = Pipeline.from_document({"id": "p", "name": "P", "stages": stages})
    seconds = {ids[task["id"]]: float(task["runtimeInSeconds"]) for task in document["execution"]["tasks"]}
    return Workflow(path.name.removesuffix(".json.gz"), Plan.of(pipeline), seconds)


def document_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))["workflow"]
    return found


def between_runs(workflows: Iterable[Workflow]) -> list[float]:
    """Durations of tasks over their mean, of every workflow that ran more than once."""
    kin: dict[tuple[str, int], list[Workflow]] = defaultdict(list)
    for workflow in workflows:
        kin[workflow.kin].append(workflow)
    ratios = []
    for runs in kin.values():
        if len(runs) > 1:
            for stage in runs[0].seconds:
                seconds = [run.seconds[stage] for run in runs]
                usual = mean(seconds)
                ratios += [value / usual for value in seconds if usual]
    return ratios


def history(workflow: Workflow, variation: Sequence[float], seed: int) -> dict[str, float]:
    """Mean durations of earlier runs."""
    chance = random.Random(f"{workflow.name} {seed}")
    return {
        stage: seconds * mean(chance.choice(variation) for _ in range(EARLIER_RUNS))
        for stage, seconds in workflow.seconds.items()
    }


def makespan(plan: Plan, seconds: Mapping[str, float], tails: Sequence[float]) -> float:
    """Seconds from start to end with `WORKERS` workers that are never idle while something is ready."""
    execution = Execution("e", "p", 1, 1, ExecutionStatus.QUEUED, START)
    state = ExecutionState(execution)
    queue = ReadyQueue()
    running: list[tuple[float, Key]] = []
    now = 0.0

    def decide(step: Any, *arguments: Any) -> None:
        draft = Draft(plan, state, START + timedelta(seconds=now))
        step(draft, *arguments)
        draft.apply()
        for key in draft.ready:
            queue.push(Ready(Work("e", key), tail=tails[key.position]))

    decide(planner.start)
    while queue or running:
        while queue and len(running) < WORKERS:
            key = queue.pop().work.key
            decide(planner.claim, key, "worker", START)
            heapq.heappush(running, (now + seconds[plan.stages[key.position].id], key))
        now, key = heapq.heappop(running)
        decide(planner.record, key, Succeeded(), 0.0)
    if state.execution.status is not ExecutionStatus.SUCCESS:
        raise RuntimeError(f"ended as {state.execution.status}")
    return now


def main() -> None:
    for found in run():
        print(f"{found['metric']}: {found['value']:.4f} (with true durations {found['limit']:.4f})")


if __name__ == "__main__":
    main()
