"""A fleet with planted faults, run by the engine in virtual time: what the API then tells is held against them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flexiroaster.ai.insights.planted import CAUSES, Fleet, Plant, fleet, score
from flexiroaster.services.ai.messages import keep_findings, line, of_findings, parsed
from flexiroaster.services.ai.study import Study
from flexiroaster.services.ai.switch import Switch
from tests.api.server_app import ServerApp, server_app
from tests.services.ai.planted_changes import DEFINITIONS, IN_POOL, UNCHANGED, crowded, unchanged
from tests.services.ai.played import at, player

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEED = 21
WANTED = 0.8
NIGHTS = 24
EXPLAINED = 60
"""Failures that an explanation is asked for."""


@dataclass(frozen=True)
class Played:
    server: ServerApp
    fleet: Fleet
    ids: dict[str, str]
    """The execution of the fleet → its id."""

    def all(self, path: str, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            answer = self.server.client.get(
                path, params={"limit": 100, **query, **({"cursor": cursor} if cursor else {})}
            )
            found += answer.json()
            cursor = answer.headers.get("X-Next-Cursor")
        return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is such a place: every step waits for the disk otherwise."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="flexiroaster-", dir=memory if memory.is_dir() else None))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def played(folder: Path) -> Iterator[Played]:
    planned = fleet(SEED, pipelines=16, days=24)
    with player(folder) as playing:
        begin = min(run.started_at for run in planned.runs)
        more = [*unchanged(begin, NIGHTS * 4), *crowded(begin, NIGHTS)]
        playing.play([*planned.runs, *more], DEFINITIONS)
        names = playing.names
    with server_app(folder, running=False) as server:
        study = Study(server.server.engine.database, Switch(), lambda kind: False, clock=lambda: at(planned.now))
        message = parsed(line(of_findings(study.look())))
        keep_findings(message, server.server.services.ai, at(planned.now))
        yield Played(server, planned, names)


def test_the_planted_faults_are_found_and_little_else(played: Played) -> None:
    found = [seen(one) for one in played.all("/api/insights")]
    precision, recall = score(found, played.fleet.plants)
    print(f"planted: precision {precision:.2f}, recall {recall:.2f}, {len(found)} insights")
    assert precision >= WANTED
    assert recall >= WANTED


def test_each_insight_shows_executions_that_there_are(played: Played) -> None:
    known = set(played.ids.values())
    for one in played.all("/api/insights"):
        assert one["executions"], one["text"]
        assert set(one["executions"]) <= known
        assert one["score"] >= one["threshold"]
        assert set(one["pipelines"]) <= {run.pipeline for run in played.fleet.runs}


def test_insights_are_found_by_pipeline(played: Played) -> None:
    everything = played.all("/api/insights")
    some = next(one for one in everything if len(one["pipelines"]) > 1)
    for pipeline in some["pipelines"]:
        of_one = played.all("/api/insights", pipeline_id=pipeline)
        assert some["id"] in {one["id"] for one in of_one}
        assert all(pipeline in one["pipelines"] for one in of_one)


def test_causes_of_failures_are_named(played: Played) -> None:
    wanted = [(id, plant) for id, plant in played.fleet.failures.items() if plant is not None]
    lost = [(id, plant) for id, plant in wanted if status(played, id) == "failed"][-EXPLAINED:]
    assert len(lost) > EXPLAINED / 2
    right = [cause(played, id) == CAUSES[cast("Plant", plant).rule] for id, plant in lost]
    print(f"planted: causes named {sum(right) / len(right):.2f} of {len(right)}")
    assert sum(right) / len(right) >= WANTED


def test_suggestions_rest_on_a_replay(played: Played) -> None:
    """No stage of the fleet reads anything of the one before it."""
    suggested = played.all("/api/suggestions", kind="parallel")
    assert {one["pipeline_id"] for one in suggested} == {run.pipeline for run in played.fleet.runs}
    for one in suggested[:3]:
        assert 0 < one["saving"]["low"] <= one["saving"]["seconds"] <= one["saving"]["high"]
        replay = played.server.client.get(f"/api/suggestions/{one['id']}").json()["replay"]
        assert replay["after_seconds"] < replay["now_seconds"]
        assert [stage["stage"] for stage in replay["now"]] == ["extract", "check", "load"]


def test_what_a_change_would_make_faster_is_suggested_and_little_else(played: Played) -> None:
    """An expensive stage that makes the same each time, and a pool that is too small: planted beside the fleet."""
    kinds = ("cache", "pool", "concurrency", "schedule", "fusion")
    found = {(one["kind"], one["pipeline_id"]) for kind in kinds for one in played.all("/api/suggestions", kind=kind)}
    print(f"planted: of changes {sorted(found)}")
    assert found == {("cache", UNCHANGED), ("pool", IN_POOL[1])}
    for one in played.all("/api/suggestions"):
        assert 0 < one["confidence"] <= 1, one["text"]
        assert one["shown"], one["text"]
        assert one["saving"] is None or one["saving"]["low"] > 0, one["text"]


def seen(one: dict[str, Any]) -> Any:
    """As far as a plant looks at it."""
    since = datetime.fromisoformat(one["since"]).timestamp()
    return SimpleNamespace(
        rule=one["rule"], subject=one["subject"], since=since, pipelines=tuple(one["pipelines"]), stage=one["stage"]
    )


def status(played: Played, id: str) -> str:
    runs = [run for run in played.fleet.runs if run.execution == id]
    last = max(runs, key=lambda run: (run.started_at, run.attempt))
    return last.status


def cause(played: Played, id: str) -> str:
    answer = played.server.client.get(f"/api/executions/{played.ids[id]}/explain")
    assert answer.status_code == 200, answer.text
    causes = answer.json()["causes"]
    return str(causes[0]["kind"]) if causes else ""
