"""Triggers: what starts executions by itself, when it comes next, and what became of its instants."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Body, Depends, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import NEXT_CURSOR, NO_NUL, Cursor, Limit, PipelineId, Use, announce_next
from flexiroaster.api.pipelines import Enabler, Reader
from flexiroaster.api.responses import errors
from flexiroaster.api.schemas import ExecutionState
from flexiroaster.auth.identity import Caller
from flexiroaster.engine.pipeline import MOST_PRIORITY
from flexiroaster.services.arming import schedule_of
from flexiroaster.services.firing import Span
from flexiroaster.services.triggers import TriggerEntry
from flexiroaster.store.triggers import FiringEntry

router = APIRouter(prefix="/api", tags=["Triggers"], route_class=GuardedRoute)

TriggerId = Annotated[str, Path(max_length=200, pattern=NO_NUL, description="The trigger's id.", examples=["nightly"])]
MomentText = Annotated[str, StringConstraints(max_length=40, pattern=NO_NUL)]
INSTANT = "2026-03-05T01:15:00Z"


class FiringBody(BaseModel):
    instant: AwareDatetime = Field(description="when the trigger came", examples=[INSTANT])
    state: Literal["started", "skipped", "refused", "missed"] = Field(
        description="skipped: its condition was false; refused: the execution could not be accepted; missed: nothing "
        "ran then that could have started it, or it was paused"
    )
    execution_id: str | None = Field(description="what it started")
    execution_number: int | None = Field(description="null also where the execution is no longer kept", examples=[7])
    execution_status: ExecutionState | None = Field(description="as it is now")
    count: int = Field(description="instants that were missed together, this being the last of them", examples=[1])
    reason: str | None = Field(description="why nothing was started")
    at: AwareDatetime = Field(description="when it was dealt with", examples=[INSTANT])


class TriggerBody(BaseModel):
    pipeline_id: str = Field(examples=["daily_orders"])
    pipeline_name: str = Field(examples=["Daily orders"])
    id: str = Field(examples=["nightly"])
    type: Literal["schedule"]
    cron: str | None = Field(examples=["15 2 * * mon-fri"])
    every: str | None = Field(description="an interval, counted from 1970-01-01T00:00Z", examples=["15m"])
    timezone: str = Field(examples=["Europe/Paris"])
    catchup: Literal["none", "latest", "all"] = Field(description="what becomes of instants that were missed")
    start: AwareDatetime | None = Field(description="no instant comes before it", examples=[INSTANT])
    end: AwareDatetime | None = Field(description="none comes after it", examples=["2026-12-31T22:59:59.999999Z"])
    inputs: dict[str, Any]
    when: str | None = Field(description="an expression: nothing is started where it is false")
    next_at: AwareDatetime | None = Field(description="None while it is paused, and after its end", examples=[INSTANT])
    upcoming: list[AwareDatetime] = Field(description="the next instants, none while it is paused or after its end")
    last: FiringBody | None = Field(description="what became of the last instant")
    paused_at: AwareDatetime | None
    paused_by: str | None = Field(examples=["ada@example.com"])
    pipeline_enabled: bool = Field(description="false: the pipeline is paused, and so are its triggers")
    reason: str | None = Field(description="why it starts nothing now", examples=["paused by ada@example.com"])


class BackfillRequest(BaseModel):
    """`from` and `to` are moments as text, both included. Without an offset they are of the trigger's time zone; a day
    alone is all of it.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: MomentText = Field(alias="from", examples=["2026-03-01"])
    to: MomentText = Field(examples=["2026-03-05T06:00"])
    order: Literal["earliest_first", "latest_first"] = "earliest_first"
    priority: int = Field(
        0, ge=-MOST_PRIORITY, le=MOST_PRIORITY, description="a negative one lets other executions go first"
    )
    dry_run: bool = Field(False, description="only count")


class BackfillBody(BaseModel):
    instants: int = Field(description="of the trigger in this span, without those to come", examples=[31])
    first: AwareDatetime | None = Field(examples=[INSTANT])
    last: AwareDatetime | None = Field(examples=[INSTANT])
    known: int = Field(description="an execution was started for them before: they are left alone", examples=[3])
    started: int = Field(examples=[28])
    skipped: int = Field(description="its condition was false")
    refused: int = Field(description="the execution could not be accepted; the next backfill tries them again")
    left: int = Field(description="neither started nor looked at yet: ask again")
    note: str | None = Field(description="how the pipeline's concurrency treats so many executions")
    reason: str | None = Field(description="why instants were refused or left; of the first one")


@router.get(
    "/triggers",
    operation_id="listTriggers",
    summary="List the triggers of all pipelines",
    dependencies=[Reader],
    responses={200: {"headers": NEXT_CURSOR}, **errors()},
)
def list_triggers(use: Use, response: Response, limit: Limit = 50, cursor: Cursor = None) -> list[TriggerBody]:
    """The one that comes next first."""
    page = use.triggers.page(limit=limit, cursor=cursor)
    announce_next(response, page.next_cursor)
    return [_body(entry) for entry in page.items]


