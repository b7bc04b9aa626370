"""Measure the AI layer: `python bench/ai.py [DATA] [--only BLOCK]…`. Prints a table, adds to bench/results.json.

DATA is a folder with public data sets; without it only what the project ships is measured. Each number stands beside
what simpler methods reach on the same data. The exit status is 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, help="folder with the data sets")
    parser.add_argument("--only", action="append", default=[], metavar="BLOCK", help="measure this block alone")
    options = parser.parse_args()
    if options.data is not None and not options.data.is_dir():
        print(f"There is no folder {str(options.data)!r}: give the one with the data sets.", file=sys.stderr)
        return 2
    blocks = known_blocks()
    unknown = [name for name in options.only if name not in blocks]
    if unknown:
        print(f"There is no block {unknown[0]!r}. Known are {', '.join(blocks)}.", file=sys.stderr)
        return 2
    # More threads than free cores make the fits many times slower, and one thread is what production uses.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows: list[Any] = []
    for name in options.only or blocks:
        start = time.perf_counter()
        rows += importlib.import_module(f"ai.{name}").run(options.data)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    show(rows)
    keep(rows)
    return 1 if any(row.missed for row in rows) else 0


def known_blocks() -> list[str]:
    """Every module or package in ai/ that has a `run(data)`."""
    found = []
    for module in pkgutil.iter_modules([str(HERE / "ai")]):
        path = HERE / "ai" / module.name
        source = path / "__init__.py" if module.ispkg else path.with_suffix(".py")
        if "\ndef run(" in source.read_text():
            found.append(module.name)
    return found


def show(rows: list[Any]) -> None:
    table = Table(box=None, header_style="bold")
    for heading in ("workload", "metric"):
        table.add_column(heading)
    for heading in ("value", "goal"):
        table.add_column(heading, justify="right")
    table.add_column("baselines")
    for row in rows:
        baselines = ", ".join(f"{name} {number(value)}" for name, value in row.baselines.items())
        style = "red" if row.missed else None
        table.add_row(row.workload, row.metric, f"{number(row.value)} {row.unit}", goal(row), baselines, style=style)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def goal(row: Any) -> str:
    parts = [] if row.at_least is None else [f"≥ {row.at_least:g}"]
    return ", ".join(parts + ([] if row.at_most is None else [f"≤ {row.at_most:g}"]))


def keep(rows: list[Any]) -> None:
    """Put the rows into the results file, beside what bench/run.py wrote there."""
    measured = {row.workload for row in rows}
    old = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    others = [row for row in old if row["workload"] not in measured]
    RESULTS.write_text(json.dumps(others + [entry(row) for row in rows], indent=2) + "\n")


def entry(row: Any) -> dict[str, Any]:
    limit = row.best_baseline
    return {
        "workload": row.workload,
        "metric": row.metric,
        "value": row.value,
        "unit": row.unit,
        "limit": limit,
        "ratio": row.value / limit if limit else None,
        "baselines": row.baselines,
    }


if __name__ == "__main__":
    sys.exit(main())
