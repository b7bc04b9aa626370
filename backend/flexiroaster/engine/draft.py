"""A decision in the making: what it reads of the present, what it changes, what it announces."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flexiroaster.engine.events import Event, EventType
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.runs import EndedAttempt, Execution, ExecutionState, Key, StageRun
from flexiroaster.engine.state import EXECUTION_MOVES, STAGE_MOVES


class IllegalMove(Exception):
    """A move that the tables of `engine.state` do not have: a fault of ours, never of the user."""


@dataclass(slots=True)
class Draft:
    """`runs` are the changed stage runs; `ready` may now be claimed; `to_stop` are running and must be told."""

    plan: Plan
    state: ExecutionState
    now: datetime
    execution: Execution = field(init=False)
    runs: dict[Key, StageRun] = field(default_factory=dict)
    attempts: list[EndedAttempt] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    ready: list[Key] = field(default_factory=list)
    to_stop: list[Key] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.execution = self.state.execution

    def run(self, key: Key) -> StageRun:
        return self.runs.get(key) or self.state.runs[key]

    def put(self, run: StageRun) -> None:
        """A stage run that did not exist before."""
        self.runs[run.key] = run

    def change(self, run: StageRun, **values: Any) -> StageRun:
        return self.replace(run, run._replace(**values))

    def replace(self, before: StageRun, after: StageRun) -> StageRun:
        if after.status is not before.status and after.status not in STAGE_MOVES[before.status]:
            stage = self.plan.stages[before.key.position].id
            raise IllegalMove(f"stage run {stage}[{before.key.index}] cannot go from {before.status} to {after.status}")
        self.runs[after.key] = after
        return after

    def change_execution(self, **values: Any) -> None:
        after = self.execution._replace(**values)
        if after.status is not self.execution.status and after.status not in EXECUTION_MOVES[self.execution.status]:
            raise IllegalMove(f"execution {after.id} cannot go from {self.execution.status} to {after.status}")
        self.execution = after

    def emit(self, type: EventType, key: Key | None = None, **payload: Any) -> None:
        """Events are numbered without a gap within their execution."""
        seq = self.execution.last_seq + 1
        if key is None:
            payload["number"] = self.execution.number
        self.execution = self.execution._replace(last_seq=seq)
        self.events.append(
            Event(
                type=type,
                execution_id=self.execution.id,
                pipeline_id=self.execution.pipeline_id,
                seq=seq,
                at=self.now,
                stage=None if key is None else self.plan.stages[key.position].id,
                index=None if key is None else key.index,
                payload=payload,
            )
        )

    def tell_more(self, type: EventType, **payload: Any) -> None:
        """Add to the newest event of a type what the planner could not know."""
        for position in range(len(self.events) - 1, -1, -1):
            event = self.events[position]
            if event.type is type:
                self.events[position] = replace(event, payload={**event.payload, **payload})
                return

    def apply(self) -> None:
        """Make the state what this draft says; called once the draft is written."""
        self.state.execution = self.execution
        self.state.runs.update(self.runs)
