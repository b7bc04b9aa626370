"""A decision in the making: what it reads of the present, what it changes, what it announces."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from flexiroaster.engine.events import Event, EventType
from flexiroaster.engine.foreach import ItemGroup
from flexiroaster.engine.outcome import WaitsFor
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.runs import EndedAttempt, Execution, ExecutionState, Key, StageRun
from flexiroaster.engine.state import EXECUTION_MOVES, STAGE_MOVES, Phase, StageStatus


class IllegalMove(Exception):
    """A move that the tables of `engine.state` do not have: a fault of ours, never of the user."""


class Sweep(NamedTuple):
    """The items of a foreach stage that are still queued in the store end as cancelled, all at once."""

    position: int
    reason: str


class Draft:
    """`runs` are the changed stage runs; `ready` may now be claimed; `to_stop` are running and must be told.

    The state stays as it is until `apply`: whatever is changed here is a copy.
    """

    def __init__(self, plan: Plan, state: ExecutionState, now: datetime) -> None:
        self.plan = plan
        self.state = state
        self.now = now
        self.execution: Execution = state.execution
        self.seq = state.seq
        self.open = state.open
        self.runs: dict[Key, StageRun] = {}
        self.attempts: list[EndedAttempt] = []
        self.events: list[Event] = []
        self.ready: list[Key] = []
        self.to_stop: list[Key] = []
        self.groups: dict[int, ItemGroup] = {}
        self.sweeps: list[Sweep] = []
        self.left: list[str] = []
        """Executions that a stage run waited for and does so no longer."""
        self.asks_outputs = False
        """The stages have succeeded: whether its outputs can be made decides what follows, see
        `planner.answer_outputs`.
        """
        self.outputs_good = False

    @property
    def execution_changed(self) -> bool:
        return self.execution is not self.state.execution

    def run(self, key: Key) -> StageRun:
        return self.runs.get(key) or self.state.runs[key]

    def find(self, key: Key) -> StageRun | None:
        return self.runs.get(key) or self.state.runs.get(key)

    def every_run(self) -> list[StageRun]:
        known = self.state.runs
        new = [run for key, run in self.runs.items() if key not in known]
        return [self.runs.get(key, run) for key, run in known.items()] + new

    def group(self, position: int) -> ItemGroup:
        return self.groups.get(position) or self.state.groups[position]

    def changed_group(self, position: int) -> ItemGroup:
        """One that may be changed."""
        group = self.groups.get(position)
        if group is None:
            group = self.groups[position] = self.state.groups[position].copy()
        return group

    def put(self, run: StageRun) -> None:
        """A stage run that did not exist before."""
        self.runs[run.key] = run
        self.open += 1

    def edit(self, run: StageRun, status: StageStatus | None = None) -> StageRun:
        """The stage run to set new values on, moved to this status; it is the one to go on with."""
        if status is not None and status is not run.status and status not in STAGE_MOVES[run.status]:
            stage = self.plan.stages[run.key.position].id
            raise IllegalMove(f"stage run {stage}[{run.key.index}] cannot go from {run.status} to {status}")
        changed = self.runs.get(run.key)
        if changed is None:
            changed = self.runs[run.key] = run.copy()
        if status is not None:
            changed.status = status
        return changed

    def change(self, run: StageRun, *, status: StageStatus | None = None, **values: Any) -> StageRun:
        """Give a stage run new values; answers the one to go on with."""
        changed = self.edit(run, status)
        for name, value in values.items():
            setattr(changed, name, value)
        return changed

    def leave(self, run: StageRun) -> None:
        """The stage run's attempt ends; called before its state is gone."""
        if run.waits_for is WaitsFor.EXECUTION and run.state is not None and "ended" not in run.state:
            self.left.append(run.state["execution_id"])

    def change_execution(self, **values: Any) -> None:
        status = values.get("status", self.execution.status)
        if status is not self.execution.status and status not in EXECUTION_MOVES[self.execution.status]:
            raise IllegalMove(f"execution {self.execution.id} cannot go from {self.execution.status} to {status}")
        changed = self.execution.copy()
        for name, value in values.items():
            setattr(changed, name, value)
        self.execution = changed

    def emit(self, type: EventType, key: Key | None = None, **payload: Any) -> None:
        """Events are numbered without a gap within their execution."""
        self.seq += 1
        execution = self.execution
        if key is None:
            payload["number"] = execution.number
            stage, index, phase = None, None, execution.phase
        else:
            planned = self.plan.stages[key.position]
            stage, index, phase = planned.id, key.index, planned.phase
        if phase is not Phase.MAIN:
            payload["phase"] = phase.value
        self.events.append(Event(type, execution.id, execution.pipeline_id, self.seq, self.now, stage, index, payload))

    def tell_more(self, type: EventType, key: Key | None = None, **payload: Any) -> None:
        """Add to the newest event of a type (and stage run) what the planner could not know."""
        index = None if key is None else key.index
        stage = None if key is None else self.plan.stages[key.position].id
        for event in reversed(self.events):
            if event.type is type and event.stage == stage and event.index == index:
                event.payload.update(payload)
                return

    def take_back(self) -> Event:
        """The newest event, which is not announced after all."""
        self.seq -= 1
        return self.events.pop()

    def apply(self) -> None:
        """Make the state what this draft says; called once the draft is written."""
        self.state.execution = self.execution
        self.state.seq = self.seq
        self.state.open = self.open
        self.state.runs.update(self.runs)
        if self.groups:
            self.state.groups.update(self.groups)
            for key, run in self.runs.items():
                if key.index and run.final:  # an item that has ended is the store's alone
                    del self.state.runs[key]
