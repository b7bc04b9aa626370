"""Work inside one process: a queue that its worker threads take from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from flexiroaster.dispatch.port import Ready, Serves, Work
from flexiroaster.dispatch.queue import TURN, ReadyQueue

BACKLOG = 2 * TURN
"""So much that is ready at once is worth sharing, though threads are idle here."""


class InProcessDispatch:
    """Hands out in the order of `ReadyQueue`.

    One thread drains the queue: it claims and records, and does by itself what is instant. Before it begins something
    long it leaves, and whoever is idle takes its place. So threads are woken only where they are of use: two that
    claim in turns would spend their time handing the interpreter to each other.
    """

    def __init__(self, serves: Serves | None = None) -> None:
        self._serves = serves
        self._queue = ReadyQueue()
        lock = threading.Lock()
        self._arrived = threading.Condition(lock)
        self._room = threading.Condition(lock)
        self._idle = 0
        self._draining = 0
        self._closed = False
        self._stop_callbacks: list[Callable[[Work], None]] = []
        self.on_backlog: Callable[[Sequence[Ready]], None] | None = None
        """Called with what is announced that no thread of this process comes to soon."""
        self.on_foreign: Callable[[Sequence[Ready]], None] = lambda ready: None
        """Called with what is announced that is not for this process."""

    def announce(self, ready: Iterable[Ready]) -> None:
        ready = self._own(ready)
        with self._arrived:
            for item in ready:
                self._queue.push(item)
            self._wake_one()
            if self.on_backlog is not None and (behind := self._behind(ready)):
                self.on_backlog(behind)

    def _own(self, ready: Iterable[Ready]) -> Sequence[Ready]:
        serves, given = self._serves, ready if isinstance(ready, list) else list(ready)
        if serves is None:
            return given
        foreign = [item for item in given if not serves(item.pool)]
        if not foreign:
            return given
        self.on_foreign(foreign)
        return [item for item in given if serves(item.pool)]

    def _behind(self, ready: Sequence[Ready]) -> Sequence[Ready]:
        """What of this is worth telling others."""
        if not self._idle or self._closed or len(self._queue) > BACKLOG:
            return ready
        long = [item for item in ready if not item.instant]
        return long if len(long) > self._idle else ()

    def add(self, ready: Iterable[Ready]) -> None:
        """Like `announce`, without waking anybody: the caller goes on taking.

        What was taken but could not be claimed because the transaction failed comes behind its equals so, and an
        execution that cannot be read does not hold up all others.
        """
        with self._arrived:
            for item in ready:
                self._queue.push(item)

    @property
    def waiting(self) -> bool:
        """Whether anything is queued."""
        return len(self._queue) > 0

    @property
    def is_long(self) -> bool:
        """Whether so much is queued that others could do some of it."""
        return len(self._queue) > BACKLOG

    @property
    def next_priority(self) -> int | None:
        """Of what `take` would answer; None when nothing is queued. Only a look: it may have changed already."""
        if not self._queue:
            return None
        with self._arrived:
            return self._queue.priority

    def take(self, *, instant_only: bool = False) -> Ready | None:
        """The next; None when nothing is queued, or when the next is not instant and should be."""
        with self._arrived:
            first = self._queue.peek() if instant_only else None
            if not self._queue or (first is not None and not first.instant):
                return None
            return self._queue.pop()

    def wait(self) -> bool:
        """Sleep until there may be work, then drain it; False once closed."""
        with self._arrived:
            self._idle += 1
            try:
                while not self._queue and not self._closed:
                    self._room.notify()
                    self._arrived.wait()
            finally:
                self._idle -= 1
            self._draining += 1
            return not self._closed

    def leave(self) -> None:
        """The calling thread drains no longer: it has something long to do, or nothing."""
        with self._arrived:
            self._draining -= 1
            self._wake_one()
            if self._has_room:
                self._room.notify()

    def wait_for_room(self, seconds: float) -> bool:
        """Whether, within this time, a thread is idle and nothing is queued for it."""
        with self._room:
            return self._room.wait_for(lambda: self._has_room, seconds)

    @property
    def _has_room(self) -> bool:
        return self._idle > 0 and not self._queue and not self._closed

    def rejoin(self) -> None:
        """The calling thread drains again."""
        with self._arrived:
            self._draining += 1

    def _wake_one(self) -> None:
        if self._queue and self._idle and not self._draining:
            self._arrived.notify()

    def close(self) -> None:
        """Nothing is taken any more; what waits is left to others."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()
            if self.on_backlog is not None and self._queue:
                self.on_backlog([self._queue.pop() for _ in range(len(self._queue))])

    def stop(self, work: Iterable[Work]) -> None:
        for item in work:
            for callback in self._stop_callbacks:
                callback(item)

    def on_stop(self, callback: Callable[[Work], None]) -> None:
        self._stop_callbacks.append(callback)
