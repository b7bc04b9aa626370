"""Several processes on one database, each an engine driven by hand, with one clock for all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from flexiroaster.engine.outcome import Outcome
from flexiroaster.runtime.conditions import Conditions
from flexiroaster.services.others import Nobody
from flexiroaster.services.stage_runs import LEASE, Claimed, Ended, Produced
from flexiroaster.store import workers as rows
from flexiroaster.store.database import Database
from flexiroaster.store.dialects import dialect_for
from flexiroaster.store.leases import Held
from flexiroaster.testing.virtual_time import START, VirtualTime
from tests.runtime.engine import TestEngine

BY_ITSELF = frozenset({"approval", "pipeline", "wait"})
"""Types whose stages are really run; what the others do is made up."""


class Company(Nobody):
    """There are others, and none of their messages arrives."""

    present = True


@dataclass(eq=False, repr=False)
class Worker:
    """A process. One that has died may still speak: it was only thought to be dead."""

    engine: TestEngine
    time: VirtualTime
    alive: bool = True
    hands: list[Hand] = field(default_factory=list)
    """What it was given and has not answered for; some of it may have been taken away."""

    def __repr__(self) -> str:
        return f"worker {self.owner[:4]}"

    @property
    def owner(self) -> str:
        return self.engine.embedded.stage_runs._owner


@dataclass(eq=False, repr=False)
class Hand:
    """A stage run that a worker was given, and has not let go of."""

    worker: Worker
    claimed: Claimed

    def __repr__(self) -> str:
        return f"{self.place} attempt {self.claimed.run.attempt} of {self.worker}"

    @property
    def place(self) -> tuple[str, int, int]:
        return (self.claimed.execution_id, *self.claimed.key)

    @property
    def held(self) -> Held:
        return Held(self.claimed.execution_id, self.claimed.key, self.claimed.run.attempt)

    @property
    def runs_by_itself(self) -> bool:
        type = self.claimed.live.version.plan.stages[self.claimed.key.position].type
        return self.claimed.is_foreach or type in BY_ITSELF

    def answer(self, outcome: Outcome) -> None:
        """Record how it ended."""
        if self.runs_by_itself:
            ended = self.worker.engine.run_by_hand([self.claimed])
        else:
            ended = [Ended(self.claimed, outcome, Produced())]
        self.worker.engine.record_by_hand(ended)


@dataclass
class Workers:
    """`most` live at a time."""

    url: str
    folder: Path
    most: int
    now: datetime = START
    all: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.observer = Database.open(self.url)
        self._engines = [Database.open(self.url).engine for _ in range(self.most)]
        self._turns = itertools.cycle(self._engines)

    def forget(self) -> None:
        """A new example begins on an empty database."""
        self.observer.close()
        for engine in self._engines:
            engine.dispose()
        self.observer = Database(self.observer.engine, dialect_for(sa.make_url(self.url)))
        self.all.clear()
        self.now = START

    def born(self) -> Worker:
        """One more process; it shares nothing with the others but the database."""
        time = VirtualTime(self.now)
        database = Database(next(self._turns), dialect_for(sa.make_url(self.url)))
        engine = TestEngine(database, self.folder, conditions=Conditions(time.clock, time, lambda: 0.5))
        engine.embedded.executions._changes.others = Company()
        worker = Worker(engine, time)
        embedded = engine.embedded
        embedded.stage_runs.held = lambda: [hand.held for hand in worker.hands]
        embedded._rescue._holds = lambda work: any((*work,) == hand.held[:2] for hand in worker.hands)
        database.write(lambda tx: rows.register(tx.sa, embedded.presence.me, LEASE))
        self.all.append(worker)
        return worker

    @property
    def alive(self) -> list[Worker]:
        return [worker for worker in self.all if worker.alive]

    @property
    def hands(self) -> list[Hand]:
        return [hand for worker in self.all for hand in worker.hands]

    def claim(self, worker: Worker) -> list[Hand]:
        found = [Hand(worker, claimed) for claimed in worker.engine.claim_by_hand()]
        worker.hands += found
        return found

    def beat(self, worker: Worker) -> None:
        """As it does three times within a lease."""
        embedded = worker.engine.embedded
        embedded.stage_runs.renew_leases()
        me = embedded.presence.me
        if not worker.engine.database.write(lambda tx: rows.beat(tx.sa, me.id, len(worker.hands), LEASE)):
            worker.engine.database.write(lambda tx: rows.register(tx.sa, me, LEASE))

    def look_around(self, worker: Worker) -> None:
        """As a rescuer does: what others have left is taken over."""
        rescue = worker.engine.embedded._rescue
        rescue.take_over()
        rescue.wake_overdue()
        rescue.take_up_forgotten()
        worker.engine.embedded.admission.recover()
        worker.engine.embedded.children._look_around()

    def advance(self, length: timedelta) -> None:
        """What is due on the way happens, in its order, in whichever process it is due."""
        until = self.now + length
        while (due := self._next_due(until)) is not None:
            due()
        self._set(until)

    def _next_due(self, until: datetime) -> Callable[[], None] | None:
        """The clock is at its moment."""
        waiting = [worker for worker in self.alive if worker.time.next_moment is not None]
        first = min(waiting, key=lambda worker: worker.time.next_moment or until, default=None)
        due = None if first is None else first.time.next_due(until)
        if first is not None and due is not None:
            self._set(first.time.now)
        return due

    def _set(self, now: datetime) -> None:
        self.now = now
        for worker in self.all:
            worker.time.now = now

    def select(self, query: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        with self.observer.read() as connection:
            return connection.execute(query).mappings().all()


def catalogue(say: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Pipelines that use what a random graph does not; `say` is the config of a stage whose work is made up."""
    act = {"type": "act", "config": dict(say)}
    return {
        "places": {
            "stages": {"a": act, "b": {**act, "needs": ["a"]}},
            "concurrency": {"limit": 1},
        },
        "items": {
            "stages": {
                "each": {**act, "foreach": {"items": [1, 2, 3], "max_parallel": 2, "on_error": "continue"}},
                "end": {**act, "needs": ["each"], "join": "all_done"},
            },
        },
        "people": {
            "stages": {
                "ask": {"type": "approval", "config": {"message": "Go?"}, "timeout": "10m"},
                "time": {"type": "wait", "config": {"seconds": 20}},
                "pooled": {**act, "pool": "p"},
                "also_pooled": {**act, "pool": "p"},
                "end": {**act, "needs": ["ask", "time", "pooled", "also_pooled"], "join": "all_done"},
            },
            "finally": [{"id": "tidy", **act}],
        },
    }
