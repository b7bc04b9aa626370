"""What a ready stage run may have to wait for besides a worker: a slot of its pool, and its rate limit.

Slots are counted from the stage runs that somebody holds, in the transaction that takes one, so a slot is free when its
lease is, whatever became of the worker. Who finds no slot is parked, in this process alone, until one is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, NamedTuple

from flexiroaster.dispatch.parking import Parking
from flexiroaster.dispatch.port import Ready
from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.duration import format_duration
from flexiroaster.engine.pipeline import RateLimit
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.rates import TooSoon, interval, passes
from flexiroaster.engine.runs import Key
from flexiroaster.services.changes import Changes
from flexiroaster.services.live import Live
from flexiroaster.store import gates as rows
from flexiroaster.store.database import Transaction

UNDEFINED_SLOTS = 1
"""Of a pool that nobody defined: whatever it is to protect is safe with one."""
LOOK_AGAIN = timedelta(seconds=15)
"""Slots that another process freed are noticed after this time."""
SHORTEST_PAUSE = timedelta(milliseconds=20)
"""Between two looks at a rate limit: those that are due meanwhile go together."""


class Gate(NamedTuple):
    kind: Literal["pool", "rate"]
    name: str


@dataclass(slots=True)
class Room:
    """What one transaction knows of gates: what it took itself is not yet in the database."""

    tx: Transaction
    drafts: Mapping[str, tuple[Live, Draft]]
    pools: dict[str, Slots] = field(default_factory=dict)
    rates: dict[str, datetime | None] = field(default_factory=dict)


@dataclass(slots=True)
class Slots:
    total: int | None
    used: int

    @property
    def full(self) -> bool:
        return self.used >= (UNDEFINED_SLOTS if self.total is None else self.total)


class Gates:
    """Registers with `changes`: whoever lets go of a slot lets the next one in."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._parking = Parking()
        self._armed: set[Gate] = set()
        changes.on_slots_free = self.let_in

    def open(self, room: Room, live: Live, draft: Draft, key: Key) -> bool:
        """Whether a stage run that has a gate may be claimed now. If so its slot and its rate are taken."""
        stage = draft.plan.stages[key.position]
        run = planner.claimable(draft, key)
        if run is None:
            # It may have stood before a gate, and been let in for what it does not need any more.
            for gate in gates_of(draft.plan, key):
                room.tx.after_commit(partial(self._let_in, gate, 1))
            return False
        slots = None
        if stage.pool is not None:
            slots = _slots(room, stage.pool)
            if slots.full:
                self._hold_back(room, live, draft, key, Gate("pool", stage.pool), _no_slot(stage.pool, slots))
                return False
        if stage.rate_limit is not None and not planner.goes_on_with_attempt(run):
            passed, next_at = _take(room, stage.rate_limit, draft.now)
            if not passed:
                gate = Gate("rate", stage.rate_limit.key)
                self._hold_back(room, live, draft, key, gate, _too_soon(stage.rate_limit))
            room.tx.after_commit(partial(self._look_at_rate, stage.rate_limit, next_at))
            if not passed:
                return False
        if slots is not None:
            slots.used += 1
        return True

    def let_in(self, freed: Mapping[str, int | None]) -> None:
        """So many slots of these pools are free; None: look at all that wait for it."""
        self.let_in_here(freed)
        self._changes.others.slots(freed)

    def let_in_here(self, freed: Mapping[str, int | None]) -> None:
        """The same for what is parked in this process."""
        for pool, count in freed.items():
            self._let_in(Gate("pool", pool), count)

    def _hold_back(self, room: Room, live: Live, draft: Draft, key: Key, gate: Gate, reason: str) -> None:
        planner.hold_back(draft, key, reason)
        room.tx.after_commit(partial(self._park, gate, self._changes.ready(live.version, draft, key)))

    def _park(self, gate: Gate, ready: Ready) -> None:
        self._parking.park(gate, ready)
        if gate.kind == "pool":
            self._arm(gate, LOOK_AGAIN, 1)

    def _look_at_rate(self, rate: RateLimit, next_at: datetime) -> None:
        gate = Gate("rate", rate.key)
        if self._parking.waiting(gate):
            pause = max(next_at - self._changes.clock(), SHORTEST_PAUSE)
            self._arm(gate, pause, int(SHORTEST_PAUSE / interval(rate)) + 1)

    def _arm(self, gate: Gate, pause: timedelta, count: int) -> None:
        """Look once more after this time. Who finds the gate closed then arms it again."""
        if gate not in self._armed:
            self._armed.add(gate)
            self._changes.timers.at(self._changes.clock() + pause, partial(self._fire, gate, count))

    def _fire(self, gate: Gate, count: int) -> None:
        self._armed.discard(gate)
        self._let_in(gate, count)
        if gate.kind == "pool" and self._parking.waiting(gate):
            self._arm(gate, LOOK_AGAIN, 1)

    def _let_in(self, gate: Gate, count: int | None) -> None:
        released = self._parking.release(gate, count)
        if released:
            self._changes.dispatch.announce(released)


def gates_of(plan: Plan, key: Key) -> list[Gate]:
    stage = plan.stages[key.position]
    pool = [] if stage.pool is None else [Gate("pool", stage.pool)]
    rate = [] if stage.rate_limit is None else [Gate("rate", stage.rate_limit.key)]
    return pool + rate


def _slots(room: Room, pool: str) -> Slots:
    found = room.pools.get(pool)
    if found is None:
        total, used = rows.pool(room.tx, pool)
        unsaved = sum(planner.slots_taken(draft, pool) for _, draft in room.drafts.values())
        found = room.pools[pool] = Slots(total, used + unsaved)
    return found


def _take(room: Room, rate: RateLimit, now: datetime) -> tuple[bool, datetime]:
    """One more start: whether there may be one, and when the next one may be."""
    if rate.key not in room.rates:
        room.rates[rate.key] = rows.rate(room.tx, rate.key)
    found = passes(rate, room.rates[rate.key], now)
    if isinstance(found, TooSoon):
        return False, found.until
    room.rates[rate.key] = found.full_at
    rows.put_rate(room.tx, rate.key, found.full_at)
    following = passes(rate, found.full_at, now)
    return True, following.until if isinstance(following, TooSoon) else now


def _no_slot(pool: str, slots: Slots) -> str:
    if slots.total is None:
        return f"waiting for pool {pool} {slots.used}/{UNDEFINED_SLOTS}: nobody defined it, so it has one slot"
    return f"waiting for pool {pool} {slots.used}/{slots.total}"


def _too_soon(rate: RateLimit) -> str:
    return f"waiting for rate limit {rate.key}: {rate.limit} per {format_duration(rate.per)}"
