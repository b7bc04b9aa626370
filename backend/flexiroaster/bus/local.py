"""The bus of one process: listeners are called directly, in the publisher's thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import structlog

from flexiroaster.bus.port import Listener, Missed, Unsubscribe, Wanted
from flexiroaster.engine.events import Event

log = structlog.get_logger(__name__)


class LocalBus:
    def __init__(self) -> None:
        # Replaced as a whole, never changed in place: publishing reads it without a lock.
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def start(self) -> None:
        pass  # there are no others to hear of

    def stop(self) -> None:
        pass

    def publish(self, events: Sequence[Event]) -> None:
        for listener in self._listeners:
            try:
                listener(events)
            except Exception:
                log.exception("bus.listener_failed", listener=repr(listener), events=len(events))

    def subscribe(
        self, listener: Listener, *, wanted: Wanted | None = None, missed: Missed | None = None
    ) -> Unsubscribe:
        # Wrapped, so that one function subscribed twice is two listeners and each is removed alone.
        def subscription(events: Sequence[Event]) -> None:
            listener(events)

        with self._lock:
            self._listeners = (*self._listeners, subscription)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(known for known in self._listeners if known is not subscription)

        return unsubscribe
