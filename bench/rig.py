"""What the engine benchmarks share: an engine whose executions can be waited for, and the bare limits."""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "backend"))

from flexiroaster.composition import Allowed, Engine, make_engine  # noqa: E402
from flexiroaster.engine.events import Event  # noqa: E402
from flexiroaster.engine.state import EXECUTION_FINAL  # noqa: E402
from flexiroaster.lean_imports import uncollected  # noqa: E402
from flexiroaster.local import as_source, keep  # noqa: E402
from flexiroaster.log_output import configure_logs  # noqa: E402
from flexiroaster.process import tune_interpreter  # noqa: E402

ROUNDS = 5
BARE_TRANSACTIONS = 1_000
CONCURRENCY = 6
FINAL = {status.value for status in EXECUTION_FINAL}

Document = Mapping[str, Any]
Row = dict[str, Any]


class Rig:
    """`run` pipelines and wait for their ends."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self._began: dict[str, float] = {}
        self._ended_at: dict[str, float] = {}
        self._ended = 0
        self._wanted = 0
        self._all_ended = threading.Condition()
        engine.bus.subscribe(self._hear)

    def keep(self, document: Document) -> str:
        return keep(self.engine, as_source(document))

    def start(self, pipeline_id: str) -> None:
        began = time.perf_counter()
        self._began[self.engine.embedded.executions.start(pipeline_id).execution_id] = began

    def wait(self, executions: int = 1) -> None:
        """Until so many more have ended; woken once, so that the wait costs the measured process nothing."""
        with self._all_ended:
            self._wanted += executions
            self._all_ended.wait_for(lambda: self._ended >= self._wanted)

    def latencies(self) -> list[float]:
        """Seconds from the call that started an execution to its end, of those since the last call."""
        found = [ended - self._began[id] for id, ended in self._ended_at.items()]
        self._began.clear()
        self._ended_at.clear()
        return found

    def once(self, pipeline_id: str) -> float:
        """Seconds from the start of an execution to its end."""
        began = time.perf_counter()
        self.start(pipeline_id)
        self.wait()
        return time.perf_counter() - began

    def _hear(self, events: Any) -> None:
        for event in events:
            if ends(event):
                self._ended_at[event.execution_id] = time.perf_counter()
                with self._all_ended:
                    self._ended += 1
                    if self._ended == self._wanted:
                        self._all_ended.notify()


def ends(event: Event) -> bool:
    return event.stage is None and event.payload.get("status") in FINAL


@contextmanager
def rig(url: str | None = None, *, wait_for_disk: bool = False) -> Iterator[Rig]:
    """An engine of its own as a server has it, with the product's defaults; on a SQLite file where no database is
    named.
    """
    configure_logs("error", json=False)
    tune_interpreter()
    with tempfile.TemporaryDirectory(prefix="flexiroaster-bench-") as folder:
        root = Path(folder)
        allowed = Allowed(data_dirs=(root,), code_stages=False, http_allow=(), concurrency=CONCURRENCY)
        database = url or f"sqlite:///{root / 'flexiroaster.db'}"
        with uncollected():
            engine = make_engine(database, root / "artifacts", root / "scratch", allowed, wait_for_disk=wait_for_disk)
        engine.embedded.start()
        try:
            yield Rig(engine, root)
        finally:
            engine.embedded.stop()
            engine.close()


def per_stage(rig: Rig, document: Document, bare: Callable[[], float], rounds: int = ROUNDS) -> tuple[float, float]:
    """Milliseconds of one stage and of one bare transaction: medians, taken in turn so that noise moves both."""
    pipeline_id, stages = rig.keep(document), len(document["stages"])
    rig.once(pipeline_id)
    ours, limits = [], []
    for _ in range(rounds):
        limits.append(bare() * 1000)
        ours.append(rig.once(pipeline_id) / stages * 1000)
    return statistics.median(ours), statistics.median(limits)


def ratio_rows(workload: str, measured: tuple[float, float], unit: str, goal: float) -> list[Row]:
    """The cost of a stage in milliseconds, and as a multiple of the bare transaction, which is what has a goal."""
    ours, bare = measured
    return [
        {"workload": workload, "metric": "per_stage", "value": ours, "unit": "ms", "limit": bare},
        {"workload": workload, "metric": "ratio", "value": ours / bare, "unit": unit, "limit": 1.0, "goal": goal},
    ]


def bare_sqlite(folder: Path, *, full: bool = False) -> float:
    """Seconds of one transaction of an INSERT and an UPDATE: WAL, with and without waiting for the disk."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
    connection.execute("CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, status TEXT)")
    began = time.perf_counter()
    for _ in range(BARE_TRANSACTIONS):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO runs (status) VALUES ('running')")
        connection.execute("UPDATE runs SET status = 'success' WHERE id = last_insert_rowid()")
        connection.execute("COMMIT")
    seconds = (time.perf_counter() - began) / BARE_TRANSACTIONS
    connection.close()
    return seconds


def bare_postgres(url: str, transactions: int = 200) -> float:
    """Seconds of the same two statements by psycopg, synchronous_commit on."""
    with psycopg.connect(url, prepare_threshold=1) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, status text)")
        connection.commit()
        began = time.perf_counter()
        for _ in range(transactions):
            row = connection.execute("INSERT INTO bare (status) VALUES ('running') RETURNING id").fetchone()
            connection.execute("UPDATE bare SET status = 'success' WHERE id = %s", row)
            connection.commit()
        return (time.perf_counter() - began) / transactions


def chain(length: int) -> dict[str, Any]:
    stages = [{"id": f"s{n}", "type": "noop", "needs": [f"s{n - 1}"] if n else []} for n in range(length)]
    return {"id": f"chain_{length}", "name": "Chain", "stages": stages}


def fan(width: int) -> dict[str, Any]:
    middle = [f"m{n}" for n in range(width)]
    stages: list[dict[str, Any]] = [{"id": "first", "type": "noop", "needs": []}]
    stages += [{"id": name, "type": "noop", "needs": ["first"]} for name in middle]
    stages.append({"id": "last", "type": "noop", "needs": middle})
    return {"id": f"fan_{width}", "name": "Fan", "stages": stages}
