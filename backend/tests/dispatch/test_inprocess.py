"""The queue of one process, and what it leaves to others."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from flexiroaster.dispatch.inprocess import BACKLOG, InProcessDispatch
from flexiroaster.dispatch.port import Ready, Work, serves
from flexiroaster.engine.runs import Key

PATIENCE = 60.0


def ready(number: int, *, pool: str | None = None, instant: bool = False) -> Ready:
    return Ready(Work("one", Key(number)), instant, pool=pool)


class Idle:
    """A thread that waits for work, as a worker's does, until it has some."""

    def __init__(self, dispatch: InProcessDispatch) -> None:
        self._thread = threading.Thread(target=dispatch.wait)
        self._thread.start()
        assert dispatch.wait_for_room(PATIENCE)

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def test_what_is_not_for_this_process_goes_elsewhere() -> None:
    dispatch = InProcessDispatch(serves(["gpu", "default"]))
    foreign: list[Ready] = []
    dispatch.on_foreign = foreign.extend
    dispatch.announce([ready(0), ready(1, pool="gpu"), ready(2, pool="cpu")])
    assert foreign == [ready(2, pool="cpu")]
    assert [dispatch.take(), dispatch.take(), dispatch.take()] == [ready(0), ready(1, pool="gpu"), None]


def test_who_runs_nothing_keeps_nothing() -> None:
    dispatch = InProcessDispatch(serves([]))
    foreign: list[Ready] = []
    dispatch.on_foreign = foreign.extend
    dispatch.announce([ready(0), ready(1, instant=True)])
    assert foreign == [ready(0), ready(1, instant=True)]
    assert not dispatch.waiting


def test_others_are_told_of_what_no_idle_thread_takes() -> None:
    dispatch = InProcessDispatch()
    told: list[Sequence[Ready]] = []
    dispatch.on_backlog = told.append
    dispatch.announce([ready(0)])  # nobody is idle
    assert told == [[ready(0)]]
    assert dispatch.take() == ready(0)
    one = Idle(dispatch)
    dispatch.announce([ready(1), ready(2), ready(3, instant=True)])
    one.join()
    assert told[1:] == [[ready(1), ready(2)]]


def test_others_are_told_of_very_many_instant_ones() -> None:
    dispatch = InProcessDispatch()
    told: list[Sequence[Ready]] = []
    dispatch.on_backlog = told.append
    one = Idle(dispatch)
    few = [ready(number, instant=True) for number in range(BACKLOG)]
    dispatch.announce(few)
    one.join()
    assert told == []
    dispatch.leave()
    two = threading.Thread(target=dispatch.wait)
    two.start()
    dispatch.announce([ready(BACKLOG, instant=True)])
    two.join(PATIENCE)
    assert told == [[ready(BACKLOG, instant=True)]]


def test_there_is_room_while_a_thread_is_idle_and_nothing_waits() -> None:
    dispatch = InProcessDispatch()
    assert not dispatch.wait_for_room(0)
    one = Idle(dispatch)
    assert dispatch.wait_for_room(0)
    dispatch.announce([ready(0)])
    one.join()
    assert not dispatch.wait_for_room(0)


def test_closing_leaves_what_waits_to_others() -> None:
    dispatch = InProcessDispatch()
    told: list[Ready] = []
    dispatch.announce([ready(0), ready(1)])
    dispatch.on_backlog = told.extend
    dispatch.close()
    assert told == [ready(0), ready(1)]
    assert not dispatch.waiting
    dispatch.announce([ready(2)])
    assert told[2:] == [ready(2)]
