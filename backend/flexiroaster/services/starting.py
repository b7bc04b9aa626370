"""Accepting executions: what is asked for is checked, then written together with the first decision."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

from flexiroaster.engine import planner
from flexiroaster.engine.definition import check_inputs
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import InvalidInputs, NotFound
from flexiroaster.engine.expressions import Template
from flexiroaster.engine.ids import time_ordered_id
from flexiroaster.engine.runs import Execution, ExecutionState
from flexiroaster.engine.state import ExecutionStatus
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.live import Live, Version
from flexiroaster.store import progress
from flexiroaster.store.database import Transaction
from flexiroaster.store.progress import NewExecution, Parent
from flexiroaster.store.tables import pipelines


@dataclass(frozen=True, slots=True)
class Started:
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
    """What an execution is to be started with; `version` None is the newest."""

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
    take_over: TakeOver | None = None


class Checked(NamedTuple):
    """Found right, and given an id; `inputs` are complete."""

    wanted: Wanted
    id: str
    number: int
    version: Version
    inputs: dict[str, Any]
    at: datetime


class Starting:
    """Shared by everything that starts executions: a person, a trigger, another execution."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def check(self, wanted: Wanted) -> Checked:
        """Raises NotFound, or InvalidInputs with a problem per input."""
        now = self._changes.clock()
        number, version = self.version(wanted.pipeline_id, wanted.version)
        return self.check_inputs(wanted, number, version, now, new_id(now))

    def check_inputs(self, wanted: Wanted, number: int, version: Version, now: datetime, id: str) -> Checked:
        logical_date = now if wanted.take_over is None else wanted.take_over.logical_date
        return Checked(wanted, id, number, version, complete(version, wanted.inputs, logical_date), now)

    def version(self, pipeline_id: str, number: int | None) -> tuple[int, Version]:
        """The version to run, the newest for None. Raises NotFound, also for a deleted pipeline."""
        now = self._changes.clock()
        with self._changes.database.read() as connection:
            table = pipelines.c
            query = sa.select(table.version).where(table.id == pipeline_id, table.deleted_at.is_(None))
            newest = connection.scalar(query)
            if newest is None:
                raise NotFound("pipeline", pipeline_id)
            chosen = number or newest
            found = self._changes.live.version(connection, pipeline_id, chosen)
            if found.outlook.is_old(now):
                found.outlook.read(connection, pipeline_id, now)
            return chosen, found

    def insert(self, tx: Transaction, tally: Tally, checked: Checked) -> Started:
        """Raises NotFound when the pipeline was deleted meanwhile."""
        wanted = checked.wanted
        if wanted.idempotency_key is not None:
            before = progress.started_before(tx, wanted.pipeline_id, wanted.idempotency_key)
            if before is not None:
                return Started(before[0], wanted.pipeline_id, before[1], replayed=True)
        found = progress.next_number(tx, wanted.pipeline_id)
        if found is None:
            raise NotFound("pipeline", wanted.pipeline_id)
        count, _enabled = found
        self._insert(tx, tally, checked, _row(checked, count))
        return Started(checked.id, wanted.pipeline_id, count, replayed=False)

    def _insert(self, tx: Transaction, tally: Tally, checked: Checked, new: NewExecution) -> None:
        take_over = checked.wanted.take_over
        live = _live(checked, new)
        draft = Draft(checked.version.plan, live.state, checked.at)
        if take_over is None:
            planner.start(draft)
        else:
            take_over.decide(tx, draft)
        progress.insert(tx, new, draft)
        tally.executions.append(new.id)
        self._changes.live.keep(live)
        self._changes.settle(tx, live, draft, is_new=True)
        if take_over is not None:
            take_over.bring(tx, live)
            following = self._changes.draft(live)
            planner.begin(following)
            self._changes.save(tx, live, following)


def new_id(now: datetime) -> str:
    return time_ordered_id(int(now.timestamp() * 1000), random.getrandbits(74))


def complete(version: Version, given: Mapping[str, Any], logical_date: datetime) -> dict[str, Any]:
    """With the defaults of what is not given. Raises InvalidInputs."""
    filled, problems = check_inputs(version.pipeline, given)
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
        rerun_of=None if take_over is None else take_over.of,
        from_stage=None if take_over is None else take_over.stage,
        logical_date=checked.at if take_over is None else take_over.logical_date,
        parent=wanted.parent,
        use_cache=wanted.use_cache,
    )


def _live(checked: Checked, new: NewExecution) -> Live:
    wanted, timeout = checked.wanted, checked.version.plan.timeout
    execution = Execution(
        id=new.id,
        pipeline_id=new.pipeline_id,
        version=new.version,
        number=new.number,
        status=ExecutionStatus.QUEUED,
        created_at=checked.at,
        priority=wanted.priority,
        timeout_at=checked.at + timeout if timeout else None,
        alone=wanted.take_over is not None and wanted.take_over.alone,
    )
    return Live(
        ExecutionState(execution), checked.version, new.inputs, new.data, new.trigger, new.actor, new.logical_date
    )
