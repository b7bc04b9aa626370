"""Accepting executions: what is asked for is checked, then written together with the first decision."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import orjson
import sqlalchemy as sa

from flexiroaster.engine import definition, planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import Conflict, InvalidInputs, InvalidRequest, NotFound
from flexiroaster.engine.expressions import ExpressionError, Template
from flexiroaster.engine.ids import time_ordered_id
from flexiroaster.engine.quoting import quoted
from flexiroaster.engine.runs import Execution, ExecutionState
from flexiroaster.engine.state import ExecutionStatus
from flexiroaster.services.admission import Admission, Place, concurrency_key
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.deadlines import Deadlines
from flexiroaster.services.live import Live, Version
from flexiroaster.services.scope import trigger_names
from flexiroaster.store import places, progress
from flexiroaster.store.database import Transaction
from flexiroaster.store.json import OPTIONS
from flexiroaster.store.pipelines import is_discarded, is_draft
from flexiroaster.store.progress import NewExecution, Parent
from flexiroaster.store.tables import pipelines


class Started(NamedTuple):
    """`replayed`: the idempotency key had started it before."""

    execution_id: str
    pipeline_id: str
    number: int
    replayed: bool


class TakeOver(Protocol):
    """What a new execution takes over from an earlier one of its pipeline."""

    @property
    def of(self) -> str: ...

    @property
    def stage(self) -> str | None: ...

    @property
    def alone(self) -> bool: ...

    @property
    def logical_date(self) -> datetime: ...

    def decide(self, tx: Transaction, draft: Draft) -> None:
        """Put the stage runs of the new execution."""
        ...

    def bring(self, tx: Transaction, live: Live) -> None:
        """Copy the results of what is reused, once the execution's row is there."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an execution is to be started with; `version` None is the published one, a number may be that of a draft."""

    pipeline_id: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    data: Any = None
    version: int | None = None
    idempotency_key: str | None = None
    trigger: str = "manual"
    actor: str | None = None
    priority: int = 0
    parent: Parent | None = None
    use_cache: bool = True
    logical_date: datetime | None = None
    """None: the moment it is accepted, or that of what it takes over from."""
    take_over: TakeOver | None = None

    def digest(self) -> str:
        """Of what is asked for: the same key must not ask for something else later."""
        again = self.take_over
        asked = [
            self.inputs,
            self.data,
            self.version,
            self.priority,
            None if again is None else [again.of, again.stage, again.alone],
        ]
        return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS | OPTIONS)).hexdigest()

    def date(self, accepted_at: datetime) -> datetime:
        """The logical date."""
        return self.take_over.logical_date if self.take_over is not None else self.logical_date or accepted_at


class Checked(NamedTuple):
    """Found right, and given an id; `inputs` are complete."""

    wanted: Wanted
    id: str
    number: int
    version: Version
    inputs: dict[str, Any]
    concurrency_key: str | None
    at: datetime


