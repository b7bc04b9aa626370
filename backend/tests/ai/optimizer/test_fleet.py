"""Executions that share workers, pools and places, played again: nobody gets more than there is, and nobody is lost."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.ai.optimizer.fleet import Job, Limits, Unit, jobs_of, play
from flexiroaster.ai.runs import Run

units = st.lists(
    st.tuples(
        st.integers(0, 30), st.integers(0, 5), st.integers(0, 5), st.sampled_from(["", "a", "b"]), st.integers(0, 3)
    ),
    min_size=1,
    max_size=5,
)
jobs = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["", "p", "q"]), units), min_size=1, max_size=12)


def made(rows: list[tuple[int, str, list[tuple[int, int, int, str, int]]]]) -> list[Job]:
    found = []
    for number, (at, places, stages) in enumerate(rows):
        own = tuple(
            Unit(
                f"s{place}", tuple(range(max(0, place - needs), place)), float(seconds), float(lag), float(pause), pool
            )
            for place, (seconds, lag, pause, pool, needs) in enumerate(stages)
        )
        found.append(Job(f"e{number}", "p", float(at), "", places, own, 0.0, 0.0))
    return sorted(found, key=lambda job: job.at)


def alone(job: Job) -> float:
    """The end of a job that waits for nobody."""
    ends: list[float] = []
    for unit in job.units:
        free = max((ends[need] for need in unit.needs), default=job.at)
        ends.append(free + unit.lag + unit.seconds + unit.pause)
    return max(ends)


@settings(max_examples=150, deadline=None)
@given(jobs)
def test_without_limits_each_takes_its_critical_path(
    rows: list[tuple[int, str, list[tuple[int, int, int, str, int]]]],
) -> None:
    given_jobs = made(rows)
    ends = play(given_jobs, Limits(None, {"a": 1_000, "b": 1_000}))
    assert ends == pytest.approx([alone(job) for job in given_jobs])


@settings(max_examples=150, deadline=None)
@given(jobs, st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_limits_only_delay_and_all_work_is_done(
    rows: list[tuple[int, str, list[tuple[int, int, int, str, int]]]], workers: int, slots: int, places: int
) -> None:
    given_jobs = made(rows)
    ends = play(given_jobs, Limits(workers, {"a": slots}, {"p": places}))
    assert all(end >= alone(job) - 1e-9 for end, job in zip(ends, given_jobs, strict=True))
    first = min(job.at for job in given_jobs)
    span = max(ends) - first
    work = sum(unit.seconds for job in given_jobs for unit in job.units)
    in_pool = sum(unit.seconds for job in given_jobs for unit in job.units if unit.pool == "a")
    undefined = sum(unit.seconds for job in given_jobs for unit in job.units if unit.pool == "b")
    assert work <= workers * span + 1e-6
    assert in_pool <= slots * span + 1e-6
    assert undefined <= span + 1e-6, "a pool that nobody defined has one slot"
    within = sum(end - alone(job) + 0 for end, job in zip(ends, given_jobs, strict=True))
    assert within >= 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=30), st.integers(1, 4))
def test_one_stage_each_is_served_in_the_order_of_asking(rows: list[tuple[int, int]], slots: int) -> None:
    given_jobs = sorted(
        (
            Job(f"e{n:02}", "p", float(at), "", "", (Unit("s", (), float(seconds), 0.0, 0.0, "a"),), 0.0, 0.0)
            for n, (at, seconds) in enumerate(rows)
        ),
        key=lambda job: job.at,
    )
    now, then = (play(given_jobs, Limits(None, {"a": number})) for number in (slots, slots + 1))
    assert all(later <= earlier for earlier, later in zip(now, then, strict=True)), "more slots delay nobody"
    starts = [end - job.units[0].seconds for end, job in zip(now, given_jobs, strict=True)]
    assert starts == sorted(starts)


def test_what_was_recorded_is_played_as_it_was() -> None:
    """A fan of three, a retry, and an approval in between that nobody recorded."""
    runs = [
        Run("e", "p", 10.0, queued_at=4.0, ended_at=100.0, status="success"),
        Run("e", "p", 10.0, "load", queued_at=10.0, ended_at=20.0, status="failed"),
        Run("e", "p", 25.0, "load", ended_at=35.0, status="success", attempt=2),
        Run("e", "p", 36.0, "a", queued_at=35.0, ended_at=50.0, status="success", needs=("load",)),
        Run("e", "p", 35.0, "b", queued_at=35.0, ended_at=40.0, status="success", needs=("load",), pool="x"),
        Run("e", "p", 90.0, "c", queued_at=90.0, ended_at=100.0, status="success", needs=("a", "sure", "b")),
    ]
    (job,) = jobs_of(runs)
    assert (job.at, job.took, job.waited) == (4.0, 96.0, 6.0 + 1.0)
    assert [unit.lag for unit in job.units if unit.stage == "c"] == [40.0]
    assert play([job], Limits()) == [100.0 - job.waited]


def test_items_work_in_place_of_their_stage() -> None:
    runs = [Run("e", "p", 0.0, "each", ended_at=20.0, status="success", pool="x")] + [
        Run("e", "p", float(10 * (n // 2)), "each", str(n), 0.0, 10.0 + 10 * (n // 2), "success", pool="x")
        for n in range(4)
    ]
    (job,) = jobs_of(runs)
    assert len(job.units) == 4
    assert [play([job], Limits(None, {"x": slots})) for slots in (1, 2, 4)] == [[40.0], [20.0], [10.0]]


def test_stages_that_did_not_run_pass_their_order_on() -> None:
    runs = [
        Run("e1", "p", 0.0, "b", ended_at=5.0, status="success", needs=("a",)),
        Run("e2", "p", 100.0, "a", ended_at=110.0, status="success"),
        Run("e2", "p", 110.0, "c", ended_at=115.0, status="success", needs=("b",)),
    ]
    job = jobs_of(runs)[1]
    assert [unit.needs for unit in job.units] == [(), (0,)]


def test_a_day_of_a_fleet_is_played_in_a_moment() -> None:
    chance = random.Random(3)
    rows = [
        (int(chance.random() * 86_400), "p", [(chance.randint(1, 60), 0, 0, "a", 1) for _ in range(5)])
        for _ in range(2_000)
    ]
    assert len(play(made(rows), Limits(8, {"a": 4}, {"p": 20}))) == 2_000
