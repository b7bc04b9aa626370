"""Sizes and times that would have spared waiting, and none where nothing, or too little, speaks for them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from flexiroaster.ai.optimizer.fleet import Job, Limits, Unit, play
from flexiroaster.ai.optimizer.sharing import Scene, sharing
from flexiroaster.ai.optimizer.suggestion import Suggestion, apply
from flexiroaster.ai.optimizer.times import later
from flexiroaster.ai.runs import Run
from flexiroaster.engine.pipeline import Pipeline

DAY = 86_400.0
MINUTE = 60.0


def pipeline(id: str, cron: str = "0 2 * * *", **keys: Any) -> dict[str, Any]:
    return {
        "id": id,
        "name": id,
        "triggers": [{"id": "nightly", "type": "schedule", "cron": cron}],
        "stages": [{"id": "work", "type": "noop", "needs": []}],
        **keys,
    }


def recorded(
    asked: list[tuple[float, str, float]],
    limits: Limits,
    *,
    pool: str = "",
    places: str = "",
    noise: float = 0.05,
    trigger: str = "schedule",
) -> list[Run]:
    """What an engine with these limits would have recorded of what is asked for: when, whose, working how long."""
    chance = random.Random(7)
    jobs = sorted(
        (
            Job(
                f"e{n}",
                id,
                at,
                trigger,
                places,
                (Unit("work", (), seconds * chance.lognormvariate(0, noise), 0, 0, pool),),
                0,
                0,
            )
            for n, (at, id, seconds) in enumerate(asked)
        ),
        key=lambda job: job.at,
    )
    runs = []
    for job, end in zip(jobs, play(jobs, limits), strict=True):
        start = end - job.units[0].seconds
        ready = start if places else job.at
        common = {"trigger": trigger, "status": "success", "ended_at": end}
        runs.append(Run(job.id, job.pipeline, start, queued_at=job.at, places=places, **common))  # type: ignore[arg-type]
        runs.append(Run(job.id, job.pipeline, start, "work", queued_at=ready, pool=pool, **common))  # type: ignore[arg-type]
    return runs


def bursts(*ids: str, days: int = 15, seconds: float = 300.0) -> list[tuple[float, str, float]]:
    """All of them at two in the night."""
    return [(day * DAY + 2 * 3_600, id, seconds) for day in range(days) for id in ids]


def found(kind: str, runs: list[Run], scene: Scene) -> list[Suggestion]:
    return [one for one in sharing(runs, scene).suggestions if one.kind == kind]


def test_a_pool_that_is_too_small_is_told_with_the_request_that_widens_it() -> None:
    runs = recorded(bursts("a", "b", "c"), Limits(None, {"gpu": 1}), pool="gpu")
    scene = Scene({id: pipeline(id) for id in "abc"}, {"gpu": 1})
    (one,) = found("pool", runs, scene)
    assert one.call is not None
    assert (one.call.method, one.call.path, one.call.body) == ("PUT", "/api/pools/gpu", {"slots": 3})
    assert one.saving is not None
    assert 300 <= one.saving.low <= one.saving.median <= 700
    assert one.numbers["saving_2"] < one.numbers["saving_3"]
    assert one.confidence > 0.9
    assert one.edits == ()
    # With that, the same executions really end so much earlier.
    widened = recorded(bursts("a", "b", "c"), Limits(None, {"gpu": 3}), pool="gpu")
    assert found("pool", widened, Scene(scene.documents, {"gpu": 3})) == []


def test_a_pool_that_nobody_defined_has_one_slot() -> None:
    runs = recorded(bursts("a", "b", days=25), Limits(), pool="gpu")
    (one,) = found("pool", runs, Scene({id: pipeline(id) for id in "ab"}, {}))
    assert one.numbers["now"] == 1


def test_a_pool_is_not_blamed_for_want_of_workers() -> None:
    runs = recorded(bursts("a", "b", "c"), Limits(1, {"gpu": 4}), pool="gpu")
    scene = Scene({id: pipeline(id) for id in "abc"}, {"gpu": 4}, workers=1)
    assert found("pool", runs, scene) == []
    unknown = Scene(scene.documents, scene.slots)
    assert found("pool", runs, unknown) == [], "nor where nobody knows how many workers there were"


def test_nothing_is_said_where_nothing_waited() -> None:
    runs = recorded([(hour * 3_600.0, "a", 60.0) for hour in range(200)], Limits(4, {"gpu": 2}), pool="gpu")
    advice = sharing(runs, Scene({"a": pipeline("a")}, {"gpu": 2}, 4))
    assert (advice.suggestions, advice.missing) == ([], [])


def test_too_few_that_waited_say_how_many_are_missing() -> None:
    runs = recorded(bursts("a", "b", days=6), Limits(None, {"gpu": 1}), pool="gpu")
    advice = sharing(runs, Scene({id: pipeline(id) for id in "ab"}, {"gpu": 1}))
    assert advice.suggestions == []
    assert "More slots in pool gpu may help: it needs 14 more executions to be sure." in [
        one.text for one in advice.missing
    ]


def test_one_crowded_evening_is_no_habit() -> None:
    asked = [(2 * 3_600 + n * 10.0, "a", 60.0) for n in range(60)]
    runs = recorded(asked, Limits(None, {"gpu": 1}), pool="gpu", trigger="manual")
    assert found("pool", runs, Scene({"a": pipeline("a")}, {"gpu": 1})) == []


def test_a_crowd_of_others_does_not_hide_who_waits() -> None:
    """They had workers enough, and no pool: what they did is no matter of this."""
    others = [
        Run(f"o{n}", "busy", n * 100.0, "s", queued_at=n * 100.0, ended_at=n * 100.0 + 50, status="success")
        for n in range(12_000)
    ]
    runs = recorded(bursts("a", "b", days=25), Limits(None, {"gpu": 1}), pool="gpu")
    scene = Scene({id: pipeline(id) for id in ("a", "b", "busy")}, {"gpu": 1}, workers=8)
    assert len(found("pool", [*runs, *others], scene)) == 1


def test_executions_that_wait_for_each_other_get_more_places() -> None:
    limit = {"concurrency": {"limit": 1}}
    asked = [(day * DAY + n * 30.0, "a", 300.0) for day in range(15) for n in range(4)]
    runs = recorded(asked, Limits(None, {}, {"a": 1}), places="a", trigger="manual")
    (one,) = found("concurrency", runs, Scene({"a": pipeline("a", **limit)}, {}))
    changed = Pipeline.from_document(apply(pipeline("a", **limit), one.edits))
    assert changed.concurrency is not None
    assert changed.concurrency.limit in (3, 4)
    assert one.saving is not None
    assert one.saving.low > 200
    skips = {"concurrency": {"limit": 1, "when_full": "skip"}}
    assert found("concurrency", runs, Scene({"a": pipeline("a", **skips)}, {})) == []


def test_one_of_two_schedules_that_meet_is_moved() -> None:
    runs = recorded(bursts("early", "late", days=25), Limits(1))
    documents = {id: pipeline(id) for id in ("early", "late")}
    (one,) = found("schedule", runs, Scene(documents, {}, workers=1))
    assert one.numbers["minutes"] in (5, 10)
    changed = apply(documents[one.pipeline], one.edits)["triggers"][0]["cron"]
    assert changed in ("5 2 * * *", "10 2 * * *")
    apart = [(at + (600 if id == "late" else 0), id, seconds) for at, id, seconds in bursts("early", "late", days=25)]
    assert found("schedule", recorded(apart, Limits(1)), Scene(documents, {}, workers=1)) == []


def test_schedules_that_do_not_share_anything_stay() -> None:
    runs = recorded(bursts("early", "late", days=25), Limits(8))
    documents = {id: pipeline(id) for id in ("early", "late")}
    assert found("schedule", runs, Scene(documents, {}, workers=8)) == []


def test_a_schedule_that_no_line_can_move_stays() -> None:
    runs = recorded(bursts("early", "late", days=25), Limits(1))
    documents = {id: pipeline(id, cron="*/10 * * * *") for id in ("early", "late")}
    assert found("schedule", runs, Scene(documents, {}, workers=1)) == []


@pytest.mark.parametrize(
    ("cron", "minutes", "moved"),
    [
        ("0 2 * * *", 15, "15 2 * * *"),
        ("50 2 * * 1-5", 15, "5 3 * * 1-5"),
        ("50 * * * *", 15, "5 * * * *"),
        ("50 23 * * *", 15, None),
        ("50 2,4 * * *", 15, None),
        ("*/5 * * * *", 15, None),
        ("@daily", 15, None),
    ],
)
def test_a_line_of_a_schedule_is_moved(cron: str, minutes: int, moved: str | None) -> None:
    assert later(cron, minutes) == moved
