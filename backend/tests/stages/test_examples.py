"""The example pipelines run, and give what they promise."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flexiroaster.local import LocalExecution, run_local

PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of the examples' data, so that reports are not written into the source."""
    ignored = shutil.ignore_patterns("reports", "flights_2013")
    return shutil.copytree(PIPELINES / "data", tmp_path / "data", ignore=ignored)


def run(name: str, data: Path, **inputs: object) -> LocalExecution:
    return run_local(PIPELINES / f"{name}.yaml", inputs, data_dirs=[data])


def test_orders_fails_on_its_bad_row_and_three_cures_help(data: Path) -> None:
    failed = run("orders", data)
    assert (failed.status, failed.failed_stage) == ("failed", "check")
    assert failed.error is not None
    assert "row 7: column 'amount' expected decimal(12,2), got 'N/A'" in failed.error["message"]
    assert run("orders", data, file="orders/orders_fixed.csv").outputs == {"regions": 3, "set_aside": 0}
    assert run("orders", data, max_invalid=1).outputs == {"regions": 3, "set_aside": 1}
    orders = data / "orders" / "orders.csv"
    orders.write_text(orders.read_text().replace("N/A", "175.40"))
    assert run("orders", data).status == "success"
    assert (data / "reports/orders_by_region.csv").read_text().startswith("region,orders,revenue\nus,4,2612.50\n")


def test_penguins_sets_incomplete_rows_aside(data: Path) -> None:
    ended = run("penguins", data)
    assert ended.outputs == {"checked": 344, "set_aside": 11}
    assert ended.results["by_species"]["rows"] == 6
    assert (data / "reports/penguins/species.xlsx").is_file()
    assert run("penguins", data, max_invalid="1%").failed_stage == "check"


def test_flights_joins_and_reports(data: Path) -> None:
    ended = run("flights", data)
    assert ended.error is None
    assert ended.outputs == {"flights": 1910, "set_aside": 49, "carriers": 15}
    reports = sorted(path.name for path in (data / "reports/flights").iterdir())
    assert reports == ["airports.xlsx", "carriers.csv", "days", "plane_age.csv", "weather.json"]


def test_the_extract_is_small() -> None:
    assert sum(path.stat().st_size for path in (PIPELINES / "data/flights").iterdir()) < 400_000
