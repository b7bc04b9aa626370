from __future__ import annotations

import pytest

from flexiroaster.engine.errors import NotFound
from flexiroaster.services.logs import Logs, at_least
from flexiroaster.store.logs import LogFilter
from tests.history import History


def test_at_least_takes_the_graver_levels() -> None:
    assert at_least("warning") == ("warning", "error")
    assert at_least(None) is None


def test_an_execution_is_read_from_its_start(history: History) -> None:
    history.pipeline("orders")
    history.execution("orders", 1)
    for word in ("one", "two", "three"):
        history.log(word, execution_id="orders-1")
    logs = Logs(history.database)
    wanted = LogFilter(execution_id="orders-1")
    first = logs.of_execution(wanted, limit=2)
    rest = logs.of_execution(wanted, after=first[-1].id, limit=2)
    back = logs.of_execution(wanted, before=rest[0].id, limit=1)
    assert [[row.message for row in rows] for rows in (first, rest, back)] == [["one", "two"], ["three"], ["two"]]


def test_logs_of_no_execution_are_not_found(history: History) -> None:
    with pytest.raises(NotFound):
        Logs(history.database).of_execution(LogFilter(execution_id="nothing"), limit=5)


def test_recent_are_the_last_lines(history: History) -> None:
    for word in ("one", "two", "three"):
        history.log(word)
    logs = Logs(history.database)
    last = logs.recent(LogFilter(), after=None, limit=2)
    assert [row.message for row in last] == ["two", "three"]
    assert [row.message for row in logs.recent(LogFilter(), after=last[0].id, limit=5)] == ["three"]


def test_a_tail_gives_each_new_line_once(history: History) -> None:
    history.log("before", id=1)
    logs = Logs(history.database)
    tail = logs.tail()
    assert logs.new_lines(tail) == []
    history.log("three", id=3)
    assert [row.message for row in logs.new_lines(tail)] == ["three"]
    history.log("two, committed late", id=2)
    history.log("four", id=4)
    assert [row.message for row in logs.new_lines(tail)] == ["two, committed late", "four"]
    assert logs.new_lines(tail) == []


def test_a_tail_resumes_after_the_last_line_seen(history: History) -> None:
    for id, word in enumerate(("one", "two", "three"), start=1):
        history.log(word, id=id)
    logs = Logs(history.database)
    assert [row.message for row in logs.new_lines(logs.tail(after=1))] == ["two", "three"]
    assert logs.new_lines(logs.tail(after=999)) == []


def test_a_tail_catches_up_with_a_flood(history: History) -> None:
    logs = Logs(history.database)
    tail = logs.tail()
    for number in range(1, 1801):
        history.log(str(number), id=number)
    seen: list[str] = []
    while rows := logs.new_lines(tail):
        seen += [row.message for row in rows]
    assert seen == [str(number) for number in range(1, 1801)]
