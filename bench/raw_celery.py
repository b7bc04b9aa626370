"""Celery as one would use it: a task that does nothing, its result in the same broker. Settings from RAW_BROKER_URL."""

from __future__ import annotations

import os

from celery import Celery

URL = os.environ.get("RAW_BROKER_URL", "memory://")
QUEUE = "raw"

app = Celery("raw", broker=URL, backend="rpc://" if URL.startswith("amqp") else URL, set_as_current=False)
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    task_default_queue=QUEUE,
    # As ours: what is kept there survives the loss of a server of the broker.
    task_default_queue_type="quorum" if URL.startswith("amqp") else "classic",
    worker_detect_quorum_queues=True,
    worker_prefetch_multiplier=16,
    broker_connection_retry_on_startup=True,
)


@app.task(name="raw.nothing")
def nothing() -> None:
    """What a no-op stage is here."""
