"""An invented fleet with planted faults: how many insights are true, how many faults and causes are found."""

from __future__ import annotations

import time
from pathlib import Path

from ai import Row
from flexiroaster.ai import Past, find_insights, likely_causes
from flexiroaster.ai.insights.outages import incidents
from flexiroaster.ai.insights.planted import CAUSES, fleet, score
from flexiroaster.ai.invented import Invented, history

SEEDS = (41, 42, 43)
"""Fleets that nothing was chosen on."""
SELDOM = 6.0
"""A pipeline every six to 18 hours, not every one to three."""
OUTAGE_SEEDS = (51, 52)
LEAST_EXECUTIONS, LEAST_PIPELINES = 3, 2
"""Fewer that fail do not show that it is the connector."""


def run(data: Path | None) -> list[Row]:
    """The same with data from outside and without."""
    return [*outages(), *planted("ai_planted", 1.0), *planted("ai_planted_seldom", SELDOM)]


def planted(workload: str, apart: float) -> list[Row]:
    precisions, recalls, causes, seconds, runs = [], [], [], 0.0, 0
    for seed in SEEDS:
        invented = fleet(seed, apart=apart)
        began = time.process_time()
        found = find_insights(invented.runs, now=invented.now)
        seconds += time.process_time() - began
        runs += len(invented.runs)
        precision, recall = score(found, invented.plants)
        precisions.append(precision)
        recalls.append(recall)
        past = Past(invented.runs, now=invented.now)
        for execution, plant in invented.failures.items():
            if plant is not None:
                causes.append(likely_causes(execution, past)[0].kind == CAUSES[plant.rule])
    return [
        Row(workload, "precision", sum(precisions) / len(SEEDS), "", at_least=0.8),
        Row(workload, "recall", sum(recalls) / len(SEEDS), "", at_least=0.8),
        Row(workload, "cause_named", sum(causes) / len(causes), "", at_least=0.8),
        Row(workload, "time", 1e6 * seconds / runs, "µs/run", better="lower"),
    ]


def outages() -> list[Row]:
    """Outages in the histories made for the predictions, by rules that know nothing of these."""
    right = found = seen = visible = 0
    for seed in OUTAGE_SEEDS:
        invented = history(seed)
        known = incidents(Past(invented.runs, now=max(run.ended_at or 0.0 for run in invented.runs)))
        spans = [(name, span.begin, span.end) for name, own in invented.outages.items() for span in own]
        touching = [
            [one for one in known if one.root[1] == name and one.since < end + 3_600 and one.last_failure >= begin]
            for name, begin, end in spans
        ]
        found += len(known)
        right += len({id(one) for ones in touching for one in ones})
        can_be_seen = [felt(invented, *span) for span in spans]
        visible += sum(can_be_seen)
        seen += sum(bool(ones) for ones, was_felt in zip(touching, can_be_seen, strict=True) if was_felt)
    return [
        Row("ai_outages", "precision", right / found, "", at_least=0.8),
        Row("ai_outages", "recall", seen / visible, "", at_least=0.8),
    ]


def felt(invented: Invented, connector: str, begin: float, end: float) -> bool:
    """Whether enough executions of enough pipelines failed by it."""
    failed = [
        run
        for run in invented.runs
        if run.connector == connector and run.error_class == "ConnectionError" and begin <= run.started_at < end
    ]
    executions, pipelines = {run.execution for run in failed}, {run.pipeline for run in failed}
    return len(executions) >= LEAST_EXECUTIONS and len(pipelines) >= LEAST_PIPELINES
