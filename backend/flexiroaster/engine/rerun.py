"""What a new execution can take over from an earlier one of its pipeline, and what it has to run itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flexiroaster.engine.errors import Conflict, InvalidRequest
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.state import STAGE_FINAL, Phase, StageStatus

S = StageStatus

NOT_ASKED = "not asked for"
"""Why a stage is skipped that a re-run of one stage alone leaves out."""
LONGEST_INPUTS = 10_000
"""In characters of JSON, for a plan: a request's line has an end, and what is larger is checked when it is run."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A stage of the earlier execution: how it ended, who ran it, and what of its work is no longer there."""

    status: StageStatus
    executed_by: str
    rows: int | None = None
    bytes: int | None = None
    reason: str | None = None
    state: dict[str, Any] | None = None
    gone: str | None = None


@dataclass(frozen=True, slots=True)
class Rerun:
    """`stage` is where it begins, None for everything; `alone`: nothing but this stage runs.

    `reused`, `again` and `not_asked` are the positions of all main stages. `whys` says, by stage id, why a stage that
    need not have run again does. A reused stage ended as a success, or was skipped.
    """

    of: str
    stage: str | None
    alone: bool = False
    reused: Mapping[int, Earlier] = field(default_factory=dict)
    again: frozenset[int] = frozenset()
    not_asked: frozenset[int] = frozenset()
    whys: Mapping[str, str] = field(default_factory=dict)


def plan_rerun(plan: Plan, earlier: Mapping[str, Earlier], of: str, stage: str | None, *, alone: bool = False) -> Rerun:
    """`earlier` is by stage id. Raises InvalidRequest for a stage to begin with that the plan does not have, and
    Conflict where one alone cannot run because something it needs is not there.
    """
    everything = frozenset(range(plan.main))
    if stage is None:
        return Rerun(of, None, again=everything)
    first = _position(plan, stage)
    kept = sorted(everything - plan.downstream({first}), key=lambda position: plan.stages[position].rank)
    whys = {position: why for position in kept if (why := _why_not(earlier.get(plan.stages[position].id))) is not None}
    if alone:
        _refuse_without_needs(plan, first, whys)
        again = frozenset({first})
    else:
        _spread(plan, kept, whys)
        again = frozenset(plan.downstream({first}) | whys.keys())
    reused = {position: earlier[plan.stages[position].id] for position in kept if position not in whys}
    return Rerun(
        of,
        stage,
        alone,
        reused,
        again,
        everything - again - reused.keys(),
        {} if alone else {plan.stages[position].id: why for position, why in whys.items()},
    )


def _position(plan: Plan, stage: str) -> int:
    position = plan.positions.get(stage)
    if position is None:
        names = ", ".join(other.id for other in plan.stages[: plan.main][:20])
        raise InvalidRequest(f"There is no stage {stage!r} in this version: its stages are {names}.", "unknown_stage")
    if plan.stages[position].phase is not Phase.MAIN:
        raise InvalidRequest(
            f"Stage {stage!r} runs when an execution ends: name one of the pipeline's own stages.", "unknown_stage"
        )
    return position


def _why_not(earlier: Earlier | None) -> str | None:
    """Why a stage's work cannot be taken over, None when it can."""
    if earlier is None:
        return "the earlier execution did not have it"
    if earlier.status is S.SUCCESS:
        return None if earlier.gone is None else f"its {earlier.gone} is gone"
    if earlier.status is S.SKIPPED:
        return "nobody asked for it then" if earlier.reason == NOT_ASKED else None
    if earlier.status in STAGE_FINAL:
        return f"it {_ENDED_WORDS[earlier.status]} then"
    return "it has not ended yet"


_ENDED_WORDS = {S.FAILED: "failed", S.TIMED_OUT: "timed out", S.CANCELLED: "was cancelled"}


def _spread(plan: Plan, kept: list[int], whys: dict[int, str]) -> None:
    """What needs something that runs again runs again too; `kept` is in the order of ranks."""
    for position in kept:
        if position not in whys:
            cause = next((need for need in plan.stages[position].needs if need in whys), None)
            if cause is not None:
                whys[position] = f"it needs {plan.stages[cause].id}, which runs again"


def _refuse_without_needs(plan: Plan, first: int, whys: Mapping[int, str]) -> None:
    needed = _ancestors(plan, first)
    missing = min(needed & whys.keys(), key=lambda position: plan.stages[position].rank, default=None)
    if missing is not None:
        stage, need = plan.stages[first].id, plan.stages[missing].id
        raise Conflict(
            f"Stage {stage} cannot run alone: it needs {need}, and {whys[missing]}. Run again from {need} instead.",
            "cannot_reuse",
        )


def _ancestors(plan: Plan, position: int) -> set[int]:
    found: set[int] = set()
    open_ = list(plan.stages[position].needs)
    while open_:
        need = open_.pop()
        if need not in found:
            found.add(need)
            open_.extend(plan.stages[need].needs)
    return found
