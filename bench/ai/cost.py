"""What predictions cost: a cold pipeline, one prediction, and learning from 50,000 executions on one core."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from ai import Row
from flexiroaster.ai import Predictor, Run
from flexiroaster.ai.invented import history

EXECUTIONS = 50_000


def run(data: Path | None) -> list[Row]:
    """The same with data from outside and without."""
    runs = fifty_thousand()
    began = time.process_time()
    predictor = Predictor(refit_every=None).fit(runs)
    fitted = time.process_time() - began
    level = predictor.level(runs[-1])
    began = time.process_time()
    level.train(seed=0)
    trained = time.process_time() - began
    after = max(run.ended_at or 0.0 for run in runs)
    cold = Run("new", "a pipeline never seen", after, stage="load", kind="a new kind", connector="a new connector")
    warm = replace(runs[-1], execution="new", started_at=after)
    workload = "ai_prediction_cost"
    return [
        Row(workload, "cold_pipeline", 1000 * seconds_of(predictor, cold), "ms", at_most=5.0),
        Row(workload, "prediction", 1000 * seconds_of(predictor, warm), "ms", at_most=20.0),
        Row(workload, "refit", trained, "s", at_most=60.0),
        Row(workload, "history_and_fit", fitted, "s", {}, at_most=60.0),
    ]


def fifty_thousand() -> list[Run]:
    """Attempts of 50,000 executions."""
    found: list[Run] = []
    executions: set[str] = set()
    for seed in range(100, 200):
        shift = seed - 100
        for run in history(seed, pipelines=20, days=90).runs:
            # Fleets side by side: names of their own.
            execution, pipeline = f"{shift}-{run.execution}", f"{shift}-{run.pipeline}"
            found.append(replace(run, execution=execution, pipeline=pipeline))
            executions.add(found[-1].execution)
        if len(executions) >= EXECUTIONS:
            break
    return sorted(found, key=lambda run: run.started_at)


def seconds_of(predictor: Predictor, run: Run, times: int = 50) -> float:
    began = time.perf_counter()
    for _ in range(times):
        predictor.predict(run)
    return (time.perf_counter() - began) / times
