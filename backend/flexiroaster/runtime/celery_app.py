"""Takes messages from the broker while this worker has room for what they tell of.

Celery's own worker fetches messages before it can serve them, and holds them while a stage runs, which RabbitMQ ends
after half an hour. So the consumer of its application is driven here: a message is fetched when a thread is idle,
acknowledged before anything is done about it, and what is left stays with the broker, for others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import structlog
from kombu import Connection, Consumer, Message

from flexiroaster.dispatch import celery
from flexiroaster.dispatch.celery import Hint
from flexiroaster.engine.plan import DEFAULT_POOL
from flexiroaster.store.database import StoreUnavailable

log = structlog.get_logger(__name__)

PAUSE = 0.05
"""Seconds without room after which it says so to the broker: to say it after each stage would cost more than one."""
LOOK_SECONDS = 0.5
"""How long a stop may wait for a message."""
DRY_SECONDS = 1.0
"""So long without a message, and the broker has none."""


class CeleryConsumer:
    """`start` once; `stop` may be called twice.

    `wait_for_room` says whether, within so many seconds, there is room for more work. `take` is called with every hint,
    `on_lost` when messages may have been lost.
    """

    def __init__(
        self,
        url: str,
        pools: Sequence[str] | None,
        *,
        wait_for_room: Callable[[float], bool],
        take: Callable[[Hint], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._app = celery.make_app(url)
        self._pools = pools
        self._wait_for_room = wait_for_room
        self._take = take
        self._on_lost = on_lost
        self._stopped = threading.Event()
        self._open_since: float | None = None
        self._away = False
        self._thread: threading.Thread | None = None

    @property
    def is_dry(self) -> bool:
        """Whether nothing comes from the broker, though this worker has room."""
        since = self._open_since
        return self._away or (since is not None and monotonic() - since > DRY_SECONDS)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="broker-consume", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(celery.CONNECT_SECONDS + LOOK_SECONDS)
            self._thread = None

    def _loop(self) -> None:
        while not self._stopped.is_set():
            try:
                connection = celery.connected(self._app)
                with connection:
                    self._note(None)
                    self._consume(connection)
            except Exception as failure:  # whatever it is: work is found without it
                self._note(failure)
                self._stopped.wait(celery.RETRY_SECONDS)

    def _consume(self, connection: Connection) -> None:
        consumer = self._consumer(connection)
        fetching = False
        looked_at = monotonic()
        while not self._stopped.is_set():
            if self._wait_for_room(PAUSE if fetching else LOOK_SECONDS):
                if not fetching:
                    consumer.consume()
                    fetching, self._open_since = True, monotonic()
                _drain(connection)
            elif fetching:
                self._open_since = None
                consumer.cancel()
                fetching = False
            if monotonic() - looked_at > celery.HEARTBEAT_SECONDS / 3:
                looked_at = monotonic()
                celery.keep_alive(connection)
        if fetching:
            consumer.cancel()

    def _consumer(self, connection: Connection) -> Consumer:
        pools = [DEFAULT_POOL] if self._pools is None else self._pools
        queues = [celery.queue(self._app, None if pool == DEFAULT_POOL else pool) for pool in pools]
        consumer: Consumer = self._app.amqp.TaskConsumer(
            connection.default_channel, queues=queues, accept=["json"], on_message=self._on_message, prefetch_count=1
        )
        consumer.on_decode_error = _refuse
        return consumer

    def _on_message(self, message: Message) -> None:
        if self._stopped.is_set() or not self._wait_for_room(0):
            message.reject(requeue=True)  # it was on its way when a stage began here
            return
        message.ack()
        self._open_since = monotonic()
        hint = celery.read(_payload(message))
        if hint is None:
            log.warning("broker.foreign_message", bytes=len(message.body or b""))
            return
        try:
            self._take(hint)
        except StoreUnavailable as failure:  # it is found when the database is back
            log.warning("broker.hint_dropped", execution=hint.execution_id, error=str(failure))

    def _note(self, failure: Exception | None) -> None:
        if failure is None and self._away:
            self._away = False
            self._on_lost()
        elif failure is not None and not self._away:
            self._away = True
            log.warning("broker.away", error=f"{type(failure).__name__}: {failure}")
        self._open_since = None


def _payload(message: Message) -> Any:
    try:
        return message.payload
    except Exception as failure:  # whatever somebody has put there
        log.warning("broker.unreadable_message", error=type(failure).__name__)
        return None


def _refuse(message: Message, failure: Exception) -> None:
    log.warning("broker.unreadable_message", error=type(failure).__name__)
    message.ack()


def _drain(connection: Connection) -> None:
    try:
        connection.drain_events(timeout=LOOK_SECONDS)
    except TimeoutError:
        pass
