"""The output stage: every format, and files that are whole or not there."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from tests.stages.conftest import Bench

BACKEND = Path(__file__).parents[2]
ROWS = [{"id": 1, "region": "eu", "x": 1.5, "note": "=1+1"}, {"id": 2, "region": "us", "x": None, "note": "a,b"}]


@pytest.mark.parametrize(
    "path", ["a.csv", "a.tsv", "a.csv.gz", "a.json", "a.jsonl", "a.jsonl.gz", "a.parquet", "a.xlsx"]
)
def test_what_is_written_can_be_read_again(bench: Bench, path: str) -> None:
    result = bench.run("output", data=ROWS, path=f"new/folder/{path}")
    assert (result["path"], result["rows"]) == (f"new/folder/{path}", 2)
    assert bench.rows(bench.run("input", path=f"new/folder/{path}")) == ROWS
    assert bench.left_over() == []


def test_csv_options(bench: Bench) -> None:
    bench.run("output", data=ROWS, path="a.csv", delimiter=";", null_text="NA", header=False, columns=["x", "id"])
    assert (bench.data / "a.csv").read_text() == "1.5;1\nNA;2\n"
    bench.run("output", data=ROWS, path="b.csv", compression="gzip", columns=["id"])
    assert gzip.decompress((bench.data / "b.csv").read_bytes()) == b"id\n1\n2\n"


def test_json_is_one_array_and_has_no_infinity(bench: Bench) -> None:
    made = bench.run("processing", data=ROWS, operations=[{"op": "derive", "columns": {"x": "1e308 * id * 10"}}])
    bench.run("output", data=made["data"], path="a.json", columns=["id", "x"])
    assert json.loads((bench.data / "a.json").read_text()) == [{"id": 1, "x": None}, {"id": 2, "x": None}]


def test_excel_texts_never_become_formulas(bench: Bench) -> None:
    bench.run("output", data=ROWS, path="a.xlsx", sheet="Orders")
    sheet = CalamineWorkbook.from_path(str(bench.data / "a.xlsx")).get_sheet_by_name("Orders")
    assert sheet.to_python()[1] == [1.0, "eu", 1.5, "=1+1"]


def test_partitions(bench: Bench) -> None:
    config: dict[str, Any] = {"path": "lake/orders", "format": "parquet", "partition_by": ["region"]}
    result = bench.run("output", data=ROWS, **config)
    assert result["files"] == ["lake/orders/region=eu/data_0.parquet", "lake/orders/region=us/data_0.parquet"]
    bench.run("output", data=ROWS[:1], **config)
    assert [path.name for path in (bench.data / "lake/orders").iterdir()] == ["region=eu"]
    assert bench.left_over() == []


def test_a_partitioned_output_replaces_only_its_like(bench: Bench) -> None:
    bench.file("folder/letter.txt", "dear")
    bench.file("table.parquet", "not a folder")
    for path in ("folder", "table.parquet", "."):
        failure = bench.fails("output", data=ROWS, path=path, format="parquet", partition_by=["region"])
        assert failure.code in ("file_exists", "not_a_file")
    assert (bench.data / "folder/letter.txt").read_text() == "dear"


def test_if_exists(bench: Bench) -> None:
    bench.file("a.csv", "old")
    assert "exists already" in str(bench.fails("output", data=ROWS, path="a.csv", if_exists="fail"))
    assert (bench.data / "a.csv").read_text() == "old"
    bench.run("output", data=ROWS, path="a.csv")
    assert (bench.data / "a.csv").read_text().startswith("id,")


def test_a_copy_is_kept_for_download(bench: Bench) -> None:
    context = bench.context()
    made = bench.run("input", data=ROWS)["data"]
    result = bench.run("output", context, data=made, path="a.csv")
    assert [context.kinds[artifact.id] for artifact in context.artifacts] == ["file"]
    assert context.artifacts[0].path.read_text() == (bench.data / "a.csv").read_text()
    assert result["artifact_id"] == context.artifacts[0].id
    assert bench.run("output", data=made, path="a.csv", keep_copy=False)["artifact_id"] is None


def test_without_a_path_there_is_only_the_download(bench: Bench) -> None:
    context = bench.context(stage_id="report")
    made = bench.run("input", data=ROWS)["data"]
    bench.run("output", context, data=made, format="excel")
    assert [artifact.path.name.split("-")[-1] for artifact in context.artifacts] == ["report.xlsx"]
    assert list(bench.data.iterdir()) == []


@pytest.mark.parametrize("path", ["../a.csv", "/etc/a.csv", "x/../../a.csv", "../artifacts/a.csv"])
def test_nothing_is_written_outside(bench: Bench, path: str) -> None:
    before = sorted(bench.root.rglob("*"))
    assert bench.fails("output", data=ROWS, path=path).code == "outside_data_dirs"
    assert [found for found in sorted(bench.root.rglob("a.csv")) if found not in before] == []


def test_links_are_not_followed(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (bench.data / "link").symlink_to(tmp_path / "elsewhere")
    (bench.data / "a.csv").symlink_to(tmp_path / "elsewhere" / "b.csv")
    assert bench.fails("output", data=ROWS, path="link/a.csv").code == "outside_data_dirs"
    assert bench.fails("output", data=ROWS, path="a.csv").code == "outside_data_dirs"
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"path": "a.dat"}, "does not tell its format"),
        ({"path": "a.csv", "columns": ["nope"]}, "`columns` names 'nope'"),
        ({"path": "a", "format": "csv", "partition_by": ["nope"]}, "`partition_by` names the column 'nope'"),
        ({"path": "a", "format": "excel", "partition_by": ["id"]}, "cannot be partitioned"),
        ({"path": "a.xlsx", "compression": "gzip"}, "cannot be compressed"),
        ({"partition_by": ["id"], "format": "csv"}, "needs a `path`"),
    ],
)
def test_wrong_configs(bench: Bench, config: dict[str, Any], says: str) -> None:
    assert says in str(bench.fails("output", data=ROWS, **config))
    assert bench.left_over() == []


def test_a_failing_read_leaves_the_old_file(bench: Bench) -> None:
    bench.file("late.csv", "id,amount\n" + "1,2.5\n" * 300_000 + "2,N/A\n")
    bench.file("out.csv", "old")
    data = bench.run("input", path="late.csv")["data"]
    for path in ("out.csv", "out.jsonl", "out.parquet"):
        assert bench.fails("output", data=data, path=path).code == "bad_value"
    assert bench.fails("output", data=data, path="lake", format="csv", partition_by=["id"]).code == "bad_value"
    assert (bench.data / "out.csv").read_text() == "old"
    assert sorted(path.name for path in bench.data.iterdir()) == ["late.csv", "out.csv"]


def test_a_cancel_leaves_the_old_file(bench: Bench) -> None:
    bench.file("out.csv", "old")
    context = bench.context()
    context.cancelled = threading.Event()
    made = bench.run("input", data=ROWS)["data"]
    context.cancel()
    assert bench.fails("output", context, data=made, path="out.csv").kind == "cancelled"
    assert (bench.data / "out.csv").read_text() == "old"
    assert bench.left_over() == []


KILLED = """
import sys
from pathlib import Path
from flexiroaster.data.writing import replacing

