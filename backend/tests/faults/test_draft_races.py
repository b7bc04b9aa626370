"""Drafts that are published and discarded while executions of them are under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flexiroaster.bus.local import LocalBus
from flexiroaster.engine.errors import Conflict
from flexiroaster.services.drafts import Drafts
from flexiroaster.services.pipelines import Pipelines
from flexiroaster.store.database import Database
from tests.faults.test_races import ADA, check, pipelines_of, say, source, stage
from tests.runtime.engine import Gate, TestEngine, running


def made(database: Database, *stages: dict[str, Any]) -> tuple[Pipelines, Drafts]:
    """Pipeline `orders`, whose stage says "old", and draft 2 with these stages."""
    pipelines = pipelines_of(database)
    drafts = Drafts(database, pipelines, LocalBus())
    pipelines.create(source(stage("a", say("old"))), ADA)
    assert drafts.save("orders", source(*stages), ADA).version == 2
    return pipelines, drafts


@pytest.mark.parametrize("end", ["discard", "publish", "another"])
def test_an_execution_of_a_draft_goes_on_whatever_becomes_of_it(database: Database, tmp_path: Path, end: str) -> None:
    with running(database, tmp_path) as engine:
        gate = Gate()
        pipelines, drafts = made(database, stage("a", engine.act(gate)), stage("b", say("draft"), "a"))
        trial = engine.executions.start("orders", version=2).execution_id
        gate.wait_entered()
        if end == "discard":
            drafts.discard("orders", 2, ADA.email)
        elif end == "publish":
            drafts.publish("orders", 2, ADA)
        else:
            pipelines.update("orders", source(stage("a", say("other"))), ADA)
        with pytest.raises(Conflict, match="not ended yet"):
            pipelines.delete("orders", ADA.email)
        gate.open.set()
        assert engine.wait_end(trial) == "success"
        record = check(engine, trial)
        assert (record.row["version"], engine.results(trial)[1]) == (2, "draft")
        following = engine.executions.start("orders").execution_id
        assert engine.wait_end(following) == "success"
        expected = {"discard": (1, 1), "publish": (2, 2), "another": (3, 1)}[end]
        seen = check(engine, following)
        assert (seen.row["version"], len(seen.runs)) == expected


def test_who_takes_up_a_discarded_drafts_execution_finishes_it(database: Database, tmp_path: Path) -> None:
    """The server died, and nobody remembers what the draft said: it is still there to be read."""
    dead = TestEngine(database, tmp_path)
    _, drafts = made(database, stage("a", say(1)), stage("b", say("draft"), "a"))
    execution = dead.executions.start("orders", version=2).execution_id
    dead.record_by_hand(dead.run_by_hand(dead.claim_by_hand()))
    drafts.discard("orders", 2, ADA.email)
    with running(database, tmp_path) as engine:
        assert engine.wait_end(execution) == "success"
        assert engine.results(execution) == {0: 1, 1: "draft"}
        check(engine, execution)
        with pytest.raises(Conflict, match="is discarded"):
            engine.executions.start("orders", version=2)


def test_a_failed_execution_of_a_discarded_draft_is_retried(database: Database, tmp_path: Path) -> None:
    with running(database, tmp_path) as engine:
        _, drafts = made(database, stage("a", engine.act(_fails_once())))
        execution = engine.executions.start("orders", version=2).execution_id
        assert engine.wait_end(execution) == "failed"
        drafts.discard("orders", 2, ADA.email)
        engine.executions.retry(execution, ADA.email)
        assert engine.wait_end(execution, times=2) == "success"
        assert check(engine, execution).row["version"] == 2


def _fails_once() -> Any:
    outcomes: Iterator[bool] = iter((False, True))

    def act(context: object) -> str:
        if not next(outcomes):
            raise ValueError("no luck")
        return "done"

    return act


def test_another_server_runs_what_was_published_here(database_url: str, tmp_path: Path) -> None:
    """It has the version of before in memory, and a draft that it ran is not taken for the newest."""
    here, there = Database.open(database_url), Database.open(database_url)
    _, drafts = made(here, stage("b", say("draft")))
    engine = TestEngine(there, tmp_path)
    started = [engine.executions.start("orders", version=version).execution_id for version in (None, 2, None)]
    drafts.publish("orders", 2, ADA)
    started += [engine.executions.start("orders", version=version).execution_id for version in (None, 1)]
    engine.work_by_hand()
    assert [check(engine, one).row["version"] for one in started] == [1, 2, 1, 2, 1]
    for database in (here, there):
        database.close()
