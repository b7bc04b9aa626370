"""An execution driven by hand through the planner: what a worker, a clock and a database do, without any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import ErrorKind, StageError
from flexiroaster.engine.events import Event
from flexiroaster.engine.outcome import Failed, Outcome, Succeeded, WaitsFor
from flexiroaster.engine.pipeline import Pipeline
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.runs import EndedAttempt, Execution, ExecutionState, Key, StageRun
from flexiroaster.engine.state import ExecutionStatus, StageStatus

START = datetime(2026, 1, 5, 2, 15, tzinfo=UTC)
OWNER = "worker"


def pipeline(stages: Mapping[str, Sequence[str] | Mapping[str, Any]], **rest: Any) -> Pipeline:
    """`{"a": [], "b": ["a"], "c": {"needs": ["b"], "join": "all_done"}}`"""
    documents = [
        {"id": name, "type": "noop", **(given if isinstance(given, Mapping) else {"needs": list(given)})}
        for name, given in stages.items()
    ]
    return Pipeline.from_document({"id": "p", "name": "P", "stages": documents, **rest})


def failed(kind: ErrorKind = "permanent", **more: Any) -> Failed:
    return Failed(StageError("it broke", kind=kind, **more))


@dataclass
class Simulation:
    """`ready` holds what may be claimed, `due` what waits for a time, `history` every event.

    `outputs_error` is why the outputs cannot be made, where the pipeline has any.
    """

    plan: Plan
    state: ExecutionState = field(init=False)
    now: datetime = START
    ready: list[Key] = field(default_factory=list)
    history: list[Event] = field(default_factory=list)
    attempts: list[EndedAttempt] = field(default_factory=list)
    told_to_stop: list[Key] = field(default_factory=list)
    outputs_error: StageError | None = None

    def __post_init__(self) -> None:
        execution = Execution(
            id="e",
            pipeline_id="p",
            version=1,
            number=1,
            status=ExecutionStatus.QUEUED,
            created_at=self.now,
        )
        self.state = ExecutionState(execution)
        self._apply(planner.start)

    @classmethod
    def of(cls, stages: Mapping[str, Any], **rest: Any) -> Simulation:
        return cls(Plan.of(pipeline(stages, **rest)))

    # ── what happens ────────────────────────────────────────────────────────────────────────────────────────────

    def claim(self, stage: str | Key) -> StageRun | None:
        key = self.key(stage)
        if key in self.ready:
            self.ready.remove(key)
        return self._apply(planner.claim, key, OWNER, self.now + timedelta(seconds=30))

    def record(self, stage: str | Key, outcome: Outcome, chance: float = 0.0) -> None:
        self._apply(planner.record, self.key(stage), outcome, chance)

    def run(self, stage: str, outcome: Outcome | None = None) -> None:
        assert self.claim(stage) is not None, f"{stage} is not ready: {self.stage(stage)}"
        self.record(stage, outcome or Succeeded())

    def run_all(self, outcomes: Mapping[str, Outcome] | None = None) -> None:
        """Until nothing is ready."""
        while self.ready:
            name = self.name(self.ready[0])
            if self.claim(name) is not None:  # a hint may be old
                self.record(name, (outcomes or {}).get(name, Succeeded()))

    def wake(self, stage: str | Key) -> None:
        self._apply(planner.wake, self.key(stage))

    def signal(self, stage: str | Key, waits_for: WaitsFor, **values: Any) -> bool:
        return bool(self._apply(planner.signal, self.key(stage), values, waits_for))

    def lose(self, stage: str | Key) -> None:
        self._apply(planner.lose, self.key(stage))

    def release(self, stage: str | Key) -> None:
        self._apply(planner.release, self.key(stage))

    def cancel(self) -> None:
        self._apply(planner.cancel, "cancelled by ada")

    def cancel_stage(self, stage: str | Key) -> None:
        self._apply(planner.cancel_stage, self.key(stage), "cancelled by bob")

    def pause(self) -> None:
        self._apply(planner.pause, "paused by ada")

    def resume(self) -> None:
        self._apply(planner.resume, "resumed by ada")

    def time_out(self) -> None:
        self._apply(planner.time_out)

    def retry(self) -> None:
        self._apply(planner.retry)

    # ── what is there ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def execution(self) -> Execution:
        return self.state.execution

    @property
    def status(self) -> str:
        return self.state.execution.status.value

    def stage(self, stage: str | Key) -> StageRun:
        return self.state.runs[self.key(stage)]

    def statuses(self) -> dict[str, str]:
        return {self.name(key): run.status.value for key, run in self.state.runs.items()}

    def events(self, stage: str | None = None) -> list[str]:
        return [event.type.value for event in self.history if event.stage == stage]

    def key(self, stage: str | Key) -> Key:
        return Key(self.plan.positions[stage]) if isinstance(stage, str) else stage

    def name(self, key: Key) -> str:
        return self.plan.stages[key.position].id

    def held(self) -> list[Key]:
        """Stage runs in the hands of a worker."""
        states = (StageStatus.RUNNING, StageStatus.CANCELLING)
        return [key for key, run in self.state.runs.items() if run.status in states]

    def waiting(self) -> list[Key]:
        return [key for key, run in self.state.runs.items() if run.due_at is not None]

    def _apply(self, decide: Any, *arguments: Any) -> Any:
        self.now += timedelta(seconds=1)
        draft = Draft(self.plan, self.state, self.now)
        answer = decide(draft, *arguments)
        if draft.asks_outputs:
            planner.answer_outputs(draft, self.outputs_error)
        self._store(draft)
        self.ready.extend(draft.ready)
        self.history.extend(draft.events)
        self.attempts.extend(draft.attempts)
        self.told_to_stop.extend(draft.to_stop)
        draft.apply()
        return answer

    def _store(self, draft: Draft) -> None:
        """What a store does with a draft before it is applied."""
