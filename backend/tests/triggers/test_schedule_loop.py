"""The loop that comes to schedules: it looks at once, when something changes, and again when a look fails."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from flexiroaster.bus.local import LocalBus
from flexiroaster.engine.events import EventType, of_pipeline
from flexiroaster.store.database import StoreUnavailable
from flexiroaster.triggers import schedule_loop
from flexiroaster.triggers.schedule_loop import ScheduleLoop

PATIENCE_SECONDS = 60


class Looks:
    """In place of the triggers: says each look, and answers or raises what it is told to."""

    def __init__(self, *answers: timedelta | Exception) -> None:
        self._answers = list(answers)
        self.made: queue.Queue[int] = queue.Queue()

    def fire_due(self) -> timedelta:
        self.made.put(len(self._answers))
        answer = self._answers.pop(0) if self._answers else timedelta.max
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self) -> int:
        return self.made.get(timeout=PATIENCE_SECONDS)


@pytest.fixture
def bus() -> LocalBus:
    return LocalBus()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_loop, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(schedule_loop, "LONGEST_SLEEP", timedelta(days=1))


@pytest.fixture
def loops(bus: LocalBus) -> Iterator[list[ScheduleLoop]]:
    made: list[ScheduleLoop] = []
    yield made
    for loop in made:
        loop.stop()


def begin(looks: Looks, bus: LocalBus, loops: list[ScheduleLoop]) -> ScheduleLoop:
    loop = ScheduleLoop(looks, bus)  # type: ignore[arg-type]
    loops.append(loop)
    loop.start()
    return loop


def test_it_looks_again_when_the_next_instant_has_come(bus: LocalBus, loops: list[ScheduleLoop]) -> None:
    looks = Looks(timedelta(), timedelta(milliseconds=1), timedelta())
    begin(looks, bus, loops)
    assert [looks.wait() for _ in range(4)] == [3, 2, 1, 0]


def test_a_look_that_fails_is_made_again(bus: LocalBus, loops: list[ScheduleLoop]) -> None:
    looks = Looks(StoreUnavailable("The database is away."), RuntimeError("a fault"))
    begin(looks, bus, loops)
    assert [looks.wait() for _ in range(3)] == [2, 1, 0]


@pytest.mark.parametrize("type", sorted(schedule_loop.CHANGES))
def test_it_looks_when_something_changes(bus: LocalBus, loops: list[ScheduleLoop], type: EventType) -> None:
    looks = Looks()
    begin(looks, bus, loops)
    looks.wait()
    bus.publish([of_pipeline(EventType.PIPELINE_DELETED, "p", datetime.now(UTC))])
    bus.publish([of_pipeline(type, "p", datetime.now(UTC))])
    looks.wait()
    assert looks.made.empty()


def test_it_can_be_stopped_twice_and_while_it_sleeps(bus: LocalBus, loops: list[ScheduleLoop]) -> None:
    looks = Looks()
    loop = begin(looks, bus, loops)
    looks.wait()
    loop.stop()
    loop.stop()
    bus.publish([of_pipeline(EventType.PIPELINE_CREATED, "p", datetime.now(UTC))])
    assert looks.made.empty()
