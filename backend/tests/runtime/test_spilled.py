from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flexiroaster.engine.errors import ArtifactsUnavailable
from flexiroaster.runtime import spilled
from flexiroaster.runtime.spilled import KEPT_FOR, SpilledResults
from flexiroaster.store.database import Database
from flexiroaster.testing.virtual_time import VirtualTime
from tests.runtime.engine import TestEngine


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the artifacts that are read."""
    seen: list[str] = []
    really = spilled.read_spilled

    def counted(database: Any, artifacts: Any, artifact_id: str) -> tuple[Any, int]:
        seen.append(artifact_id)
        return really(database, artifacts, artifact_id)

    monkeypatch.setattr(spilled, "read_spilled", counted)
    return seen


def large(engine: TestEngine, letter: str = "x") -> dict[str, Any]:
    return {"needs": [], "type": "act", "config": engine.act(lambda _: {"text": letter * 100_000})}


def test_items_read_a_large_result_once(engine: TestEngine, reads: list[str]) -> None:
    each = {
        "needs": ["large"],
        "type": "act",
        "config": {"act": "say", "value": "${{ size(results.large.text) + item }}"},
        "foreach": {"items": list(range(50))},
    }
    execution = engine.execute({"large": large(engine), "each": each}, outputs={"all": "${{ results.each.items }}"})
    assert engine.wait_end(execution) == "success"
    assert engine.row(execution)["outputs"]["all"] == [100_000 + item for item in range(50)]
    assert len(reads) == 1


def test_what_nobody_wants_any_more_is_forgotten(engine: TestEngine, reads: list[str], tmp_path: Path) -> None:
    id = one_artifact(engine)
    time = VirtualTime()
    results = SpilledResults(engine.database, engine.artifacts, time, time.clock)
    assert results(id) is results(id)
    time.now += KEPT_FOR / 2
    results(id)
    run_due(time, KEPT_FOR)  # used since: kept
    results(id)
    assert len(reads) == 1
    run_due(time, 3 * KEPT_FOR)
    assert time.next_due(time.now + timedelta(days=1)) is None  # nothing is left to look after
    results(id)
    assert len(reads) == 2


def test_of_many_the_least_recent_give_way(
    engine: TestEngine, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = one_artifact(engine), one_artifact(engine)
    monkeypatch.setattr(spilled, "KEPT_BYTES", 150_000)
    time = VirtualTime()
    results = SpilledResults(engine.database, engine.artifacts, time, time.clock)
    for id in (first, second, second, first):
        results(id)
    assert reads == [first, second, first]


def test_what_cannot_be_read_is_tried_again(engine: TestEngine, reads: list[str]) -> None:
    time = VirtualTime()
    results = SpilledResults(engine.database, engine.artifacts, time, time.clock)
    for _ in range(2):
        with pytest.raises(ArtifactsUnavailable):
            results("nothing")
    assert len(reads) == 2


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_a_lost_result_fails_the_outputs_and_not_the_stage_that_ended_last(
    database: Database, tmp_path: Path, damage: str
) -> None:
    """The stage has done its work: told that it failed, it would do it once more with each retry."""
    engine = TestEngine(database, tmp_path)
    made = engine.execute(
        {"large": large(engine), "last": ["large"]}, outputs={"size": "${{ size(results.large.text) }}"}
    )
    engine.record_by_hand(engine.run_by_hand(engine.claim_by_hand()))
    (file,) = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    file.chmod(0o600)
    file.write_text("{") if damage == "damaged" else file.unlink()
    after = TestEngine(database, tmp_path)
    after.take_up_by_hand()
    after.work_by_hand()
    assert after.stage(made, "last")["status"] == "success"
    row = after.row(made)
    assert (row["status"], row["error"]["code"]) == ("failed", "outputs_failed")
    assert f"The result of large is {damage}" in row["error"]["message"]
    assert "Run the execution again from that stage." in row["error"]["message"]


def test_who_asks_at_once_shares_one_reading(engine: TestEngine, reads: list[str]) -> None:
    id = one_artifact(engine)
    time = VirtualTime()
    results = SpilledResults(engine.database, engine.artifacts, time, time.clock)
    start, found = threading.Barrier(4), list[Any]()

    def ask() -> None:
        start.wait()
        found.append(results(id))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert all(value is found[0] for value in found)


def one_artifact(engine: TestEngine) -> str:
    execution = engine.execute({"large": large(engine)})
    assert engine.wait_end(execution) == "success"
    (row,) = engine.artifact_rows(execution)
    return str(row["id"])


def run_due(time: VirtualTime, within: timedelta) -> None:
    until = time.now + within
    while (callback := time.next_due(until)) is not None:
        callback()
    time.now = until
