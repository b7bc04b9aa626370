"""Maintenance: times in which what happens is no insight."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import NO_NUL, Moment, Use
from flexiroaster.api.responses import errors
from flexiroaster.api.schemas import Message
from flexiroaster.auth.identity import Caller
from flexiroaster.store.maintenance import WindowRow

router = APIRouter(prefix="/api/ai/maintenance", tags=["Insights"], route_class=GuardedRoute)

Reader = Depends(permit("insights:read"))
Judge = Annotated[Caller, Depends(permit("insights:judge"))]
WindowId = Annotated[str, Path(max_length=200, pattern=NO_NUL, description="The window.", examples=["019a5150"])]
BEGIN, END = "2026-03-07T22:00:00Z", "2026-03-08T02:00:00Z"


class WindowRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    begins_at: Moment = Field(examples=[BEGIN])
    ends_at: Moment = Field(examples=[END])
    pipeline_id: str | None = Field(None, max_length=80, pattern=NO_NUL, description="left out: all pipelines")
    reason: str = Field("", max_length=500, pattern=NO_NUL)


class WindowBody(BaseModel):
    id: str
    begins_at: AwareDatetime = Field(examples=[BEGIN])
    ends_at: AwareDatetime = Field(examples=[END])
    pipeline_id: str | None = Field(description="None: all pipelines")
    reason: str = Field(examples=["The warehouse is moved."])
    by: str | None = Field(examples=["ada@example.com"])


@router.get(
    "", operation_id="listMaintenance", summary="List times of maintenance", dependencies=[Reader], responses=errors()
)
def list_maintenance(use: Use) -> list[WindowBody]:
    """The latest first."""
    return [_body(row) for row in use.ai.maintenance.all()]


@router.post(
    "",
    operation_id="planMaintenance",
    summary="Plan a time of maintenance",
    status_code=201,
    responses=errors(404, 409),
)
def plan_maintenance(
    asked: Annotated[WindowRequest, Body(examples=[{"begins_at": BEGIN, "ends_at": END}])], user: Judge, use: Use
) -> WindowBody:
    """Runs of that time raise no insights, and later ones are not compared with them. It may be over already."""
    return _body(
        use.ai.maintenance.plan(
            asked.begins_at, asked.ends_at, user.email, pipeline_id=asked.pipeline_id, reason=asked.reason
        )
    )


@router.post(
    "/{window_id}/end",
    operation_id="endMaintenance",
    summary="End a time of maintenance now",
    responses=errors(404, 409),
)
def end_maintenance(window_id: WindowId, user: Judge, use: Use) -> WindowBody:
    """What ran in it until now stays left out, and what runs from now on counts."""
    return _body(use.ai.maintenance.end(window_id, user.email))


@router.delete(
    "/{window_id}", operation_id="deleteMaintenance", summary="Delete a time of maintenance", responses=errors(404)
)
def delete_maintenance(window_id: WindowId, user: Judge, use: Use) -> Message:
    """The next look at the history counts its runs again."""
    use.ai.maintenance.delete(window_id, user.email)
    return Message(message=f"Maintenance {window_id} deleted")


def _body(row: WindowRow) -> WindowBody:
    return WindowBody(
        id=row.id,
        begins_at=row.begins_at,
        ends_at=row.ends_at,
        pipeline_id=row.pipeline_id,
        reason=row.reason,
        by=row.by,
    )
