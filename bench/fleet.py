"""Measure a fleet: `python bench/fleet.py`. Prints a table, adds to bench/results.json.

An API server and two workers in processes of their own, on a PostgreSQL that waits for the disk, first with RabbitMQ
(quorum queues), then with Redis. Beside them, in the same run, Celery alone: two worker processes, tasks that do
nothing, results in the same broker. The exit status is 1 when a goal is missed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "backend")]

from rig import bare_postgres, chain, fan  # noqa: E402
from run import KEYS, RESULTS, missed, show, with_ratio  # noqa: E402

from tests.fleet.processes import Fleet, RoleProcess  # noqa: E402
from tests.postgres import Postgres  # noqa: E402
from tests.rabbitmq import RabbitServer  # noqa: E402
from tests.redis_server import RedisServer  # noqa: E402

Row = dict[str, Any]

ROUNDS = 3
TASKS = 1_000
WAKES = 40
STEPS = 24
"""Stages that compute, as many for one worker as for two."""
SPIN = "def run(n):\n    total = 0\n    for i in range(n):\n        total += i * i\n    return total % 7"
TURNS = 6_000_000
BARE_SPIN = f"total = 0\nfor i in range({TURNS}):\n    total += i * i"
PATIENCE = 300


def main() -> int:
    postgres = Postgres.start(durable=True)
    rows: list[Row] = []
    try:
        for kind, begin in (("rabbitmq", RabbitServer.begin), ("redis", RedisServer.begin)):
            broker = begin()
            try:
                print(f"{kind} …", file=sys.stderr)
                rows += with_broker(kind, broker.url, postgres)
            finally:
                broker.stop()
    finally:
        postgres.stop()
    rows = [with_ratio(row) for row in rows]
    show(rows)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    kept = [row for row in kept if not row["workload"].startswith("fleet_")]
    RESULTS.write_text(json.dumps(kept + [{key: row[key] for key in KEYS} for row in rows], indent=2) + "\n")
    return 1 if any(missed(row) for row in rows) else 0


def with_broker(kind: str, broker_url: str, postgres: Postgres) -> list[Row]:
    url = postgres.create(f"bench_{kind}")
    with tempfile.TemporaryDirectory(prefix="flexiroaster-bench-") as folder:
        with raw_workers(broker_url) as raw:
            tasks_per_s, round_trip = raw_throughput(raw), raw_round_trip(raw)
        with members(Path(folder), url, broker_url) as (fleet, client, workers):
            return measured(kind, fleet, client, workers, tasks_per_s, round_trip, bare_postgres(url) * 1000)


def measured(
    kind: str,
    fleet: Fleet,
    client: httpx.Client,
    workers: list[RoleProcess],
    tasks_per_s: float,
    round_trip: float,
    bare: float,
) -> list[Row]:
    ours = run(fleet, client, fan(TASKS))
    metric = "of_raw_celery" if kind == "rabbitmq" else "of_raw_celery_redis"
    rows: list[Row] = [
        {
            "workload": "fleet_fan1000",
            "metric": metric,
            "value": (TASKS + 2) / ours / tasks_per_s,
            "unit": "×",
            "limit": 1.0,
            "at_least": 0.6,
        },
        {
            "workload": "fleet_fan1000",
            "metric": f"per_stage_ms_{kind}",
            "value": ours / (TASKS + 2) * 1000,
            "unit": "ms",
            "limit": 1000 / tasks_per_s,
            "goal": 2.2,
        },
        {
            "workload": "fleet_wake_up",
            "metric": f"p50_ms_{kind}",
            "value": wake_up(fleet, client) * 1000,
            "unit": "ms",
            "limit": round_trip * 1000,
            "goal": 10,
        },
    ]
    if kind == "rabbitmq":
        per_stage = run(fleet, client, chain(TASKS)) / TASKS * 1000
        rows += [
            {
                "workload": "fleet_chain1000",
                "metric": "per_stage_ms",
                "value": per_stage,
                "unit": "ms",
                "limit": bare,
                "goal": 1.0,
            },
            speedup(fleet, client, workers),
        ]
    return rows


@contextmanager
def members(folder: Path, url: str, broker_url: str) -> Iterator[tuple[Fleet, httpx.Client, list[RoleProcess]]]:
    with Fleet(folder, url, broker_url, lease_seconds=30) as fleet:
        api = fleet.api()
        workers = [fleet.worker(concurrency=1) for _ in range(2)]
        with api.client() as client:
            yield fleet, client, workers


def run(fleet: Fleet, client: httpx.Client, document: dict[str, Any], rounds: int = ROUNDS) -> float:
    """Seconds from the request to the end, both by the clock of this machine; the median."""
    client.post("/api/pipelines", json=document).raise_for_status()
    return statistics.median([once(fleet, client, document["id"]) for _ in range(rounds + 1)][1:])


def once(fleet: Fleet, client: httpx.Client, pipeline: str) -> float:
    began = time.time()
    answer = client.post(f"/api/pipelines/{pipeline}/execute", json={})
    execution = answer.raise_for_status().json()["execution_id"]
    query = "SELECT status, extract(epoch FROM ended_at)::float FROM executions WHERE id = %s"
    with psycopg.connect(fleet.url, autocommit=True) as connection:
        while True:
            status, ended_at = connection.execute(query, (execution,)).fetchone() or ("", None)
            if ended_at is not None:
                assert status == "success", status
                return float(ended_at) - began
            assert time.time() - began < PATIENCE
            time.sleep(0.02)  # asking costs the fleet something, too


def wake_up(fleet: Fleet, client: httpx.Client) -> float:
    """Seconds from the moment an execution was accepted to the claim of its first stage by a worker; the median."""
    document = chain(1) | {"id": "wake"}
    client.post("/api/pipelines", json=document).raise_for_status()
    for _ in range(WAKES):
        once(fleet, client, "wake")
    query = """
        SELECT extract(epoch FROM min(r.started_at) - e.created_at)::float FROM executions e
        JOIN stage_runs r ON r.execution_id = e.id WHERE e.pipeline_id = 'wake' GROUP BY e.id, e.created_at
    """
    return statistics.median(row[0] for row in fleet.rows(query))


def speedup(fleet: Fleet, client: httpx.Client, workers: list[RoleProcess]) -> Row:
    """Stages that compute, by one worker process and by two, each with one stage at a time. The limit is what two
    processes gain that compute the same and have nothing to do with each other.
    """
    stage = {"type": "python", "needs": [], "config": {"code": SPIN, "args": {"n": TURNS}}}
    document = {"id": "spin", "name": "Spin", "stages": [{"id": f"s{n}", **stage} for n in range(STEPS)]}
    two = run(fleet, client, document, rounds=1)
    workers[1].stop()
    one = once(fleet, client, "spin")
    return {
        "workload": "fleet_speedup",
        "metric": "two_workers",
        "value": one / two,
        "unit": "×",
        "limit": 2 * spinning(1) / spinning(2),
        "at_least": 1.7,
    }


def spinning(processes: int) -> float:
    began = time.perf_counter()
    started = [subprocess.Popen([sys.executable, "-c", BARE_SPIN]) for _ in range(processes)]
    for process in started:
        process.wait()
    return time.perf_counter() - began


# Celery alone


@contextmanager
def raw_workers(broker_url: str) -> Iterator[Any]:
    environment = os.environ | {"RAW_BROKER_URL": broker_url, "PYTHONPATH": str(HERE)}
    os.environ["RAW_BROKER_URL"] = broker_url
    command = [sys.executable, "-m", "celery", "-A", "raw_celery", "worker", "-P", "prefork", "-c", "2", "-l", "error"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    sys.modules.pop("raw_celery", None)
    import raw_celery

    worker = subprocess.Popen([*command, *quiet], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        raw_celery.nothing.delay().get(timeout=PATIENCE)
        yield raw_celery
    finally:
        worker.terminate()
        worker.wait()


def raw_throughput(raw: Any) -> float:
    """Tasks a second: all sent, then all results awaited, as a fan is."""
    found = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        results = [raw.nothing.delay() for _ in range(TASKS)]
        for result in results:
            result.get(timeout=PATIENCE)
        found.append(TASKS / (time.perf_counter() - began))
    return statistics.median(found[1:])


def raw_round_trip(raw: Any) -> float:
    def once() -> float:
        began = time.perf_counter()
        raw.nothing.delay().get(timeout=PATIENCE)
        return time.perf_counter() - began

    return statistics.median(once() for _ in range(WAKES))


if __name__ == "__main__":
    sys.exit(main())
