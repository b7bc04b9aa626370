"""Running a server: empty it before it stops."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field

from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import Use
from flexiroaster.api.responses import errors
from flexiroaster.auth.identity import Caller
from flexiroaster.services.drain import DrainState

router = APIRouter(prefix="/api/admin", tags=["Server"], route_class=GuardedRoute)

LONGEST_GRACE = 24 * 3600


class DrainRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    grace_seconds: float | None = Field(
        None, ge=0, le=LONGEST_GRACE, description="how long what runs may go on; the server's own when left out"
    )


class DrainBody(BaseModel):
    state: Literal["working", "draining", "drained"]
    running: int = Field(description="stages that run at this moment")
    message: str = Field(examples=["stopping: 3 stages running"])


NOTHING_GIVEN = DrainRequest()


@router.get(
    "/drain",
    operation_id="getDrain",
    summary="Get whether this server takes work",
    dependencies=[Depends(permit("server:read"))],
    responses=errors(),
)
def get_drain(use: Use) -> DrainBody:
    """Whether it takes work, runs out of it or has none left, and how many stages still run."""
    return _body(use.drain.now)


@router.post(
    "/drain",
    operation_id="drainServer",
    summary="Take no more work",
    status_code=202,
    responses=errors(),
)
def drain(
    user: Annotated[Caller, Depends(permit("settings:write"))],
    use: Use,
    asked: Annotated[DrainRequest, Body(examples=[{"grace_seconds": 300}])] = NOTHING_GIVEN,
) -> DrainBody:
    """What runs ends; what still runs after the grace is told to stop and handed back, to be run again. The server goes
    on to answer, and takes work again after a restart. Asking again does no harm.
    """
    return _body(use.drain.begin(asked.grace_seconds, user.email))


def _body(state: DrainState) -> DrainBody:
    return DrainBody(state=state.state, running=state.running, message=state.message)