with replacing(Path(sys.argv[1]), "out.csv", may_exist=True) as unfinished:
    unfinished.write_text("half of it")
    print("written", flush=True)
    sys.stdin.read()
"""


@contextmanager
def writing_process(target: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has written half of a file and waits; it is killed in the end."""
    child = [sys.executable, "-c", KILLED, str(target)]
    with subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        yield process
        process.kill()


def make_older(folder: Path) -> None:
    """As if a minute had passed."""
    for left in folder.glob(".*"):
        os.utime(left, (left.stat().st_atime - 60, left.stat().st_mtime - 60))


def test_the_next_write_removes_what_a_killed_one_left(bench: Bench) -> None:
    bench.file("out.csv", "old")
    with writing_process(bench.data / "out.csv"):
        pass
    assert len(bench.left_over()) == 1
    assert (bench.data / "out.csv").read_text() == "old"
    make_older(bench.data)
    bench.run("output", data=[{"n": 1}], path="other.csv")
    assert len(bench.left_over()) == 1
    bench.run("output", data=[{"n": 1}], path="out.csv")
    assert bench.left_over() == []
    assert (bench.data / "out.csv").read_text() == "n\n1\n"


def test_what_another_process_is_writing_stays(bench: Bench) -> None:
    with writing_process(bench.data / "out.csv") as other:
        make_older(bench.data)
        bench.run("output", data=[{"n": 1}], path="out.csv")
        assert len(bench.left_over()) == 1
        other.communicate("go on")
        assert other.returncode == 0
    assert (bench.data / "out.csv").read_text() == "half of it"
    assert bench.left_over() == []


@pytest.mark.parametrize(
    "name", ["a\nb.csv", "a\tb.csv", "a\x1b[31m.csv", "a\x7f.csv", "a\u2028b.csv", "\u202evsc.exe"]
)
def test_names_that_show_as_something_else_are_refused(bench: Bench, name: str) -> None:
    failure = bench.fails("output", data=[{"n": 1}], path=name, format="csv")
    assert "which file names may not have here" in str(failure)
    assert list(bench.data.iterdir()) == []


def test_pipes_are_not_replaced(bench: Bench) -> None:
    os.mkfifo(bench.data / "pipe.csv")
    assert "'pipe.csv' is no file but a pipe" in str(bench.fails("output", data=[{"n": 1}], path="pipe.csv"))
    assert (bench.data / "pipe.csv").is_fifo()


def test_a_file_is_no_folder(bench: Bench) -> None:
    bench.file("a.csv", "n\n1\n")
    assert "a part of its path is a file" in str(bench.fails("output", data=[{"n": 1}], path="a.csv/b.csv"))


def test_the_longest_names_can_be_written(bench: Bench) -> None:
    name = "x" * 251 + ".csv"
    bench.run("output", data=[{"n": 1}], path=name, keep_copy=False)
    assert (bench.data / name).read_text() == "n\n1\n"
    assert bench.left_over() == []


@pytest.fixture
def small_disk(bench: Bench) -> Iterator[Path]:
    """A data folder on a disk of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(bench.data)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not allow mounting")
    yield bench.data
    subprocess.run(["umount", "-l", str(bench.data)], check=True)


@pytest.mark.parametrize("path", ["big.csv", "big.jsonl", "big.parquet", "big.xlsx"])
def test_a_full_disk_leaves_nothing_behind(bench: Bench, small_disk: Path, path: str) -> None:
    """In a process of its own: what hangs or dies in native code is a failed test that says where."""
    child = [sys.executable, "-X", "faulthandler", "-m", "tests.stages.full_disk", str(bench.root), path]
    ended = subprocess.run(child, cwd=BACKEND, capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == 0, f"ended with {ended.returncode}: {ended.stderr}"


def test_csv_of_nested_values_is_readable(bench: Bench) -> None:
    bench.run("output", data=[{"id": 1, "tags": ["a", "b"]}], path="a.csv")
    with (bench.data / "a.csv").open() as file:
        assert list(csv.reader(file))[1] == ["1", "[a, b]"]
