"""The servers of one database as one of them sees the others, and what they say to each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import structlog

from flexiroaster.dispatch.port import Ready, Remote, Work, serves
from flexiroaster.engine.runs import Key
from flexiroaster.services.changes import Changes
from flexiroaster.services.gates import Gates
from flexiroaster.store.notices import Notices
from flexiroaster.store.workers import Judge, WorkerRow

log = structlog.get_logger(__name__)


class Fleet:
    """The `Others` of who changes executions. Before `connect` it hears nothing.

    Work goes to others through `remote`, where there is one; otherwise, and while that cannot, by messages between
    servers.
    """

    def __init__(self, notices: Notices, remote: Remote | None = None) -> None:
        self._notices = notices
        self._remote = remote
        self._known: set[str] = set()
        self._takers: list[WorkerRow] = []
        self._turn = 0
        self._forget: Callable[[], None] = lambda: None

    @property
    def present(self) -> bool:
        return self._notices.others

    def connect(
        self,
        changes: Changes,
        gates: Gates,
        *,
        is_running: Callable[[Work], bool],
        on_work: Callable[[], None],
        on_ready: Callable[[str, list[Key]], None],
        on_look: Callable[[], None],
        on_gone: Callable[[], None],
    ) -> None:
        """What is to be done when others have more work than they come to, when these stage runs are for this server,
        when a look at the own row and at what runs here is due, and when another has gone: called in the listening
        thread.
        """
        self._forget = changes.live.forget_all

        def outdate(items: list[Any]) -> None:
            for execution_id, _, last in items:
                changes.live.outdate(execution_id, last)

        def stop(items: list[Any]) -> None:
            if any(is_running(Work(execution_id, Key(*key))) for execution_id, *key in items):
                on_look()  # by which it is seen what is to stop: the message may be old

        def slots(items: list[Any]) -> None:
            for pool, count in items:
                gates.let_in_here({pool: count})

        def ready(items: list[Any]) -> None:
            found = defaultdict(list)
            for taker, execution_id, position, index in items:
                if taker == self._notices.sender:
                    found[execution_id].append(Key(position, index))
            for execution_id, keys in found.items():
                on_ready(execution_id, keys)

        changes.others = self
        changes.dispatch.on_backlog = self.work
        changes.dispatch.on_foreign = self.hand_over
        self._notices.hear("events", outdate)
        self._notices.hear("stop", stop)
        self._notices.hear("slots", slots)
        self._notices.hear("work", lambda _: on_work())
        self._notices.hear("ready", ready)
        self._notices.hear("gap", lambda _: self.missed_something(on_work, on_look))
        self._notices.hear("gone", lambda _: on_gone())
        self._notices.hear("here", lambda _: self._come(on_look))
        self._notices.hear("look", lambda ids: on_look() if self._notices.sender in ids else None)

    def see(self, judge: Judge) -> None:
        """Who is there at this moment."""
        others = judge.others()
        if {row.id for row in others} != self._known:
            self._known = {row.id for row in others}
            log.info("fleet.changed", others=[f"{row.kind} {row.host}:{row.pid}" for row in others])
        self._takers = [row for row in others if row.concurrency and row.stopping_at is None]
        if self._notices.others and not others:
            self._forget()  # what they changed at last, before memory is trusted again
        self._notices.others = bool(others)
        self._notices.expected = len(others)

    def missed_something(self, *on_missed: Callable[[], None]) -> None:
        """Messages did not arrive."""
        self._forget()
        for call in on_missed:
            call()

    def say_here(self) -> None:
        """This server has come."""
        self._notices.tell("here")

    def say_gone(self) -> None:
        """This server has stopped, and holds nothing."""
        self._notices.tell("gone")

    @property
    def own_pools(self) -> Collection[str]:
        """Pools that have workers of their own."""
        return {pool for row in self._takers for pool in row.pools or ()}

    def work(self, ready: Sequence[Ready]) -> None:
        if self._remote is not None:
            # Instant ones are not worth a message each: who has nothing to do finds executions that have not begun.
            long = [item for item in ready if not item.instant]
            if self._remote.announce(long) and len(long) == len(ready):
                return
        if self.present:
            self._notices.tell("work")

    def hand_over(self, ready: Sequence[Ready]) -> None:
        """Of these this process runs none."""
        if self._remote is None or not self._remote.announce(ready):
            self.address(ready)

    def address(self, ready: Sequence[Ready]) -> None:
        """Tell servers in turns. Where there is none who may run them, who comes finds them."""
        items: list[list[Any]] = []
        for execution_id, instant in dict.fromkeys((item.work.execution_id, item.instant) for item in ready):
            turn = self._next_turn()
            for item in ready:
                if (item.work.execution_id, item.instant) == (execution_id, instant):
                    turn = turn if instant else self._next_turn()
                    taker = self._taker(item, turn)
                    if taker is not None:
                        items.append([taker, *item.work])
        if items:
            self._notices.tell("ready", [[taker, execution_id, *key] for taker, execution_id, key in items])

    def _next_turn(self) -> int:
        self._turn += 1
        return self._turn

    def _taker(self, item: Ready, turn: int) -> str | None:
        able = [row for row in self._takers if (serve := serves(row.pools)) is None or serve(item.pool)]
        return able[turn % len(able)].id if able else None

    def stop(self, work: Iterable[Work]) -> None:
        if self.present:
            self._notices.tell("stop", [[item.execution_id, *item.key] for item in work])

    def slots(self, freed: Mapping[str, int | None]) -> None:
        if self.present:
            self._notices.tell("slots", list(freed.items()))

    def _come(self, on_look: Callable[[], None]) -> None:
        self._notices.others = True  # at once: whoever comes may change something before we have looked
        self._notices.expected += 1
        on_look()
