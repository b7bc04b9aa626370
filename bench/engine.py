"""What a durable no-op stage costs in one process on SQLite, against one bare transaction of the same database.

The product's defaults hold: every stage run is recorded before its successor starts, events and log lines are kept and
published, retries and timeouts are armed. Y is one WAL/NORMAL transaction of an INSERT and an UPDATE, F the same with
FULL.
"""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import Any

from rig import BARE_TRANSACTIONS, ROUNDS, Rig, bare_sqlite, chain, fan, per_stage, ratio_rows, rig

SIZES = (10, 100, 1_000, 10_000)


def run() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with rig() as quick:
        bare = partial(bare_sqlite, quick.folder)
        rows += ratio_rows("chain100", per_stage(quick, chain(100), bare), "Y", 8)
        rows += ratio_rows("chain1000", per_stage(quick, chain(1_000), bare), "Y", 8)
        rows += ratio_rows("fan200", per_stage(quick, fan(200), bare), "Y", 6)
        rows += ratio_rows("fan1000", per_stage(quick, fan(1_000), bare), "Y", 6)
        rows.append(processor_time(quick))
        rows.append(growth(quick))
    with rig(wait_for_disk=True) as sure:
        bare = partial(bare_sqlite, sure.folder, full=True)
        rows += ratio_rows("chain1000_full", per_stage(sure, chain(1_000), bare, rounds=3), "F", 2)
    return rows


def processor_time(engine: Rig) -> dict[str, Any]:
    """Of all threads, for a stage of a chain; every execution is started, so that its own cost is in it. Medians, taken
    in turn as the times are.
    """
    pipeline_id = engine.keep(chain(1_000))
    ours, limits = [], []
    for _ in range(ROUNDS):
        began = time.process_time()
        bare_sqlite(engine.folder)
        between = time.process_time()
        engine.once(pipeline_id)
        limits.append((between - began) / BARE_TRANSACTIONS * 1000)
        ours.append((time.process_time() - between) / 1_000 * 1000)
    value, bare = statistics.median(ours), statistics.median(limits)
    return {"workload": "chain1000", "metric": "cpu_ms", "value": value, "unit": "ms", "limit": bare, "goal": 0.1}


def growth(engine: Rig) -> dict[str, Any]:
    """The dearest stage of chains from 10 to 10,000 stages, over the cheapest."""
    costs = []
    for size in SIZES:
        pipeline_id, times = engine.keep(chain(size)), max(3, 1_000 // size)
        engine.once(pipeline_id)
        costs.append(min(engine.once(pipeline_id) for _ in range(times)) / size * 1000)
    return {
        "workload": "outcome_cost",
        "metric": "growth",
        "value": max(costs) / min(costs),
        "unit": "×",
        "limit": 1.0,
        "goal": 1.5,
    }
