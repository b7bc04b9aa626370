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

    @property
    def present(self) -> bool:
        return self._notices.others

    def connect(
        self,
        changes: Changes,
        gates: Gates,
        *,
        on_work: Callable[[], None],
        on_come: Callable[[], None],
        on_gone: Callable[[], None],
    ) -> None:
        """What is to be done when others have more work than they come to, when one has come, and when one has gone:
        called in the listening thread.
        """

        def outdate(items: list[Any]) -> None:
            for execution_id, _, last in items:
                changes.live.outdate(execution_id, last)

        def stop(items: list[Any]) -> None:
            changes.dispatch.stop([Work(execution_id, Key(*key)) for execution_id, *key in items])

        def slots(items: list[Any]) -> None:
            for pool, count in items:
                gates.let_in_here({pool: count})

        changes.others = self
        changes.dispatch.on_backlog = self.work
        self._notices.hear("events", outdate)
        self._notices.hear("stop", stop)
        self._notices.hear("slots", slots)
        self._notices.hear("work", lambda _: on_work())
        self._notices.hear("gap", lambda _: on_work())
        self._notices.hear("gone", lambda _: on_gone())
        self._notices.hear("here", lambda _: self._come(on_come))

    def see(self, judge: Judge) -> None:
        """Who is there at this moment."""
        others = judge.others()
        if {row.id for row in others} != self._known:
            self._known = {row.id for row in others}
            log.info("fleet.changed", others=[f"{row.host}:{row.pid}" for row in others])
        self._notices.others = bool(others)

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

    def _come(self, on_come: Callable[[], None]) -> None:
        self._notices.others = True  # at once: whoever comes may change something before we have looked
        on_come()
