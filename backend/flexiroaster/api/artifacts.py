"""Artifacts: what they are, the rows in them, and the files themselves."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from flexiroaster.api import answers, schemas
from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import LARGEST_ID, ArtifactId, Use
from flexiroaster.api.responses import errors
from flexiroaster.services.artifacts import Elsewhere, Format

router = APIRouter(
    prefix="/api/artifacts",
    tags=["Artifacts"],
    route_class=GuardedRoute,
    dependencies=[Depends(permit("artifacts:read"))],
)

SCRIPTED = ("cors", "same-origin", "no-cors")
"""What browsers say of `fetch` in `Sec-Fetch-Mode`, as they do of a link in a page: navigate."""
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file. `Content-Disposition` names it.",
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in (
                "text/csv",
                "application/json",
                "application/vnd.apache.parquet",
                "application/x-ndjson",
                "application/octet-stream",
                "text/plain",
            )
        },
    }
}


@router.get("/{artifact_id}", operation_id="getArtifact", summary="Get what an artifact is", responses=errors(404))
def get_artifact(artifact_id: ArtifactId, use: Use) -> schemas.ArtifactBody:
    """Which stage wrote it, its size, and the columns of a table."""
    return answers.artifact(use.artifacts.get(artifact_id))


@router.get(
    "/{artifact_id}/preview", operation_id="previewArtifact", summary="Get rows of a table", responses=errors(404)
)
def preview_artifact(
    artifact_id: ArtifactId,
    use: Use,
    offset: Annotated[int, Query(ge=0, le=LARGEST_ID, description="Rows to leave out before the first.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="At most this many rows.")] = 100,
) -> schemas.TablePreview:
    """Numbers that JSON or a browser would round are text."""
    return answers.table_preview(use.artifacts.preview(artifact_id, offset=offset, limit=limit))


@router.get(
    "/{artifact_id}/profile",
    operation_id="profileArtifact",
    summary="Get the profile of a table",
    responses=errors(404),
)
def profile_artifact(artifact_id: ArtifactId, use: Use) -> schemas.TableProfile:
    """Nulls, distinct values, smallest, largest, mean and histogram of each column."""
    return answers.table_profile(use.artifacts.profile(artifact_id))


@router.get(
    "/{artifact_id}/download",
    operation_id="downloadArtifact",
    summary="Download an artifact",
    response_class=StreamingResponse,
    responses={**FILE, 307: {"description": "Where to fetch it, within five minutes."}, **errors(404, 503)},
)
def download_artifact(
    artifact_id: ArtifactId,
    use: Use,
    format: Annotated[Format, Query(description="Tables can be had as csv, json and parquet.")] = "original",
    sec_fetch_mode: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """In CSV, a text that a spreadsheet would run as a formula gets a leading apostrophe.

    Where artifacts are kept in S3, a file as it was written comes from there, by a redirect. Scripts in a browser,
    which the bucket would have to let in first, are answered by the server itself.
    """
    file = use.artifacts.download(artifact_id, format, elsewhere=sec_fetch_mode not in SCRIPTED)
    if isinstance(file, Elsewhere):
        return RedirectResponse(file.url, 307, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    return StreamingResponse(
        file.chunks,
        media_type=file.media_type,
        headers={"Content-Disposition": attachment(file.name), "Content-Length": str(file.size)},
    )


def attachment(name: str) -> str:
    """RFC 6266: a plain name for old clients, the whole name for the others."""
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\' else "_" for char in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
