"""Numbers for monitoring and autoscaling, in Prometheus' text format."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request, Response

from flexiroaster.api.deps import GuardedRoute, Permit, bearer_token
from flexiroaster.api.parameters import Use, services
from flexiroaster.api.responses import errors
from flexiroaster.auth.identity import Caller
from flexiroaster.auth.permissions import Role
from flexiroaster.services.metrics import QueueDepth
from flexiroaster.services.workers import WorkerEntry

router = APIRouter(tags=["Metrics"], route_class=GuardedRoute)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Samples = Iterable[tuple[Mapping[str, str], float]]


class ScraperPermit(Permit):
    """Also for who has the token that is good for this alone."""

    async def check(self, request: Request) -> Caller:
        wanted, given = (await services(request)).metrics_token, bearer_token(request)
        if wanted is not None and given is not None and hmac.compare_digest(wanted.encode(), given.encode()):
            return Caller("", "metrics", Role.VIEWER.value, "", datetime.max.replace(tzinfo=UTC))
        return await super().check(request)


@router.get(
    "/metrics",
    operation_id="scrapeMetrics",
    summary="Get numbers for Prometheus",
    dependencies=[Depends(ScraperPermit("metrics:read"))],
    response_class=Response,
    responses={
        200: {
            "description": "One number a line",
            "content": {"text/plain": {"example": 'flexiroaster_queue_stages{pool="default"} 12\n'}},
        },
        **errors(),
    },
)
def scrape_metrics(use: Use) -> Response:
    """What waits and what runs, by pool, and who works; the same from every server of a database. It also takes the
    token that `FLEXIROASTER_METRICS_TOKEN` names, which is good for nothing else.
    """
    text = "".join([*_of_queues(use.metrics.queues()), *_of_workers(use.workers.all()), *_of_executions(use)])
    return Response(text, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def _of_queues(queues: list[QueueDepth]) -> Iterable[str]:
    yield _gauge(
        "queue_stages", "Stages that are ready and that nobody runs yet.", [(_in(one), one.waiting) for one in queues]
    )
    yield _gauge(
        "queue_oldest_seconds",
        "How long the first of them is ready.",
        [(_in(one), one.oldest_wait_seconds or 0.0) for one in queues],
    )
    yield _gauge("running_stages", "Stages that run.", [(_in(one), one.running) for one in queues])
    workers = [(_in(one), one.workers) for one in queues]
    yield _gauge("pool_workers", "Processes that take a pool's stages at this moment.", workers)
    limited = [(_in(one), one.slots) for one in queues if one.slots is not None]
    yield _gauge("pool_slots", "Stages of a pool that may run at the same time.", limited)


def _of_workers(entries: list[WorkerEntry]) -> Iterable[str]:
    counts = Counter((entry.row.kind, entry.state) for entry in entries)
    yield _gauge(
        "workers",
        "Processes that take work, by what they do and whether they take more.",
        [({"role": role, "state": state}, count) for (role, state), count in sorted(counts.items())],
    )
    slots: Counter[str] = Counter()
    for entry in entries:
        if entry.state == "working":
            slots[entry.row.kind] += entry.row.concurrency
    yield _gauge(
        "worker_slots",
        "Stages that those which take more work can run at the same time.",
        [({"role": role}, count) for role, count in sorted(slots.items())],
    )


def _of_executions(use: Use) -> Iterable[str]:
    counts = use.metrics.open_executions()
    yield _gauge(
        "executions",
        "Executions that have not ended.",
        [({"status": status}, count) for status, count in sorted(counts.items())],
    )


def _in(queue: QueueDepth) -> Mapping[str, str]:
    return {"pool": queue.pool}


def _gauge(name: str, help: str, samples: Samples) -> str:
    full = f"flexiroaster_{name}"
    lines = [f"{full}{{{_labels(labels)}}} {value:g}\n" for labels, value in samples]
    return f"# HELP {full} {help}\n# TYPE {full} gauge\n{''.join(lines)}"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
