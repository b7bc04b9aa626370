"""What a small Python stage costs over its own work, which is none here: a chain of them, run by the engine.

Each attempt has processes of its own, limits, a clean environment, and (as on a server) no way to the server's files.
The bare limit is a fork of an empty Python that ends at once: a process per attempt cannot be had for less. For a shell
stage it is the start of `true`; what one bare start of Python takes is a row of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rig import CONCURRENCY, Rig, per_stage

from flexiroaster.composition import Allowed, make_engine
from flexiroaster.log_output import configure_logs

STAGES = 40
PYTHON = {"type": "python", "config": {"code": "def run(n):\n    return n + 1", "args": {"n": 1}}}
SHELL = {"type": "shell", "config": {"command": ["true"]}}
GOAL_MS = 5

FORKS = """
import os, time
began = time.perf_counter()
for _ in range(200):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
print((time.perf_counter() - began) / 200)
"""
STARTS = """
import subprocess, sys, time
began = time.perf_counter()
for _ in range(20):
    subprocess.run(sys.argv[1:], check=True)
print((time.perf_counter() - began) / 20)
"""


def run() -> list[dict[str, Any]]:
    start = partial(bare, STARTS, sys.executable, "-I", "-S", "-c", "pass")
    with engine(confined=True) as server:
        rows = [
            row("python", "per_stage", *per_stage(server, chain(PYTHON), partial(bare, FORKS)), goal=GOAL_MS),
            row("python", "over_a_start_of_python", *per_stage(server, chain(PYTHON), start), goal=GOAL_MS),
            row("shell", "per_stage", *per_stage(server, chain(SHELL), partial(bare, STARTS, "true")), goal=GOAL_MS),
        ]
    with engine(confined=False) as local:
        unconfined = per_stage(local, chain(PYTHON), partial(bare, FORKS))
    return [*rows, row("python", "per_stage_unconfined", *unconfined, goal=GOAL_MS)]


def row(workload: str, metric: str, value: float, limit: float, goal: float) -> dict[str, Any]:
    return {
        "workload": f"{workload}_stage",
        "metric": metric,
        "value": value,
        "unit": "ms",
        "limit": limit,
        "goal": goal,
    }


@contextmanager
def engine(*, confined: bool) -> Iterator[Rig]:
    configure_logs("error", json=False)
    with tempfile.TemporaryDirectory(prefix="flexiroaster-bench-") as folder:
        root = Path(folder)
        for name in ("files", "code"):
            (root / name).mkdir()
        allowed = Allowed(
            data_dirs=(root / "files",),
            code_stages=True,
            http_allow=(),
            concurrency=CONCURRENCY,
            code_dirs=(root / "code",),
            hidden_from_code=(root,) if confined else (),
        )
        made = make_engine(f"sqlite:///{root / 'flexiroaster.db'}", root / "artifacts", root / "scratch", allowed)
        made.embedded.start()
        try:
            yield Rig(made, root)
        finally:
            made.embedded.stop()
            made.close()


def chain(stage: dict[str, Any]) -> dict[str, Any]:
    stages = [{"id": f"s{n}", "needs": [f"s{n - 1}"] if n else [], **stage} for n in range(STAGES)]
    return {"id": f"{stage['type']}_chain", "name": "Chain", "stages": stages}


def bare(script: str, *arguments: str) -> float:
    """Seconds of one of what the script does many times."""
    command = [sys.executable, "-I", "-S", "-c", script, *arguments]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
