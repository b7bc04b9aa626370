"""Backfills on a real engine: each instant is started once, whatever became of it before and whoever asks again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flexiroaster.engine.errors import InvalidRequest, NotFound
from flexiroaster.engine.events import EventType
from flexiroaster.services import backfill
from flexiroaster.services.backfill import Backfilled
from flexiroaster.services.firing import Decision, Span
from flexiroaster.store.database import Database, StoreUnavailable, Transaction
from flexiroaster.store.triggers import TriggerRow
from tests.runtime.engine import TestEngine, running
from tests.services.shop import ADA, HOUR, Shop, hourly

DAY = timedelta(days=1)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
BY = "ada@example.com"


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Iterator[Shop]:
    with running(database, tmp_path) as engine:
        yield Shop(engine)


def ask(shop: Shop, first: datetime | str, last: datetime | str, *, dry_run: bool = False, **more: Any) -> Backfilled:
    texts = (moment if isinstance(moment, str) else moment.isoformat() for moment in (first, last))
    return shop.triggers.backfill("shop", "hourly", Span(*texts, **more), by=BY, dry_run=dry_run)


def counts(done: Backfilled) -> tuple[int, int, int, int, int, int]:
    return done.instants, done.known, done.started, done.skipped, done.refused, done.left


def test_each_instant_of_the_span_is_started(shop: Shop) -> None:
    given = {"at": "${{ string(execution.logical_date) }}"}
    shop.make(hourly(inputs=given), inputs={"at": {"type": "string"}}, outputs={"by": "${{ trigger.id }}"})
    before = shop.row()
    plan = ask(shop, MARCH, MARCH + 3 * HOUR, dry_run=True)
    assert (counts(plan), plan.first, plan.last) == ((4, 0, 0, 0, 0, 4), MARCH, MARCH + 3 * HOUR)
    assert shop.executions() == []
    instants = [MARCH + hour * HOUR for hour in range(4)]
    assert counts(ask(shop, MARCH, MARCH + 3 * HOUR, priority=-3)) == (4, 0, 4, 0, 0, 0)
    assert shop.firings() == [(instant, "started", 1) for instant in instants]
    found = shop.executions()
    assert [(row["logical_date"], row["trigger"], row["actor"], row["priority"]) for row in found] == [
        (instant, "schedule", "hourly", -3) for instant in instants
    ]
    assert [datetime.fromisoformat(row["inputs"]["at"]) for row in found] == instants
    assert {shop.engine.wait_end(row["id"]) for row in found} == {"success"}
    assert {row["outputs"]["by"] for row in shop.executions()} == {"hourly"}
    assert {one.reason for one in shop.triggers.firings("shop", "hourly", limit=9).items} == {f"backfill by {BY}"}
    told = [event.payload for event in shop.engine.seen if event.type is EventType.TRIGGER_FIRED]
    assert [(each["instant"], each["number"]) for each in told] == [
        (instant.isoformat(), number) for number, instant in enumerate(instants, 1)
    ]
    assert shop.row().due_at == before.due_at


def test_asking_again_starts_what_is_missing(shop: Shop) -> None:
    shop.make(hourly())
    ask(shop, MARCH + HOUR, MARCH + 2 * HOUR)
    assert counts(ask(shop, MARCH, MARCH + 3 * HOUR, dry_run=True)) == (4, 2, 0, 0, 0, 2)
    assert counts(ask(shop, MARCH, MARCH + 3 * HOUR)) == (4, 2, 2, 0, 0, 0)
    assert counts(ask(shop, MARCH, MARCH + 3 * HOUR)) == (4, 4, 0, 0, 0, 0)
    assert len(shop.executions()) == 4


def test_the_latest_comes_first_where_that_is_wanted(shop: Shop) -> None:
    shop.make(hourly())
    ask(shop, MARCH, MARCH + 2 * HOUR, latest_first=True)
    assert [row["logical_date"] for row in shop.executions()] == [MARCH + hour * HOUR for hour in (2, 1, 0)]


def test_days_are_those_of_the_triggers_zone(shop: Shop) -> None:
    shop.make({"id": "hourly", "type": "schedule", "cron": "@daily", "timezone": "Europe/Paris"})
    done = ask(shop, "2026-03-29", "2026-03-30")
    assert (done.first, done.last) == (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
    assert counts(done) == (2, 0, 2, 0, 0, 0)


def test_what_is_to_come_is_left_to_the_schedule(shop: Shop) -> None:
    shop.make(hourly())
    following = shop.row().due_at
    done = ask(shop, following - 2 * HOUR, following + 5 * HOUR)
    assert (done.started, done.last) == (2, following - HOUR)
    empty = ask(shop, following, following + DAY)
    assert (counts(empty), empty.first) == ((0, 0, 0, 0, 0, 0), None)


def test_what_was_missed_is_missed_no_more(shop: Shop) -> None:
    """Of several that one row tells of, the others stay missed."""
    shop.make(hourly())
    last = shop.come(7)
    shop.triggers.fire_due()
    first = last - 6 * HOUR
    assert shop.firings() == [(last - HOUR, "missed", 6), (last, "started", 1)]
    done = ask(shop, first + 2 * HOUR, first + 3 * HOUR)
    assert counts(done) == (2, 0, 2, 0, 0, 0)
    assert shop.firings() == [
        (first + HOUR, "missed", 2),
        (first + 2 * HOUR, "started", 1),
        (first + 3 * HOUR, "started", 1),
        (first + 5 * HOUR, "missed", 2),
        (last, "started", 1),
    ]
    done = ask(shop, first, last)
    assert counts(done) == (7, 3, 4, 0, 0, 0)
    assert {(state, count) for _, state, count in shop.firings()} == {("started", 1)}
    assert len(shop.executions()) == 7


def test_missed_instants_of_another_schedule_stay(shop: Shop) -> None:
    shop.make(hourly())
    last = shop.come(3)
    shop.triggers.fire_due()
    shop.change({"id": "hourly", "type": "schedule", "cron": "30 * * * *"})
    assert ask(shop, last - 2 * HOUR, last).started == 2
    assert [one for one in shop.firings() if one[1] == "missed"] == [(last - HOUR, "missed", 2)]


def test_what_was_skipped_or_refused_is_tried_again(shop: Shop) -> None:
    shop.make(hourly(when="${{ trigger.id == 'other' }}"))
    instant = shop.come(1)
    shop.triggers.fire_due()
    assert shop.firings() == [(instant, "skipped", 1)]
    assert counts(ask(shop, instant, instant)) == (1, 0, 0, 1, 0, 0)
    shop.change(hourly(inputs={"n": "${{ size(trigger.id) }}"}), inputs={"n": {"type": "integer", "maximum": 5}})
    refused = ask(shop, instant, instant)
    assert counts(refused) == (1, 0, 0, 0, 1, 0)
    assert refused.reason == "The input `n` must be at most 5, not 6."
    shop.change(hourly())
    assert counts(ask(shop, instant, instant)) == (1, 0, 1, 0, 0, 0)
    assert shop.firings() == [(instant, "started", 1)]


def test_a_full_queue_leaves_the_rest_for_later(shop: Shop) -> None:
    waits = [{"id": "one", "type": "wait", "config": {"event": "go"}}]
    shop.make(hourly(), stages=waits, concurrency={"limit": 1, "when_full": "queue", "max_queued": 1})
    done = ask(shop, MARCH, MARCH + 4 * HOUR)
    assert counts(done) == (5, 0, 2, 0, 0, 3)
    assert "takes no more executions now" in (done.reason or "")
    assert [row["number"] for row in shop.executions()] == [1, 2]
    assert [row["status"] for row in shop.executions()] == ["running", "queued"]
    shop.change(hourly(), stages=waits, concurrency={"limit": 1, "when_full": "queue"})
    assert counts(ask(shop, MARCH, MARCH + 4 * HOUR)) == (5, 2, 3, 0, 0, 0)


@pytest.mark.parametrize(
    ("concurrency", "note"),
    [
        (None, "The pipeline limits nothing: all may run at once. With `concurrency` they would run in turn."),
        ({"limit": 2}, "`concurrency` lets 2 executions run at once; the others wait."),
        (
            {"key": "${{ trigger.id }}", "max_queued": 5},
            "`concurrency` lets 1 execution run at once for each key and 5 wait: where there are more, ask again later "
            "for the rest.",
        ),
        (
            {"when_full": "skip"},
            "`concurrency` lets 1 execution run at once: the others are skipped at once, and count as started.",
        ),
        (
            {"when_full": "fail"},
            "`concurrency` lets 1 execution run at once: the others fail at once, and count as started.",
        ),
        (
            {"when_full": "cancel_oldest"},
            "`concurrency` lets 1 execution run at once: each further one cancels the oldest.",
        ),
    ],
)
def test_the_plan_says_what_becomes_of_so_many(shop: Shop, concurrency: Any, note: str) -> None:
    shop.make(hourly(), **({} if concurrency is None else {"concurrency": concurrency}))
    assert ask(shop, MARCH, MARCH + HOUR, dry_run=True).note == note
    assert ask(shop, MARCH, MARCH, dry_run=True).note is None


def test_a_pause_holds_up_nobody_who_asks(shop: Shop) -> None:
    shop.make(hourly(catchup="all"))
    shop.triggers.pause("shop", "hourly")
    last = shop.come(4)
    assert ask(shop, last - 2 * HOUR, last - HOUR).started == 2
    shop.triggers.resume("shop", "hourly")
    shop.triggers.fire_due()
    assert [one[1] for one in shop.firings()] == ["started"] * 4
    assert len(shop.executions()) == 4


def test_what_a_pause_came_to_leaves_out_what_was_backfilled(shop: Shop) -> None:
    shop.make(hourly())
    shop.triggers.pause("shop", "hourly")
    last = shop.come(4)
    ask(shop, last - HOUR, last)
    shop.triggers.resume("shop", "hourly")
    assert [one for one in shop.firings() if one[1] == "missed"] == [(last - 2 * HOUR, "missed", 2)]


@pytest.mark.parametrize(("document", "state"), [({}, "started"), ({"when": "${{ false }}"}, "skipped")])
def test_a_pause_tells_of_what_lies_around_a_backfill(shop: Shop, document: dict[str, Any], state: str) -> None:
    shop.make(hourly(**document))
    shop.triggers.pause("shop", "hourly")
    last = shop.come(5)
    ask(shop, last - 2 * HOUR, last - 2 * HOUR)
    ask(shop, last, last)
    shop.triggers.resume("shop", "hourly")
    assert shop.firings() == [
        (last - 3 * HOUR, "missed", 2),
        (last - 2 * HOUR, state, 1),
        (last - HOUR, "missed", 1),
        (last, state, 1),
    ]


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("soon", "2026-03-02", "`from`: 'soon' is not a moment"),
        ("2026-03-02", "2026-02-30", "`to`: '2026-02-30' is not a moment"),
        (
            "2026-03-02T01:00",
            "2026-03-02T00:00",
            r"`from` \(2026-03-02T01:00\) is later than `to` \(2026-03-02T00:00\)",
        ),
        (
            "2026-01-01",
            "2026-02-28",
            "More than 1,000 instants lie between 2026-01-01 and 2026-02-28: choose a shorter",
        ),
    ],
)
def test_spans_that_are_none(shop: Shop, first: str, last: str, said: str) -> None:
    shop.make(hourly())
    with pytest.raises(InvalidRequest, match=said):
        ask(shop, first, last)
    assert shop.executions() == []


def test_no_instant_lies_outside_start_and_end(shop: Shop) -> None:
    shop.make(hourly(start="2026-03-01", end="2026-03-01T05:00"))
    done = ask(shop, "2026-02-01", "2026-09-01")
    assert (done.started, done.first, done.last) == (6, MARCH, MARCH + 5 * HOUR)


def test_there_is_no_such_trigger(shop: Shop) -> None:
    shop.make()
    with pytest.raises(NotFound, match="trigger"):
        ask(shop, MARCH, MARCH)


class Crash(Exception):
    pass


def test_a_server_that_dies_on_the_way(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole transactions remain; the next call starts exactly what is missing."""
    shop.make(hourly())
    monkeypatch.setattr(backfill, "AT_ONCE", 4)
    write, left, own = shop.database.write, 2, threading.current_thread()

    def dying(operation: Any, **more: Any) -> Any:
        nonlocal left
        if threading.current_thread() is own:
            if left == 0:
                raise StoreUnavailable("The server is killed.")
            left -= 1
        return write(operation, **more)

    monkeypatch.setattr(shop.database, "write", dying)
    with pytest.raises(StoreUnavailable):
        ask(shop, MARCH, MARCH + 9 * HOUR)
    monkeypatch.setattr(shop.database, "write", write)
    assert len(shop.executions()) == 8
    assert counts(ask(shop, MARCH, MARCH + 9 * HOUR)) == (10, 8, 2, 0, 0, 0)
    assert [row["logical_date"] for row in shop.executions()] == [MARCH + hour * HOUR for hour in range(10)]


