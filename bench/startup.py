"""How long a start takes and what an idle server weighs, against the bare libraries it stands on."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROUNDS = 5
PATIENCE_SECONDS = 60
IDLE_SECONDS = 2
MEGABYTE = 1 << 20

BARE_SERVER = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="flexiroaster-bench-") as folder:
        data = Path(folder)
        ours, memory = served(lambda port: server(port, data / "data"))
        bare, bare_memory = served(lambda port: [sys.executable, "-c", BARE_SERVER, str(port)])
    return [
        row("cold_s", ours, "s", bare, 1.0),
        row("help_s", took([*command(), "--help"]), "s", took([sys.executable, "-c", "import typer"]), 0.3),
        row("idle_mb", memory, "MB", bare_memory, 85),
    ]


def row(metric: str, value: float, unit: str, limit: float, goal: float) -> dict[str, Any]:
    return {"workload": "start", "metric": metric, "value": value, "unit": unit, "limit": limit, "goal": goal}


def command() -> list[str]:
    return [str(Path(sys.executable).parent / "flexiroaster")]


def server(port: int, data: Path) -> list[str]:
    return [*command(), "up", "--port", str(port), "--data-folder", str(data), "--no-examples"]


def served(arguments: Any) -> tuple[float, float]:
    """Seconds from the start of the process to its first answer (median), and its memory at rest in MB.

    The first round makes the data folder and is not counted: it happens once in a server's life.
    """
    times: list[float] = []
    memory = 0.0
    for round_number in range(ROUNDS + 1):
        port = free_port()
        began = time.perf_counter()
        with started(arguments(port)) as process:
            wait_for(f"http://127.0.0.1:{port}/health", process)
            times.append(time.perf_counter() - began)
            if round_number == ROUNDS:
                time.sleep(IDLE_SECONDS)
                memory = resident(process.pid) / MEGABYTE
    return statistics.median(times[1:]), memory


def compiling() -> dict[str, str]:
    """An installed package is compiled; a checkout is by the first round, unless Python is told to keep nothing."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def started(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=compiling()
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before it answered.")
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                json.load(answer)
                return
        except OSError:
            time.sleep(0.005)
    raise RuntimeError(f"{url} did not answer within {PATIENCE_SECONDS} s.")


def took(arguments: list[str]) -> float:
    """Median seconds of a command that ends by itself; the first run warms the file cache."""
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, env=compiling())
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def resident(pid: int) -> int:
    """Bytes of memory that a process and its children hold."""
    tree = [pid, *children(pid)]
    return sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in tree) * os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in map(int, listed) for found in (child, *children(child))]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
