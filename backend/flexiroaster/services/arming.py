"""Triggers follow the published version: which there are, and when each comes next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flexiroaster.engine.pipeline import ScheduleTrigger
from flexiroaster.engine.schedule import MOST_LOOKED_AT, TICK, Schedule, stretches
from flexiroaster.store import triggers as store
from flexiroaster.store import workers
from flexiroaster.store.triggers import FiringRow, TriggerRow


def arm(connection: sa.Connection, pipeline_id: str, document: Mapping[str, Any], now: datetime) -> None:
    """In the transaction that publishes. One that comes as before goes on where it was, as far as it still does."""
    wanted = {one["id"]: one for one in document.get("triggers", ()) if one["type"] == "schedule"}
    known = {row.id: row for row in store.of_pipeline(connection, pipeline_id)}
    store.keep_only(connection, pipeline_id, list(wanted))
    for id, trigger in wanted.items():
        schedule, row = schedule_of(trigger), known.get(id)
        if row is None:
            store.put(connection, pipeline_id, id, trigger, schedule.next(now))
        elif row.document != trigger:
            goes_on = schedule.rhythm == schedule_of(row.document).rhythm
            due_at = schedule.next(min(row.due_at - TICK, now) if goes_on else now)
            store.change(connection, pipeline_id, id, document=trigger, due_at=due_at)


def disarm(connection: sa.Connection, pipeline_id: str) -> None:
    """Of a pipeline that is deleted."""
    store.keep_only(connection, pipeline_id, ())


def go_on(
    connection: sa.Connection, row: TriggerRow, now: datetime, reason: str, *, most: int = MOST_LOOKED_AT
) -> None:
    """After a pause: what came in it is passed over, unless the trigger makes up for everything.

    It is said of `most` instants, the others holding up the transaction.
    """
    schedule = schedule_of(row.document)
    if row.due_at <= now and schedule.catchup == "all":
        return
    store.change(connection, row.pipeline_id, row.id, due_at=schedule.next(now))
    passed = schedule.passed(row.due_at, now, most)
    if not passed:
        return
    more = ", and there were more before" if len(passed) == most else ""
    dealt_with = store.dealt_with(connection, row.pipeline_id, row.id, passed[-1], passed[0])
    missed = FiringRow(row.pipeline_id, row.id, passed[0], "missed", now, reason=f"{reason}{more}")
    for left in stretches(passed, dealt_with):
        store.record(connection, replace(missed, instant=left.last, count=left.count))


def moment(connection: sa.Connection, clock: Callable[[], datetime]) -> datetime:
    """Now: by the database's clock where several servers, whose own ones differ, see to the same triggers."""
    return clock() if connection.dialect.name == "sqlite" else workers.now(connection)


def schedule_of(trigger: Mapping[str, Any]) -> Schedule:
    return Schedule.of(ScheduleTrigger.model_validate(trigger))
