"""What recorded executions of several pipelines say of what they share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from flexiroaster.ai.optimizer.fleet import jobs_of
from flexiroaster.services.ai.history import RunHistory
from flexiroaster.services.ai.messages import keep_findings, line, of_findings, parsed
from flexiroaster.services.ai.room import make_ai
from flexiroaster.services.ai.shared import _with_items
from flexiroaster.services.ai.study import Study
from flexiroaster.services.ai.switch import Switch
from flexiroaster.store.database import Database
from flexiroaster.store.suggestions import SuggestionFilter
from flexiroaster.store.tables import executions, stage_runs
from tests.history import NOON, History
from tests.services.ai.planted_changes import DEFINITIONS, IN_POOL, crowded
from tests.services.ai.played import Player, at, player

START = 1_780_000_000.0
NIGHTS = 24


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Player]:
    with player(tmp_path) as found:
        yield found


def test_a_pool_that_is_too_small_is_told_to_who_may_widen_it(playing: Player) -> None:
    playing.play(crowded(START, NIGHTS), DEFINITIONS)
    database, now = playing.engine.database, at(START + NIGHTS * 86_400)
    ai = make_ai(database, playing.engine.pipelines, playing.engine.bus, clock=lambda: now)
    for _ in range(2):  # it is the same one, however often it is looked for
        findings = Study(database, Switch(), lambda kind: False, clock=lambda: now).look()
        keep_findings(parsed(line(of_findings(findings))), ai, now)
    (entry,) = ai.suggestions.page(SuggestionFilter(["open"], ["pool"]), limit=9).items
    picture = ai.suggestions.get(entry.row.id)
    assert picture.row.pipeline_id == IN_POOL[1], "it is the second that waits"
    assert picture.row.call == {"method": "PUT", "path": "/api/pools/gpu", "body": {"slots": 2}}
    assert picture.value == "faster"
    assert (picture.diff, picture.version) == ("", None)
    assert picture.row.saving is not None
    assert 250 < picture.row.saving["low"] < picture.row.saving["high"] < 350
    waited = {id for id in playing.names.values() if id in picture.row.shown}
    assert len(waited) == NIGHTS


def test_items_take_the_slots_of_their_stage(database: Database, history: History) -> None:
    pipeline = history.pipeline("p", stages=1, foreach="s0")
    execution = history.execution(pipeline, 1)
    moment = {"started_at": NOON, "ended_at": NOON + timedelta(seconds=20)}
    row = {
        "execution_id": execution,
        "position": 0,
        "stage": "s0",
        "type": "noop",
        "status": "success",
        "attempt": 1,
        "needs_left": 0,
        "needs_ok": 0,
        "needs_failed": 0,
        "pool": "gpu",
        "ready_at": NOON,
    }
    half = NOON + timedelta(seconds=10)
    rows = [
        row | {"idx": 0} | moment,
        row | {"idx": 1, "started_at": NOON, "ended_at": half},
        row | {"idx": 2, "started_at": half, "ended_at": moment["ended_at"]},
    ]
    database.write(lambda tx: tx.sa.execute(stage_runs.delete().where(stage_runs.c.execution_id == execution)))
    database.write(lambda tx: tx.sa.execute(stage_runs.insert(), rows))
    database.write(lambda tx: tx.sa.execute(executions.update().values(concurrency_key="k", **moment)))
    stories = RunHistory(database, Switch()).newest(10)
    document = {"stages": [{**stories[0].version.document["stages"][0], "pool": "gpu"}]}
    (job,) = jobs_of(_with_items(database, stories, {pipeline: document}))
    assert [(unit.seconds, unit.pool) for unit in job.units] == [(10.0, "gpu"), (10.0, "gpu")]
    assert (job.waited, job.places) == (10.0, "p\x1fk")
