"""Many executions at once: started in one transaction, retried or cancelled by a filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

import structlog

from flexiroaster.engine.errors import Conflict, InvalidInputs, InvalidRequest, NotFound, Problem
from flexiroaster.engine.quoting import quoted
from flexiroaster.engine.state import EXECUTION_FINAL, RETRYABLE_EXECUTIONS, ExecutionStatus
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.executions import Executions
from flexiroaster.services.live import Version
from flexiroaster.services.paging import decode, decode_moment, encode
from flexiroaster.services.starting import Checked, Started, Starting, Wanted, new_id
from flexiroaster.store import executions as store
from flexiroaster.store.database import Transaction
from flexiroaster.store.executions import ExecutionFilter, PickedRow

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 1_000
"""Executions in one call: bounds how long it takes, and how long a start holds up other writers."""

OPEN = frozenset(ExecutionStatus) - EXECUTION_FINAL


@dataclass(frozen=True, slots=True)
class Item:
    """One execution to be started."""

    inputs: dict[str, Any] = field(default_factory=dict)
    data: Any = None
    idempotency_key: str | None = None
    priority: int = 0


class Treated(NamedTuple):
    """`code` is that of the error, None where it was done; `message` says what was done, or why not."""

    row: PickedRow
    message: str
    code: str | None = None


class Result(NamedTuple):
    """`matched` executions fit the filter from here on, `left` of them are not treated yet: go on at `next_cursor`."""

    matched: int
    treated: list[Treated]
    left: int
    next_cursor: str | None


class Bulk:
    def __init__(self, changes: Changes, executions: Executions, starting: Starting) -> None:
        self._changes = changes
        self._executions = executions
        self._starting = starting

    def start(
        self, pipeline_id: str, items: Sequence[Item], *, version: int | None = None, actor: str | None = None
    ) -> list[Started]:
        """All of them or none, in one transaction, numbered in this order.

        Raises NotFound, and InvalidInputs with the problems of every item, as `executions[3].inputs.day`.
        """
        if len(items) > MOST_AT_ONCE:
            raise InvalidRequest(f"{len(items):,} executions are given: start at most {MOST_AT_ONCE:,} at once.")
        wanted = [
            Wanted(
                pipeline_id,
                item.inputs,
                item.data,
                version,
                item.idempotency_key,
                actor=actor,
                priority=item.priority,
            )
            for item in items
        ]
        _refuse_one_key_for_two(wanted)
        checked = self._checked(wanted, *self._starting.version(pipeline_id, version))
        tally = Tally()

        def operation(tx: Transaction) -> list[Started]:
            return [self._starting.insert(tx, tally, one) for one in checked]

        started = self._changes.write(operation, tally, durable=True)
        log.info("executions.started", pipeline=pipeline_id, count=len(started), actor=actor)
        return started

    def _checked(self, every: Sequence[Wanted], number: int, version: Version) -> list[Checked]:
        now = self._changes.clock()
        ids = sorted(new_id(now) for _ in every)  # executions of one moment are listed by their ids
        found: list[Checked] = []
        problems: list[Problem] = []
        for place, (wanted, id) in enumerate(zip(every, ids, strict=True)):
            try:
                found.append(self._starting.check_inputs(wanted, number, version, now, id))
            except InvalidInputs as wrong:
                problems += [replace(problem, path=f"executions[{place}].{problem.path}") for problem in wrong.problems]
        if problems:
            raise InvalidInputs(problems)
        return found

    def count(self, wanted: ExecutionFilter, action: str) -> int:
        """How many `retry` or `cancel` would treat."""
        with self._changes.database.read() as connection:
            return store.count(connection, _narrowed(wanted, action))

    def retry(
        self,
        wanted: ExecutionFilter,
        *,
        actor: str | None = None,
        limit: int = MOST_AT_ONCE,
        cursor: str | None = None,
        use_cache: bool | None = None,
    ) -> Result:
        """The oldest first. Each is retried on its own: one that cannot be does not keep the others from it."""

        def retry(id: str) -> str:
            retried = self._executions.retry(id, actor, use_cache=use_cache)
            return f"{len(retried.reused)} reused, {len(retried.to_run)} run again"

        return self._each(wanted, "retry", retry, limit, cursor)

    def cancel(
        self, wanted: ExecutionFilter, *, actor: str | None = None, limit: int = MOST_AT_ONCE, cursor: str | None = None
    ) -> Result:
        """As `retry`."""

        def cancel(id: str) -> str:
            self._executions.cancel(id, actor)
            return "told to stop"

        return self._each(wanted, "cancel", cancel, limit, cursor)

    def _each(
        self, wanted: ExecutionFilter, action: str, act: Callable[[str], str], limit: int, cursor: str | None
    ) -> Result:
        narrowed = _narrowed(wanted, action)
        after = _position(cursor) if cursor else None
        with self._changes.database.read() as connection:
            matched = store.count(connection, narrowed, after=after)
            picked = store.pick(connection, narrowed, after=after, limit=min(limit, MOST_AT_ONCE))
        treated = [_treated(row, act) for row in picked]
        left = matched - len(picked)
        done = sum(one.code is None for one in treated)
        log.info("executions.treated", action=action, matched=matched, done=done, left=left)
        last = picked[-1] if picked and left > 0 else None
        next_cursor = None if last is None else encode([last.created_at.isoformat(), last.id])
        return Result(matched, treated, max(0, left), next_cursor)


def _refuse_one_key_for_two(every: Sequence[Wanted]) -> None:
    """The same key twice starts one execution, so both must ask for the same."""
    first: dict[str, int] = {}
    for place, wanted in enumerate(every):
        if wanted.idempotency_key is None:
            continue
        before = first.setdefault(wanted.idempotency_key, place)
        if before != place and every[before].digest() != wanted.digest():
            raise InvalidRequest(
                f"`executions[{place}]` has the idempotency key of `executions[{before}]` "
                f"({quoted(wanted.idempotency_key)}) and asks for something else: choose another key.",
                "idempotency_key_reused",
            )


def _narrowed(wanted: ExecutionFilter, action: str) -> ExecutionFilter:
    """To the states in which it makes sense; raises InvalidRequest where others alone are asked for."""
    possible = RETRYABLE_EXECUTIONS if action == "retry" else OPEN
    statuses = [status for status in possible if not wanted.statuses or status in wanted.statuses]
    if not statuses:
        names = ", ".join(sorted(possible))
        raise InvalidRequest(
            f"None of these states is one to {action}: {', '.join(wanted.statuses)}. Choose among {names}."
        )
    return replace(wanted, statuses=statuses)


def _treated(row: PickedRow, act: Callable[[str], str]) -> Treated:
    try:
        return Treated(row, act(row.id))
    except (Conflict, NotFound) as refused:
        return Treated(row, str(refused), refused.code)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Its record is damaged or of another release: the others are treated all the same.
        log.warning("execution.unreadable", execution=row.id, error=str(error))
        return Treated(row, f"Execution {row.id} cannot be read by this release.", "unreadable")


def _position(cursor: str) -> tuple[datetime, str]:
    moment, id = decode(cursor, [str, str])
    return decode_moment(moment, cursor), str(id)
