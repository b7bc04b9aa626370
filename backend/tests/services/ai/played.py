"""An invented fleet, played by the engine itself in virtual time: its services write the history, stand-ins its stages.

Executions are played one after the other, each from its planned start on, so that their times overlap as planned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flexiroaster.ai.runs import Run
from flexiroaster.composition import Allowed, Engine, make_engine
from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.events import EXECUTION_ENDS, Event
from flexiroaster.runtime.conditions import Conditions
from flexiroaster.services.pipelines import Author, Source
from flexiroaster.stages.base import StageContext
from flexiroaster.testing.trial import FULL_DELAY
from flexiroaster.testing.virtual_time import VirtualTime

AUTHOR = Author("ada@example.com", "admin")


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass
class Player:
    """`plan` is of the execution that is played: stage and attempt → what happens."""

    engine: Engine
    time: VirtualTime
    plan: Mapping[tuple[str, int], Run] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """The execution of the fleet → its id here."""
    _ended: bool = False

    def hear(self, events: Sequence[Event]) -> None:
        self._ended |= any(event.type in EXECUTION_ENDS for event in events)

    def run(self, context: StageContext) -> Any:
        run = self.plan[context.stage_id, context.attempt]
        self.time.now += timedelta(seconds=run.seconds or 0.0)
        if run.failed:
            raise StageFailed(f"{run.error_class}: it did not work", kind="transient")
        return {"rows": int(run.input_rows or 0)}

    def play(self, runs: Iterable[Run], definitions: Mapping[str, str] = {}) -> None:
        """`definitions` are of the pipelines that are defined in another way than the rest."""
        planned: dict[str, list[Run]] = defaultdict(list)
        for run in runs:
            planned[run.execution].append(run)
        versions: dict[str, str] = {}
        for id, runs in planned.items():
            first = min(runs, key=lambda run: run.started_at)
            self.time.now = at(first.queued_at or first.started_at)
            if versions.get(first.pipeline) != first.version:
                text = definitions.get(first.pipeline) or definition(first.pipeline, first.connector, first.version)
                self._define(text, first.pipeline, known=first.pipeline in versions)
                versions[first.pipeline] = first.version
            self.plan = {(run.stage, run.attempt): run for run in runs}
            started = self.engine.embedded.executions.start(first.pipeline, trigger="schedule")
            self.time.now = at(first.started_at)
            self._finish()
            self.names[id] = started.execution_id

    def _finish(self) -> None:
        """Work off what can run, then go on to the next retry, until the execution has ended."""
        self._ended = False
        worker = self.engine.embedded.worker
        worker.work_off()
        while not self._ended and (moment := self.time.next_moment) is not None:
            callback = self.time.next_due(moment)
            assert callback is not None
            callback()
            worker.work_off()
        self.time.stop()  # timeouts that nothing waits for any more

    def _define(self, text: str, id: str, *, known: bool) -> None:
        if known:
            self.engine.pipelines.update(id, Source(text, "yaml"), AUTHOR)
        else:
            self.engine.pipelines.create(Source(text, "yaml"), AUTHOR)


def definition(id: str, connector: str, version: str) -> str:
    return f"""\
id: {id}
name: {id}
description: As of version {version}
defaults:
  retry: {{max_attempts: 3, delay: 30s, backoff: exponential, jitter: false}}
stages:
  - id: extract
    type: http
    url: https://{connector}/rows
  - id: check
    type: shell
    needs: [extract]
    command: check
  - id: load
    type: http
    needs: [check]
    url: https://{connector}/load
    method: POST
"""


@contextmanager
def player(folder: Path) -> Iterator[Player]:
    """An engine that is driven by hand, on a database in the folder."""
    time = VirtualTime()
    played: list[Player] = []

    def run(context: StageContext) -> Any:
        return played[0].run(context)

    conditions = Conditions(time.clock, time, lambda: FULL_DELAY, dict.fromkeys(("extract", "check", "load"), run))
    engine = make_engine(
        f"sqlite:///{folder / 'flexiroaster.db'}",
        folder / "artifacts",
        folder / "scratch",
        Allowed((folder,), True, (), 1),
        conditions=conditions,
    )
    played.append(Player(engine, time))
    engine.bus.subscribe(played[0].hear)
    try:
        yield played[0]
    finally:
        engine.embedded.stop(grace_seconds=0)
        engine.close()
