"""Workers: the processes that run stages, what they run, and emptying one before it stops."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import NO_NUL, Use
from flexiroaster.api.responses import errors
from flexiroaster.auth.identity import Caller
from flexiroaster.services.workers import SHOWN, State, WorkerEntry

router = APIRouter(prefix="/api/workers", tags=["Workers"], route_class=GuardedRoute)

Reader = Depends(permit("workers:read"))
WorkerId = Annotated[
    str,
    Path(max_length=64, pattern=NO_NUL, description="The worker.", examples=["7c9e6679-7425-40de-944b-e07fc1f90ae7"]),
]


class RunningStage(BaseModel):
    execution_id: str
    execution_number: int
    pipeline_id: str
    pipeline_name: str
    stage: str
    index: int = Field(description="of the foreach item, from 1; 0 without foreach")
    attempt: int
    started_at: datetime | None


class WorkerBody(BaseModel):
    """A process that takes work from this database. One that was lost is listed for a day."""

    id: str = Field(description="a new one at each start")
    role: str = Field(description="what the process does", examples=["server"])
    pools: list[str] | None = Field(
        description="whose stages it runs, `default` standing for no pool; None: of all pools"
    )
    host: str
    pid: int
    version: str
    state: State = Field(
        description="lost: it was not heard of for the length of a lease, and others took over what it ran"
    )
    is_here: bool = Field(description="whether it is the process that answers")
    slots: int = Field(description="stages it runs at the same time")
    running: int = Field(description="stages it runs at this moment")
    stages: list[RunningStage] = Field(description=f"the first {SHOWN} of these")
    started_at: datetime
    seen_at: datetime = Field(description="when it was last heard of")
    last_poll_at: datetime | None = Field(
        description="when it last looked for work with success; None while it has not, and on SQLite"
    )
    stopping_at: datetime | None = Field(description="since when it takes no more work, or is to take none")
    lost_at: datetime | None = Field(description="when others took note of its death")


@router.get("", operation_id="listWorkers", summary="List workers", dependencies=[Reader], responses=errors())
def list_workers(use: Use) -> list[WorkerBody]:
    """In the order of their starts."""
    return [_body(entry) for entry in use.workers.all()]


@router.get(
    "/{worker_id}", operation_id="getWorker", summary="Get a worker", dependencies=[Reader], responses=errors(404)
)
def get_worker(worker_id: WorkerId, use: Use) -> WorkerBody:
    """Whether it is there, and what it runs."""
    return _body(use.workers.get(worker_id))


@router.post(
    "/{worker_id}/drain",
    operation_id="drainWorker",
    summary="Let a worker take no more work",
    status_code=202,
    responses=errors(404, 409),
)
def drain_worker(
    worker_id: WorkerId, user: Annotated[Caller, Depends(permit("workers:drain"))], use: Use
) -> WorkerBody:
    """What it runs ends, or is handed back after its grace to be run elsewhere. It takes work again after a restart.
    Asking again does no harm.
    """
    return _body(use.workers.drain(worker_id, user.email))


def _body(entry: WorkerEntry) -> WorkerBody:
    row = entry.row
    return WorkerBody(
        id=row.id,
        role=row.kind,
        pools=row.pools,
        host=row.host,
        pid=row.pid,
        version=row.version,
        state=entry.state,
        is_here=entry.is_here,
        slots=row.concurrency,
        running=entry.running,
        stages=[
            RunningStage(
                execution_id=held.execution_id,
                execution_number=held.number,
                pipeline_id=held.pipeline_id,
                pipeline_name=held.pipeline_name,
                stage=held.stage,
                index=held.index,
                attempt=held.attempt,
                started_at=held.started_at,
            )
            for held in entry.held
        ],
        started_at=row.started_at,
        seen_at=row.seen_at,
        last_poll_at=row.last_poll_at,
        stopping_at=row.stopping_at,
        lost_at=row.lost_at,
    )
