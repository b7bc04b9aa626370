"""The items of a foreach stage, each a stage run of its own with an index from 1.

The stage's own run (index 0) is claimed twice. First it expands: its items become rows, and it goes on as `running`
with nobody holding it. When the last item has ended it is ready once more, to gather their results. Only the items
that are handed out are in memory; the store has the others, all of them `queued`, and the group counts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from flexiroaster.engine.draft import Draft, Sweep
from flexiroaster.engine.events import EventType
from flexiroaster.engine.foreach import ItemGroup, ItemRules
from flexiroaster.engine.outcome import Expanded
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import StageStatus

S = StageStatus

ITEMS_RUN: dict[str, Any] = {"foreach": "running"}
GATHER: dict[str, Any] = {"foreach": "gather"}
REOPEN: dict[str, Any] = {"foreach": "reopen"}
"""What a foreach stage's own run remembers. Without any of it, its items are still to be put."""

_HELD = frozenset({S.RUNNING, S.CANCELLING})
_ASLEEP = frozenset({S.RETRYING, S.WAITING})
_ENDED_BADLY = {S.FAILED: "failed", S.TIMED_OUT: "failed", S.CANCELLED: "was cancelled"}


class ToCancel(NamedTuple):
    """A stage run that ends with the item that has ended."""

    run: StageRun
    reason: str | None


def runs_items(run: StageRun) -> bool:
    """Whether it is the run of a foreach stage whose items are under way: nobody holds it, so nobody can lose it."""
    return run.lease_owner is None and run.status in _HELD and run.state == ITEMS_RUN


def expand(draft: Draft, run: StageRun, outcome: Expanded) -> None:
    """The items are rows."""
    group = ItemGroup(outcome.total, success=outcome.success, skipped=outcome.skipped)
    draft.groups[run.key.position] = group
    draft.change(run, state=ITEMS_RUN, lease_owner=None, lease_until=None)
    draft.emit(EventType.STAGE_EXPANDED, run.key, items=group.total, to_run=group.left)
    if group.left == 0:
        _gather(draft, run.key)


def room(draft: Draft, position: int) -> int:
    """How many more items may be handed out now."""
    group, rules = draft.group(position), _rules(draft, position)
    if group.in_store == 0 or group.out > rules.refill_at or not runs_items(draft.run(Key(position))):
        return 0
    return min(group.in_store, rules.at_once - group.out)


def hand_out(draft: Draft, position: int, runs: Sequence[StageRun]) -> None:
    """The next items, as the store has them. From now on their queue timeout counts."""
    group = draft.changed_group(position)
    timeout = draft.plan.stages[position].queue_timeout
    for run in runs:
        group.after = run.key.index
        if run.key not in draft.state.runs:  # it came out of turn: it was running when this process began
            draft.state.runs[run.key] = run
            draft.ready.append(run.key)
            group.out += 1
            if timeout is not None:
                draft.change(run, due_at=run.due_at or draft.now + timeout)


def bring(draft: Draft, run: StageRun) -> None:
    """An item out of its turn, as the store has it: something is to be done with it."""
    draft.changed_group(run.key.position).out += 1
    draft.state.runs[run.key] = run


def item_ended(draft: Draft, key: Key, status: StageStatus, *, alone: bool) -> list[ToCancel]:
    """Count it; answers what ends with it. Call it once the item has its final state.

    `alone`: it does not end because of another one.
    """
    group = draft.changed_group(key.position)
    group.out -= 1
    match status:
        case S.SUCCESS:
            group.success += 1
        case S.SKIPPED:
            group.skipped += 1
        case S.CANCELLED:
            group.cancelled += 1
        case _:
            group.failed += 1
    also: list[ToCancel] = []
    own = draft.run(Key(key.position))
    if alone and own.status is S.RUNNING and status in _ENDED_BADLY and is_lost_cause(draft, key):
        also += _cancel_rest(draft, key.position, f"not run because item {key.index:,} {_ENDED_BADLY[status]}")
    if group.left == 0:
        if own.status is S.CANCELLING:
            also.append(ToCancel(own, own.reason))
        elif runs_items(own):
            _gather(draft, own.key)
    return also


def is_lost_cause(draft: Draft, key: Key) -> bool:
    """Whether the stage cannot succeed any more, whatever its other items do, and so starts none of them."""
    rules = _rules(draft, key.position)
    return rules.stops and not draft.group(key.position).can_suffice(rules)


def stop(draft: Draft, position: int, reason: str) -> list[ToCancel]:
    """The execution is stopped: what runs is told so, the rest does not start. Answers what ends at once."""
    for run in _in_memory(draft, position):
        if run.status is S.RUNNING:
            draft.change(run, status=S.CANCELLING, reason=reason)
            draft.to_stop.append(run.key)
    also = _cancel_rest(draft, position, reason)
    own = draft.run(Key(position))
    if draft.group(position).left == 0:
        return [*also, ToCancel(own, reason)]
    draft.change(own, status=S.CANCELLING, reason=reason)
    return also


def under_way(draft: Draft) -> list[int]:
    """Positions of the foreach stages whose items are under way."""
    return [position for position in {**draft.state.groups, **draft.groups} if runs_items(draft.run(Key(position)))]


def _cancel_rest(draft: Draft, position: int, reason: str) -> list[ToCancel]:
    """Of the items that nobody holds: those begun are answered, the others end here, told by one event for all."""
    asleep: list[ToCancel] = []
    group = draft.changed_group(position)
    unbegun = group.in_store
    for run in _in_memory(draft, position):
        if run.status in _ASLEEP:
            asleep.append(ToCancel(run, reason))
        elif run.status is S.QUEUED:
            draft.change(run, status=S.CANCELLED, reason=reason, ended_at=draft.now, state=None, waits_for=None)
            group.out -= 1
            unbegun += 1
    if unbegun:
        group.cancelled += unbegun
        draft.sweeps.append(Sweep(position, reason))
        draft.emit(EventType.STAGE_ITEMS_CANCELLED, Key(position), count=unbegun, reason=reason)
    return asleep


def _gather(draft: Draft, key: Key) -> None:
    draft.change(draft.run(key), status=S.QUEUED, state=GATHER)
    draft.ready.append(key)


def _in_memory(draft: Draft, position: int) -> Iterator[StageRun]:
    for key in list(draft.state.runs):
        if key.position == position and key.index:
            yield draft.run(key)


def _rules(draft: Draft, position: int) -> ItemRules:
    rules = draft.plan.stages[position].items
    assert rules is not None
    return rules
