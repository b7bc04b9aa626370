"""Short messages between the servers of one PostgreSQL database, by LISTEN and NOTIFY, or by something faster.

They carry names of what is in the database, so that a lost or doubled one does no harm: they only wake. NOTIFY takes a
lock of the whole database at the commit, therefore it is never part of a transaction that changes anything: a thread of
its own sends what has gathered, at once when it has been quiet, otherwise a few dozen times a second.

With a `Faster` way NOTIFY is sent only where that did not reach everybody. A message that came by both is heard once.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, Protocol

import sqlalchemy as sa
import structlog

log = structlog.get_logger(__name__)

CHANNEL = "flexiroaster"
LONGEST = 7_900
"""Bytes of one message: PostgreSQL takes fewer than 8,000."""
PAUSE = 0.02
"""Seconds between two rounds of sending."""
FAST_PAUSE = 0.002
"""The same where no NOTIFY is needed."""
MOST_WAITING = 20_000
"""Items that wait while the database is away; when there are more, others are told that they miss some (`gap`)."""
CONNECT_PAUSE = 1.0
PATIENCE = 5.0
"""Seconds without a message after which a listener asks whether its connection still works."""

DEAF_SECONDS = 5.0
"""How long somebody is told by NOTIFY after it said that nothing reaches it otherwise, as it does every second."""
REMEMBERED = 10_000
"""Messages of which it is known that they were heard."""

Hear = Callable[[list[Any]], None]


class Faster(Protocol):
    def start(self, hear: Callable[[str], None], away: Callable[[], None], missed: Callable[[], None]) -> None:
        """`hear` is called with each message, `away` every second while none would be heard, `missed` when some may
        have been lost.
        """
        ...

    def send(self, messages: Sequence[str]) -> int:
        """By how many each was heard, this server included; 0 when not all have left."""
        ...

    def stop(self) -> None: ...


class Notices:
    """`tell` and `hear` from any thread. `stop` may be called twice, also without `start`.

    When messages may have been missed, those who hear `gap` are called, whether a sender says so or it is found out
    here; those who hear `trouble`, which nobody tells, when that was because the database was away.
    """

    def __init__(self, engine: sa.Engine, sender: str, faster: Faster | None = None) -> None:
        self.sender = sender
        self.others = False
        """Whether there may be others who listen; whoever finds out says so here."""
        self.expected = 0
        """How many others are known; whoever finds out says so here."""
        self._engine = engine
        self._faster = faster
        self._ears: dict[str, list[Hear]] = {}
        self._hearing = threading.Lock()
        """Messages come one after the other, by whichever way."""
        self._known: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._numbers = count(1)
        self._deaf_until = float("-inf")
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
        """It is called in a listening thread, with items of one sender in the order they were told."""
        self._ears.setdefault(kind, []).append(callback)

    def start(self) -> None:
        if self._faster is not None:
            self.hear("deaf", self._note_deaf)
            self._faster.start(self._heard, self._say_deaf, lambda: self._tell_here("gap"))
        for target in (self._listen, self._send):
            thread = threading.Thread(target=target, name=f"notices{target.__name__}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._something.set()
        for thread in self._threads:
            thread.join()
        if self._faster is not None:
            self._faster.stop()
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
            self._tell_here("trouble")
        while not self._stopped.is_set():
            for notice in raw.notifies(timeout=PATIENCE):
                self._heard(notice.payload)
                if self._stopped.is_set():
                    return
            raw.execute("SELECT 1")

    def _heard(self, payload: str) -> None:
        sender, number, kind, items = json.loads(payload)
        if sender == self.sender:
            return
        with self._hearing:
            if self._is_new(sender, number):
                self._tell_ears(kind, items)

    def _is_new(self, sender: str, number: int) -> bool:
        if (sender, number) in self._known:
            return False
        self._known[sender, number] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return True

    def _tell_ears(self, kind: str, items: list[Any]) -> None:
        for callback in tuple(self._ears.get(kind, ())):
            _call(callback, items)

    def _tell_here(self, kind: str) -> None:
        with self._hearing:
            self._tell_ears(kind, [])

    # Who hears nothing by the faster way says so by NOTIFY

    def _say_deaf(self) -> None:
        if self.others:
            self.tell("deaf")

    def _note_deaf(self, _items: list[Any]) -> None:
        self._deaf_until = time.monotonic() + DEAF_SECONDS

    # Sending

    def _send(self) -> None:
        raw: Any = None
        while True:
            self._something.wait()
            self._something.clear()
            last = self._stopped.is_set()
            pause = PAUSE
            try:
                messages = self._messages()
                if messages and self._reach_all(messages):
                    messages, pause = [], FAST_PAUSE
                    _close(raw)
                    raw = None  # not needed for a long time perhaps, after which it might be dead
                if messages or last:
                    raw = self._connected() if raw is None else raw
                    self._notify(raw, messages)
                    if last:
                        self._notify(raw, [self._message("stopped", [])])  # wakes our own listener
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
            self._stopped.wait(pause)

    def _reach_all(self, messages: Sequence[str]) -> bool:
        """By the faster way, where there is one. Who cannot be reached by it need not know."""
        if self._faster is None or self._faster.send(messages) < 1 + self.expected:
            return False
        return time.monotonic() > self._deaf_until

    def _messages(self) -> list[str]:
        with self._lock:
            waiting, self._waiting, self._count = self._waiting, {}, 0
        return [message for kind, items in waiting.items() for message in self._cut(kind, items)]

    def _notify(self, raw: Any, messages: Sequence[str]) -> None:
        for message in messages:
            raw.execute("SELECT pg_notify(%s, %s)", (CHANNEL, message))

    def _message(self, kind: str, items: Sequence[Any]) -> str:
        return json.dumps([self.sender, next(self._numbers), kind, items], separators=(",", ":"), default=str)

    def _cut(self, kind: str, items: Sequence[Any]) -> Iterator[str]:
        """As few messages as there may be; an item that is too long for one is left out."""
        whole = self._message(kind, items)
        if len(whole) <= LONGEST:
            yield whole
        elif len(items) == 1:
            log.warning("notices.too_long", kind=kind, bytes=len(whole))
        else:
            half = len(items) // 2
            yield from self._cut(kind, items[:half])
            yield from self._cut(kind, items[half:])

    def _connected(self) -> Any:
        """A connection of our own, which no pool waits for. A message is worth nothing after a crash: its commit does
        not wait for the disk, and those that change something do not wait for it.
        """
        connection = self._engine.raw_connection()
        raw: Any = connection.driver_connection
        connection.detach()
        raw.autocommit = True
        raw.execute("SET synchronous_commit = off")
        return raw


def _close(raw: Any) -> None:
    if raw is not None:
        raw.close()


def _call(callback: Callable[..., None], *arguments: Any) -> None:
    try:
        callback(*arguments)
    except Exception:  # one that fails must not keep the others from hearing
        log.exception("notices.listener_failed", callback=repr(callback))
