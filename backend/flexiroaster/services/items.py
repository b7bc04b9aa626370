"""The items of foreach stages: put as rows, handed out as there is room, and their results read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from flexiroaster.engine import planner
from flexiroaster.engine.foreach import FirstFailure, ItemGroup, ItemRules, label
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.stage_runs import Claimed
from flexiroaster.store import items as rows
from flexiroaster.store.database import Transaction
from flexiroaster.store.progress import StaleState

REOPENED_AT_ONCE = 5_000
READ_AT_ONCE = 500


class NotHeld(Exception):
    """Another worker has the stage run now: what this one still says does not count."""


class Items:
    """Of foreach stages in the hands of a worker. Each call that writes is a short transaction of its own."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def put(self, claimed: Claimed, batches: Iterator[Sequence[str]], keep_going: Callable[[], bool]) -> int:
        """Make the items rows; answers how many. What an attempt before this one left is put anew."""
        place = claimed.execution_id, claimed.key.position
        with self._changes.database.read() as connection:
            before = rows.largest_index(connection, *place)
        if before:
            self._write(claimed, lambda tx: rows.forget_results(tx, *place, before))
        count = 0
        for batch in batches:
            if not keep_going():
                return count
            new = self._new(claimed, count + 1, batch)
            self._write(claimed, partial(rows.put, new=new))
            count += len(batch)
        self._write(claimed, lambda tx: rows.complete(tx, *place, count, anew=before > 0))
        return count

    def reopen(self, claimed: Claimed) -> bool:
        """Queue those again that did not succeed; False when the items were never all put."""
        place = claimed.execution_id, claimed.key.position
        with self._changes.database.read() as connection:
            count = rows.complete_count(connection, *place)
        if count is None:
            return False
        reason = _reason(_rules(claimed))
        for first in range(1, count + 1, REOPENED_AT_ONCE):
            indexes = range(first, min(first + REOPENED_AT_ONCE, count + 1))
            again = partial(rows.reopen, execution_id=place[0], position=place[1], indexes=indexes, reason=reason)
            self._write(claimed, partial(again, at=self._changes.clock()))
        return True

    def group(self, claimed: Claimed) -> ItemGroup:
        """How the items stand."""
        with self._changes.database.read() as connection:
            return rows.group_of(rows.counts(connection, claimed.execution_id).get(claimed.key.position, {}))

    def first_failure(self, claimed: Claimed) -> FirstFailure | None:
        with self._changes.database.read() as connection:
            found = rows.first_failed(connection, claimed.execution_id, claimed.key.position)
        if found is None:
            return None
        return FirstFailure(found.index, label(found.value), str((found.error or {}).get("message", "")))

    def sums(self, claimed: Claimed) -> tuple[int | None, int | None]:
        """Rows and bytes of all items together."""
        with self._changes.database.read() as connection:
            return rows.sums(connection, claimed.execution_id, claimed.key.position)

    def results(self, claimed: Claimed) -> Iterator[rows.ItemResult]:
        """In the order of the items, read in pages; items without a result are left out."""
        after = 0
        while True:
            with self._changes.database.read() as connection:
                page = rows.result_page(
                    connection, claimed.execution_id, claimed.key.position, after=after, limit=READ_AT_ONCE
                )
            yield from page
            if len(page) < READ_AT_ONCE:
                return
            after = page[-1].index

    def _new(self, claimed: Claimed, first: int, values: Sequence[str]) -> rows.NewItems:
        stage = claimed.live.version.plan.stages[claimed.key.position]
        return rows.NewItems(
            execution_id=claimed.execution_id,
            position=claimed.key.position,
            stage=stage.id,
            type=stage.type,
            first=first,
            values=values,
            reason=_reason(_rules(claimed)),
            pool=stage.pool,
            at=self._changes.clock(),
        )

    def _write(self, claimed: Claimed, write: Callable[[Transaction], None]) -> None:
        """Raises NotHeld."""
        tally = Tally()
        owner = claimed.run.lease_owner or ""

        def operation(tx: Transaction) -> None:
            draft = self._changes.draft(self._changes.touch(tx, tally, claimed.execution_id))
            if not planner.is_current(draft, claimed.key, claimed.run.attempt, owner):
                raise NotHeld
            if not rows.is_held(tx, claimed.execution_id, claimed.key, claimed.run.attempt, owner):
                raise StaleState(claimed.execution_id)  # memory does not know yet who took it away
            write(tx)

        self._changes.write(operation, tally)


def _rules(claimed: Claimed) -> ItemRules:
    rules = claimed.live.version.plan.stages[claimed.key.position].items
    assert rules is not None
    return rules


def _reason(rules: ItemRules) -> str | None:
    """Why an item waits, until it is handed out."""
    return None if rules.refill_at < rules.at_once - 1 else f"waits for its turn: {rules.at_once:,} at a time"
