"""How workers learn of work. Hints only: the database decides who gets what, so a lost or doubled hint does no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from flexiroaster.engine.runs import Key


class Work(NamedTuple):
    execution_id: str
    key: Key


class Ready(NamedTuple):
    """Work that may be claimed.

    `instant`: it takes microseconds, so no other thread is woken for it. `priority`: higher ones go first. `tail`: the
    length of the longest path from it to the end of its execution, in any unit; the longest goes first.
    """

    work: Work
    instant: bool = False
    priority: int = 0
    tail: float = 0.0


class Dispatch(Protocol):
    def announce(self, ready: Iterable[Ready]) -> None:
        """These stage runs are ready."""
        ...

    def stop(self, work: Iterable[Work]) -> None:
        """Whoever runs these must stop."""
        ...

    def on_stop(self, callback: Callable[[Work], None]) -> None: ...
