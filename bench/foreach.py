"""100,000 items of one foreach stage in one execution: the memory of the process, and what an item costs.

The engine runs in a process of its own, so that the peak is its own. The bare limit of an item is its share of one
WAL/NORMAL transaction of an INSERT and an UPDATE; that of the memory is the same process before the execution.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

from rig import bare_sqlite, rig

ITEMS = 100_000


def run() -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    rows = [
        ("peak_mb", "MB", "idle_mb", 300),
        ("seconds", "s", "bare_seconds", None),
        ("item_ms", "ms", "bare_ms", None),
    ]
    return [
        {
            "workload": "foreach100k",
            "metric": metric,
            "value": found[metric],
            "unit": unit,
            "limit": found[limit],
            **({} if goal is None else {"goal": goal}),
        }
        for metric, unit, limit, goal in rows
    ]


def measure() -> dict[str, float]:
    with rig() as one:
        pipeline_id = one.keep(document())
        idle = peak_mb()
        bare = bare_sqlite(one.folder) * 1000
        names = [f"item-{n}" for n in range(ITEMS)]
        began = time.perf_counter()
        one.engine.embedded.executions.start(pipeline_id, inputs={"names": names})
        one.wait()
        seconds = time.perf_counter() - began
        return {
            "peak_mb": peak_mb(),
            "idle_mb": idle,
            "seconds": seconds,
            "bare_seconds": bare * ITEMS / 1000,
            "item_ms": seconds / ITEMS * 1000,
            "bare_ms": bare,
        }


def document() -> dict[str, Any]:
    stages = [
        {"id": "each", "type": "noop", "needs": [], "foreach": {"items": "${{ inputs.names }}"}},
        {"id": "last", "type": "noop", "needs": ["each"]},
    ]
    return {"id": "each", "name": "Each", "inputs": {"names": {"type": "array"}}, "stages": stages}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(measure()))
