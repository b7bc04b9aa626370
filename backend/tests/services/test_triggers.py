"""Schedules on a real engine: each instant is dealt with once, whoever comes to it, and what was missed is said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import pytest
import sqlalchemy as sa

from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.engine.errors import NotFound
from flexiroaster.engine.events import EventType
from flexiroaster.engine.schedule import NEVER
from flexiroaster.services import admission, triggers
from flexiroaster.services.firing import Decision
from flexiroaster.services.pipelines import Pipelines
from flexiroaster.services.retention import Retention
from flexiroaster.stages.registry import default_registry
from flexiroaster.store import triggers as store
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.tables import executions
from tests.runtime.engine import TestEngine, running
from tests.services.shop import ADA, HOUR, Shop, hourly, source


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Iterator[Shop]:
    with running(database, tmp_path) as engine:
        yield Shop(engine)


def test_an_instant_starts_one_execution(shop: Shop) -> None:
    inputs = {"day": {"type": "string"}, "n": {"type": "integer"}}
    given = {"day": "${{ string(execution.logical_date) }}", "n": 3}
    shop.make(hourly(inputs=given), inputs=inputs, outputs={"by": "${{ trigger.type + ' ' + trigger.id }}"})
    instant = shop.come(1)
    wait = shop.triggers.fire_due()
    (execution,) = shop.executions()
    assert shop.engine.wait_end(execution["id"]) == "success"
    assert timedelta() < wait <= HOUR
    assert (execution["trigger"], execution["actor"], execution["logical_date"]) == ("schedule", "hourly", instant)
    assert datetime.fromisoformat(execution["inputs"]["day"]) == instant
    assert execution["inputs"]["n"] == 3
    assert shop.executions()[0]["outputs"] == {"by": "schedule hourly"}
    assert shop.firings() == [(instant, "started", 1)]
    event = shop.engine.wait_for("trigger_fired")
    assert (event.payload["execution_id"], event.payload["number"]) == (execution["id"], 1)
    shop.triggers.fire_due()
    assert len(shop.executions()) == 1


def test_nothing_is_due_before_its_time(shop: Shop) -> None:
    shop.make(hourly())
    assert timedelta() < shop.triggers.fire_due() <= HOUR
    assert shop.executions() == []
    assert shop.triggers.of_pipeline("shop")[0].upcoming[0] == shop.row().due_at


@pytest.mark.parametrize(("catchup", "started"), [("latest", 1), ("all", 5)])
def test_what_passed_while_nothing_ran(shop: Shop, catchup: str, started: int) -> None:
    shop.make(hourly(catchup=catchup))
    last = shop.come(5)
    shop.triggers.fire_due()
    instants = [last - back * HOUR for back in range(4, -1, -1)]
    missed = [(last - HOUR, "missed", 4)] if started == 1 else []
    assert shop.firings() == [*missed, *((instant, "started", 1) for instant in instants[-started:])]
    assert [row["logical_date"] for row in shop.executions()] == instants[-started:]
    if missed:
        page = shop.triggers.firings("shop", "hourly", limit=5)
        assert page.items[-1].reason == "No server came within a minute, and `catchup` is latest"


def test_a_condition_that_does_not_hold(shop: Shop) -> None:
    shop.make(hourly(when="${{ trigger.id == 'other' }}"))
    instant = shop.come(1)
    shop.triggers.fire_due()
    assert shop.firings() == [(instant, "skipped", 1)]
    assert shop.reason() == "`when` is false"
    assert shop.executions() == []


@pytest.mark.parametrize(
    ("trigger", "rest", "reason"),
    [
        (
            hourly(inputs={"n": "${{ size(trigger.id) }}"}), {"inputs": {"n": {"type": "integer", "maximum": 5}}},
            "The input `n` must be at most 5, not 6.",
        ),
        (
            hourly(when="${{ [trigger.id, true][0] }}"), {},
            "`when` is 'hourly', neither true nor false: ${{ [trigger.id, true][0] }}",
        ),
        (hourly(inputs={"n": "${{ 1 / 0 }}"}), {"inputs": {"n": {"type": "integer"}}}, "it divides by zero"),
    ],
)  # fmt: skip
def test_what_cannot_be_started_is_said(shop: Shop, trigger: dict[str, Any], rest: Any, reason: str) -> None:
    shop.make(trigger, hourly() | {"id": "other", "inputs": {"n": 1} if rest else {}}, **rest)
    instant = shop.come(1)
    shop.come(1, "other")
    shop.triggers.fire_due()
    assert shop.firings() == [(instant, "refused", 1)]
    assert reason in (shop.reason() or "")
    assert [row["actor"] for row in shop.executions()] == ["other"]
    assert shop.row().due_at == instant + HOUR


def test_a_full_queue_refuses(shop: Shop) -> None:
    waits = [{"id": "one", "type": "wait", "config": {"event": "go"}}]
    shop.make(hourly(), stages=waits, concurrency={"limit": 1, "when_full": "queue", "max_queued": 0})
    shop.engine.executions.start("shop")
    instant = shop.come(1)
    shop.triggers.fire_due()
    assert shop.firings() == [(instant, "refused", 1)]
    assert "takes no more executions now" in (shop.reason() or "")


def test_a_paused_trigger_goes_on_with_the_next_instant(shop: Shop) -> None:
    shop.make(hourly())
    shop.triggers.pause("shop", "hourly", "ada@example.com")
    entry = shop.triggers.pause("shop", "hourly", "bob@example.com")
    assert (entry.reason, entry.upcoming, entry.row.paused_by) == ("paused by ada@example.com", [], "ada@example.com")
    last = shop.come(3)
    shop.triggers.fire_due()
    assert shop.firings() == []
    entry = shop.triggers.resume("shop", "hourly")
    assert entry.upcoming[0] == last + HOUR
    shop.triggers.fire_due()
    assert shop.firings() == [(last, "missed", 3)]
    assert shop.reason() == "paused by ada@example.com"
    assert shop.executions() == []
    assert [event.payload["paused"] for event in shop.engine.seen if event.type is EventType.TRIGGER_CHANGED] == [
        True, False,
    ]  # fmt: skip


def test_one_that_makes_up_for_everything_does_so_after_a_pause(shop: Shop) -> None:
    shop.make(hourly(catchup="all"))
    shop.triggers.pause("shop", "hourly")
    shop.come(3)
    shop.triggers.resume("shop", "hourly")
    shop.triggers.fire_due()
    assert [state for _, state, _ in shop.firings()] == ["started"] * 3


def test_a_paused_pipeline_has_no_triggers_that_come(shop: Shop) -> None:
    shop.make(hourly())
    shop.engine.embedded.admission.pause("shop", "ada@example.com")
    last = shop.come(2)
    assert shop.triggers.fire_due() == timedelta.max
    (entry,) = shop.triggers.of_pipeline("shop")
    assert (entry.reason, entry.upcoming) == ("its pipeline is paused", [])
    shop.engine.embedded.admission.resume("shop", "ada@example.com")
    shop.triggers.fire_due()
    assert shop.firings() == [(last, "missed", 2)]
    assert shop.reason() == "the pipeline was paused"
    assert shop.executions() == []


def test_many_triggers_of_a_paused_pipeline_hold_up_nobody(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many instants are looked at does not grow with the triggers."""
    monkeypatch.setattr(admission, "MOST_LOOKED_AT", 12)
    shop.make(*(hourly() | {"id": id} for id in "abc"))
    shop.triggers.pause("shop", "c")
    shop.engine.embedded.admission.pause("shop")
    last = [shop.come(count, id) for count, id in ((5, "a"), (9, "b"), (9, "c"))][1]
    shop.engine.embedded.admission.resume("shop")
    assert [shop.firings(id) for id in "abc"] == [[(last, "missed", 5)], [(last, "missed", 6)], []]
    assert shop.reason("a") == "the pipeline was paused"
    assert shop.reason("b") == "the pipeline was paused, and there were more before"


