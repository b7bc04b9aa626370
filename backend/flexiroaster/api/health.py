"""Whether this server can do its work: for load balancers and process supervisors."""

from __future__ import annotations

import anyio
import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Response
from sqlalchemy import text

from flexiroaster.api import schemas
from flexiroaster.api.parameters import Use
from flexiroaster.auth.permissions import open_to_all
from flexiroaster.services.artifacts import Artifacts
from flexiroaster.services.container import Services
from flexiroaster.store.database import Database

log = structlog.get_logger(__name__)
router = APIRouter(tags=["Server"])

PATIENCE_SECONDS = 3.0
MOST_AT_ONCE = 4
"""Checks may hang while a database does not answer: they must not take every thread of the server."""
_checks = CapacityLimiter(MOST_AT_ONCE)
_artifact_checks = CapacityLimiter(MOST_AT_ONCE)


@router.head("/health", include_in_schema=False)
@router.get(
    "/health",
    operation_id="getHealth",
    summary="Get whether the server works",
    responses={
        503: {
            "model": schemas.Health,
            "description": "The database does not answer",
            "content": {
                "application/json": {
                    "example": {
                        "status": "degraded",
                        "version": "0.1.0",
                        "instance": "7c9e6679",
                        "detail": "The database does not answer.",
                    }
                }
            },
        }
    },
)
@open_to_all
async def get_health(use: Use, response: Response) -> schemas.Health:
    """Without a credential."""
    trouble = use.database.trouble if await answers(use.database) else "The database does not answer."
    if trouble is None and (away := await trouble_elsewhere(use)) is not None:
        # 200: most of its work goes on, and taking every server away would help nobody
        return schemas.Health(status="degraded", version=use.facts.version, instance=use.facts.instance, detail=away)
    if trouble is None:
        drain = use.drain.now
        if drain.state != "working":  # 200: it is well, and whoever restarts what is not must leave it alone
            return schemas.Health(
                status="draining", version=use.facts.version, instance=use.facts.instance, detail=drain.message
            )
        return schemas.Health(status="healthy", version=use.facts.version, instance=use.facts.instance)
    response.status_code = 503
    return schemas.Health(status="degraded", version=use.facts.version, instance=use.facts.instance, detail=trouble)


async def trouble_elsewhere(use: Services) -> str | None:
    return await artifacts_trouble(use.artifacts) or use.redis_trouble() or use.broker_trouble()


async def artifacts_trouble(artifacts: Artifacts) -> str | None:
    with anyio.move_on_after(PATIENCE_SECONDS):
        return await to_thread.run_sync(artifacts.trouble, limiter=_artifact_checks, abandon_on_cancel=True)
    return "Where artifacts are kept does not answer."


async def answers(database: Database) -> bool:
    with anyio.move_on_after(PATIENCE_SECONDS):
        return await to_thread.run_sync(ask, database, limiter=_checks, abandon_on_cancel=True)
    return False


def ask(database: Database) -> bool:
    try:
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
    except Exception as error:  # whatever a driver raises: the answer is no
        log.warning("database.no_answer", error=type(error).__name__)
        return False
    return True
