"""5 million rows of CSV: validate (not null, range, regex, unique id), filter, aggregate, write Parquet.

Against a hand-written DuckDB script that does the same: reads the file, finds the rows that break a rule, keeps them,
and aggregates the rest. Both run as in a server (see `fresh`); the time is from the start to the file written.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from fresh import compare, measured, warm_bare, warm_ours

ROWS = 5_000_000
EMAIL = "^[^@]+@[^@]+$"


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="flexiroaster-bench-") as folder:
        write_orders(Path(folder) / "orders.csv")
        return compare(__file__, Path(folder), "5 million rows of CSV", seconds_goal=1.3, memory_goal=1.5)


def write_orders(path: Path) -> None:
    """One row in a thousand breaks a rule: no amount, one out of range, no address, or an id seen before."""
    import duckdb

    duckdb.execute(
        f"""
        COPY (SELECT CASE WHEN i % 4000 = 3999 THEN i - 1 ELSE i END AS id,
                     'user' || (hash(i) % 400000) || CASE WHEN i % 4000 = 999 THEN '' ELSE '@example.com' END AS email,
                     ['DE', 'FR', 'US', 'GB', 'ES', 'IT', 'NL', 'PL', 'SE', 'JP'][1 + (hash(i + 1) % 10)::INT]
                       AS country,
                     'category' || (hash(i + 2) % 100) AS category,
                     CASE WHEN i % 4000 = 1999 THEN NULL WHEN i % 4000 = 2999 THEN -1
                          ELSE round((hash(i + 3) % 1000000) / 100.0, 2) END AS amount,
                     1 + (hash(i + 4) % 10)::INT AS quantity,
                     (hash(i + 5) % 5) / 10.0 AS discount,
                     TIMESTAMP '2024-01-01' + to_seconds(hash(i + 6) % 31536000) AS ordered_at
              FROM range({ROWS}) t(i))
        TO '{path}' (HEADER)
        """
    )


def bare(folder: Path) -> None:
    import duckdb

    connection = duckdb.connect()
    warm_bare(connection, folder)

    def work() -> list[Any]:
        connection.execute(
            f"""
            CREATE TABLE orders AS FROM read_csv('{folder}/orders.csv');
            CREATE TABLE bad AS
              SELECT rowid AS row FROM orders
              WHERE amount IS NULL OR amount < 0 OR amount > 10000 OR NOT regexp_matches(email, '{EMAIL}')
                 OR id IS NULL
              UNION
              SELECT row FROM (
                SELECT rowid AS row, row_number() OVER (PARTITION BY id ORDER BY rowid) AS n FROM orders
                WHERE id IN (SELECT id FROM orders GROUP BY id HAVING count(*) > 1)) WHERE n > 1;
            COPY (SELECT * FROM orders WHERE rowid IN (SELECT row FROM bad)) TO '{folder}/bare_bad.parquet';
            COPY (SELECT country, category, date_trunc('month', ordered_at) AS month,
                         count(*) AS orders, sum(amount * quantity * (1 - discount)) AS revenue
                  FROM orders WHERE rowid NOT IN (SELECT row FROM bad) AND quantity > 1 GROUP BY ALL
                  ORDER BY ALL) TO '{folder}/bare.parquet';
            """
        )
        return answer(connection, folder / "bare.parquet", folder / "bare_bad.parquet")

    measured(work)


def ours(folder: Path) -> None:
    import duckdb

    from flexiroaster.local import as_source, keep, local_engine, run_to_end
    from flexiroaster.stages.registry import default_registry

    default_registry().types()
    with local_engine([folder]) as engine:
        warm_ours(engine)
        pipeline = keep(engine, as_source(PIPELINE))

        def work() -> list[Any]:
            ended = run_to_end(engine, pipeline, {})
            if not ended.ok:
                raise RuntimeError(ended.error)
            bad = ended.results["check"]["quarantine"]["table"].removeprefix("file://")
            return answer(duckdb.connect(), folder / "ours.parquet", Path(bad))

        measured(work)


def answer(connection: Any, report: Path, bad: Path) -> list[Any]:
    groups = connection.execute(f"SELECT count(*), sum(orders), round(sum(revenue)) FROM '{report}'").fetchone()
    return [*groups, connection.execute(f"SELECT count(*) FROM '{bad}'").fetchone()[0]]


PIPELINE: dict[str, Any] = {
    "id": "five_million",
    "name": "Five million",
    "stages": [
        {"id": "load", "type": "input", "config": {"path": "orders.csv"}},
        {
            "id": "check",
            "type": "validation",
            "config": {
                "columns": {
                    "id": {"not_null": True, "unique": True},
                    "amount": {"not_null": True, "min": 0, "max": 10000},
                    "email": {"pattern": EMAIL},
                },
                "max_invalid": "1%",
            },
        },
        {
            "id": "sum",
            "type": "processing",
            "config": {
                "operations": [
                    {"op": "filter", "expr": "quantity > 1"},
                    {"op": "derive", "columns": {"month": "date_trunc('month', ordered_at)"}},
                    {
                        "op": "aggregate",
                        "by": ["country", "category", "month"],
                        "values": {"orders": "count(*)", "revenue": "sum(amount * quantity * (1 - discount))"},
                    },
                    {"op": "sort", "by": ["country", "category", "month"]},
                ]
            },
        },
        {"id": "publish", "type": "output", "config": {"path": "ours.parquet"}},
    ],
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        bare(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["ours"]:
        ours(Path(sys.argv[2]))
    else:
        for row in run():
            print(row)
