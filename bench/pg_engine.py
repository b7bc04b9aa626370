"""The same on a PostgreSQL of its own, fsync and synchronous_commit on. P is the bare transaction by psycopg."""

from __future__ import annotations

from functools import partial
from typing import Any

from rig import bare_postgres, chain, fan, per_stage, ratio_rows, rig
from throughput import measured

from tests.postgres import Postgres


def run() -> list[dict[str, Any]]:
    server = Postgres.start(durable=True)
    try:
        url = server.create("bench")
        bare = partial(bare_postgres, url)
        with rig(url) as engine:
            rows = ratio_rows("pg_chain1000", per_stage(engine, chain(1_000), bare, rounds=3), "P", 1.3)
            rows += ratio_rows("pg_fan1000", per_stage(engine, fan(1_000), bare, rounds=3), "P", 0.3)
            rows += measured(engine, "pg_throughput200x3", goal=700)
        return rows
    finally:
        server.stop()