def test_a_new_version_goes_on_where_the_instants_are_the_same(shop: Shop) -> None:
    shop.make(hourly())
    shop.triggers.pause("shop", "hourly", "ada@example.com")
    shop.come(2)
    before = shop.row()
    shop.change(hourly(catchup="all"))
    assert (shop.row().due_at, shop.row().paused_by) == (before.due_at, "ada@example.com")
    assert shop.row().document["catchup"] == "all"
    shop.change(hourly(every="2h"))
    assert shop.row().due_at > datetime.now(UTC) - timedelta(minutes=1)
    shop.change({"id": "other", "type": "schedule", "cron": "@daily"})
    assert [entry.row.id for entry in shop.triggers.of_pipeline("shop")] == ["other"]


def test_a_new_version_takes_other_inputs(shop: Shop) -> None:
    shop.make(hourly(inputs={"old": 1}), inputs={"old": {"type": "integer"}})
    shop.come(1)
    shop.triggers.fire_due()
    shop.change(hourly(inputs={"new": 1}), inputs={"new": {"type": "integer"}})
    shop.database.write(lambda tx: store.remove_firings(tx.sa, NEVER))
    shop.come(1)
    shop.triggers.fire_due()
    assert [(one[1], shop.reason()) for one in shop.firings()] == [("started", None)]
    assert [row["inputs"] for row in shop.executions()] == [{"old": 1}, {"new": 1}]


