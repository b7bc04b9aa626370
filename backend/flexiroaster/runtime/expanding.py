"""What a foreach stage's own run does: it puts the items, and gathers their results when all of them have ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from flexiroaster.data.table import is_table
from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.foreach import ITEM_BYTES, MOST_ITEMS, ItemGroup, ItemRules, items, shortfall
from flexiroaster.engine.outcome import Cancelled, Expanded, Outcome, Succeeded
from flexiroaster.engine.parts import parts
from flexiroaster.engine.planner.foreach import GATHER, REOPEN
from flexiroaster.engine.quoting import on_one_line
from flexiroaster.runtime.attempt import Attempt, World
from flexiroaster.runtime.gathering import gather
from flexiroaster.services.items import Items
from flexiroaster.services.scope import scope
from flexiroaster.services.stage_runs import Produced

PUT_AT_ONCE = 1_000
PUT_BYTES = 1_000_000
"""What one transaction puts at most: others wait for it."""


class Expander:
    """`run` is called from many threads at once."""

    def __init__(self, store: Items, world: World) -> None:
        self._store = store
        self._world = world

    def run(self, attempt: Attempt) -> tuple[Outcome, Produced]:
        """Raises StageFailed, ExpressionError, and NotHeld when the run is another worker's by now."""
        claimed = attempt.claimed
        if claimed.run.state == GATHER:
            return self._gather(attempt, self._store.group(claimed))
        if claimed.run.state != REOPEN or not self._store.reopen(claimed):
            self._put(attempt)
        if attempt.cancelled.is_set():
            return Cancelled(), Produced()
        group = self._store.group(claimed)
        if group.left == 0:
            return self._gather(attempt, group)
        again = f" of {group.total:,} run again" if group.left < group.total else " to run"
        attempt.log("info", f"{items(group.left)}{again}")
        return Expanded(group.total, group.success, group.skipped), Produced()

    def _put(self, attempt: Attempt) -> None:
        iteration = attempt.claimed.live.version.iterations[attempt.claimed.key.position]
        found = iteration.items.render(scope(attempt.claimed.live, self._world.read_spilled))
        values = _batches(_listed(found, iteration.items.value), iteration.batch)
        _check_enough(_rules(attempt), len(values))
        for index, text in enumerate(_texts(values), start=1):
            if len(text) > ITEM_BYTES:
                raise _too_large("batch" if iteration.batch else "item", index, len(text))
        self._store.put(attempt.claimed, _for_transactions(values), lambda: not attempt.cancelled.is_set())

    def _gather(self, attempt: Attempt, group: ItemGroup) -> tuple[Outcome, Produced]:
        claimed = attempt.claimed
        first = self._store.first_failure(claimed) if group.failed else None
        cause = shortfall(_rules(attempt), group, first)
        if cause is not None:
            raise StageFailed(
                cause,
                code="items_failed",
                suggestion="Retry the execution: only the items that did not succeed run again." if first else None,
                details={**group.counts(), **({"first_failed": first.index} if first else {})},
            )
        produced = gather(attempt, group, self._store.results(claimed), self._world)
        rows, size = self._store.sums(claimed)
        return Succeeded(produced.result, rows=rows, bytes=size), produced


def _rules(attempt: Attempt) -> ItemRules:
    rules = attempt.claimed.live.version.plan.stages[attempt.claimed.key.position].items
    assert rules is not None
    return rules


def _listed(found: Any, source: Any) -> Sequence[Any]:
    """A list as it is, of an object its keys."""
    what = f"`foreach.items` ({on_one_line(source)})" if isinstance(source, str) else "`foreach.items`"
    if isinstance(found, dict) and not is_table(found):
        found = list(found)
    if not isinstance(found, list):
        kind = "a table" if is_table(found) else _KINDS.get(type(found), "no list")
        raise StageFailed(
            f"{what} is {kind}: it must be a list, or an object, whose keys are the items.",
            code="items_not_a_list",
            suggestion="Let a stage before it answer the list of what to work on." if is_table(found) else None,
        )
    if len(found) > MOST_ITEMS:
        raise StageFailed(
            f"{what} has {len(found):,} items; at most {MOST_ITEMS:,} run in one execution.",
            code="too_many_items",
            suggestion="Hand on files or ranges instead of single things, or split the work over several executions.",
        )
    return found


_KINDS = {str: "a text", bool: "true or false", int: "a number", float: "a number", type(None): "null"}


def _batches(found: Sequence[Any], size: int | None) -> Sequence[Any]:
    return found if size is None else list(parts(found, size))


def _check_enough(rules: ItemRules, count: int) -> None:
    if rules.needed(count) > count:
        raise StageFailed(
            f"min_success is {rules.wish}, but there {'is' if count == 1 else 'are'} only {items(count)}.",
            code="too_few_items",
        )


def _too_large(what: str, index: int, size: int) -> StageFailed:
    cure = "A smaller `batch` helps too." if what == "batch" else ""
    return StageFailed(
        f"The {what} {index:,} of `foreach.items` has {size:,} bytes as JSON; at most {ITEM_BYTES:,} are kept.",
        code="item_too_large",
        suggestion=f"Let the items name what they are about (an id, a path) instead of holding it. {cure}".strip(),
    )


def _texts(values: Sequence[Any]) -> Iterator[bytes]:
    return (orjson.dumps(value) for value in values)


def _for_transactions(values: Sequence[Any]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in _texts(values):
        if batch and (len(batch) == PUT_AT_ONCE or size + len(text) > PUT_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text.decode())
        size += len(text)
    if batch:
        yield batch