def test_one_that_fails_in_its_transaction_holds_up_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.make(hourly())
    firing = shop.triggers._firing
    carry_out = firing.carry_out

    def failing(tx: Transaction, tally: Any, decision: Any) -> None:
        carry_out(tx, tally, decision)
        if decision.firing.instant == MARCH + HOUR and decision.checked is not None:
            raise Crash("of this one alone")

    monkeypatch.setattr(firing, "carry_out", failing)
    done = ask(shop, MARCH, MARCH + 3 * HOUR)
    assert (counts(done), done.reason) == ((4, 0, 3, 0, 1, 0), "Internal error: of this one alone")
    assert [row["number"] for row in shop.executions()] == [1, 2, 3]
    assert [one[1] for one in shop.firings()] == ["started", "refused", "started", "started"]


def test_a_trigger_that_is_changed_on_the_way(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.make(hourly(inputs={"n": 1}), inputs={"n": {"type": "integer"}})
    monkeypatch.setattr(backfill, "AT_ONCE", 2)
    decide = shop.triggers._firing.decide

    def publishing(row: TriggerRow, instant: datetime, *given: Any, **more: Any) -> Decision:
        if instant == MARCH + 3 * HOUR:
            shop.change(hourly(inputs={"n": 2}), inputs={"n": {"type": "integer"}})
        return decide(row, instant, *given, **more)

    monkeypatch.setattr(shop.triggers._firing, "decide", publishing)
    done = ask(shop, MARCH, MARCH + 5 * HOUR)
    assert (counts(done), done.reason) == (
        (6, 0, 2, 0, 0, 4),
        "The trigger was changed on the way: ask again for the rest.",
    )
    monkeypatch.undo()
    assert counts(ask(shop, MARCH, MARCH + 5 * HOUR)) == (6, 2, 4, 0, 0, 0)
    assert [row["inputs"]["n"] for row in shop.executions()] == [1, 1, 2, 2, 2, 2]


def test_two_who_ask_at_once_start_each_instant_once(database: Database, tmp_path: Path) -> None:
    with running(database, tmp_path / "a") as one:
        shop = Shop(one)
        shop.make(hourly())
        others = [] if database.dialect == "sqlite" else [TestEngine(database, tmp_path / "b", name="two")]
        askers = [shop.triggers, *(other.embedded.triggers for other in others)]
        begin = threading.Barrier(4)
        done: list[Backfilled] = []

        def ask_at_once(number: int) -> None:
            begin.wait()
            span = Span(MARCH.isoformat(), (MARCH + 99 * HOUR).isoformat(), latest_first=number == 3)
            done.append(askers[number % len(askers)].backfill("shop", "hourly", span, by=ADA.email))

        threads = [threading.Thread(target=ask_at_once, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(each.started for each in done) == 100
        assert [(each.known + each.started, each.left) for each in done] == [(100, 0)] * 4
        assert sorted(row["logical_date"] for row in shop.executions()) == [MARCH + n * HOUR for n in range(100)]
