"""The order of ready stages on real workflows (WfInstances): makespan over a lower bound, for 4, 8 and 16 workers.

Each stage's duration is forecast by a predictor that knows the other instances alone, at the moment of planning; what
it would only guess is left out. Beside it the order of arrival, and the longest way to the end first: by the median of
the tasks of the same name, by the forecast, and by the true durations.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import makespan as workflows

from ai import Row, durations
from ai.durations import DAY, FOLDS
from flexiroaster.ai import Predictor, Run, policy
from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.replay import makespan

GATES = {4: 1.03, 8: 1.065, 16: None}
"""Of the mean over all workflows. Those whose application has not run before are part of it: of these no forecast can
know anything, so what the others reach stands beside it as `mean_ratio_known`, to which no gate belongs.
"""
WORSE = {4: 0.02, 8: 0.02, 16: 0.05}
"""How much longer than in order of arrival an instance may take."""


@dataclass(frozen=True)
class Instance:
    application: str
    workflow: workflows.Workflow
    graph: Graph
    runs: dict[str, Run]
    """By stage."""


def run(data: Path | None) -> list[Row]:
    folder = data / "wfinstances" if data else None
    if folder is None or not folder.exists():
        return []
    instances = [read(path, number) for number, path in enumerate(sorted(folder.rglob("*.json.gz")))]
    expected = list(forecasts(instances))
    orders = {
        "arrival": [{} for _ in instances],
        "longest way, name median": [instance.graph.tails(by_name(instance, instances)) for instance in instances],
        "longest way, forecast": [
            instance.graph.tails(estimates) for instance, estimates in zip(instances, expected, strict=True)
        ],
        "longest way, true durations": [instance.graph.tails(instance.workflow.seconds) for instance in instances],
    }
    applications = Counter(instance.application for instance in instances)
    rows: list[Row] = []
    for workers, gate in GATES.items():
        bounds = [instance.workflow.bound_of(workers) for instance in instances]
        ours = [
            policy(instance.graph, estimates, workers) for instance, estimates in zip(instances, expected, strict=True)
        ]
        took = {
            name: [
                makespan(instance.graph, instance.workflow.seconds, workers, priorities)
                for instance, priorities in zip(instances, order, strict=True)
            ]
            for name, order in (orders | {"forecast": ours}).items()
        }
        ratios = {
            name: fmean(one / bound for one, bound in zip(seconds, bounds, strict=True))
            for name, seconds in took.items()
        }
        mean = ratios.pop("forecast")
        rows.append(Row("ai_order", f"mean_ratio_{workers}", mean, "× bound", ratios, at_most=gate, better="lower"))
        known = [
            one / bound
            for one, bound, instance in zip(took["forecast"], bounds, instances, strict=True)
            if applications[instance.application] > 1
        ]
        rows.append(Row("ai_order", f"mean_ratio_known_{workers}", fmean(known), "× bound", better="lower"))
        pairs = zip(took["forecast"], took["arrival"], strict=True)
        worse = sum(one > theirs * (1 + WORSE[workers]) for one, theirs in pairs)
        rows.append(
            Row("ai_order", f"worse_{workers}", float(worse), "instances", at_most=1.0 if workers == 16 else 0.0)
        )
    return rows


def by_name(instance: Instance, instances: list[Instance]) -> dict[str, float]:
    """Of the same task in other runs of the application, or of all its tasks where there is none."""
    seen: dict[str, list[float]] = defaultdict(list)
    for other in instances:
        if other.application == instance.application and other is not instance:
            for run in other.runs.values():
                seen[run.stage].append(run.seconds or 0.0)
    usual = median([seconds for values in seen.values() for seconds in values] or [1.0])
    return {id: median(seen.get(run.stage) or [usual]) for id, run in instance.runs.items()}


def forecasts(instances: list[Instance]) -> Iterator[dict[str, float]]:
    """Seconds by stage, in the order of the instances; without those that would be guessed."""
    found: dict[int, dict[str, float]] = {}
    for fold in range(FOLDS):
        known = [run for n, instance in enumerate(instances) if n % FOLDS != fold for run in instance.runs.values()]
        predictor = Predictor(refit_every=None).fit(sorted(known, key=lambda run: run.started_at))
        later = max(run.ended_at or 0.0 for run in known) + DAY
        for n, instance in enumerate(instances):
            if n % FOLDS == fold:
                coming = {
                    id: predictor.predict(replace(run, started_at=later, ended_at=None, status="")).duration
                    for id, run in instance.runs.items()
                }
                found[n] = {id: duration.p50 for id, duration in coming.items() if not duration.guessed}
    yield from (found[n] for n in range(len(instances)))


def read(path: Path, number: int) -> Instance:
    application = path.name.split("-")[0]
    workflow = workflows.read(path)
    stages = [
        {"id": stage.id, "type": "noop", "needs": [workflow.plan.stages[need].id for need in stage.needs]}
        for stage in workflow.plan.stages
    ]
    runs = durations.read(path, application, number * 3 * DAY)
    if len(runs) != len(stages):
        raise ValueError(f"{path.name} has tasks that were not executed.")
    by_stage = dict(zip((stage.id for stage in workflow.plan.stages), runs, strict=True))
    return Instance(application, workflow, Graph.of({"id": "p", "name": "P", "stages": stages}), by_stage)
