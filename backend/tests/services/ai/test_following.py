from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from flexiroaster.ai.invented import history
from flexiroaster.ai.runs import Run
from flexiroaster.services.ai import following as room
from flexiroaster.services.ai.following import Following, Said
from flexiroaster.services.ai.switch import Switch
from flexiroaster.store.database import Database
from flexiroaster.store.migrate import upgrade
from flexiroaster.store.predictions import NewPrediction
from tests.services.ai.rows import write

KEY = bytes(32)
RUNS = history(seed=5, pipelines=10, days=8).runs
END = max(run.ended_at or 0.0 for run in RUNS)
CUT = RUNS[len(RUNS) * 3 // 4].started_at
"""What ends later is the future here."""
names = count()


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[Sequence[Run]], Database]:
    def make(runs: Sequence[Run]) -> Database:
        database = Database.open(f"sqlite:///{tmp_path}/{next(names)}.db")
        upgrade(database)
        write(database, runs)
        return database

    return make


def follow(database: Database, now: float = END + 1.0) -> Said:
    clock = lambda: datetime.fromtimestamp(now, UTC)  # noqa: E731
    return Following(database, Switch(), None, KEY, clock).begin()


@pytest.fixture(autouse=True)
def _everything_is_recent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "RECENT", timedelta(days=30))
    monkeypatch.setattr(room, "MOST_PREDICTED", 10_000)
    monkeypatch.setattr(room, "MOST_IN_DETAIL", 0)


def predictions(runs: Sequence[Run], opened: Callable[[Sequence[Run]], Database]) -> dict[str, NewPrediction]:
    database = opened(runs)
    said = follow(database)
    database.close()
    return {one.execution_id: one for one in said.predictions}


def shuffled(run: Run) -> Run:
    """Another future: what failed succeeds, what succeeded fails, and all of it takes four times as long."""
    if run.ended_at is None or run.ended_at <= CUT:
        return run
    took = 4.0 * (run.ended_at - max(run.started_at, CUT))
    status = "success" if run.failed else "failed"
    return replace(run, ended_at=max(run.started_at, CUT) + took, status=status, error_class="ValueError")


def test_another_future_changes_no_prediction(opened: Callable[[Sequence[Run]], Database]) -> None:
    before = predictions(RUNS, opened)
    # Attempts and stages that follow from what is changed belong to the future as well.
    kept = [shuffled(run) for run in RUNS if run.started_at <= CUT or run.attempt == 1]
    after = predictions(kept, opened)
    starts: dict[str, float] = {}
    for run in RUNS:
        starts[run.execution] = min(starts.get(run.execution, math.inf), run.started_at)
    past = [id for id, start in starts.items() if start <= CUT]
    assert len(past) > 100
    for id in past:
        assert after[id].features == before[id].features, id
        assert after[id].probability == before[id].probability
        assert after[id].body["p90_seconds"] == before[id].body["p90_seconds"]
        assert after[id].as_of.timestamp() == pytest.approx(starts[id])
    future = [id for id, start in starts.items() if start > CUT + 3_600 and id in after]
    assert any(after[id].features != before[id].features for id in future), "the other future was none"


def test_what_is_told_late_is_not_predicted(opened: Callable[[Sequence[Run]], Database]) -> None:
    """An execution that began before something that was already taken in ended would know its end."""
    runs = [run for run in RUNS if run.started_at < CUT]
    late = min((run.execution for run in runs[-40:]), key=lambda id: [run.execution for run in runs].index(id))
    own = [run for run in runs if run.execution == late]
    database = opened([run for run in runs if run.execution != late])
    clock = lambda: datetime.fromtimestamp(CUT, UTC)  # noqa: E731
    following = Following(database, Switch(), None, KEY, clock)
    following.begin()
    write(database, [replace(run, pipeline="late") for run in own])
    said = following.heed([late])
    database.close()
    assert [one.execution_id for one in said.predictions] == []
    assert [row.pipeline_id for row in said.forecasts] == ["late"]


def test_a_pipeline_that_last_ran_long_ago_is_forecast(
    opened: Callable[[Sequence[Run]], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of executions of others have ended since."""
    monkeypatch.setattr(room, "REMEMBERED", 30)
    early = [replace(run, pipeline="early", execution=f"early-{run.execution}") for run in RUNS[:60]]
    database = opened([*early, *(replace(run, started_at=run.started_at + 1.0) for run in RUNS[-600:])])
    said = follow(database)
    database.close()
    assert "early" in {row.pipeline_id for row in said.forecasts}
    assert len(said.forecasts) > 1


def test_a_prediction_says_what_it_stands_on(opened: Callable[[Sequence[Run]], Database]) -> None:
    found = list(predictions(RUNS, opened).values())
    newest = max(found, key=lambda one: one.as_of)
    body = newest.body
    assert 0.0 < body["failure_low"] <= body["failure_probability"] <= body["failure_high"] < 1.0
    assert 0.0 < body["p10_seconds"] <= body["p50_seconds"] <= body["p90_seconds"]
    assert body["model"] == "prior"
    assert newest.model_id is None
    same = sum(one.pipeline_id == newest.pipeline_id for one in found)
    assert body["executions"] <= same - 1
    assert "Nothing is learned yet" in body["words"]
