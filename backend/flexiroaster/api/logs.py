"""Log lines of all executions: the latest, and live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from flexiroaster.api import answers, schemas
from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import LARGEST_ID, Level, Limit, LogId, PipelineWanted, Use, Words
from flexiroaster.api.responses import errors
from flexiroaster.services.logs import Logs, at_least
from flexiroaster.store.logs import LogFilter

router = APIRouter(prefix="/api/logs", tags=["Logs"], route_class=GuardedRoute)

Reader = Depends(permit("logs:read"))
LOOK_SECONDS = 0.5
"""Between two looks for new lines."""
LONGEST_SECONDS = 50.0
"""A stream ends and its reader comes again: a session that ended elsewhere ends here within a minute."""
QUIET_LOOKS = 20
"""Looks without a line after which a comment keeps proxies from closing the connection."""


@router.get(
    "",
    operation_id="listLogs",
    summary="List log lines",
    dependencies=[Reader],
    responses=errors(),
)
def list_logs(
    use: Use,
    limit: Limit = 50,
    level: Level = None,
    q: Words = None,
    pipeline_id: PipelineWanted = None,
    after: Annotated[LogId, Query(description="The first lines after this id, instead of the last ones.")] = None,
) -> list[schemas.LogLine]:
    """The last lines, oldest first. Looks through the newest 500,000 lines."""
    wanted = LogFilter(pipeline_id=pipeline_id, levels=at_least(level), text=q)
    return [answers.log_line(row) for row in use.logs.recent(wanted, after=after, limit=limit)]


@router.get(
    "/stream",
    operation_id="streamLogs",
    summary="Stream new log lines",
    dependencies=[Reader],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: `id` is the line's id, `data` the line as JSON.",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": 'id: 7\nevent: log\ndata: {"id": 7, "level": "info", "message": "Read 3 rows"}\n\n',
                }
            },
        },
        **errors(),
    },
)
async def stream_logs(
    request: Request,
    use: Use,
    last_event_id: Annotated[
        str | None, Header(max_length=40, description="Goes on after this line, as a browser does by itself.")
    ] = None,
) -> StreamingResponse:
    """Lines written from now on. Ends after 50 seconds: connect again with `Last-Event-ID`, as browsers do."""
    return StreamingResponse(
        live_lines(request, use.logs, seen_id(last_event_id)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def live_lines(request: Request, logs: Logs, after: int | None) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    tail = await to_thread.run_sync(logs.tail, after)
    quiet = 0
    with anyio.move_on_after(LONGEST_SECONDS):
        while not await request.is_disconnected():
            rows = await to_thread.run_sync(logs.new_lines, tail)
            quiet = 0 if rows else quiet + 1
            for row in rows:
                yield f"id: {row.id}\nevent: log\ndata: {answers.log_line(row).model_dump_json()}\n\n"
            if quiet >= QUIET_LOOKS:
                quiet = 0
                yield ": nothing new\n\n"
            await anyio.sleep(LOOK_SECONDS)


def seen_id(header: str | None) -> int | None:
    """Whatever is no id of ours means: from now on."""
    known = header is not None and header.isascii() and header.isdigit() and int(header) <= LARGEST_ID
    return int(header) if known and header is not None else None
