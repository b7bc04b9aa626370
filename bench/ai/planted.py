"""An invented fleet with planted faults: how many insights are true, how many faults and causes are found."""

from __future__ import annotations

import time
from pathlib import Path

from ai import Row
from flexiroaster.ai import Past, find_insights, likely_causes
from flexiroaster.ai.insights.planted import CAUSES, fleet, score

SEEDS = (21, 22, 23)
"""Fleets that nothing was chosen on."""


def run(data: Path | None) -> list[Row]:
    """The same with data from outside and without."""
    precisions, recalls, causes, seconds, runs = [], [], [], 0.0, 0
    for seed in SEEDS:
        invented = fleet(seed)
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
        Row("ai_planted", "precision", sum(precisions) / len(SEEDS), "", at_least=0.8),
        Row("ai_planted", "recall", sum(recalls) / len(SEEDS), "", at_least=0.8),
        Row("ai_planted", "cause_named", sum(causes) / len(causes), "", at_least=0.8),
        Row("ai_planted", "time", 1e6 * seconds / runs, "µs/run", better="lower"),
    ]
