"""A server is emptied before it stops."""

from __future__ import annotations

import threading

import pytest

from flexiroaster.services.drain import Drain, DrainState


def test_the_first_call_decides_and_later_ones_do_no_harm() -> None:
    graces: list[float] = []
    let_go = threading.Event()

    def stop(grace: float) -> None:
        graces.append(grace)
        assert let_go.wait(20)

    drain = Drain(stop, lambda: 3, grace_seconds=10)
    assert drain.now == DrainState("working", 3)
    assert drain.begin(60, by="ada") == DrainState("draining", 3)
    assert drain.begin(5).message == "stopping: 3 stages running"
    let_go.set()
    drain.wait()
    assert drain.now.state == "drained"
    assert graces == [60]


def test_the_servers_own_grace_where_none_is_given() -> None:
    graces: list[float] = []
    drain = Drain(graces.append, lambda: 0, grace_seconds=10)
    drain.begin()
    drain.wait()
    assert graces == [10]


def test_it_ends_even_if_stopping_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def stop(_: float) -> None:
        raise OSError("the disk is gone")

    drain = Drain(stop, lambda: 0, grace_seconds=10)
    drain.begin()
    drain.wait()
    assert drain.now.state == "drained"