@pytest.mark.parametrize("decided", [False, True])
def test_a_version_that_is_published_in_the_middle_of_a_look(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, decided: bool
) -> None:
    shop.make(hourly(inputs={"old": 1}), inputs={"old": {"type": "integer"}})
    instant = shop.come(1)
    decide = shop.triggers._firing.decide

    def publishing(*given: Any, **more: Any) -> Decision:
        monkeypatch.undo()
        before = decide(*given, **more)
        shop.change(hourly(inputs={"new": 1}), inputs={"new": {"type": "integer"}})
        return before if decided else decide(*given, **more)

    monkeypatch.setattr(shop.triggers._firing, "decide", publishing)
    assert shop.triggers.fire_due() == timedelta()
    assert shop.firings() == []
    shop.triggers.fire_due()
    assert shop.firings() == [(instant, "started", 1)]
    assert [row["inputs"] for row in shop.executions()] == [{"new": 1}]


def test_nothing_comes_before_the_start_or_after_the_end(shop: Shop) -> None:
    now = datetime.now(UTC)
    start, end = now + timedelta(days=3), now - timedelta(days=3)
    shop.make(hourly(start=start.isoformat()), hourly(id="over", end=end.isoformat()))
    later, over = shop.triggers.of_pipeline("shop")
    assert start <= later.upcoming[0] < start + HOUR
    assert (over.upcoming, over.reason, over.row.due_at) == ([], f"ended at {end.isoformat()}", NEVER)
    assert shop.triggers.fire_due() > timedelta(days=2)
    assert shop.executions() == []
    assert [entry.row.id for entry in shop.triggers.page(limit=5).items] == ["hourly", "over"]


def test_the_last_instant_ends_it(shop: Shop) -> None:
    shop.make(hourly())
    instant = shop.come(1)
    shop.change(hourly(end=instant.isoformat()))
    assert shop.row().due_at == instant
    shop.triggers.fire_due()
    assert shop.firings() == [(instant, "started", 1)]
    (entry,) = shop.triggers.of_pipeline("shop")
    assert (entry.upcoming, entry.reason) == ([], f"ended at {instant.isoformat()}")
    assert shop.triggers.pause("shop", "hourly").reason == entry.reason
    assert shop.triggers.resume("shop", "hourly").upcoming == []
    shop.change(hourly(end=(instant + timedelta(days=9)).isoformat()))
    (entry,) = shop.triggers.of_pipeline("shop")
    assert (entry.upcoming[0], entry.reason) == (instant + HOUR, None)


def test_an_end_that_has_passed_leaves_nothing_due(shop: Shop) -> None:
    shop.make(hourly(catchup="all"))
    last = shop.come(5)
    shop.change(hourly(catchup="all", start=(last - 3 * HOUR).isoformat(), end=(last - 2 * HOUR).isoformat()))
    shop.triggers.fire_due()
    assert [row["logical_date"] for row in shop.executions()] == [last - 3 * HOUR, last - 2 * HOUR]
    assert shop.row().due_at == NEVER


def test_a_deleted_pipeline_starts_nothing(shop: Shop) -> None:
    shop.make(hourly())
    instant = shop.come(1)
    shop.triggers.fire_due()
    shop.engine.wait_end(shop.executions()[0]["id"])
    shop.pipelines.delete("shop", "ada@example.com")
    assert shop.triggers.fire_due() == timedelta.max
    assert shop.firings() == [(instant, "started", 1)]
    with pytest.raises(NotFound):
        shop.triggers.of_pipeline("shop")
    shop.make(hourly())
    assert shop.row().due_at > instant


def test_an_instant_that_comes_again_is_not_started_again(shop: Shop) -> None:
    """A clock that was put back, or a backup of half of the database."""
    shop.make(hourly())
    first = shop.come(1)
    shop.triggers.fire_due()
    assert shop.come(1) == first
    shop.triggers.fire_due()
    assert len(shop.executions()) == 1
    assert shop.firings() == [(first, "started", 1)]
    assert shop.row().due_at == first + HOUR


