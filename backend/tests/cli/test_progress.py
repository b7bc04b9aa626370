"""What `run` shows while an execution runs."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from flexiroaster.cli.progress import Board, LiveTable, PlainLines
from flexiroaster.engine.events import Event, EventType


def event(type: EventType, stage: str | None = None, index: int = 0, **payload: Any) -> Event:
    return Event(type, "e", "p", 1, datetime(2026, 1, 1, tzinfo=UTC), stage, index if stage else None, payload)


STARTED = event(EventType.STAGE_STARTED, "load", attempt=1, status="running")
DONE = event(EventType.STAGE_COMPLETED, "load", attempt=1, status="success", rows=1234, duration_seconds=0.25)


def test_plain_lines_tell_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    lines = PlainLines(Board([("load", "input"), ("check", "validation")]))
    error = {"message": "Row 3 is bad."}
    lines.hear([event(EventType.EXECUTION_STARTED, status="running"), STARTED, DONE])
    lines.hear([event(EventType.STAGE_FAILED, "check", attempt=1, status="failed", duration_seconds=0.5, error=error)])
    assert capsys.readouterr().out.splitlines() == [
        "load: running",
        "load: success, 1,234 rows, 250 ms",
        "check: failed, 500 ms, Row 3 is bad.",
    ]


def test_second_attempt_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = PlainLines(Board([("load", "input")]))
    lines.hear([event(EventType.STAGE_RETRYING, "load", status="retrying", attempt=1, reason="attempt 1 of 3 failed")])
    lines.hear([event(EventType.STAGE_STARTED, "load", status="running", attempt=2)])
    assert capsys.readouterr().out.splitlines() == [
        "load: retrying, attempt 1 of 3 failed",
        "load: running, attempt 2",
    ]


def drawn(stages: int, height: int, events: list[Event]) -> str:
    console = Console(file=StringIO(), width=100, height=height, force_terminal=False)
    table = LiveTable(Board([(f"s{i}", "noop") for i in range(stages)]), console, "Title")
    table.hear(events)
    console.print(table._draw())
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_table_shows_every_stage_from_the_start() -> None:
    text = drawn(3, 24, [event(EventType.STAGE_STARTED, "s1", status="running", attempt=1)])
    assert [line.split()[1:4] for line in text.splitlines()[2:5]] == [
        ["s0", "noop", "pending"],
        ["s1", "noop", "running"],
        ["s2", "noop", "pending"],
    ]


def test_long_table_keeps_what_matters_in_sight() -> None:
    failed = event(EventType.STAGE_FAILED, "s7", status="failed", attempt=1, error={"message": "bad"})
    text = drawn(200, 20, [failed])
    assert "s7" in text
    assert "and 186 more" in text


def test_items_of_a_foreach_stage_are_counted_in_its_line() -> None:
    board = Board([("each", "noop")])
    board.hear(event(EventType.STAGE_STARTED, "each", status="running", attempt=1))
    board.hear(event(EventType.STAGE_STARTED, "each", 2, status="running", attempt=1))
    board.hear(event(EventType.STAGE_COMPLETED, "each", 2, status="success", attempt=1))
    counts = {"count": 1_000, "left": 660, "succeeded": 338, "failed": 2}
    board.hear(event(EventType.STAGE_PROGRESS, "each", items=counts, through=9))
    assert [(line.name, line.note) for line in board.lines] == [("each", "340 of 1,000 items, 2 failed")]


def test_the_first_failed_items_get_lines_of_their_own() -> None:
    board = Board([("each", "noop")])
    for index in range(1, 100):
        board.hear(event(EventType.STAGE_FAILED, "each", index, status="failed", error={"message": "bad"}))
    assert [line.name for line in board.lines] == ["each", *(f"each[{index}]" for index in range(1, 21))]
    board.hear(event(EventType.STAGE_STARTED, "each", 3, status="running", attempt=2))
    assert board.lines[3].status == "running"


def test_handler_gets_its_line_when_it_begins() -> None:
    board = Board([("load", "input")], {"load": "input", "tidy": "noop"})
    assert [line.stage for line in board.lines] == ["load"]
    board.hear(event(EventType.STAGE_STARTED, "tidy", status="running", attempt=1))
    assert [(line.stage, line.type) for line in board.lines] == [("load", "input"), ("tidy", "noop")]
