"""From the threads that publish to the event loop that sends."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog

from flexiroaster.bus.port import Bus, Unsubscribe
from flexiroaster.engine.events import Event
from flexiroaster.websocket.allowance import ItemRation

log = structlog.get_logger(__name__)

BACKLOG_LIMIT = 50_000
"""Events that may wait for the loop; when it falls further behind, listeners are told that some are missing."""
EVENTS_PER_TURN = 200
"""After so many the loop looks after its other work."""

Deliver = Callable[[Event], Awaitable[None]]
Omitted = Callable[[int], Awaitable[None]]


class Bridge:
    """Between `start` and `stop` it listens to the bus; both may be called twice. All but `_take` on the loop."""

    def __init__(self, bus: Bus, deliver: Deliver, omitted: Omitted, items: ItemRation) -> None:
        self._bus = bus
        self._items = items
        self._deliver = deliver
        self._omitted = omitted
        self._backlog: deque[Event] = deque()
        self._dropped = 0
        self._missed = False
        self._woken = False
        self._unsubscribe: Unsubscribe | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sending: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._unsubscribe is None:
            self._loop = asyncio.get_running_loop()
            self._unsubscribe = self._bus.subscribe(self._take, missed=self._note_missed)

    def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._backlog.clear()
        self._woken = False

    def _take(self, events: Sequence[Event]) -> None:
        """In a publisher's thread. A wake-up costs a system call, so many events share one."""
        if any(event.index for event in events):
            now = time.monotonic()
            events = [event for event in events if self._items.lets(event, now)]
            if not events:
                return
        if len(self._backlog) + len(events) > BACKLOG_LIMIT:
            self._dropped += len(events)
        else:
            self._backlog.extend(events)
        self._wake_soon()

    def _note_missed(self) -> None:
        """In the bus' thread: other servers' events may never come, nobody knows how many."""
        self._missed = True
        self._wake_soon()

    def _wake_soon(self) -> None:
        if self._woken or self._loop is None:
            return
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self.stop()

    def _wake(self) -> None:
        # Before the backlog is read: what comes from now on wakes the loop again.
        self._woken = False
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        """One task at a time, so that events keep their order."""
        sent = 0
        while self._backlog:
            event = self._backlog.popleft()
            try:
                await self._deliver(event)
            except Exception:
                log.exception("socket.delivery_failed", type=event.type, execution=event.execution_id)
            sent += 1
            if sent % EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)
        if self._dropped or self._missed:
            dropped, self._dropped, self._missed = self._dropped, 0, False
            await self._omitted(dropped)
