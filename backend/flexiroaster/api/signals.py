"""Telling a running execution that something happened outside."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends

from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import ExecutionId, Use
from flexiroaster.api.responses import errors
from flexiroaster.api.waiting_schemas import SIGNAL_BODY, SignalBody, SignalledStage, SignalRequest
from flexiroaster.auth.identity import Caller

router = APIRouter(prefix="/api/executions", tags=["Executions"], route_class=GuardedRoute)


@router.post(
    "/{execution_id}/signal",
    operation_id="signalExecution",
    summary="Tell an execution of an event",
    openapi_extra=SIGNAL_BODY,
    responses=errors(404, 409),
)
def signal(
    execution_id: ExecutionId,
    user: Annotated[Caller, Depends(permit("executions:signal"))],
    use: Use,
    given: Annotated[SignalRequest, Body(examples=[{"name": "invoice_paid", "data": {"amount": 120}}])],
) -> SignalBody:
    """Stages of type `wait` that wait for this `event` go on, now or when they come to it."""
    sent = use.signals.send(execution_id, given.name, given.data, user.email)
    return SignalBody(
        execution_id=sent.execution_id,
        name=sent.name,
        at=sent.at,
        went_on=[SignalledStage(stage=stage, index=index) for stage, index in sent.went_on],
    )
