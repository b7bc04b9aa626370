"""Run the benchmarks: `python bench/run.py [NAME…]`. Prints a table, writes bench/results.json.

A benchmark is a module beside this file with `run() -> list[dict]`. Each row has `workload`, `metric`, `value`, `unit`,
and `limit`: what the bare machine or library does for the same work, measured in the same run. `ratio` is value over
limit. A row may name a `goal` that the value must not exceed, or be `at_least`; the exit status is 1 when it misses it.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
KEYS = ("workload", "metric", "value", "unit", "limit", "ratio")


def main(names: list[str]) -> int:
    known = {path.stem: path for path in sorted(HERE.glob("*.py")) if path.stem != "run" and has_run(path)}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}. Known are {', '.join(known)}.", file=sys.stderr)
        return 2
    rows: list[dict[str, Any]] = []
    for name in names or known:
        print(f"{name} …", file=sys.stderr)
        rows += map(with_ratio, load(known[name]).run())
    show(rows)
    RESULTS.write_text(json.dumps([{key: row[key] for key in KEYS} for row in rows] + others(), indent=2) + "\n")
    return 1 if any(missed(row) for row in rows) else 0


def others() -> list[dict[str, Any]]:
    """What bench/ai.py and bench/fleet.py measured stays in the file."""
    old: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    return [row for row in old if row["workload"].startswith(("ai_", "fleet_"))]


def has_run(path: Path) -> bool:
    return "\ndef run(" in path.read_text()


def load(path: Path) -> Any:
    sys.path.insert(0, str(HERE))
    spec = importlib.util.spec_from_file_location(f"bench_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def with_ratio(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"ratio": row.get("ratio") or (row["value"] / row["limit"] if row["limit"] else None)}


def missed(row: dict[str, Any]) -> bool:
    too_much = row.get("goal") is not None and row["value"] > row["goal"]
    too_little = row.get("at_least") is not None and row["value"] < row["at_least"]
    return too_much or too_little


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, header_style="bold")
    for heading in ("workload", "metric"):
        table.add_column(heading)
    for heading in ("value", "bare limit", "ratio", "goal"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row["workload"],
            row["metric"],
            measured(row["value"], row["unit"]),
            measured(row["limit"], row["unit"]),
            "" if row["ratio"] is None else f"{row['ratio']:.2f}",
            aim(row),
            style="red" if missed(row) else None,
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def aim(row: dict[str, Any]) -> str:
    if row.get("at_least") is not None:
        return f"≥ {measured(row['at_least'], row['unit'])}"
    return "" if row.get("goal") is None else f"≤ {measured(row['goal'], row['unit'])}"


def measured(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:,.4g} {unit}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
