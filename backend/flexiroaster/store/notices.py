"""Short messages between the servers of one PostgreSQL database, by LISTEN and NOTIFY.

They carry names of what is in the database, so that a lost or doubled one does no harm: they only wake. NOTIFY takes a
lock of the whole database at the commit, therefore it is never part of a transaction that changes anything: a thread of
its own sends what has gathered, at once when it has been quiet, otherwise a few dozen times a second.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
import structlog

log = structlog.get_logger(__name__)

CHANNEL = "flexiroaster"
LONGEST = 7_900
"""Bytes of one message: PostgreSQL takes fewer than 8,000."""
PAUSE = 0.02
"""Seconds between two rounds of sending."""
MOST_WAITING = 20_000
"""Items that wait while the database is away; when there are more, others are told that they miss some (`gap`)."""
CONNECT_PAUSE = 1.0
PATIENCE = 5.0
"""Seconds without a message after which a listener asks whether its connection still works."""

Hear = Callable[[list[Any]], None]


class Notices:
    """`tell` and `hear` from any thread. `stop` may be called twice, also without `start`."""

    def __init__(self, engine: sa.Engine, sender: str) -> None:
        self.sender = sender
        self.others = False
        """Whether there may be others who listen; whoever finds out says so here."""
        self._engine = engine
        self._ears: dict[str, list[Hear]] = {}
        self.on_trouble: Callable[[], None] = lambda: None
        """Called when the connection was lost and is there again: messages may have been missed."""
        self._waiting: dict[str, list[Any]] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._something = threading.Event()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def tell(self, kind: str, items: Sequence[Any] = ()) -> None:
        """Every other server hears of these items (JSON values) a moment later; returns at once."""
        with self._lock:
            if self._count > MOST_WAITING:
                self._waiting, self._count = {"gap": []}, 0
            self._waiting.setdefault(kind, []).extend(items)
            self._count += len(items)
        self._something.set()

    def hear(self, kind: str, callback: Hear) -> None:
        """It is called in the listening thread, with items of one sender in the order they were told."""
        self._ears.setdefault(kind, []).append(callback)

    def start(self) -> None:
        for target in (self._listen, self._send):
            thread = threading.Thread(target=target, name=f"notices{target.__name__}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._something.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    # Listening

    def _listen(self) -> None:
        lost = False
        while not self._stopped.is_set():
            try:
                raw = self._connected()
            except Exception as failure:
                lost = True
                log.warning("notices.not_connected", error=type(failure).__name__, next_try_seconds=CONNECT_PAUSE)
                self._stopped.wait(CONNECT_PAUSE)
                continue
            try:
                self._take(raw, lost)
            except Exception as failure:
                lost = True
                log.warning("notices.lost", error=type(failure).__name__)
                self._stopped.wait(PAUSE)
            finally:
                raw.close()

    def _take(self, raw: Any, lost: bool) -> None:
        raw.execute(f"LISTEN {CHANNEL}")
        if lost:  # after it: from here on nothing is missed
            _call(self.on_trouble)
        while not self._stopped.is_set():
            for notice in raw.notifies(timeout=PATIENCE):
                self._heard(notice.payload)
                if self._stopped.is_set():
                    return
            raw.execute("SELECT 1")

    def _heard(self, payload: str) -> None:
        sender, kind, items = json.loads(payload)
        if sender == self.sender:
            return
        for callback in self._ears.get(kind, ()):
            _call(callback, items)

    # Sending

    def _send(self) -> None:
        raw: Any = None
        while True:
            self._something.wait()
            self._something.clear()
            last = self._stopped.is_set()
            try:
                messages = self._messages()
                if messages or last:
                    raw = self._connected() if raw is None else raw
                    self._notify(raw, messages)
                    if last:
                        self._notify(raw, [_message(self.sender, "stopped", [])])  # wakes our own listener
            except Exception as failure:
                log.warning("notices.not_sent", error=type(failure).__name__, next_try_seconds=CONNECT_PAUSE)
                _close(raw)
                raw = None
                if not last:
                    self.tell("gap")
                    self._stopped.wait(CONNECT_PAUSE)
            if last:
                _close(raw)
                return
            self._stopped.wait(PAUSE)

    def _messages(self) -> list[str]:
        with self._lock:
            waiting, self._waiting, self._count = self._waiting, {}, 0
        return [message for kind, items in waiting.items() for message in _cut(self.sender, kind, items)]

    def _notify(self, raw: Any, messages: Sequence[str]) -> None:
        for message in messages:
            raw.execute("SELECT pg_notify(%s, %s)", (CHANNEL, message))

    def _connected(self) -> Any:
        """A connection of our own, which no pool waits for."""
        connection = self._engine.raw_connection()
        raw: Any = connection.driver_connection
        connection.detach()
        raw.autocommit = True
        return raw


def _message(sender: str, kind: str, items: Sequence[Any]) -> str:
    return json.dumps([sender, kind, items], separators=(",", ":"), default=str)


def _cut(sender: str, kind: str, items: Sequence[Any]) -> Iterator[str]:
    """As few messages as there may be; an item that is too long for one is left out."""
    whole = _message(sender, kind, items)
    if len(whole) <= LONGEST:
        yield whole
    elif len(items) == 1:
        log.warning("notices.too_long", kind=kind, bytes=len(whole))
    else:
        half = len(items) // 2
        yield from _cut(sender, kind, items[:half])
        yield from _cut(sender, kind, items[half:])


def _close(raw: Any) -> None:
    if raw is not None:
        raw.close()


def _call(callback: Callable[..., None], *arguments: Any) -> None:
    try:
        callback(*arguments)
    except Exception:  # one that fails must not keep the others from hearing
        log.exception("notices.listener_failed", callback=repr(callback))
