"""The parameters that many routes share, bounded so that no value of them can upset a database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends, Header, Path, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime

from flexiroaster.services.container import Services

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL cannot compare with a text that holds a NUL."""
LARGEST_INT = 2**31 - 1
LARGEST_ID = 2**53 - 1
"""The largest whole number that JavaScript keeps exactly."""


async def services(request: Request) -> Services:
    """Async, though it waits for nothing: FastAPI would call a plain function in a thread, at every request."""
    found: Services = request.app.state.services
    return found


def in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the moment lies outside of the years 1 to 9999") from error


Use = Annotated[Services, Depends(services)]

PipelineId = Annotated[
    str, Path(max_length=200, pattern=NO_NUL, description="The pipeline.", examples=["daily_orders"])
]
ExecutionId = Annotated[
    str,
    Path(
        max_length=200,
        pattern=NO_NUL,
        description="The execution.",
        examples=["0195f0c2-7c1e-7a53-9d2e-0c3a5f1b2d4e"],
    ),
]
ArtifactId = Annotated[
    str,
    Path(
        max_length=200, pattern=NO_NUL, description="The artifact.", examples=["0195f0c2-9b1d-7e0f-8a77-51f0a6d2c911"]
    ),
]
StageName = Annotated[str, Path(max_length=200, pattern=NO_NUL, description="The stage's id.", examples=["check"])]
StageTypeName = Annotated[str, Path(max_length=200, pattern=NO_NUL, description="The stage type.", examples=["http"])]
PipelineWanted = Annotated[
    str | None, Query(max_length=200, pattern=NO_NUL, description="Only of this pipeline.", examples=["daily_orders"])
]
VersionNumber = Annotated[int, Path(ge=1, le=LARGEST_INT, description="The version, from 1.")]

Limit = Annotated[int, Query(ge=1, le=500, description="At most this many.")]
Cursor = Annotated[
    str | None, Query(max_length=1000, pattern=NO_NUL, description="`X-Next-Cursor` of the page before, unchanged.")
]
Words = Annotated[
    str | None, Query(max_length=200, pattern=NO_NUL, description="Only what contains this text, in any case.")
]
Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
Level = Annotated[
    Literal["debug", "info", "warning", "error"] | None, Query(description="This level and the graver ones.")
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[ -~]+$",
        description="The same key of the same pipeline starts one execution, however often it is sent.",
    ),
]
LogId = Annotated[int | None, Query(ge=0, le=LARGEST_ID)]

NEXT_CURSOR = {
    "X-Next-Cursor": {
        "description": "Hand it back as `cursor` to get the next page. Missing on the last page.",
        "schema": {"type": "string"},
    }
}


def announce_next(response: Response, cursor: str | None) -> None:
    if cursor is not None:
        response.headers["X-Next-Cursor"] = cursor
