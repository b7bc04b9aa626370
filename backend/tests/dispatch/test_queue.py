"""The order in which ready stage runs go out."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.dispatch.port import Ready, Work
from flexiroaster.dispatch.queue import TURN, ReadyQueue
from flexiroaster.engine.runs import Key


def ready(execution: str, position: int, *, priority: int = 0, tail: float = 1.0, instant: bool = False) -> Ready:
    return Ready(Work(execution, Key(position)), instant, priority, tail)


def drained(queue: ReadyQueue) -> list[Ready]:
    return [queue.pop() for _ in range(len(queue))]


def names(found: list[Ready]) -> list[str]:
    return [f"{item.work.execution_id}{item.work.key.position}" for item in found]


def order(*items: Ready) -> list[str]:
    queue = ReadyQueue()
    for item in items:
        queue.push(item)
    return names(drained(queue))


def test_equals_go_in_the_order_of_arrival() -> None:
    assert order(ready("a", 2), ready("a", 0), ready("a", 1)) == ["a2", "a0", "a1"]


def test_longest_remaining_path_of_an_execution_goes_first() -> None:
    assert order(ready("a", 0, tail=1), ready("a", 1, tail=9), ready("a", 2, tail=4)) == ["a1", "a2", "a0"]


def test_instant_ones_of_an_execution_do_not_wait_for_long_ones() -> None:
    assert order(ready("a", 0, tail=9), ready("a", 1, tail=1, instant=True)) == ["a1", "a0"]


def test_executions_take_turns() -> None:
    first = [ready("a", position) for position in range(3)]
    assert order(*first, ready("b", 0), ready("b", 1)) == ["a0", "b0", "a1", "b1", "a2"]


def test_a_longer_path_gives_no_execution_a_second_turn() -> None:
    assert order(ready("a", 0, tail=9), ready("a", 1, tail=8), ready("b", 0, tail=1)) == ["a0", "b0", "a1"]


def test_priority_goes_before_turns_and_paths() -> None:
    urgent = ready("b", 0, priority=5)
    assert order(ready("a", 0, tail=99), urgent, ready("a", 1, priority=-1, tail=99)) == ["b0", "a0", "a1"]


def test_instant_stage_runs_share_a_turn() -> None:
    queue = ReadyQueue()
    for position in range(TURN + 1):
        queue.push(ready("a", position, instant=True))
    queue.push(ready("b", 0, instant=True))
    assert [item.work.execution_id for item in drained(queue)] == ["a"] * TURN + ["b", "a"]


def test_peek_says_what_pop_gives() -> None:
    queue = ReadyQueue()
    assert queue.peek() is None
    queue.push(ready("a", 0))
    queue.push(ready("a", 1, priority=1))
    assert queue.peek() == queue.pop()
    assert len(queue) == 1


items = st.builds(
    ready,
    st.sampled_from("abcd"),
    st.integers(0, 5),
    priority=st.integers(-1, 1),
    tail=st.integers(0, 3).map(float),
    instant=st.booleans(),
)


@given(st.lists(st.one_of(items, st.none()), max_size=120))
def test_nothing_is_lost_doubled_or_overtaken_by_a_lower_priority(steps: list[Ready | None]) -> None:
    """`None` takes one out."""
    queue = ReadyQueue()
    inside: Counter[Ready] = Counter()
    for step in steps:
        if step is not None:
            queue.push(step)
            inside[step] += 1
        elif inside:
            taken = queue.pop()
            assert inside[taken] > 0
            assert taken.priority == max(item.priority for item in inside)
            same = (taken.work.execution_id, taken.priority)
            rivals = [item for item in inside if (item.work.execution_id, item.priority) == same]
            assert (taken.instant, taken.tail) == max((item.instant, item.tail) for item in rivals)
            inside -= Counter([taken])
        assert len(queue) == inside.total()
    assert Counter(drained(queue)) == inside


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60))
def test_no_execution_waits_longer_than_one_turn_of_each_other(executions: list[str]) -> None:
    queue = ReadyQueue()
    for position, execution in enumerate(executions):
        queue.push(ready(execution, position))
    left = Counter(executions)
    taken = [item.work.execution_id for item in drained(queue)]
    last = dict.fromkeys(left, -1)
    for moment, execution in enumerate(taken):
        assert moment - last[execution] <= len(left)
        last[execution] = moment
