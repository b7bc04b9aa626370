"""The simulation behind the scaling guide: it keeps to laws that hold for any such system."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fleet_model", BENCH / "fleet_model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fleet_model"] = module
    spec.loader.exec_module(module)
    return module


model = load()
COSTS = model.Costs(
    engine=0.0006,
    database=0.0005,
    flush=0.002,
    tell=0.00007,
    hear=0.00003,
    beat=0.0007,
    beat_row=0.000002,
    redis_tell=0.00001,
    redis_hear=0.000004,
)
QUIET = replace(COSTS, tell=0.0, hear=0.0, beat=0.0, beat_row=0.0)
"""Nobody tells anybody anything."""


@pytest.mark.parametrize("workers", [1, 3, 20, 200])
@pytest.mark.parametrize("work", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("listeners", [True, False])
def test_no_fleet_does_more_than_its_scarcest_resource_allows(workers: int, work: float, listeners: bool) -> None:
    fleet = model.Fleet(workers, 4, 8, listeners)
    found = model.simulate(COSTS, fleet, work, max(4_000, 20 * workers * 4))
    limit = min(model.bounds(COSTS, fleet, work).values())
    assert 0 < found.stages <= limit * 1.05  # a run is finite, and times are drawn
    assert found.cores <= fleet.cores * 1.001


def test_few_workers_with_long_stages_are_bound_by_their_slots() -> None:
    """Little's law: slots are busy for as long as a stage takes, and nobody waits for anybody."""
    fleet = model.Fleet(3, 4, 8)
    found = model.simulate(COSTS, fleet, 1.0, 6_000)
    assert found.stages == pytest.approx(12 / (1.0 + found.latency), rel=0.05)
    assert found.latency == pytest.approx(COSTS.engine + COSTS.database + COSTS.flush, rel=0.1)


def test_one_core_of_a_database_with_random_work_is_as_queueing_theory_has_it() -> None:
    """Machine repair with one server: with N customers, thinking time Z and service S the throughput is that of mean
    value analysis, whose service is exponential; a constant one does slightly better.
    """
    service, thinking, customers = 0.01, 0.1, 12
    costs = replace(QUIET, engine=0.0, flush=0.0, database=service)
    found = model.simulate(costs, model.Fleet(customers, 1, 1), thinking, 30_000)
    queue, throughput = 0.0, 0.0
    for number in range(1, customers + 1):
        response = service * (1 + queue)
        throughput = number / (response + thinking)
        queue = throughput * response
    assert throughput < found.stages < throughput * 1.1
    assert found.cores == pytest.approx(found.stages * service, rel=0.01)


def test_twice_the_workers_do_twice_the_work_until_the_database_is_busy() -> None:
    def stages(workers: int) -> float:
        return float(model.simulate(QUIET, model.Fleet(workers, 4, 2), 0.1, 200 * workers).stages)

    assert stages(20) / stages(10) == pytest.approx(2, rel=0.05)
    assert stages(400) == pytest.approx(2 / QUIET.database, rel=0.02)
    assert stages(800) == pytest.approx(stages(400), rel=0.02)


def test_messages_to_everybody_cost_more_than_the_work_of_many() -> None:
    """What is told grows with the square of the number of processes; through Redis the database pays nothing."""
    many, few = model.Fleet(600, 4, 8), model.Fleet(60, 40, 8)
    heard = model.simulate(COSTS, many, 1.0, 4_000).stages
    assert heard < 0.5 * model.simulate(COSTS, replace(many, listeners=False), 1.0, 4_000).stages
    assert heard < 0.5 * model.simulate(COSTS, few, 1.0, 4_000).stages, "fewer and larger processes tell less"


def test_a_process_records_in_groups() -> None:
    """One wait for the disk for all that has gathered: otherwise a slow disk would allow 20 stages a second."""
    costs = replace(QUIET, flush=0.05)
    found = model.simulate(costs, model.Fleet(1, 40, 8), 0.0, 4_000)
    assert found.stages > 10 / costs.flush


def test_the_same_seed_gives_the_same() -> None:
    fleet = model.Fleet(7, 3, 2)
    assert model.simulate(COSTS, fleet, 0.1, 2_000, seed=5) == model.simulate(COSTS, fleet, 0.1, 2_000, seed=5)


def test_news_comes_later_where_redis_is_busy() -> None:
    def after(workers: int, stages: float) -> float:
        return float(model.news_after(COSTS, model.Fleet(workers, 4, 8, listeners=False), stages))

    assert after(10, 1_000) == after(100, 400) == COSTS.pause
    assert after(1_000, 100) == COSTS.pause, "many who have little to say"
    assert after(1_000, 4_000) == pytest.approx(1_000 * (COSTS.redis_tell + 1_000 * COSTS.redis_hear))
