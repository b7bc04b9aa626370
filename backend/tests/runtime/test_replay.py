"""What the database says of an execution is what its events say, after retries, losses, cancels and pauses."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.outcome import Skipped, Waiting
from flexiroaster.engine.state import EXECUTION_FINAL, RETRYABLE_EXECUTIONS
from flexiroaster.runtime.conditions import Conditions
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from flexiroaster.store.tables import stage_runs
from flexiroaster.testing.virtual_time import VirtualTime
from tests.faults.record import Record, check_rebuilt
from tests.runtime.engine import TestEngine

STEPS = 400


def by_hand(database: Database, folder: Path, time: VirtualTime, chance: random.Random) -> TestEngine:
    """An engine whose stages do something random, and whose time passes when it is told."""

    def doing(context: StageContext) -> Any:
        match chance.randrange(7):
            case 0:
                raise StageFailed("it broke", kind="transient")
            case 1:
                raise StageFailed("it broke for good")
            case 2:
                return Skipped("nothing to do")
            case 3 if not context.state:
                return Waiting(context.now + timedelta(seconds=5), "waiting a little", {"waited": True})
            case _:
                return {"rows": chance.randrange(100)}

    stand_ins = {f"s{position}": doing for position in range(9)}
    return TestEngine(database, folder, conditions=Conditions(time.clock, time, chance.random, stand_ins))


def stages(chance: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for position in range(chance.randint(1, 7)):
        needs = chance.sample(list(found), chance.randint(0, min(2, len(found))))
        found[f"s{position}"] = {
            "needs": needs,
            "join": chance.choice(["no_failure", "all_done", "one_success"]) if needs else "no_failure",
            "retry": {"max_attempts": chance.randint(1, 3), "delay": "10s"},
        }
    return found


def drive(database: Database, folder: Path, seed: int) -> tuple[TestEngine, str]:
    """Let an execution go through what chance holds for it, retries by a person included, to its last end."""
    chance, time = random.Random(seed), VirtualTime()
    engine = by_hand(database, folder, time, chance)
    pipeline = engine.add(stages(chance), timeout="10m", **{"finally": [{"id": "s8", "type": "noop"}]})
    id = engine.executions.start(pipeline).execution_id
    for _ in range(STEPS):
        time.now += timedelta(seconds=1)
        status = str(engine.row(id)["status"])
        if status in EXECUTION_FINAL:
            if status not in RETRYABLE_EXECUTIONS or chance.random() < 0.4:
                return engine, id
            engine.executions.retry(id)
        else:
            engine = step(engine, id, chance, time, database, folder)
    raise AssertionError(f"seed {seed} does not end")


def step(
    engine: TestEngine, id: str, chance: random.Random, time: VirtualTime, database: Database, folder: Path
) -> TestEngine:
    claimed = engine.claim_by_hand()
    move = chance.randrange(30)
    if claimed and move == 0:  # the process dies with what it had claimed, and another takes over
        engine = by_hand(database, folder, time, chance)
        engine.executions.recover()
    elif claimed:
        ended = engine.run_by_hand(claimed)
        if move == 1:  # cancelled after it did its work and before that is recorded
            engine.executions.cancel(id, "ada")
        engine.record_by_hand(ended)
    elif move == 2:
        engine.executions.cancel(id, "ada")
    else:
        until = time.now + timedelta(seconds=chance.choice([5, 20, 20, 300]))
        while (callback := time.next_due(until)) is not None:
            callback()
        time.now = max(time.now, until)
    return engine


@pytest.mark.parametrize("seed", range(25))
def test_the_record_is_what_the_events_say(database: Database, tmp_path: Path, seed: int) -> None:
    engine, id = drive(database, tmp_path, seed)
    check_rebuilt(Record.of(engine.database, id))


def test_the_seeds_meet_what_is_to_be_met(database: Database, tmp_path: Path) -> None:
    """Otherwise the test above would check nothing but good days."""
    seen: set[str] = set()
    for seed in range(25):
        engine, id = drive(database, tmp_path / str(seed), seed)
        seen |= {str(row["type"]) for row in engine.events(id)}
        if engine.row(id)["retries"]:
            seen.add("retried")
        if any(run["lost"] for run in engine.rows(stage_runs, id)):
            seen.add("lost")
    wanted = {
        "stage_retrying",
        "stage_skipped",
        "stage_waiting",
        "execution_failed",
        "execution_completed",
        "retried",
        "lost",
    }
    assert wanted <= seen
