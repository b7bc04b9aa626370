"""Executions: what happened, stage by stage; cancel and retry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Response

from flexiroaster.api import answers, schemas
from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.ends import ended_or_waited
from flexiroaster.api.parameters import (
    LARGEST_ID,
    LARGEST_INT,
    NEXT_CURSOR,
    NO_NUL,
    Cursor,
    ExecutionId,
    Level,
    Limit,
    LogId,
    Moment,
    PipelineWanted,
    StageName,
    Use,
    Words,
    announce_next,
)
from flexiroaster.api.rerun_schemas import RetryRequest
from flexiroaster.api.responses import errors
from flexiroaster.auth.identity import Caller
from flexiroaster.services.logs import at_least
from flexiroaster.store.executions import ExecutionFilter
from flexiroaster.store.logs import LogFilter

router = APIRouter(prefix="/api/executions", tags=["Executions"], route_class=GuardedRoute)

Reader = Depends(permit("executions:read"))
NOTHING_ASKED = RetryRequest()
States = Annotated[list[schemas.ExecutionState], Query(description="Any of these.")]
Name = Annotated[str, Query(max_length=200, pattern=NO_NUL)]


@router.get(
    "",
    operation_id="listExecutions",
    summary="List executions",
    dependencies=[Reader],
    responses={200: {"headers": NEXT_CURSOR}, **errors()},
)
def list_executions(
    use: Use,
    response: Response,
    status: States = [],  # noqa: B006  FastAPI copies defaults
    pipeline_id: PipelineWanted = None,
    parent_id: Annotated[
        str | None, Query(max_length=200, pattern=NO_NUL, description="Those that stages of this execution started.")
    ] = None,
    trigger: Annotated[list[Name], Query(description="Any of these.", examples=[["manual", "schedule"]])] = [],  # noqa: B006
    since: Annotated[Moment | None, Query(description="Created at or after it.")] = None,
    until: Annotated[Moment | None, Query(description="Created before it.")] = None,
    q: Words = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[schemas.ExecutionSummary]:
    """The newest first. `q` looks in the error and in the id of the failed stage."""
    wanted = ExecutionFilter(
        statuses=status,
        pipeline_id=pipeline_id,
        parent_id=parent_id,
        triggers=trigger,
        since=since,
        until=until,
        text=q,
    )
    page = use.history.executions(wanted, limit=limit, cursor=cursor)
    announce_next(response, page.next_cursor)
    now = use.history.now()
    expected = use.ai.predictions.of_executions([entry.row.id for entry in page.items])
    return [answers.execution_summary(entry, now, expected.get(entry.row.id)) for entry in page.items]


@router.get(
    "/{execution_id}",
    operation_id="getExecution",
    summary="Get an execution with its stages",
    dependencies=[Reader, Depends(ended_or_waited)],
    responses=errors(404),
)
def get_execution(execution_id: ExecutionId, use: Use) -> schemas.ExecutionDetail:
    """Its state, its cause where it failed, its outputs, and its first 2,000 stage runs."""
    expected = use.ai.predictions.of_execution(execution_id)
    return answers.execution_detail(use.history.execution(execution_id), use.history.now(), expected)


@router.get(
    "/{execution_id}/stages",
    operation_id="listStageRuns",
    summary="List the stage runs of an execution",
    dependencies=[Reader],
    responses={200: {"headers": NEXT_CURSOR}, **errors(404)},
)
def list_stage_runs(
    execution_id: ExecutionId,
    use: Use,
    response: Response,
    status: Annotated[list[schemas.StageState], Query(description="Any of these.")] = [],  # noqa: B006
    limit: Limit = 100,
    cursor: Cursor = None,
) -> list[schemas.StageRunBody]:
    """In the order of the definition. The items of foreach stages are listed by `/items`."""
    page = use.history.stages(execution_id, statuses=status, limit=limit, cursor=cursor)
    announce_next(response, page.next_cursor)
    now = use.history.now()
    return [answers.stage_run(entry, now) for entry in page.items]


@router.get(
    "/{execution_id}/stages/{stage}",
    operation_id="getStageRun",
    summary="Get a stage run with its config, result and attempts",
    dependencies=[Reader],
    responses=errors(404),
)
def get_stage_run(
    execution_id: ExecutionId,
    stage: StageName,
    use: Use,
    index: Annotated[int, Query(ge=0, le=LARGEST_INT, description="The foreach index.")] = 0,
) -> schemas.StageRunDetail:
    """The config is as it was evaluated; a result above 64 KB is cut, see its artifact for the whole."""
    return answers.stage_run_detail(use.history.stage(execution_id, stage, index), use.history.now())


@router.get(
    "/{execution_id}/stages/{stage}/table",
    operation_id="previewStageTable",
    summary="Get rows of the table that a stage handed on",
    dependencies=[Depends(permit("artifacts:read"))],
    responses=errors(404),
)
def preview_stage_table(
    execution_id: ExecutionId,
    stage: StageName,
    use: Use,
    index: Annotated[int, Query(ge=0, le=LARGEST_INT, description="The foreach index.")] = 0,
    offset: Annotated[int, Query(ge=0, le=LARGEST_ID, description="Rows to leave out before the first.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="At most this many rows.")] = 100,
) -> schemas.TablePreview:
    """Also of a file that the stage only names, such as that of an input stage, as it is now. Where a cell does not fit
    the type of its column, every column is text as in the file."""
    return answers.table_preview(use.stage_tables.preview(execution_id, stage, index, offset=offset, limit=limit))


@router.get(
    "/{execution_id}/stages/{stage}/items",
    operation_id="listItems",
    summary="List the items of a foreach stage",
    dependencies=[Reader],
    responses={200: {"headers": NEXT_CURSOR}, **errors(404)},
)
def list_items(
    execution_id: ExecutionId,
    stage: StageName,
    use: Use,
    response: Response,
    status: Annotated[list[schemas.StageState], Query(description="Any of these.")] = [],  # noqa: B006
    limit: Limit = 100,
    cursor: Cursor = None,
) -> list[schemas.ItemBody]:
    """In the order of the items; none for a stage without `foreach`. What one did is read as of a stage, by its
    index.
    """
    page = use.history.items(execution_id, stage, statuses=status, limit=limit, cursor=cursor)
    announce_next(response, page.next_cursor)
    now = use.history.now()
    return [answers.item(entry, stage, now) for entry in page.items]


@router.post(
    "/{execution_id}/cancel",
    operation_id="cancelExecution",
    summary="Cancel an execution",
    status_code=202,
    responses=errors(404, 409),
)
def cancel_execution(
    execution_id: ExecutionId, user: Annotated[Caller, Depends(permit("executions:cancel"))], use: Use
) -> schemas.ExecutionSummary:
    """It is `cancelling` until every running stage has stopped. Asking again does no harm."""
    use.executions.cancel(execution_id, user.email)
    return answers.execution_summary(use.history.entry(execution_id), use.history.now())


@router.post(
    "/{execution_id}/stages/{stage}/cancel",
    operation_id="cancelStageRun",
    summary="Cancel one stage of an execution",
    status_code=202,
    responses=errors(404, 409),
)
def cancel_stage_run(
    execution_id: ExecutionId,
    stage: StageName,
    user: Annotated[Caller, Depends(permit("executions:cancel"))],
    use: Use,
    index: Annotated[int, Query(ge=0, le=LARGEST_INT, description="The foreach index: one item alone.")] = 0,
) -> schemas.StageRunBody:
    """The execution goes on with what does not need it, and ends as `cancelled` once that has ended. An item counts as
    one that did not succeed. Asking again does no harm.
    """
    use.executions.cancel_stage(execution_id, stage, index, user.email)
    return answers.stage_run(use.history.stage(execution_id, stage, index).entry, use.history.now())


@router.post(
    "/{execution_id}/pause",
    operation_id="pauseExecution",
    summary="Pause an execution",
    responses=errors(404, 409),
)
def pause_execution(
    execution_id: ExecutionId, user: Annotated[Caller, Depends(permit("executions:pause"))], use: Use
) -> schemas.ExecutionSummary:
    """What runs goes on to its end, nothing else starts before it is resumed. Its timeout stands still meanwhile, and
    so does its duration. Asking again does no harm.
    """
    use.executions.pause(execution_id, user.email)
    return answers.execution_summary(use.history.entry(execution_id), use.history.now())


@router.post(
    "/{execution_id}/resume",
    operation_id="resumeExecution",
    summary="Resume a paused execution",
    responses=errors(404, 409),
)
def resume_execution(
    execution_id: ExecutionId, user: Annotated[Caller, Depends(permit("executions:pause"))], use: Use
) -> schemas.ExecutionSummary:
    """It goes on where it was; what came due meanwhile is done now. Asking again does no harm."""
    use.executions.resume(execution_id, user.email)
    return answers.execution_summary(use.history.entry(execution_id), use.history.now())


@router.post(
    "/{execution_id}/retry",
    operation_id="retryExecution",
    summary="Retry from the failed stages",
    status_code=202,
    responses=errors(404, 409),
)
def retry_execution(
    execution_id: ExecutionId,
    user: Annotated[Caller, Depends(permit("executions:retry"))],
    use: Use,
    asked: Annotated[RetryRequest, Body(examples=[{"use_cache": False}])] = NOTHING_ASKED,
) -> schemas.RetryPlan:
    """In the same execution: results of stages that succeeded are kept."""
    done = use.executions.retry(execution_id, user.email, use_cache=asked.use_cache)
    return answers.retry_plan(execution_id, done, "run again")


@router.get(
    "/{execution_id}/events",
    operation_id="listEvents",
    summary="List the events of an execution",
    dependencies=[Reader],
    responses=errors(404),
)
def list_events(
    execution_id: ExecutionId,
    use: Use,
    after: Annotated[int, Query(ge=0, le=LARGEST_INT, description="The last `seq` already seen.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most this many.")] = 500,
) -> list[schemas.EventBody]:
    """In the order of `seq`. What a live view missed while it was not connected."""
    return [answers.event(row) for row in use.history.events(execution_id, after=after, limit=limit)]


@router.get(
    "/{execution_id}/logs",
    operation_id="listExecutionLogs",
    summary="List the log lines of an execution",
    tags=["Logs"],
    dependencies=[Depends(permit("logs:read"))],
    responses=errors(404),
)
def list_logs(
    execution_id: ExecutionId,
    use: Use,
    stage: Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="Only of this stage.")] = None,
    index: Annotated[int | None, Query(ge=0, le=LARGEST_INT, description="Only of this foreach index.")] = None,
    level: Level = None,
    q: Words = None,
    after: Annotated[LogId, Query(description="Lines after this id.")] = None,
    before: Annotated[LogId, Query(description="The last lines before this id.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most this many.")] = 200,
) -> list[schemas.LogLine]:
    """Oldest first, from the start unless `after` or `before` says otherwise."""
    wanted = LogFilter(execution_id=execution_id, stage=stage, index=index, levels=at_least(level), text=q)
    rows = use.logs.of_execution(wanted, after=after, before=before, limit=limit)
    return [answers.log_line(row) for row in rows]


@router.get(
    "/{execution_id}/artifacts",
    operation_id="listArtifacts",
    summary="List the artifacts of an execution",
    tags=["Artifacts"],
    dependencies=[Depends(permit("artifacts:read"))],
    responses={200: {"headers": NEXT_CURSOR}, **errors(404)},
)
def list_artifacts(
    execution_id: ExecutionId,
    use: Use,
    response: Response,
    stage: Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="Only of this stage.")] = None,
    limit: Limit = 500,
    cursor: Cursor = None,
) -> list[schemas.ArtifactBody]:
    """In the order they were written."""
    page = use.artifacts.page(execution_id, stage=stage, limit=limit, cursor=cursor)
    announce_next(response, page.next_cursor)
    return [answers.artifact(row) for row in page.items]
