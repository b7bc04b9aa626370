"""Many executions at once: start, retry, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends

from flexiroaster.api.bulk_schemas import (
    BulkExecuteRequest,
    BulkExecuteResponse,
    BulkRequest,
    BulkResponse,
    BulkRetryRequest,
    StartedBody,
    TreatedBody,
)
from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import PipelineId, Use
from flexiroaster.api.responses import errors
from flexiroaster.auth.identity import Caller
from flexiroaster.engine.errors import InvalidRequest
from flexiroaster.services.bulk import Item, Result
from flexiroaster.store.executions import ExecutionFilter

router = APIRouter(prefix="/api", tags=["Executions"], route_class=GuardedRoute)

Which = Annotated[
    BulkRequest,
    Body(examples=[{"pipeline_id": "daily_orders", "since": "2026-03-04T00:00:00Z", "dry_run": True}]),
]
WhichToRetry = Annotated[
    BulkRetryRequest, Body(examples=[{"pipeline_id": "daily_orders", "status": ["failed"], "use_cache": False}])
]
Given = Annotated[
    BulkExecuteRequest,
    Body(examples=[{"executions": [{"inputs": {"day": "2026-03-04"}, "idempotency_key": "orders 2026-03-04"}]}]),
]


@router.post(
    "/pipelines/{pipeline_id}/execute/bulk",
    operation_id="executePipelineInBulk",
    summary="Start many executions",
    tags=["Pipelines"],
    status_code=202,
    responses=errors(404, 409, 413),
)
def execute_in_bulk(
    pipeline_id: PipelineId, user: Annotated[Caller, Depends(permit("executions:run"))], use: Use, given: Given
) -> BulkExecuteResponse:
    """All or none: where the inputs of one are wrong, none is started and every problem is listed.

    With an `idempotency_key` each, the same call may be sent again safely.
    """
    items = [Item(item.inputs, item.data, item.idempotency_key, item.priority) for item in given.executions]
    started = use.bulk.start(pipeline_id, items, version=given.version, actor=user.email)
    replayed = sum(one.replayed for one in started)
    return BulkExecuteResponse(
        pipeline_id=pipeline_id,
        started=len(started) - replayed,
        replayed=replayed,
        executions=[
            StartedBody(execution_id=one.execution_id, number=one.number, replayed=one.replayed) for one in started
        ],
    )


@router.post("/executions/retry", operation_id="retryExecutions", summary="Retry many executions", responses=errors())
def retry_executions(
    which: WhichToRetry, user: Annotated[Caller, Depends(permit("executions:retry"))], use: Use
) -> BulkResponse:
    """Those of the filter that have failed, timed out or were cancelled; the oldest first, at most 1,000 in one call.

    Each is retried on its own: `items` says what became of it.
    """
    wanted = _filter(which)
    if which.dry_run:
        return _counted(use.bulk.count(wanted, "retry"))
    done = use.bulk.retry(wanted, actor=user.email, limit=which.limit, cursor=which.cursor, use_cache=which.use_cache)
    return _result(done)


@router.post(
    "/executions/cancel", operation_id="cancelExecutions", summary="Cancel many executions", responses=errors()
)
def cancel_executions(
    which: Which, user: Annotated[Caller, Depends(permit("executions:cancel"))], use: Use
) -> BulkResponse:
    """Those of the filter that have not ended; the oldest first, at most 1,000 in one call."""
    wanted = _filter(which)
    if which.dry_run:
        return _counted(use.bulk.count(wanted, "cancel"))
    return _result(use.bulk.cancel(wanted, actor=user.email, limit=which.limit, cursor=which.cursor))


def _filter(which: BulkRequest) -> ExecutionFilter:
    narrows = which.pipeline_id or which.status or which.trigger or which.since or which.until or which.q or which.ids
    if not narrows and not which.all:
        raise InvalidRequest("This would treat every execution: narrow it, such as by `pipeline_id`, or say `all`.")
    return ExecutionFilter(
        statuses=which.status,
        pipeline_id=which.pipeline_id,
        triggers=which.trigger,
        since=which.since,
        until=which.until,
        text=which.q,
        ids=which.ids,
    )


def _counted(matched: int) -> BulkResponse:
    return BulkResponse(matched=matched, done=0, refused=0, left=matched, next_cursor=None, items=[])


def _result(result: Result) -> BulkResponse:
    items = [
        TreatedBody(
            execution_id=one.row.id,
            pipeline_id=one.row.pipeline_id,
            number=one.row.number,
            done=one.code is None,
            message=one.message,
            code=one.code,
        )
        for one in result.treated
    ]
    done = sum(item.done for item in items)
    return BulkResponse(
        matched=result.matched,
        done=done,
        refused=len(items) - done,
        left=result.left,
        next_cursor=result.next_cursor,
        items=items,
    )
