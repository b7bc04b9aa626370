"""What was found to be abnormal, and what people say of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import structlog

from flexiroaster.bus.port import Bus
from flexiroaster.engine.errors import NotFound
from flexiroaster.engine.events import NO_EXECUTION, Event, EventType
from flexiroaster.services.paging import Page, cut, decode, decode_moment
from flexiroaster.store import insights as store
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.insights import InsightFilter, InsightRow, VerdictRow

if TYPE_CHECKING:
    from flexiroaster.ai import Insight

log = structlog.get_logger(__name__)

LONGEST_SUBJECT = 400


class Found(NamedTuple):
    """What a look brought: insights that were not there before, and how many are over."""

    new: list[str]
    over: int


class Insights:
    def __init__(self, database: Database, bus: Bus, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock

    def page(self, wanted: InsightFilter, *, limit: int, cursor: str | None = None) -> Page[InsightRow]:
        """The newest first."""
        before = _position(cursor) if cursor else None
        with self._database.read() as connection:
            rows = store.page(connection, wanted, before=before, limit=limit + 1)
        return cut(rows, limit, lambda row: [row.since.isoformat(), row.id])

    def get(self, id: str) -> InsightRow:
        """Raises NotFound."""
        with self._database.read() as connection:
            found = store.find(connection, id)
        if found is None:
            raise NotFound("insight", id)
        return found

    def acknowledge(self, id: str, by: str) -> InsightRow:
        """Somebody has seen it. Once is enough: the first one counts."""
        self.get(id)
        now = self._clock()
        self._database.write(lambda tx: store.acknowledge(tx.sa, id, by, now), durable=True)
        log.info("insight.acknowledged", insight=id, by=by)
        return self._changed(id)

    def judge(self, id: str, by: str, verdict: Literal["useful", "noise"]) -> InsightRow:
        """Moves the threshold of that rule for that subject from the next look on. A person's newest word counts."""
        row = self.get(id)
        now = self._clock()
        self._database.write(lambda tx: store.set_verdict(tx.sa, row, by, verdict, now), durable=True)
        log.info("insight.judged", insight=id, rule=row.rule, verdict=verdict, by=by)
        return self._changed(id)

    def verdicts(self) -> list[VerdictRow]:
        with self._database.read() as connection:
            return store.verdicts(connection)

    def keep(self, found: Sequence[Insight], *, looked_from: datetime, now: datetime) -> Found:
        """All that a look at the history since `looked_from` has found. What it did not find again is over."""
        rows = [as_row(one) for one in found]

        def operation(tx: Transaction) -> Found:
            new = store.keep(tx.sa, rows, now)
            over = store.end_unseen(tx.sa, since=looked_from, at=now)
            told = [_told(EventType.INSIGHT_FOUND, row, now) for row in rows if row["id"] in new]
            if told:
                tx.after_commit(partial(self._bus.publish, told))
            return Found(new, over)

        return self._database.write(operation)

    def _changed(self, id: str) -> InsightRow:
        row = self.get(id)
        told = {"id": row.id, "rule": row.rule, "text": row.text, "stage": row.stage, "pipelines": row.pipelines}
        self._bus.publish([_told(EventType.INSIGHT_CHANGED, {**told, "state": row.state}, self._clock())])
        return row


def as_row(one: Insight) -> dict[str, Any]:
    return {
        "id": one.id,
        "rule": one.rule,
        "subject": one.subject[:LONGEST_SUBJECT],
        "stage": one.stage or None,
        "text": one.text,
        "since": datetime.fromtimestamp(one.since, UTC),
        "until": None if one.until is None else datetime.fromtimestamp(one.until, UTC),
        "score": one.score,
        "threshold": one.threshold,
        "confidence": one.confidence,
        "pipelines": list(one.pipelines),
        "executions": list(one.executions),
        "numbers": dict(one.numbers),
    }


def _told(type: EventType, row: dict[str, Any], at: datetime) -> Event:
    """Of one pipeline, if it is about one alone."""
    pipelines = row["pipelines"]
    told: dict[str, Any] = {key: row[key] for key in ("id", "rule", "text", "pipelines", "state") if key in row}
    return Event(type, NO_EXECUTION, pipelines[0] if len(pipelines) == 1 else "", 0, at, payload=told)


def _position(cursor: str) -> tuple[datetime, str]:
    moment, id = decode(cursor, [str, str])
    return decode_moment(moment, cursor), str(id)
