"""Versions of pipelines: list, compare, and drafts, which wait to be published."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from flexiroaster.api import answers, schemas
from flexiroaster.api.bodies import accepts
from flexiroaster.api.deps import GuardedRoute
from flexiroaster.api.parameters import (
    LARGEST_INT,
    NEXT_CURSOR,
    Cursor,
    Limit,
    PipelineId,
    Use,
    VersionNumber,
    announce_next,
)
from flexiroaster.api.pipelines import ETAG, Editor, Note, Reader, detail, parse_if_match
from flexiroaster.api.requests import DEFINITION_BODY, DEFINITION_TYPES, DefinitionSource
from flexiroaster.api.responses import errors
from flexiroaster.services.pipelines import Author

router = APIRouter(prefix="/api/pipelines", tags=["Pipelines"], route_class=GuardedRoute)


@router.get(
    "/{pipeline_id}/versions",
    operation_id="listPipelineVersions",
    summary="List the versions of a pipeline",
    dependencies=[Reader],
    responses={200: {"headers": NEXT_CURSOR}, **errors(404)},
)
def list_versions(
    pipeline_id: PipelineId, use: Use, response: Response, limit: Limit = 50, cursor: Cursor = None
) -> list[schemas.PipelineVersion]:
    """The newest first, drafts among them; discarded ones are left out."""
    page = use.pipelines.versions(pipeline_id, limit=limit, cursor=cursor)
    announce_next(response, page.next_cursor)
    return [answers.pipeline_version(row) for row in page.items]


@router.post(
    "/{pipeline_id}/versions",
    operation_id="savePipelineDraft",
    summary="Save a draft",
    status_code=201,
    responses=errors(404, 409, 413, 415),
    openapi_extra=DEFINITION_BODY,
)
@accepts(*DEFINITION_TYPES)
def save_draft(
    pipeline_id: PipelineId,
    user: Editor,
    source: DefinitionSource,
    use: Use,
    note: Note = "",
    based_on: Annotated[
        int | None,
        Query(ge=1, le=LARGEST_INT, description="The version it was made from; left out, the published one."),
    ] = None,
    replaces: Annotated[
        int | None, Query(ge=1, le=LARGEST_INT, description="A draft that is discarded with it.")
    ] = None,
) -> schemas.PipelineVersionDetail:
    """A version that only runs where its number is asked for. The draft that is there, where one means the same."""
    author = Author(user.email, user.role)
    made = use.drafts.save(pipeline_id, source, author, based_on=based_on, replaces=replaces, note=note)
    return answers.pipeline_version_detail(made)


@router.get(
    "/{pipeline_id}/versions/{version}",
    operation_id="getPipelineVersion",
    summary="Get one version",
    dependencies=[Reader],
    responses=errors(404),
)
def get_version(pipeline_id: PipelineId, version: VersionNumber, use: Use) -> schemas.PipelineVersionDetail:
    """Also of a deleted pipeline: what a version says never changes."""
    return answers.pipeline_version_detail(use.pipelines.version(pipeline_id, version))


@router.get(
    "/{pipeline_id}/versions/{version}/diff/{other}",
    operation_id="diffPipelineVersions",
    summary="Compare two versions",
    dependencies=[Reader],
    responses=errors(404),
)
def diff_versions(
    pipeline_id: PipelineId, version: VersionNumber, other: VersionNumber, use: Use
) -> schemas.PipelineDiff:
    """What changed from `version` to `other`: stage by stage, key by key, and as text."""
    return answers.pipeline_diff(use.pipelines.diff(pipeline_id, version, other))


@router.post(
    "/{pipeline_id}/versions/{version}/publish",
    operation_id="publishPipelineDraft",
    summary="Publish a draft",
    responses={200: {"headers": ETAG}, **errors(404, 409, 412)},
)
def publish_draft(
    pipeline_id: PipelineId,
    version: VersionNumber,
    user: Editor,
    use: Use,
    response: Response,
    note: Note = "",
    if_match: Annotated[
        str | None,
        Header(
            max_length=200,
            description="The published version that it may take the place of, `*` for any; left out, the one that the "
            "draft was made from.",
            examples=['"3"'],
        ),
    ] = None,
) -> schemas.PipelineDetail:
    """It runs from now on; executions under way keep their version. Refused where another was published meanwhile."""
    author = Author(user.email, user.role)
    anyway = if_match is not None and if_match.strip() == "*"
    published = use.drafts.publish(
        pipeline_id, version, author, expected=parse_if_match(if_match), anyway=anyway, note=note
    )
    return detail(published, use, response)


@router.delete(
    "/{pipeline_id}/versions/{version}",
    operation_id="discardPipelineDraft",
    summary="Discard a draft",
    responses=errors(404, 409),
)
def discard_draft(pipeline_id: PipelineId, version: VersionNumber, user: Editor, use: Use) -> schemas.Message:
    """Executions of it go on, and it stays readable for them. A published version stays: 409."""
    use.drafts.discard(pipeline_id, version, user.email)
    return schemas.Message(message=f"Draft {version} discarded.")
