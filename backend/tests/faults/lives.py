"""Engines that follow each other on one database, driven by hand: one thread, a clock that stands still until it is
told to go on, and people who do what the database says is to be done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
import structlog

from flexiroaster.engine.errors import Conflict
from flexiroaster.engine.state import EXECUTION_FINAL
from flexiroaster.runtime import timers
from flexiroaster.runtime.conditions import Conditions
from flexiroaster.services.stage_runs import LEASE
from flexiroaster.store.database import StoreUnavailable
from flexiroaster.store.tables import executions
from flexiroaster.testing.virtual_time import START, VirtualTime
from tests.faults.injection import Died, Faults, Ground
from tests.runtime.engine import TestEngine

log = structlog.get_logger(__name__)

MOST_STEPS = 400
MOST_FAILURES = 5
LONGEST_SLEEP = timedelta(days=1)


class Stuck(AssertionError):
    """Nothing happens any more, and yet it has not ended."""


class Scenario(Protocol):
    def define(self, lives: Lives) -> None:
        """Store the pipelines, and open pools; before any fault."""

    def act(self, lives: Lives) -> bool:
        """Do the next thing that people do; False when there is nothing to do for them now."""


class Lives:
    """`run` lets a scenario come to its end, however often its process dies on the way."""

    def __init__(
        self, ground: Ground, folder: Path, scenario: Scenario, faults: Faults, *of_later_lives: Faults
    ) -> None:
        self.ground = ground
        self.folder = folder
        self._faults = [faults, *of_later_lives]
        self.scenario = scenario
        self.time = VirtualTime(START)
        self.deaths = 0
        self.ran: list[str] = []
        """What stages noted of themselves."""
        self.engine = self._born(faults)
        scenario.define(self)

    def run(self) -> None:
        """Raises Stuck."""
        self._faults[0].arm()
        self._look_around_later()
        while not self._lives():
            self.deaths += 1
            self.time = VirtualTime(self.time.now)
            faults = self._faults[self.deaths] if self.deaths < len(self._faults) else Faults()
            faults.arm()
            self.engine = self._born(faults)
            self._look_around_later()

    @property
    def _has_rescuer(self) -> bool:
        """As a server has that may share its database."""
        return self.engine.database.dialect == "postgresql"

    def _look_around_later(self) -> None:
        if self._has_rescuer:
            self.time.at(self.time.now + LEASE / 6, self._look_around)

    def _look_around(self) -> None:
        """As `runtime.rescuer` has it."""
        rescue = self.engine.embedded._rescue
        try:
            rescue.wake_overdue()
            rescue.take_over()
            rescue.take_up_forgotten()
        finally:
            self._look_around_later()

    def _tell_the_rest(self) -> None:
        """In the log, what was put off, and what nobody heard that it was committed."""
        self._in_the_end(self.engine.embedded.journal.flush)
        if self._has_rescuer:
            self.time.now += timedelta(minutes=1)
            self._in_the_end(partial(self.engine.embedded._rescue.tell_since, START))

    def work(self) -> None:
        """Until nothing is ready, as the worker's threads do."""
        self._in_the_end(self.engine.embedded.worker.work_off)

    def ask(self, request: Callable[[], object]) -> bool:
        """What somebody asks of the API. Who gets no answer, or hears that it is done already, looks again and asks
        again if need be.
        """
        try:
            request()
        except (StoreUnavailable, Conflict) as refused:
            log.info("lives.asked_in_vain", error=str(refused))
        return True

    def rows(self, query: sa.Select[Any]) -> list[sa.RowMapping]:
        """What the database says, unnoticed by the faults."""
        with self.ground.observer.read() as connection:
            return list(connection.execute(query).mappings())

    def _born(self, faults: Faults) -> TestEngine:
        conditions = Conditions(self.time.clock, self.time, lambda: 0.5)
        engine = TestEngine(self.ground.open(faults), self.folder, conditions=conditions)
        engine.embedded.worker._stopping.wait = lambda timeout=None: False  # type: ignore[method-assign]
        return engine

    def _lives(self) -> bool:
        """Whether it lived to the end."""
        try:
            if self.deaths:
                self.engine.take_up_by_hand()
            self._go_on()
        except Died:
            return False
        return True

    def _go_on(self) -> None:
        for _ in range(MOST_STEPS):
            self.time.now += timedelta(milliseconds=1)
            self.work()
            self._survive(self.engine.embedded.journal.flush)
            if self.scenario.act(self):
                continue
            if not self.rows(sa.select(executions.c.id).where(executions.c.status.not_in(sorted(EXECUTION_FINAL)))):
                return self._tell_the_rest()
            self._let_time_pass()
        raise Stuck(self.rows(sa.select(executions.c.id, executions.c.status, executions.c.reason)))

    def _let_time_pass(self) -> None:
        callback = self.time.next_due(self.time.now + LONGEST_SLEEP)
        if callback is None:
            raise Stuck(self.rows(sa.select(executions.c.id, executions.c.status, executions.c.reason)))
        self.ground.now = self.time.now
        try:
            callback()
        except StoreUnavailable:  # as `runtime.timers` has it
            self.time.at(self.time.now + timedelta(seconds=timers.STORE_PAUSE), callback)
        except Exception as failure:
            log.info("lives.timer_failed", error=str(failure))

    def _in_the_end(self, step: Callable[[], object]) -> None:
        for _ in range(MOST_FAILURES):
            if self._survive(step):
                return
        raise Stuck(step)

    def _survive(self, step: Callable[[], object]) -> bool:
        """What the threads do with a failure: they take note of it, and begin again."""
        try:
            step()
        except Exception as failure:
            log.info("lives.step_failed", error=str(failure))
            return False
        return True


logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
"""It reports every connection that the faults broke."""