def test_a_clock_that_is_put_forward_and_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits until the time has come round again, and what came by the wrong clock does not come twice."""
    shop.make(hourly(), hourly(id="paused"))
    shop.triggers.pause("shop", "paused")
    now = datetime.now(UTC)

    def look(at: datetime) -> int:
        monkeypatch.setattr(triggers, "moment", lambda *_: at)
        shop.triggers.fire_due()
        return len(shop.executions())

    month = timedelta(days=30)
    assert look(now) == 0
    assert look(now + month) == 1
    shop.database.write(lambda tx: store.change(tx.sa, "shop", "paused", due_at=shop.row().due_at))
    assert look(now) == 1
    assert shop.row().due_at <= now + HOUR
    assert shop.triggers.resume("shop", "paused").upcoming[0] <= now + HOUR
    assert look(now + HOUR) == 3
    assert look(now + month) == 3 + 1  # one of the two has come then already
    assert len({(row["actor"], row["logical_date"]) for row in shop.executions()}) == 4


def test_a_server_that_was_stopped_while_the_clock_was_put_back(shop: Shop) -> None:
    shop.make(hourly())
    shop.come(-1_000)
    shop.triggers.fire_due()
    assert shop.row().due_at <= datetime.now(UTC) + HOUR


def test_one_look_deals_with_so_many_instants(shop: Shop) -> None:
    """So that others have their turn, and a server that stops does not make up for everything first."""
    shop.make(hourly(catchup="all"), hourly(id="other"))
    shop.come(triggers.AT_ONCE)
    shop.come(1, "other")
    assert shop.triggers.fire_due() == timedelta()
    assert len(shop.firings("other")) == 1
    assert len(shop.firings()) == triggers.AT_ONCE // 2
    shop.triggers.fire_due()
    assert len(shop.firings()) == triggers.AT_ONCE


def test_many_that_are_due_share_a_transaction(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"h{number}" for number in range(triggers.TOGETHER + 1)]
    shop.make(*(hourly(id=name) for name in names))
    instants = {name: shop.come(1, name) for name in names}
    written = []
    write = shop.engine.embedded.triggers._changes.write
    monkeypatch.setattr(
        shop.engine.embedded.triggers._changes,
        "write",
        lambda operation, tally, **more: (written.append(threading.current_thread()), write(operation, tally, **more)),
    )
    shop.triggers.fire_due()
    assert written.count(threading.current_thread()) == 2
    found = {row["actor"]: row["logical_date"] for row in shop.executions()}
    assert found == instants
    assert shop.triggers.fire_due() > timedelta()
    assert len(shop.executions()) == len(names)


def test_one_that_fails_in_its_transaction_holds_up_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.make(hourly(), hourly(id="other", catchup="all"), hourly(id="third"))
    instant = shop.come(1)
    last = shop.come(2, "other")
    shop.come(1, "third")
    firing = shop.triggers._firing
    carry_out = firing.carry_out

    def failing(tx: Transaction, tally: Any, decision: Decision) -> None:
        carry_out(tx, tally, decision)
        if decision.firing.instant == last - HOUR and decision.checked is not None:
            raise RuntimeError("of this one alone")

    monkeypatch.setattr(firing, "carry_out", failing)
    shop.triggers.fire_due()
    assert shop.firings("other") == [(last - HOUR, "refused", 1), (last, "started", 1)]
    assert shop.triggers.firings("shop", "other", limit=2).items[1].reason == "Internal error: of this one alone"
    assert shop.firings() == [(instant, "started", 1)]
    assert [row["number"] for row in shop.executions()] == [1, 2, 3]
    assert sorted(row["actor"] for row in shop.executions()) == ["hourly", "other", "third"]


def test_a_trigger_that_cannot_be_looked_at_holds_up_no_other(shop: Shop) -> None:
    shop.make(hourly(), hourly(id="other"))
    gone = {"id": "hourly", "type": "schedule", "cron": "0 * * * *", "timezone": "Gone/Away"}
    shop.database.write(lambda tx: store.change(tx.sa, "shop", "hourly", document=gone))
    shop.come(2)
    instant = shop.come(1, "other")
    with pytest.raises(ZoneInfoNotFoundError):
        shop.triggers.fire_due()
    assert shop.firings("other") == [(instant, "started", 1)]
    assert shop.triggers.pause("shop", "other").reason == "paused"


def test_no_instant_passed_in_a_pause(shop: Shop) -> None:
    """The rules of a time zone were changed: what was planned is no instant any more."""
    shop.make(hourly())
    shop.triggers.pause("shop", "hourly")
    due_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(milliseconds=1)
    shop.database.write(lambda tx: store.change(tx.sa, "shop", "hourly", due_at=due_at))
    assert shop.triggers.resume("shop", "hourly").upcoming[0] > datetime.now(UTC)
    assert shop.firings() == []


def test_triggers_are_planned_by_the_clock_they_are_looked_at_by(shop: Shop) -> None:
    """That of the server which publishes may be wrong where there are several."""
    ahead = timedelta(days=2)
    pipelines = Pipelines(shop.database, default_registry().types, shop.engine.bus, lambda: datetime.now(UTC) + ahead)
    pipelines.create(source((hourly(),), {}), ADA)
    by_own_clock = shop.database.dialect == "sqlite"  # which has one server
    assert (shop.row().due_at > datetime.now(UTC) + HOUR) is by_own_clock


def test_instants_are_started_once_however_many_look(database: Database, tmp_path: Path) -> None:
    with running(database, tmp_path / "a") as one:
        shop = Shop(one)
        shop.make(hourly(catchup="all"))
        instants = 40
        last = shop.come(instants)
        lookers = [one.embedded.triggers]
        others = [] if database.dialect == "sqlite" else [TestEngine(database, tmp_path / "b", name="two")]
        lookers += [other.embedded.triggers for other in others]
        begin = threading.Barrier(4)

        def look(number: int) -> None:
            begin.wait()
            lookers[number % len(lookers)].fire_due()

        threads = [threading.Thread(target=look, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expected = [last - back * HOUR for back in range(instants - 1, -1, -1)]
        assert shop.firings() == [(instant, "started", 1) for instant in expected]
        assert sorted(row["logical_date"] for row in shop.executions()) == expected


def test_firings_name_their_executions(shop: Shop) -> None:
    shop.make(hourly(catchup="all"), hourly(id="never", when="${{ false }}"))
    shop.come(3)
    shop.come(1, "never")
    while len(shop.firings()) < 3:
        shop.triggers.fire_due()
    for row in shop.executions():
        shop.engine.wait_end(row["id"])
    found = shop.triggers.firings("shop", "hourly", limit=5).items
    assert [(one.execution_id, one.execution_number, one.execution_status) for one in found] == [
        (row["id"], row["number"], "success") for row in reversed(shop.executions())
    ]
    (never,) = shop.triggers.firings("shop", "never", limit=5).items
    assert (never.execution_id, never.execution_number, never.execution_status) == (None, None, None)
    entries = {entry.row.id: entry.last for entry in shop.triggers.of_pipeline("shop")}
    assert entries == {"hourly": found[0], "never": never}


def test_an_execution_that_is_no_longer_kept_has_no_number(shop: Shop) -> None:
    shop.make(hourly())
    shop.come(1)
    shop.triggers.fire_due()
    id = shop.executions()[0]["id"]
    shop.engine.wait_end(id)
    shop.engine.embedded.journal.flush()
    shop.database.write(lambda tx: tx.sa.execute(sa.delete(executions).where(executions.c.id == id)))
    (one,) = shop.triggers.firings("shop", "hourly", limit=5).items
    assert (one.state, one.execution_id, one.execution_number, one.execution_status) == ("started", id, None, None)


def test_lists_are_paged(shop: Shop) -> None:
    shop.make(hourly(catchup="all"), hourly(id="daily", every="1d"), hourly(id="weekly", every="7d"))
    shop.come(3)
    shop.triggers.fire_due()
    first = shop.triggers.firings("shop", "hourly", limit=2)
    rest = shop.triggers.firings("shop", "hourly", limit=2, cursor=first.next_cursor)
    assert [len(first.items), len(rest.items), rest.next_cursor] == [2, 1, None]
    found, cursor = [], None
    while True:
        page = shop.triggers.page(limit=1, cursor=cursor)
        found += [(entry.row.due_at, entry.row.id) for entry in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == sorted(found)  # the next instants may be the same, at midnight say
    assert {id for _, id in found} == {"daily", "hourly", "weekly"}
    with pytest.raises(NotFound, match="trigger"):
        shop.triggers.firings("shop", "none", limit=5)


def test_what_became_of_old_instants_goes_with_the_executions(shop: Shop, tmp_path: Path) -> None:
    shop.make(hourly(catchup="all"))
    shop.come(3)
    shop.triggers.fire_due()
    shop.engine.wait(lambda: all(row["ended_at"] is not None for row in shop.executions()))
    shop.engine.embedded.journal.flush()
    artifacts = DiskArtifacts(tmp_path / "artifacts")

    def retention(passed: timedelta) -> Retention:
        clock = datetime.now(UTC) + passed
        return Retention(shop.database, artifacts, keep=timedelta(days=1), keep_lines=None, clock=lambda: clock)

    assert retention(timedelta(hours=23)).apply().firings == 0
    assert retention(timedelta(days=2)).look().firings == 3
    assert retention(timedelta(days=2)).apply().firings == 3
    assert shop.firings() == []
