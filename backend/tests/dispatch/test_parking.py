"""Work that stands before a closed gate."""

from __future__ import annotations

from flexiroaster.dispatch.parking import Parking
from tests.dispatch.test_queue import names, ready


def test_the_next_to_go_are_let_in_first() -> None:
    parking = Parking()
    for item in (ready("a", 0), ready("a", 1, tail=5), ready("b", 0, priority=1)):
        parking.park("cpu", item)
    assert parking.waiting("cpu") == 3
    assert names(parking.release("cpu", 2)) == ["b0", "a1"]
    assert names(parking.release("cpu")) == ["a0"]
    assert (parking.release("cpu"), parking.waiting("cpu")) == ([], 0)


def test_each_gate_has_its_own_queue() -> None:
    parking = Parking()
    parking.park("cpu", ready("a", 0))
    assert parking.release("disk") == []
    assert parking.waiting("cpu") == 1
