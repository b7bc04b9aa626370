"""Work told to workers through a broker, as messages of Celery.

A message carries ids and nothing else: it only wakes one worker, which asks the database. So it is acknowledged before
anything is done, none is sent for later, there is no result, and a broker that loses all of them loses nothing. They
are published by a thread of its own: a broker that is away holds nobody up.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from time import monotonic
from typing import Any, NamedTuple
from uuid import uuid4

import structlog
from celery import Celery
from kombu import Connection, Producer, Queue

from flexiroaster.dispatch.port import Ready
from flexiroaster.engine.runs import Key

log = structlog.get_logger(__name__)

TASK = "flexiroaster.work"
QUEUE = "flexiroaster"
"""What any worker may look at; a pool that has workers of its own has a queue of its own."""
CONNECT_SECONDS = 4.0
WRITE_SECONDS = 10.0
HEARTBEAT_SECONDS = 30
RETRY_SECONDS = 1.0
MOST_WAITING = 20_000
"""Stage runs that wait to be told. What is beyond is found in the database."""
MOST_KEPT = 100_000
"""Messages in a queue that nobody empties."""
FEW = 32
"""So many ready stage runs of an execution have a message each, so that as many workers may take one."""
MESSAGES = 64
MOST_IN_ONE = 50
MOST_INSTANT = 500
"""Instant ones of an execution are run together, by whoever takes the first."""


class Hint(NamedTuple):
    """What a message says: these stage runs of an execution were ready when it was sent."""

    execution_id: str
    keys: list[Key]


def make_app(url: str) -> Celery:
    """Connects when it is first used."""
    for name in ("celery", "kombu", "amqp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of it is said here, once
    app = Celery("flexiroaster", broker=url, set_as_current=False, autofinalize=False)
    app.conf.update(
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_protocol=2,
        broker_connection_timeout=CONNECT_SECONDS,
        broker_heartbeat=HEARTBEAT_SECONDS,
        broker_transport_options=_redis_options() if is_redis(url) else _amqp_options(),
    )
    app.finalize()
    return app


def is_redis(url: str) -> bool:
    return url.startswith(("redis://", "rediss://"))


def _redis_options() -> dict[str, Any]:
    return {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": WRITE_SECONDS, "socket_keepalive": True}


def _amqp_options() -> dict[str, Any]:
    return {"connect_timeout": CONNECT_SECONDS, "write_timeout": WRITE_SECONDS}


def queue(app: Celery, pool: str | None = None) -> Queue:
    """Of a pool, or of all that have no workers of their own. On RabbitMQ a quorum queue."""
    name = QUEUE if pool is None else f"{QUEUE}.pool.{pool}"
    arguments = {"x-queue-type": "quorum", "x-max-length": MOST_KEPT}
    return Queue(name, durable=True, queue_arguments=None if is_redis(app.conf.broker_url) else arguments)


def connected(app: Celery) -> Connection:
    """Raises where the broker is away."""
    connection = app.connection_for_write()
    connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=CONNECT_SECONDS)
    return connection


def keep_alive(connection: Connection) -> None:
    """Call it every few seconds: a dead connection is found out by it. Reads what has arrived."""
    if not connection.supports_heartbeats:
        return
    try:
        connection.drain_events(timeout=0.01)
    except TimeoutError:
        pass
    connection.heartbeat_check()


def hints(ready: Sequence[Ready]) -> Iterator[tuple[str | None, Hint]]:
    """With the pool that each is for."""

    def group(item: Ready) -> tuple[str, str, bool]:
        return item.work.execution_id, item.pool or "", item.instant

    for (execution_id, pool, instant), items in groupby(sorted(ready, key=group), group):
        keys = [item.work.key for item in items]
        size = MOST_INSTANT if instant else 1 if len(keys) <= FEW else min(-(-len(keys) // MESSAGES), MOST_IN_ONE)
        # The last first: who announces them begins with the first.
        for start in reversed(range(0, len(keys), size)):
            yield pool or None, Hint(execution_id, keys[start : start + size])


def read(payload: Any) -> Hint | None:
    """What a message says; None when it is none of ours."""
    try:
        (execution_id, keys), _, _ = payload
        found = Hint(execution_id, [Key(position, index) for position, index in keys])
    except (TypeError, ValueError):
        return None
    numbers = all(type(part) is int and 0 <= part < 2**31 for key in found.keys for part in key)
    return found if isinstance(execution_id, str) and len(execution_id) <= 64 and numbers else None


class CeleryDispatch:
    """A `Remote`. `own_pools` are those that have workers of their own at this moment. `on_trouble` hears of what could
    not be told.
    """

    def __init__(self, url: str) -> None:
        self.app = make_app(url)
        self.own_pools: Callable[[], Collection[str]] = lambda: ()
        self.on_trouble: Callable[[Sequence[Ready]], None] = lambda ready: None
        self._waiting: deque[Ready] = deque()
        self._something = threading.Event()
        self._stopped = threading.Event()
        self._trouble: str | None = None
        self._thread: threading.Thread | None = None

    @property
    def trouble(self) -> str | None:
        return self._trouble

    def announce(self, ready: Sequence[Ready]) -> bool:
        if self._trouble is not None or len(self._waiting) > MOST_WAITING:
            return False
        self._waiting.extend(ready)
        self._something.set()
        return True

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="broker-publish", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._something.set()
        if self._thread is not None:
            self._thread.join(CONNECT_SECONDS + WRITE_SECONDS)
            self._thread = None

    def _loop(self) -> None:
        while not self._stopped.is_set():
            try:
                connection = connected(self.app)
            except Exception as failure:  # whatever it is: work is found without it
                self._note(failure)
                self._give_back()
                self._stopped.wait(RETRY_SECONDS)
                continue
            self._note(None)
            try:
                self._publish_all(connection)
            except Exception as failure:
                self._note(failure)
                self._give_back()
                self._stopped.wait(RETRY_SECONDS)
            finally:
                _close(connection)

    def _publish_all(self, connection: Connection) -> None:
        producer = self.app.amqp.Producer(connection.default_channel)
        looked_at = monotonic()
        while True:
            self._something.wait(HEARTBEAT_SECONDS / 3)
            last = self._stopped.is_set()
            self._something.clear()
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_WAITING))]
                try:
                    self._publish(producer, taken)
                    producer.channel.basic_qos(0, 1, False)  # an answer: the broker was there to hear it all
                except BaseException:
                    self._waiting.extendleft(reversed(taken))  # some may be told twice
                    raise
            if last:
                return
            if monotonic() - looked_at > HEARTBEAT_SECONDS / 3:
                looked_at = monotonic()
                keep_alive(connection)

    def _publish(self, producer: Producer, ready: Sequence[Ready]) -> None:
        own = self.own_pools()
        for pool, hint in hints(ready):
            target = queue(self.app, pool if pool in own else None)
            id = str(uuid4())
            message = self.app.amqp.as_task_v2(id, TASK, args=list(hint), kwargs={}, ignore_result=True)
            producer.publish(
                message.body,
                serializer="json",
                exchange="",
                routing_key=target.name,
                declare=[target],
                headers=message.headers,
                retry=False,
                **message.properties,
            )

    def _give_back(self) -> None:
        left = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if left:
            self.on_trouble(left)

    def _note(self, failure: Exception | None) -> None:
        """Say it once when the broker is away, and once when it is back."""
        if failure is None and self._trouble is not None:
            log.info("broker.back")
        if failure is not None and self._trouble is None:
            log.warning("broker.away", error=f"{type(failure).__name__}: {failure}")
        self._trouble = None if failure is None else f"The broker does not answer ({type(failure).__name__})."


def _close(connection: Connection) -> None:
    try:
        connection.release()
    except Exception as failure:  # it is gone in any case
        log.debug("broker.close_failed", error=type(failure).__name__)
