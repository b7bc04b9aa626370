"""What is announced when something changes: one value, written with the change and streamed after its commit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flexiroaster.engine.named import Named


class EventType(Named):
    EXECUTION_QUEUED = "execution_queued"
    EXECUTION_ADMITTED = "execution_admitted"
    EXECUTION_STARTED = "execution_started"
    STAGE_STARTED = "stage_started"
    STAGE_EXPANDED = "stage_expanded"
    """The items of a foreach stage are there."""
    STAGE_ITEMS_CANCELLED = "stage_items_cancelled"
    """Items of a foreach stage that had not begun: one event for all of them."""
    STAGE_PROGRESS = "stage_progress"
    """How many items have ended. Told a few times a second and not kept: its `seq` is 0."""
    STAGE_COMPLETED = "stage_completed"
    STAGE_FAILED = "stage_failed"
    STAGE_RETRYING = "stage_retrying"
    STAGE_SKIPPED = "stage_skipped"
    STAGE_WAITING = "stage_waiting"
    APPROVAL_REQUESTED = "approval_requested"
    APPROVAL_DECIDED = "approval_decided"
    STAGE_REPEATING = "stage_repeating"
    STAGE_CANCELLING = "stage_cancelling"
    """It alone was told to stop. Where the whole execution is, that is said once."""
    STAGE_CANCELLED = "stage_cancelled"
    EXECUTION_COMPLETED = "execution_completed"
    EXECUTION_FAILED = "execution_failed"
    DEADLINE_MISSED = "deadline_missed"
    EXECUTION_SIGNALLED = "execution_signalled"
    EXECUTION_CANCELLING = "execution_cancelling"
    EXECUTION_CANCELLED = "execution_cancelled"
    EXECUTION_TIMED_OUT = "execution_timed_out"
    EXECUTION_PHASE = "execution_phase"
    EXECUTION_PAUSED = "execution_paused"
    EXECUTION_RESUMED = "execution_resumed"
    PIPELINE_CREATED = "pipeline_created"
    """This and the next are of a pipeline, not of an execution. They are not kept, and their `seq` is 0."""
    PIPELINE_UPDATED = "pipeline_updated"
    PIPELINE_DRAFT_CHANGED = "pipeline_draft_changed"
    """A draft of it was saved or discarded; one that is published is told of as an update."""
    PIPELINE_PAUSED = "pipeline_paused"
    PIPELINE_RESUMED = "pipeline_resumed"
    PIPELINE_DELETED = "pipeline_deleted"
    TRIGGER_FIRED = "trigger_fired"
    """An instant of a trigger was dealt with; an execution it started is told of by its own events."""
    TRIGGER_CHANGED = "trigger_changed"
    PREDICTION_UPDATED = "prediction_updated"
    """Of an execution. This and the next ones are not kept either."""
    INSIGHT_FOUND = "insight_found"
    INSIGHT_CHANGED = "insight_changed"
    SUGGESTION_FOUND = "suggestion_found"
    SUGGESTION_CHANGED = "suggestion_changed"
    MODEL_TRAINED = "model_trained"
    PROJECT_CHANGED = "project_changed"
    """Learning or the assistant was switched for pipelines with one label."""
    LOG = "log"


EXECUTION_ENDS = frozenset(
    {
        EventType.EXECUTION_COMPLETED,
        EventType.EXECUTION_FAILED,
        EventType.EXECUTION_CANCELLED,
        EventType.EXECUTION_TIMED_OUT,
    }
)
NO_EXECUTION = ""


@dataclass(slots=True)
class Event:
    """Not changed once its transaction has committed.

    `seq` counts an execution's events from 1 without holes; 0 marks a log line, which is kept elsewhere and is not
    resumed by `seq`, and a progress, which is not kept at all. `index` is the foreach index of `stage`; both are None
    for the execution as a whole. What is said of a pipeline has `NO_EXECUTION`.
    """

    type: EventType
    execution_id: str
    pipeline_id: str
    seq: int
    at: datetime
    stage: str | None = None
    index: int | None = None
    payload: dict[str, Any] = field(default_factory=dict)

    def to_payload(self) -> dict[str, Any]:
        """As the browser receives it: flat, without the type, which is the name it is emitted under."""
        flat = dict(self.payload)
        flat["seq"] = self.seq
        flat["at"] = iso_z(self.at)
        if self.execution_id:
            flat["execution_id"] = self.execution_id
        flat["pipeline_id"] = self.pipeline_id
        if self.stage is not None:
            flat["stage"] = self.stage
            flat["index"] = self.index or 0
        return flat


def of_pipeline(type: EventType, pipeline_id: str, at: datetime, **payload: Any) -> Event:
    """Something has happened to a pipeline itself."""
    return Event(type, NO_EXECUTION, pipeline_id, 0, at, payload=payload)


def iso_z(moment: datetime) -> str:
    """Aware to ISO 8601 in UTC, with microseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
