"""How workers learn of work. Hints only: the database decides who gets what, so a lost or doubled hint does no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from flexiroaster.engine.plan import DEFAULT_POOL
from flexiroaster.engine.runs import Key


class Work(NamedTuple):
    execution_id: str
    key: Key


class Ready(NamedTuple):
    """Work that may be claimed.

    `instant`: it takes microseconds, so no other thread is woken for it. `priority`: higher ones go first. `tail`: the
    length of the longest path from it to the end of its execution, in any unit; the longest goes first. `pool`
    decides which workers may run it; None: those of the pool "default".
    """

    work: Work
    instant: bool = False
    priority: int = 0
    tail: float = 0.0
    pool: str | None = None


class Dispatch(Protocol):
    def announce(self, ready: Iterable[Ready]) -> None:
        """These stage runs are ready."""
        ...

    def stop(self, work: Iterable[Work]) -> None:
        """Whoever runs these must stop."""
        ...

    def on_stop(self, callback: Callable[[Work], None]) -> None: ...


class Remote(Protocol):
    """How workers in other processes learn of work. One of those that may run it hears of it; perhaps none, perhaps
    two.
    """

    @property
    def trouble(self) -> str | None:
        """A sentence while it cannot tell anybody."""
        ...

    def announce(self, ready: Sequence[Ready]) -> bool:
        """Somebody may claim these; returns at once, from any thread. False: it cannot tell anybody now."""
        ...

    def start(self) -> None: ...

    def stop(self) -> None:
        """What was announced is told before, if that is possible soon. Safe to call twice."""
        ...


Serves = Callable[[str | None], bool]
"""Whether stage runs of a pool are for this process."""


def serves(pools: Sequence[str] | None) -> Serves | None:
    """None: it runs everything."""
    if pools is None:
        return None
    known = frozenset(pools)
    return lambda pool: (pool or DEFAULT_POOL) in known
