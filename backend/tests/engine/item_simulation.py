"""An execution with foreach stages driven by hand: the simulation keeps the items that are not in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.foreach import ItemGroup
from flexiroaster.engine.outcome import Expanded, Outcome, Succeeded
from flexiroaster.engine.planner import foreach
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import StageStatus
from tests.engine.simulation import Simulation

S = StageStatus
AGAIN = {S.FAILED, S.TIMED_OUT, S.CANCELLED}


@dataclass
class ItemSimulation(Simulation):
    """`rows` are the items as the store has them."""

    rows: dict[Key, StageRun] = field(default_factory=dict)

    @classmethod
    def of(cls, stages: Mapping[str, Any], **rest: Any) -> ItemSimulation:
        made = super().of(stages, **rest)
        assert isinstance(made, cls)
        return made

    def expand(self, stage: str, count: int) -> None:
        """Claim a foreach stage and put its items; those of an earlier round that are kept are not put again."""
        own = self.claim(stage)
        assert own is not None
        position = own.key.position
        if own.state == foreach.REOPEN and self.items(stage):
            for key, run in self._of(position).items():
                if run.status in AGAIN:
                    self.rows[key] = StageRun(key, S.QUEUED, attempt=run.attempt, spent=run.attempt)
        else:
            attempts = {key: run.attempt for key, run in self._of(position).items()}
            for key in attempts:
                del self.rows[key]
            for index in range(1, count + 1):
                spent = attempts.get(Key(position, index), 0)
                self.rows[Key(position, index)] = StageRun(
                    Key(position, index), S.QUEUED, attempt=spent, spent=spent, ready_at=self.now
                )
        found = [run.status for run in self._of(position).values()]
        self.record(stage, Expanded(len(found), found.count(S.SUCCESS), found.count(S.SKIPPED)))

    def item(self, stage: str, index: int, outcome: Outcome | None = None) -> None:
        key = Key(self.plan.positions[stage], index)
        assert self.claim(key) is not None, f"{key} is not ready: {self.state.runs.get(key)}"
        self.record(key, outcome or Succeeded())

    def cancel_item(self, key: Key) -> None:
        """One that is not in memory."""
        self._apply(planner.cancel_item, replace(self.rows[key]), "cancelled by bob")

    def items(self, stage: str) -> str:
        """The states of its items in order, a letter each."""
        return "".join(LETTERS[run.status] for _, run in sorted(self._of(self.plan.positions[stage]).items()))

    def in_memory(self) -> int:
        return sum(key.index > 0 for key in self.state.runs)

    def held(self) -> list[Key]:
        return [key for key in super().held() if self.state.runs[key].lease_owner is not None]

    def die(self) -> None:
        """The process ends and another one takes the execution up from the store."""
        state = self.state
        state.runs = {key: run for key, run in state.runs.items() if not key.index}
        for position in list(state.groups):
            del state.groups[position]
            if foreach.runs_items(state.runs[Key(position)]):
                state.groups[position] = self._group(position)
        self.ready.clear()
        for key in [key for key, run in state.runs.items() if run.status in (S.RUNNING, S.CANCELLING, S.QUEUED)]:
            if state.runs[key].status is S.QUEUED:
                self.ready.append(key)
            else:
                self._apply(planner.lose, key)

    def _group(self, position: int) -> ItemGroup:
        runs = self._of(position)
        found = [run.status for run in runs.values()]
        begun = {key: run for key, run in runs.items() if not run.final and run.status is not S.QUEUED}
        self.state.runs.update(begun)
        return ItemGroup(
            len(found),
            success=found.count(S.SUCCESS),
            failed=found.count(S.FAILED) + found.count(S.TIMED_OUT),
            skipped=found.count(S.SKIPPED),
            cancelled=found.count(S.CANCELLED),
            out=len(begun),
        )

    def _of(self, position: int) -> dict[Key, StageRun]:
        return {key: run for key, run in self.rows.items() if key.position == position}

    def _store(self, draft: Draft) -> None:
        for position in foreach.under_way(draft):
            after, count = draft.group(position).after, foreach.room(draft, position)
            queued = [
                key for key, run in sorted(self._of(position).items()) if key.index > after and run.status is S.QUEUED
            ]
            foreach.hand_out(draft, position, [replace(self.rows[key]) for key in queued[:count]])
        for key, run in draft.runs.items():
            if key.index:
                before = self.rows[key]
                known = draft.state.runs[key]
                assert (before.status, before.attempt) == (known.status, known.attempt)
                self.rows[key] = run.copy()
        for sweep in draft.sweeps:
            for key, run in self._of(sweep.position).items():
                if run.status is S.QUEUED:
                    self.rows[key] = replace(run, status=S.CANCELLED, reason=sweep.reason, ended_at=draft.now)


LETTERS = {
    S.QUEUED: ".",
    S.RUNNING: "r",
    S.RETRYING: "t",
    S.WAITING: "w",
    S.CANCELLING: "x",
    S.SUCCESS: "s",
    S.FAILED: "f",
    S.TIMED_OUT: "f",
    S.SKIPPED: "-",
    S.CANCELLED: "c",
}
