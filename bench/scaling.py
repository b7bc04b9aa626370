"""How far a fleet goes: measured costs of a stage, and what they come to with up to 1,000 workers.

`python bench/scaling.py` measures on this machine, prints the costs and the table of docs/how-to/scale.md; `--write`
puts both there. `--costs FILE` takes costs that were measured before, or elsewhere (JSON, as `--costs-to FILE` writes).
The model and what it assumes are in fleet_model.py.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from fleet_model import Costs, Fleet, Found, bounds, news_after, simulate
from rig import HERE, Rig, bare_postgres, rig

from flexiroaster.store import workers
from flexiroaster.store.database import Database
from tests.postgres import Postgres
from tests.redis_server import RedisServer

PAGE = HERE.parent / "docs" / "how-to" / "scale.md"
WORKERS = (1, 2, 4, 10, 30, 100, 300, 1_000)
WORK = (0.0, 0.1, 1.0, 10.0)
SLOTS, CORES = 4, 8
STAGES = 12_000
EXECUTIONS, LENGTH = 150, 3
LISTENERS, NOTICES, BEATS, ROWS = 20, 400, 150, 500
REDIS_MESSAGES = 3_000


def run() -> list[dict[str, Any]]:
    """Rows for bench/run.py: costs in milliseconds, and stages a second of some fleets beside their lowest bound."""
    costs = measured()
    rows: list[dict[str, Any]] = [
        {"workload": "scaling", "metric": name, "value": seconds * 1000, "unit": "ms", "limit": None}
        for name, seconds in asdict(costs).items()
        if name not in ("pause", "lease")
    ]
    for number in (10, 1_000):
        fleet = Fleet(number, SLOTS, CORES)
        found = simulate(costs, fleet, 1.0, enough(fleet))
        limit = min(bounds(costs, fleet, 1.0).values())
        name = f"simulated_{number}_workers_1s"
        rows.append({"workload": "scaling", "metric": name, "value": found.stages, "unit": "stages/s", "limit": limit})
    return rows


def main() -> None:
    options = _options()
    costs = Costs(**json.loads(options.costs.read_text())) if options.costs else measured()
    if options.costs_to:
        options.costs_to.write_text(json.dumps(asdict(costs), indent=2) + "\n")
    text = "\n".join([*shown_costs(costs), "", *shown_fleets(costs), "", *shown_database(costs)])
    print(text)
    if options.write:
        written = re.sub(
            r"(?<=<!-- measured -->\n).*?(?=<!-- end -->)", lambda _: f"\n{text}\n\n", PAGE.read_text(), flags=re.DOTALL
        )
        PAGE.write_text(written)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--costs", type=Path, metavar="FILE")
    parser.add_argument("--costs-to", type=Path, metavar="FILE")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    return parser.parse_args()


# ── what is shown ───────────────────────────────────────────────────────────────────────────────────────────────────

WORDS = {
    "engine": "processor time of the process that runs it, for a stage",
    "database": "processor time of PostgreSQL, for a stage",
    "flush": "a commit that waits for the disk, two statements, alone",
    "tell": "processor time of PostgreSQL, for a message",
    "hear": "the same, for each process that hears it",
    "beat": "processor time of PostgreSQL, each time that a process says it is alive",
    "beat_row": "the same, for each other process",
    "redis_tell": "processor time of Redis, for a message",
    "redis_hear": "the same, for each process that hears it",
}


def shown_costs(costs: Costs) -> list[str]:
    found = asdict(costs)
    lines = [f"| `{name}` | {found[name] * 1000:.3f} ms | {words} |" for name, words in WORDS.items()]
    return ["| Cost | Measured | What it is |", "|---|---:|---|", *lines]


def shown_fleets(costs: Costs) -> list[str]:
    lines = [
        f"| Workers | {' | '.join(_work(work) for work in WORK)} | 1 s with Redis |",
        "|---:|" + "---:|" * (len(WORK) + 1),
    ]
    for number in WORKERS:
        cells = [_cell(costs, Fleet(number, SLOTS, CORES), work) for work in WORK]
        cells.append(_with_redis(costs, Fleet(number, SLOTS, CORES, listeners=False), 1.0))
        lines.append(f"| {number:,} | {' | '.join(cells)} |")
    return lines


def shown_database(costs: Costs) -> list[str]:
    small, usual, large = (f"{round(cores / costs.database, -2):,.0f}" for cores in (4, CORES, 4 * CORES))
    return [
        f"When Redis carries the messages, PostgreSQL can record {small} stages a second with 4 cores, {usual} with",
        f"{CORES}, {large} with {4 * CORES}, as far as its disk goes along.",
    ]


def _work(seconds: float) -> str:
    return f"{seconds:g} s" if seconds else "nothing"


def _cell(costs: Costs, fleet: Fleet, work: float) -> str:
    """Stages a second, and what stands in the way of more."""
    found = simulate(costs, fleet, work, enough(fleet))
    return f"{_number(found)} ({_limit(costs, fleet, work, found)})"


def _with_redis(costs: Costs, fleet: Fleet, work: float) -> str:
    """And when the others know, where that is later than usual."""
    found = simulate(costs, fleet, work, enough(fleet))
    after = news_after(costs, fleet, found.stages)
    late = f", news after {after:.1f} s" if after > costs.pause else ""
    return f"{_number(found)} ({_limit(costs, fleet, work, found)}{late})"


def _limit(costs: Costs, fleet: Fleet, work: float, found: Found) -> str:
    if found.cores > 0.9 * fleet.cores:  # its bound supposes messages that tell of many stages
        return "database"
    return min(bounds(costs, fleet, work).items(), key=lambda bound: bound[1])[0]


def _number(found: Found) -> str:
    return f"{found.stages:,.0f}" if found.stages >= 10 else f"{found.stages:.1f}"


def enough(fleet: Fleet) -> int:
    """Stages until the beginning does not matter."""
    return max(STAGES, 8 * fleet.workers * fleet.slots)


# ── what is measured ────────────────────────────────────────────────────────────────────────────────────────────────


def measured() -> Costs:
    server = Postgres.start(durable=True)
    try:
        url = server.create("scaling")
        with rig(url) as engine:
            engine_seconds, database_seconds = _stages(engine, server)
            beat, beat_row = _beats(url, server)
        tell, hear = _messages(url, server)
        flush = min(bare_postgres(url) for _ in range(3))
    finally:
        server.stop()
    return Costs(engine_seconds, database_seconds, flush, tell, hear, beat, beat_row, *_redis())


def _stages(engine: Rig, server: Postgres) -> tuple[float, float]:
    """Processor seconds of this process and of the database for a stage, with acceptance and end of its execution."""
    document = {"id": "chain", "name": "Chain", "stages": [{"id": f"s{n}", "type": "noop"} for n in range(LENGTH)]}
    pipeline = engine.keep(document)
    for warming in (True, False):
        began, database = time.process_time(), _of_server(server)
        for _ in range(EXECUTIONS // 5 if warming else EXECUTIONS):
            engine.start(pipeline)
        engine.wait(EXECUTIONS // 5 if warming else EXECUTIONS)
        spent = time.process_time() - began, _spent(database, _of_server(server))
    stages = EXECUTIONS * LENGTH
    return spent[0] / stages, spent[1] / stages


def _beats(url: str, server: Postgres) -> tuple[float, float]:
    """For one process alone, and for each other one."""
    database = Database.open(url)
    lease = timedelta(hours=1)
    try:
        alone = _of_database(server, lambda: _beat(database, lease), BEATS)
        for number in range(ROWS):
            other = workers.Me(f"other-{number}", "elsewhere", number, "1", 4)
            workers.aside(database, lambda connection, other=other: workers.register(connection, other, lease))
        among = _of_database(server, lambda: _beat(database, lease), BEATS)
    finally:
        database.close()
    return alone, max(among - alone, 0.0) / ROWS


def _beat(database: Database, lease: timedelta) -> None:
    workers.aside(database, lambda connection: workers.beat(connection, "me", 0, lease))
    with database.read() as connection:
        workers.judge(connection, "me", None)


def _messages(url: str, server: Postgres) -> tuple[float, float]:
    """For a message that nobody hears, and for each process that does."""
    with psycopg.connect(url, autocommit=True) as sender:
        alone = _of_database(server, lambda: _notify(sender), NOTICES)
        stopped, listening = threading.Event(), threading.Barrier(LISTENERS + 1)

        def listen() -> None:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("LISTEN bench")
                listening.wait()
                while not stopped.is_set():
                    for _ in connection.notifies(timeout=0.2):
                        pass

        threads = [threading.Thread(target=listen, daemon=True) for _ in range(LISTENERS)]
        for thread in threads:
            thread.start()
        listening.wait()
        heard = _of_database(server, lambda: _notify(sender), NOTICES)
        stopped.set()
        for thread in threads:
            thread.join()
    return alone, max(heard - alone, 0.0) / LISTENERS


def _redis() -> tuple[float, float]:
    """As `_messages`."""
    server = RedisServer.begin()
    try:
        assert server.process is not None
        pid = server.process.pid
        with server.client() as sender:
            alone = _of_redis(pid, lambda: sender.publish("bench", "x" * 200))
            with ExitStack() as stack:
                for _ in range(LISTENERS):  # their sockets take what comes: nobody has to read it
                    listener = stack.enter_context(sender.pubsub())
                    listener.subscribe("bench")
                    listener.get_message(timeout=5)
                heard = _of_redis(pid, lambda: sender.publish("bench", "x" * 200))
    finally:
        server.stop()
    return alone, max(heard - alone, 0.0) / LISTENERS


def _of_redis(pid: int, do: Callable[[], object]) -> float:
    before = {pid: _of_process(pid) or 0.0}
    for _ in range(REDIS_MESSAGES):
        do()
    return _spent(before, {pid: _of_process(pid) or 0.0}) / REDIS_MESSAGES


def _notify(sender: psycopg.Connection[Any]) -> None:
    sender.execute("SELECT pg_notify('bench', %s)", ("x" * 200,))


def _of_database(server: Postgres, do: Callable[[], None], times: int) -> float:
    before = _of_server(server)
    for _ in range(times):
        do()
    return _spent(before, _of_server(server)) / times


def _of_server(server: Postgres) -> dict[int, float]:
    """Processor seconds by process."""
    root = int((server.data / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
    return {pid: seconds for pid in (root, *map(int, children)) if (seconds := _of_process(pid)) is not None}


def _spent(before: dict[int, float], after: dict[int, float]) -> float:
    """By those that are still there: connections of these measurements stay open while they last."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def _of_process(pid: int) -> float | None:
    """To the nanosecond, where `stat` counts in hundredths; None when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return None


if __name__ == "__main__":
    sys.exit(main())
