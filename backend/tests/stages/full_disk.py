"""Fills a small disk with an output again and again: what `test_output` runs in a process of its own."""

from __future__ import annotations

import faulthandler
import sys
from pathlib import Path

from tests.stages.conftest import Bench

TIMES = {".csv": 40, ".jsonl": 10, ".parquet": 10, ".xlsx": 1}
"""DuckDB's asynchronous writing hung once in about a hundred failed writes of CSV."""
HANGS_AFTER_SECONDS = 150


def main(root: Path, name: str) -> None:
    faulthandler.dump_traceback_later(HANGS_AFTER_SECONDS, exit=True)
    bench = Bench(root)
    target = bench.data / name
    target.write_text("old")
    query = "select range as n, hash(range) as h, md5(range::varchar) as m from range(150000)"
    made = bench.run("processing", data=[{"n": 1}], operations=[{"op": "sql", "query": query}])["data"]
    for _ in range(TIMES[target.suffix]):
        failure = bench.fails("output", data=made, path=name)
        assert failure.code == "disk_full", failure
        assert f"'{name}' could not be written" in str(failure), failure
        assert [file.name for file in bench.data.iterdir()] == [name]
        assert target.read_text() == "old"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
