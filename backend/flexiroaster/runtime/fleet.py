"""The servers of one database as one of them sees the others, and what they say to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from flexiroaster.dispatch.port import Work
from flexiroaster.engine.runs import Key
from flexiroaster.services.changes import Changes
from flexiroaster.services.gates import Gates
from flexiroaster.store.notices import Notices
from flexiroaster.store.workers import Judge

log = structlog.get_logger(__name__)


class Fleet:
    """The `Others` of who changes executions. Before `connect` it hears nothing."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._known: set[str] = set()
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
        on_look: Callable[[], None],
        on_gone: Callable[[], None],
    ) -> None:
        """What is to be done when others have more work than they come to, when a look at the own row and at what runs
        here is due, and when another has gone: called in the listening thread.
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

        changes.others = self
        changes.dispatch.on_backlog = self.work
        self._notices.hear("events", outdate)
        self._notices.hear("stop", stop)
        self._notices.hear("slots", slots)
        self._notices.hear("work", lambda _: on_work())
        self._notices.hear("gap", lambda _: self.missed_something(on_work, on_look))
        self._notices.hear("gone", lambda _: on_gone())
        self._notices.hear("here", lambda _: self._come(on_look))
        self._notices.hear("look", lambda ids: on_look() if self._notices.sender in ids else None)

    def see(self, judge: Judge) -> None:
        """Who is there at this moment."""
        others = judge.others()
        if {row.id for row in others} != self._known:
            self._known = {row.id for row in others}
            log.info("fleet.changed", others=[f"{row.host}:{row.pid}" for row in others])
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

    def work(self) -> None:
        if self.present:
            self._notices.tell("work")

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
