"""What happens during maintenance is no news, and no measure for later."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.ai.insights.find import find
from flexiroaster.ai.insights.maintenance import Maintenance, Window
from flexiroaster.ai.insights.signatures import ErrorSeen
from flexiroaster.ai.runs import Run
from tests.ai.insights.runs import BEGIN, HOUR, hourly

NOW = BEGIN + 400 * HOUR
AT_WORK = range(150, 170)
WINDOW = Window(BEGIN + 150 * HOUR - 60, BEGIN + 170 * HOUR)


def test_failures_and_slow_runs_of_that_time_are_not_told() -> None:
    failing = hourly(300, failing=AT_WORK)
    slow = [*hourly(150), *hourly(20, start=150, seconds=300.0), *hourly(130, start=170)]
    for runs in (failing, slow):
        assert find(runs, now=NOW) != []
        assert find(runs, now=NOW, maintenance=[WINDOW]) == []
        assert find(runs, now=NOW, maintenance=[Window(WINDOW.begin, WINDOW.end, "orders")]) == []
        assert find(runs, now=NOW, maintenance=[Window(WINDOW.begin, WINDOW.end, "billing")]) != []


def test_new_errors_of_that_time_are_not_told() -> None:
    errors = [ErrorSeen(f"e{n}", "orders", NOW - 60 * n, "It broke.", "OSError") for n in range(5)]
    assert [one.rule for one in find(hourly(20), now=NOW, errors=errors)] == ["new_error"]
    assert find(hourly(20), now=NOW, errors=errors, maintenance=[Window(NOW - HOUR, NOW + 1)]) == []


def test_what_is_slow_for_good_is_told_after_it() -> None:
    runs = [*hourly(150), *hourly(150, start=150, seconds=90.0)]
    (found,) = find(runs, now=NOW, maintenance=[WINDOW])
    assert found.rule == "slow_runs"
    assert found.since >= WINDOW.end


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100), st.floats(0, 100))
def test_a_run_is_covered_where_it_and_the_window_meet(a: float, b: float, c: float, d: float) -> None:
    begin, end, since, until = min(a, b), max(a, b), min(c, d), max(c, d) + 1
    windows = Maintenance([Window(since, until)])
    meets = any(since <= moment < until for moment in (begin, end)) or begin <= since <= end
    assert windows.covers("p", begin, end) is meets
    run = Run("e", "p", begin, ended_at=end)
    assert list(windows.left([run])) == ([] if meets else [run])