@router.get(
    "/pipelines/{pipeline_id}/triggers",
    operation_id="listPipelineTriggers",
    summary="List the triggers of a pipeline",
    dependencies=[Reader],
    responses=errors(404),
)
def list_pipeline_triggers(pipeline_id: PipelineId, use: Use) -> list[TriggerBody]:
    """Those of its published version."""
    return [_body(entry) for entry in use.triggers.of_pipeline(pipeline_id)]


@router.get(
    "/pipelines/{pipeline_id}/triggers/{trigger_id}/firings",
    operation_id="listFirings",
    summary="List what became of a trigger's instants",
    dependencies=[Reader],
    responses={200: {"headers": NEXT_CURSOR}, **errors(404)},
)
def list_firings(
    pipeline_id: PipelineId,
    trigger_id: TriggerId,
    use: Use,
    response: Response,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[FiringBody]:
    """The latest first; also of a trigger that is no longer in the definition."""
    page = use.triggers.firings(pipeline_id, trigger_id, limit=limit, cursor=cursor)
    announce_next(response, page.next_cursor)
    return [_firing(row) for row in page.items]


@router.post(
    "/pipelines/{pipeline_id}/triggers/{trigger_id}/pause",
    operation_id="pauseTrigger",
    summary="Pause a trigger",
    responses=errors(404),
)
def pause_trigger(pipeline_id: PipelineId, trigger_id: TriggerId, user: Enabler, use: Use) -> TriggerBody:
    """It starts nothing any more; other triggers of the pipeline, and people, do. Asking again does no harm."""
    return _body(use.triggers.pause(pipeline_id, trigger_id, user.email))


@router.post(
    "/pipelines/{pipeline_id}/triggers/{trigger_id}/resume",
    operation_id="resumeTrigger",
    summary="Resume a paused trigger",
    responses=errors(404),
)
def resume_trigger(pipeline_id: PipelineId, trigger_id: TriggerId, user: Enabler, use: Use) -> TriggerBody:
    """It goes on with its next instant; with `catchup: all` it makes up for the pause. Asking again does no harm."""
    return _body(use.triggers.resume(pipeline_id, trigger_id, user.email))


@router.post(
    "/pipelines/{pipeline_id}/triggers/{trigger_id}/backfill",
    operation_id="backfillTrigger",
    summary="Start what a trigger has missed in a span of time",
    responses=errors(404),
)
def backfill_trigger(
    pipeline_id: PipelineId,
    trigger_id: TriggerId,
    user: Annotated[Caller, Depends(permit("executions:run"))],
    use: Use,
    wanted: Annotated[BackfillRequest, Body(examples=[{"from": "2026-03-01", "to": "2026-03-05", "dry_run": True}])],
) -> BackfillBody:
    """One execution for each instant of the trigger that none was started for: missed, refused, skipped, or from before
    there was a trigger; 1,000 instants in one call at most. Asking again does no harm, also after a crash on the way.
    """
    span = Span(wanted.from_, wanted.to, wanted.order == "latest_first", wanted.priority)
    done = use.triggers.backfill(pipeline_id, trigger_id, span, by=user.email, dry_run=wanted.dry_run)
    return BackfillBody(
        instants=done.instants,
        first=done.first,
        last=done.last,
        known=done.known,
        started=done.started,
        skipped=done.skipped,
        refused=done.refused,
        left=done.left,
        note=done.note,
        reason=done.reason,
    )


def _body(entry: TriggerEntry) -> TriggerBody:
    row, wanted = entry.row, entry.row.document
    schedule = schedule_of(wanted)
    return TriggerBody(
        pipeline_id=row.pipeline_id,
        pipeline_name=row.pipeline_name,
        id=row.id,
        type="schedule",
        cron=wanted.get("cron"),
        every=wanted.get("every"),
        timezone=schedule.timezone,
        catchup=schedule.catchup,
        start=schedule.start,
        end=schedule.end,
        inputs=wanted.get("inputs", {}),
        when=wanted.get("when"),
        next_at=entry.upcoming[0] if entry.upcoming else None,
        upcoming=entry.upcoming,
        last=None if entry.last is None else _firing(entry.last),
        paused_at=row.paused_at,
        paused_by=row.paused_by,
        pipeline_enabled=row.pipeline_enabled,
        reason=entry.reason,
    )


def _firing(row: FiringEntry) -> FiringBody:
    return FiringBody(
        instant=row.instant,
        state=row.state,
        execution_id=row.execution_id,
        execution_number=row.execution_number,
        execution_status=cast("Any", row.execution_status),
        count=row.count,
        reason=row.reason,
        at=row.at,
    )