class Starting:
    """Shared by everything that starts executions: a person, a trigger, another execution."""

    def __init__(self, changes: Changes, admission: Admission, deadlines: Deadlines) -> None:
        self._changes = changes
        self._deadlines = deadlines
        self._admission = admission

    def check(self, wanted: Wanted) -> Checked:
        """Raises NotFound, or InvalidInputs with a problem per input."""
        now = self._changes.clock()
        remembered = self._remembered(wanted, now)
        if remembered is not None:
            with suppress(InvalidInputs, ExpressionError):  # which one that was published since may take
                return self.check_inputs(wanted, *remembered, now, new_id(now))
        number, version = self.version(wanted.pipeline_id, wanted.version)
        return self.check_inputs(wanted, number, version, now, new_id(now))

    def check_inputs(self, wanted: Wanted, number: int, version: Version, now: datetime, id: str) -> Checked:
        inputs = complete(version, wanted.inputs, wanted.date(now))
        visible = {
            "inputs": inputs,
            "vars": {},
            "execution": {"logical_date": wanted.date(now), "data": wanted.data},
            "trigger": trigger_names(wanted.trigger, wanted.actor),
        }
        key = concurrency_key(version.pipeline.concurrency, visible)
        return Checked(wanted, id, number, version, inputs, key, now)

    def _remembered(self, wanted: Wanted, now: datetime) -> tuple[int, Version] | None:
        """The newest version as the last start found it; `insert` looks again, in its transaction."""
        if wanted.version is not None or wanted.take_over is not None:
            return None
        known = self._changes.live.newest(wanted.pipeline_id)
        return None if known is None or known[1].outlook.is_old(now) else known

    def version(self, pipeline_id: str, number: int | None) -> tuple[int, Version]:
        """The version to run, the published one for None.

        Raises NotFound, also for a deleted pipeline, and Conflict for a discarded draft.
        """
        now = self._changes.clock()
        with self._changes.database.read() as connection:
            table = pipelines.c
            query = sa.select(table.version).where(table.id == pipeline_id, table.deleted_at.is_(None))
            newest = connection.scalar(query)
            if newest is None:
                raise NotFound("pipeline", pipeline_id)
            chosen = number or newest
            if chosen != newest and is_discarded(connection, pipeline_id, chosen):
                raise Conflict(
                    f"Version {chosen} of pipeline {pipeline_id!r} was a draft and is discarded: run another one.",
                    "discarded",
                )
            found = self._changes.live.version(connection, pipeline_id, chosen)
            if found.outlook.is_old(now):
                found.outlook.read(connection, pipeline_id, now)
            return chosen, found

    def insert(self, tx: Transaction, tally: Tally, checked: Checked) -> Started:
        """Raises NotFound when the pipeline was deleted meanwhile, Conflict when too many wait for a place already."""
        wanted = checked.wanted
        if wanted.idempotency_key is not None:
            before = progress.started_before(tx, wanted.pipeline_id, wanted.idempotency_key)
            if before is not None:
                id, number, digest = before
                if digest is not None and digest != wanted.digest():
                    raise InvalidRequest(
                        f"The idempotency key {quoted(wanted.idempotency_key)} has started execution #{number}, and "
                        "something else was asked for then: send the same again, or choose a new key.",
                        "idempotency_key_reused",
                    )
                return Started(id, wanted.pipeline_id, number, replayed=True)
        found = progress.next_number(tx, wanted.pipeline_id)
        if found is None:
            raise NotFound("pipeline", wanted.pipeline_id)
        count, enabled, newest = found
        checked = self._of_newest(tx, checked, newest)
        key = self._key(tx, checked)
        place = self._admission.place(tx, wanted.pipeline_id, checked.version, key, enabled, checked.at)
        self._insert(tx, tally, checked, _row(checked, count), place)
        if checked.number != newest and is_draft(tx.sa, wanted.pipeline_id, checked.number):
            progress.mark_trial(tx, checked.id)
        return Started(checked.id, wanted.pipeline_id, count, replayed=False)

    def _of_newest(self, tx: Transaction, checked: Checked, newest: int) -> Checked:
        """The same for the version that is the newest by now, where that is what is wanted. Raises InvalidInputs."""
        wanted = checked.wanted
        if wanted.version is not None or wanted.take_over is not None:
            return checked
        self._changes.live.remember_newest(wanted.pipeline_id, newest)
        if newest == checked.number:
            return checked
        version = self._changes.live.version(tx.sa, wanted.pipeline_id, newest)
        return self.check_inputs(wanted, newest, version, checked.at, checked.id)

    def _key(self, tx: Transaction, checked: Checked) -> str | None:
        """None also where an execution above has the place: it would wait for this one, and this one for it."""
        parent, key = checked.wanted.parent, checked.concurrency_key
        if parent is None or key is None:
            return key
        above = places.has_place_above(tx.sa, parent.execution_id, checked.wanted.pipeline_id, key)
        return None if above else key

    def _insert(self, tx: Transaction, tally: Tally, checked: Checked, new: NewExecution, place: Place) -> None:
        take_over = checked.wanted.take_over
        live = _live(checked, new, place)
        draft = Draft(checked.version.plan, live.state, checked.at)
        if take_over is None:
            planner.start(draft)
        else:
            take_over.decide(tx, draft)
        progress.insert(tx, new, draft)
        tally.executions.append(new.id)
        self._changes.live.keep(live)
        self._changes.settle(tx, tally, live, draft, is_new=True)
        if checked.version.deadlines:
            self._deadlines.set(tx, new.id, checked.version.deadlines, checked.at)
        if take_over is not None:
            take_over.bring(tx, live)
            if place.waiting_since is None:
                following = self._changes.draft(live)
                planner.begin(following)
                self._changes.save(tx, tally, live, following)
        if place.waiting_since is not None:
            self._admission.settle(tx, tally, live, place)


def new_id(now: datetime) -> str:
    return time_ordered_id(int(now.timestamp() * 1000), random.getrandbits(74))


def complete(version: Version, given: Mapping[str, Any], logical_date: datetime) -> dict[str, Any]:
    """With the defaults of what is not given. Raises InvalidInputs."""
    filled, problems = definition.check_inputs(version.pipeline, given)
    if problems:
        raise InvalidInputs(problems)
    visible = {"inputs": filled, "execution": {"logical_date": logical_date}, "vars": {}}
    # Only defaults hold expressions: who starts a pipeline does not write its definition.
    return {name: value if name in given else Template.parse(value).render(visible) for name, value in filled.items()}


def _row(checked: Checked, count: int) -> NewExecution:
    wanted, take_over = checked.wanted, checked.wanted.take_over
    return NewExecution(
        id=checked.id,
        pipeline_id=wanted.pipeline_id,
        version=checked.number,
        number=count,
        trigger=wanted.trigger,
        actor=wanted.actor,
        inputs=checked.inputs,
        data=wanted.data,
        idempotency_key=wanted.idempotency_key,
        idempotency_digest=None if wanted.idempotency_key is None else wanted.digest(),
        rerun_of=None if take_over is None else take_over.of,
        from_stage=None if take_over is None else take_over.stage,
        logical_date=wanted.date(checked.at),
        parent=wanted.parent,
        use_cache=wanted.use_cache,
    )


def _live(checked: Checked, new: NewExecution, place: Place) -> Live:
    wanted, plan = checked.wanted, checked.version.plan
    timeout = plan.timeout if place.waiting_since is None else plan.queue_timeout
    execution = Execution(
        id=new.id,
        pipeline_id=new.pipeline_id,
        version=new.version,
        number=new.number,
        status=ExecutionStatus.QUEUED,
        created_at=checked.at,
        priority=wanted.priority,
        timeout_at=checked.at + timeout if timeout else None,
        concurrency_key=place.key,
        waiting_since=place.waiting_since,
        reason=place.reason,
        alone=wanted.take_over is not None and wanted.take_over.alone,
    )
    return Live(
        ExecutionState(execution),
        checked.version,
        new.inputs,
        new.data,
        new.trigger,
        new.actor,
        new.logical_date,
        parent=new.parent,
        use_cache=new.use_cache,
    )
