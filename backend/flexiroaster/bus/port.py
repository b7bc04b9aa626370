"""How events reach those who listen: the dashboard's sockets, alert rules, triggers on another pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from flexiroaster.engine.events import Event

Listener = Callable[[Sequence[Event]], None]
Unsubscribe = Callable[[], None]
Wanted = Callable[[], bool]
Missed = Callable[[], None]


class Bus(Protocol):
    """`start` before it hears of other processes; `stop` may be called twice, also without it."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def publish(self, events: Sequence[Event]) -> None:
        """Hand committed events to every listener, in order. Safe from any thread; a listener cannot make it raise."""
        ...

    def subscribe(
        self, listener: Listener, *, wanted: Wanted | None = None, missed: Missed | None = None
    ) -> Unsubscribe:
        """`listener` is called in a publisher's thread and must return at once. Unsubscribing twice does no harm.

        `wanted` says whether it cares at this moment what other servers do; None: always.
        `missed` is called when events of other servers may never come: whoever shows something looks anew.
        """
        ...
