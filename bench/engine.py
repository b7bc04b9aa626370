"""What a durable no-op stage costs in one process on SQLite, against one bare transaction of the same database.

The product's defaults hold: every stage run is recorded before its successor starts, events and log lines are kept and
published, retries and timeouts are armed. The bare limit is one WAL/NORMAL transaction of an INSERT and an UPDATE.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flexiroaster.engine.events import Event
from flexiroaster.engine.state import EXECUTION_FINAL
from flexiroaster.local import as_source, keep, local_engine

ROUNDS = 5
YARDSTICK_TRANSACTIONS = 2_000
FINAL = {status.value for status in EXECUTION_FINAL}


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="flexiroaster-bench-") as folder:
        root = Path(folder)
        with local_engine([root], root / "data") as engine:
            finished = threading.Semaphore(0)
            engine.bus.subscribe(lambda events: [finished.release() for event in events if ends(event)] and None)

            def once(pipeline_id: str) -> float:
                began = time.perf_counter()
                engine.embedded.executions.start(pipeline_id)
                finished.acquire()
                return time.perf_counter() - began

            return [
                measured(name, metric, once, keep(engine, as_source(document)), len(document["stages"]), root)
                for name, metric, document in workloads()
            ]


def workloads() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        ("chain", "100 stages, per stage", chain(100)),
        ("chain", "1,000 stages, per stage", chain(1_000)),
        ("fan", "1 → 200 → 1, per stage", fan(200)),
        ("fan", "1 → 1,000 → 1, per stage", fan(1_000)),
    ]


def measured(name: str, metric: str, once: Any, pipeline_id: str, stages: int, root: Path) -> dict[str, Any]:
    """The median of several rounds; the yardstick is taken before each, so that a busy machine moves both."""
    once(pipeline_id)
    bare, ours = [], []
    for _ in range(ROUNDS):
        bare.append(yardstick(root) * 1000)
        ours.append(once(pipeline_id) / stages * 1000)
    return {
        "workload": name,
        "metric": metric,
        "value": statistics.median(ours),
        "unit": "ms",
        "limit": statistics.median(bare),
        "goal": 0.3,
    }


def yardstick(folder: Path) -> float:
    """Seconds of one bare transaction."""
    path = folder / "bare.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, status TEXT)")
    began = time.perf_counter()
    for _ in range(YARDSTICK_TRANSACTIONS):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO runs (status) VALUES ('running')")
        connection.execute("UPDATE runs SET status = 'success' WHERE id = last_insert_rowid()")
        connection.execute("COMMIT")
    seconds = (time.perf_counter() - began) / YARDSTICK_TRANSACTIONS
    connection.close()
    return seconds


def chain(length: int) -> dict[str, Any]:
    stages = [{"id": f"s{n}", "type": "noop", "needs": [f"s{n - 1}"] if n else []} for n in range(length)]
    return {"id": f"chain_{length}", "name": "Chain", "stages": stages}


def fan(width: int) -> dict[str, Any]:
    middle = [f"m{n}" for n in range(width)]
    stages: list[dict[str, Any]] = [{"id": "first", "type": "noop", "needs": []}]
    stages += [{"id": name, "type": "noop", "needs": ["first"]} for name in middle]
    stages.append({"id": "last", "type": "noop", "needs": middle})
    return {"id": f"fan_{width}", "name": "Fan", "stages": stages}


def ends(event: Event) -> bool:
    return event.stage is None and event.payload.get("status") in FINAL


def main(_arguments: Sequence[str]) -> None:
    for row in run():
        print(f"{row['workload']} {row['metric']}: {row['value']:.3f} ms, {row['value'] / row['limit']:.1f} × bare")


if __name__ == "__main__":
    main(sys.argv[1:])
