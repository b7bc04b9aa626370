"""Runs each side of a data benchmark in a process of its own, with a peak memory of its own.

Both sides have worked on one row before, as a server has: DuckDB is open on both, and ours has loaded what compiles
operations. The files are new to both.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROUNDS = 3


def measured(work: Callable[[], Any]) -> None:
    """In the child: do the work, print seconds, processor seconds (steady on a busy machine) and peak memory."""
    began, cpu_before = time.perf_counter(), time.process_time()
    answer = work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak, "answer": answer}) + "\n")


def warm_bare(connection: Any, folder: Path) -> None:
    connection.execute(f"COPY (SELECT 1 AS n WHERE 1 > 0) TO '{folder}/one.parquet'")
    connection.execute(f"SELECT count(*) FROM '{folder}/one.parquet'").fetchall()


def warm_ours(engine: Any) -> None:
    from flexiroaster.local import as_source, keep, run_to_end

    if not run_to_end(engine, keep(engine, as_source(ONE_ROW)), {}).ok:
        raise RuntimeError("The pipeline of one row failed.")


ONE_ROW: dict[str, Any] = {
    "id": "one_row",
    "name": "One row",
    "stages": [
        {"id": "load", "type": "input", "config": {"data": [{"n": 1}]}},
        {"id": "take", "type": "processing", "config": {"operations": [{"op": "filter", "expr": "n > 0"}]}},
    ],
}


def compare(
    script: str, folder: Path, workload: str, *, seconds_goal: float, memory_goal: float
) -> list[dict[str, Any]]:
    """Run `script bare FOLDER` and `script ours FOLDER` in turn: the best of each; both must give the same answer."""
    sides: dict[str, list[dict[str, Any]]] = {"bare": [], "ours": []}
    for _ in range(ROUNDS):
        for side, results in sides.items():
            results.append(_child(script, side, folder))
    answers = {json.dumps(result["answer"]) for results in sides.values() for result in results}
    if len(answers) != 1:
        raise RuntimeError(f"{workload}: the two sides disagree: {answers}")
    return [
        _row(sides, workload, "seconds", "s", seconds_goal),
        _row(sides, workload, "cpu", "s", seconds_goal),
        _row(sides, workload, "peak_mb", "MB", memory_goal),
    ]


def _child(script: str, side: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, script, side, str(folder)], check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _row(sides: dict[str, list[dict[str, Any]]], workload: str, key: str, unit: str, goal: float) -> dict[str, Any]:
    ours, bare = (min(result[key] for result in sides[side]) for side in ("ours", "bare"))
    metric = {"seconds": "start to end", "cpu": "processor time", "peak_mb": "peak memory"}[key]
    return {
        "workload": workload, "metric": metric, "value": ours, "unit": unit, "limit": bare, "ratio": ours / bare,
        "goal": goal * bare,
    }  # fmt: skip
