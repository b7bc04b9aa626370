"""Pipelines: list, make, change, validate, execute."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from flexiroaster.api import answers, schemas
from flexiroaster.api.bodies import accepts
from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.ends import Wait, end_within
from flexiroaster.api.parameters import (
    LARGEST_INT,
    NEXT_CURSOR,
    NO_NUL,
    Cursor,
    IdempotencyKey,
    Limit,
    PipelineId,
    Use,
    Words,
    announce_next,
)
from flexiroaster.api.requests import (
    DEFINITION_BODY,
    DEFINITION_TYPES,
    EXECUTE_BODY,
    Again,
    DefinitionSource,
    Run,
    RunRequest,
)
from flexiroaster.api.reruns import started_body
from flexiroaster.api.responses import errors
from flexiroaster.auth.identity import Caller
from flexiroaster.engine.errors import InvalidRequest
from flexiroaster.services.pipelines import Author, PipelinePicture
from flexiroaster.services.reruns import LATEST, Asked

router = APIRouter(prefix="/api/pipelines", tags=["Pipelines"], route_class=GuardedRoute)

Reader = Depends(permit("pipelines:read"))
Editor = Annotated[Caller, Depends(permit("pipelines:write"))]
Enabler = Annotated[Caller, Depends(permit("pipelines:enable"))]
ETAG = {"ETag": {"description": "The published version, for `If-Match`.", "schema": {"type": "string"}}}
Note = Annotated[str, Query(max_length=500, pattern=NO_NUL, description="Kept with the version: why it was changed.")]
Labels = Annotated[
    list[Annotated[str, Query(max_length=400, pattern=NO_NUL)]],
    Query(
        max_length=20,
        description="`key=value`, or `key` for any value. Repeat it: all of them must be there.",
        examples=[["team=sales"]],
    ),
]


@router.get(
    "",
    operation_id="listPipelines",
    summary="List pipelines",
    dependencies=[Reader],
    responses={200: {"headers": NEXT_CURSOR}, **errors()},
)
def list_pipelines(
    use: Use,
    response: Response,
    limit: Limit = 50,
    cursor: Cursor = None,
    q: Words = None,
    label: Labels = [],  # noqa: B006  FastAPI copies defaults
    enabled: Annotated[bool | None, Query(description="Only enabled or only disabled ones.")] = None,
) -> list[schemas.PipelineSummary]:
    """In order of their ids, each with its latest executions and statistics. `q` looks in id, name and description."""
    page = use.pipelines.page(limit=limit, cursor=cursor, text=q, labels=parse_labels(label), enabled=enabled)
    announce_next(response, page.next_cursor)
    now = use.history.now()
    expected = use.ai.predictions.of_pipelines(
        {entry.row.id: (entry.row.labels, answers.ended(entry)) for entry in page.items}
    )
    return [answers.pipeline_summary(entry, now, expected[entry.row.id]) for entry in page.items]


@router.post(
    "",
    operation_id="createPipeline",
    summary="Make a pipeline",
    status_code=201,
    responses={201: {"headers": ETAG}, **errors(409, 413, 415)},
    openapi_extra=DEFINITION_BODY,
)
@accepts(*DEFINITION_TYPES)
def create_pipeline(
    user: Editor, source: DefinitionSource, use: Use, response: Response, note: Note = ""
) -> schemas.PipelineDetail:
    """From JSON or YAML. Without an `id` it gets one made of its name. Every problem found is listed at once."""
    picture = use.pipelines.create(source, Author(user.email, user.role), note)
    return detail(picture, use, response)


@router.post(
    "/validate",
    operation_id="validatePipeline",
    summary="Check a definition",
    dependencies=[Depends(permit("pipelines:validate"))],
    responses=errors(413, 415),
    openapi_extra=DEFINITION_BODY,
)
@accepts(*DEFINITION_TYPES)
def validate_pipeline(source: DefinitionSource, use: Use) -> schemas.ValidationReport:
    """Nothing is stored. 200 for an invalid one too: see `valid` and `problems`."""
    return answers.validation_report(use.pipelines.validate(source))


@router.get(
    "/{pipeline_id}",
    operation_id="getPipeline",
    summary="Get a pipeline with its published version",
    dependencies=[Reader],
    responses={200: {"headers": ETAG}, **errors(404)},
)
def get_pipeline(pipeline_id: PipelineId, use: Use, response: Response) -> schemas.PipelineDetail:
    """With its definition, its text as it was written, and what its run form asks for."""
    return detail(use.pipelines.get(pipeline_id), use, response)


@router.put(
    "/{pipeline_id}",
    operation_id="updatePipeline",
    summary="Change a pipeline",
    responses={200: {"headers": ETAG}, **errors(404, 409, 412, 413, 415)},
    openapi_extra=DEFINITION_BODY,
)
@accepts(*DEFINITION_TYPES)
def update_pipeline(
    pipeline_id: PipelineId,
    user: Editor,
    source: DefinitionSource,
    use: Use,
    response: Response,
    note: Note = "",
    if_match: Annotated[
        str | None,
        Header(max_length=200, description="The version that was read, as its `ETag` said it.", examples=['"3"']),
    ] = None,
) -> schemas.PipelineDetail:
    """Publishes a new version; executions under way keep theirs. A text that means the same adds none."""
    picture = use.pipelines.update(
        pipeline_id, source, Author(user.email, user.role), expected=parse_if_match(if_match), note=note
    )
    return detail(picture, use, response)


@router.delete("/{pipeline_id}", operation_id="deletePipeline", summary="Delete a pipeline", responses=errors(404, 409))
def delete_pipeline(
    pipeline_id: PipelineId, user: Annotated[Caller, Depends(permit("pipelines:delete"))], use: Use
) -> schemas.Message:
    """Refused while executions are under way. Its versions and executions stay readable."""
    use.pipelines.delete(pipeline_id, user.email)
    return schemas.Message(message="Pipeline deleted successfully")


@router.post(
    "/{pipeline_id}/execute",
    operation_id="executePipeline",
    summary="Start an execution",
    status_code=202,
    responses=errors(404, 409, 413, 415),
    openapi_extra=EXECUTE_BODY,
)
async def execute_pipeline(
    pipeline_id: PipelineId,
    user: Annotated[Caller, Depends(permit("executions:run"))],
    run: RunRequest,
    use: Use,
    wait: Wait = 0,
    idempotency_key: IdempotencyKey = None,
) -> schemas.ExecuteResponse:
    """Once this is answered, the execution survives a restart of anything. With `wait` the answer holds its end."""
    started: list[schemas.ExecuteResponse] = []

    def start() -> str:
        started.append(_execute(pipeline_id, run, user, use, idempotency_key))
        return started[0].execution_id

    if not wait:
        await run_in_threadpool(start)
        return started[0]
    end = await end_within(use.ends, wait, start)
    return started[0].model_copy(update={"end": end and answers.execution_end(end)})


def _execute(
    pipeline_id: str, run: Run, user: Caller, use: Use, idempotency_key: str | None
) -> schemas.ExecuteResponse:
    if run.again is not None:
        return _execute_again(pipeline_id, run, run.again, user, use, idempotency_key)
    started = use.executions.start(
        pipeline_id,
        inputs=run.inputs,
        data=run.data,
        version=run.version,
        priority=run.priority,
        use_cache=run.use_cache is not False,
        idempotency_key=idempotency_key,
        trigger="manual",
        actor=user.email,
    )
    return started_body(started)


def _execute_again(
    pipeline_id: str, run: Run, again: Again, user: Caller, use: Use, idempotency_key: str | None
) -> schemas.ExecuteResponse:
    started, plan = use.reruns.start(
        use.reruns.latest(pipeline_id) if again.of == LATEST else again.of,
        Asked(again.from_stage, again.only_stage, run.version),
        inputs=run.inputs if again.new_inputs else None,
        keep_inputs=not again.new_inputs,
        data=run.data,
        pipeline_id=pipeline_id,
        idempotency_key=idempotency_key,
        actor=user.email,
        priority=run.priority or None,
        use_cache=run.use_cache,
    )
    return started_body(started, plan)


@router.post("/{pipeline_id}/pause", operation_id="pausePipeline", summary="Pause a pipeline", responses=errors(404))
def pause_pipeline(pipeline_id: PipelineId, user: Enabler, use: Use, response: Response) -> schemas.PipelineDetail:
    """No execution of it begins any more: new ones wait. Those under way go on. Asking again does no harm."""
    use.admission.pause(pipeline_id, user.email)
    return detail(use.pipelines.get(pipeline_id), use, response)


@router.post(
    "/{pipeline_id}/resume", operation_id="resumePipeline", summary="Resume a paused pipeline", responses=errors(404)
)
def resume_pipeline(pipeline_id: PipelineId, user: Enabler, use: Use, response: Response) -> schemas.PipelineDetail:
    """What waited begins, by priority and age, as far as `concurrency` allows. Asking again does no harm."""
    use.admission.resume(pipeline_id, user.email)
    return detail(use.pipelines.get(pipeline_id), use, response)


@router.get(
    "/{pipeline_id}/executions",
    operation_id="listPipelineExecutions",
    summary="List the executions of a pipeline",
    dependencies=[Depends(permit("executions:read"))],
    responses={200: {"headers": NEXT_CURSOR}, **errors(404)},
)
def list_executions(
    pipeline_id: PipelineId,
    use: Use,
    response: Response,
    limit: Limit = 10,
    cursor: Cursor = None,
    status: Annotated[list[schemas.ExecutionState], Query(description="Any of these.")] = [],  # noqa: B006
) -> list[schemas.ExecutionSummary]:
    """The newest first; of a deleted pipeline too."""
    page = use.history.of_pipeline(pipeline_id, statuses=status, limit=limit, cursor=cursor)
    announce_next(response, page.next_cursor)
    now = use.history.now()
    expected = use.ai.predictions.of_executions([entry.row.id for entry in page.items])
    return [answers.execution_summary(entry, now, expected.get(entry.row.id)) for entry in page.items]


def detail(picture: PipelinePicture, use: Use, response: Response) -> schemas.PipelineDetail:
    response.headers["ETag"] = f'"{picture.row.version}"'
    row = picture.row
    expected = use.ai.predictions.of_pipelines({row.id: (row.labels, answers.ended(picture))})
    return answers.pipeline_detail(picture, use.history.now(), expected[row.id])


def parse_labels(given: list[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or '"' in key:
            raise InvalidRequest(f"label is {text!r}: write key=value, such as label=team=sales.")
        found[key] = value if equals else None
    return found


def parse_if_match(header: str | None) -> list[int] | None:
    """The versions of an `If-Match`; None where any will do."""
    if header is None or header.strip() == "*":
        return None
    numbers = [part.strip().removeprefix("W/").strip('"') for part in header.split(",")]
    if not all(number.isascii() and number.isdigit() and int(number) <= LARGEST_INT for number in numbers):
        raise InvalidRequest(f'If-Match is {header!r}: send the version that was read, such as If-Match: "3".')
    return [int(number) for number in numbers]
