"""Many small executions at once: 200 of three stages each, accepted with FULL, from several threads and in bulk."""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

from rig import Rig, bare_sqlite, chain, rig

EXECUTIONS = 200
THREADS = 8
ROUNDS = 5


def run() -> list[dict[str, Any]]:
    with rig() as engine:
        return measured(engine, "throughput200x3", goal=2_000)


def measured(engine: Rig, workload: str, *, goal: float) -> list[dict[str, Any]]:
    pipeline_id = engine.keep(chain(3))
    at_once(engine, pipeline_id)
    engine.latencies()
    rounds = []
    latencies: list[float] = []
    for _ in range(ROUNDS):
        rounds.append(at_once(engine, pipeline_id))
        latencies.append(statistics.quantiles(engine.latencies(), n=100)[98])
    # What the same work costs bare: a durable transaction for each execution, a quick one for each stage.
    bare = EXECUTIONS * (bare_sqlite(engine.folder, full=True) + 3 * bare_sqlite(engine.folder))
    return [
        {
            "workload": workload,
            "metric": "executions_per_s",
            "value": EXECUTIONS / statistics.median(rounds),
            "unit": "/s",
            "limit": EXECUTIONS / bare,
            "at_least": goal,
        },
        {
            "workload": workload,
            "metric": "p99_ms",
            "value": statistics.median(latencies) * 1000,
            "unit": "ms",
            "limit": bare * 1000,
            "goal": 120,
        },
    ]


def at_once(engine: Rig, pipeline_id: str) -> float:
    """Seconds from the first start to the last end."""

    def start_some() -> None:
        for _ in range(EXECUTIONS // THREADS):
            engine.start(pipeline_id)

    threads = [threading.Thread(target=start_some) for _ in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    engine.wait(EXECUTIONS)
    seconds = time.perf_counter() - began
    for thread in threads:
        thread.join()
    return seconds
