"""Numbers for the dashboard."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from flexiroaster.api import answers, schemas
from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import Use
from flexiroaster.api.responses import errors
from flexiroaster.services.metrics import Range

router = APIRouter(
    prefix="/api/metrics",
    tags=["Metrics"],
    route_class=GuardedRoute,
    dependencies=[Depends(permit("metrics:read"))],
    responses=errors(),
)


@router.get("", operation_id="getMetrics", summary="Get the numbers of the last 24 hours")
def get_metrics(use: Use) -> schemas.MetricsBody:
    """Of all pipelines together, with those of the 24 hours before to compare with."""
    return answers.metrics(use.metrics.current())


@router.get("/queue", operation_id="getQueue", summary="Get what waits to run")
def get_queue(use: Use) -> list[schemas.QueueBody]:
    """By pool, those without anything to do included: what autoscaling goes by. What names no pool is `default`."""
    return [schemas.QueueBody(**asdict(queue)) for queue in use.metrics.queues()]


@router.get("/history", operation_id="getMetricsHistory", summary="Get numbers over time")
def get_metrics_history(
    use: Use, range: Annotated[Range, Query(description="Back from now.")] = "24h"
) -> schemas.MetricsHistory:
    """Buckets of one minute (1h), a quarter of an hour (24h), two hours (7d) or six hours (30d)."""
    return answers.metrics_history(use.metrics.history(range))
