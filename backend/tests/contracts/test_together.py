"""PostgreSQL's statements that travel together: only where their order cannot matter."""

from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.store.dialects import IDENTITY, statements
from flexiroaster.store.dialects.together import Put, Statements, merged

STALE = RuntimeError("stale")


def row(name: str, *key: Any) -> tuple[Any, ...]:
    """Of the length that the statement takes; `key` where its identity is."""
    values: list[Any] = [None] * statements("postgres.sql")[name].count("%s")
    for place, part in zip(IDENTITY[name][1], key, strict=True):
        values[place] = part
    return tuple(values)


def test_puts_of_one_statement_become_one() -> None:
    first, second = row("insert_event", "a", 1), row("insert_event", "b", 1)
    run = row("update_stage_run", "a", 0, 0)
    found = merged(
        [
            Put("insert_event", [first], None),
            Put("update_stage_run", [run], STALE),
            Put("insert_event", [second], STALE),
        ]
    )
    assert found == [Put("insert_event", [first, second], STALE), Put("update_stage_run", [run], STALE)]


@pytest.mark.parametrize(
    "twice",
    [
        [Put("update_stage_run", [row("update_stage_run", "a", 0, 0)] * 2, None)],
        [
            Put("insert_stage_run", [row("insert_stage_run", "a", 0, 0)], None),
            Put("update_stage_run", [row("update_stage_run", "a", 0, 0)], STALE),
        ],
        [
            Put("update_execution", [row("update_execution", "a")], STALE),
            Put("set_outputs", [row("set_outputs", "a")], None),
        ],
        [Put("cancel_queued_items", [("enough", "2026-01-01", "a", 0)], None)],
    ],
    ids=["one row twice", "inserted and updated", "by two statements", "many rows at once"],
)
def test_what_depends_on_its_order_keeps_it(twice: list[Put]) -> None:
    assert merged(twice) is None


def test_rows_without_an_identity_never_meet() -> None:
    line = row("insert_log")
    assert merged([Put("insert_log", [line, line], None)]) == [Put("insert_log", [line, line], None)]


def test_only_what_is_checked_takes_its_count() -> None:
    together = Statements(statements("postgres.sql"))
    statement, parameters = together.of(
        [Put("insert_event", [row("insert_event", "a", 1)], STALE), Put("insert_log", [row("insert_log")], None)]
    )
    assert statement.count("%s") == len(parameters) == 3
    assert parameters[-1] == 1


@pytest.mark.parametrize("name", IDENTITY)
def test_every_parameter_of_a_row_has_its_place(name: str) -> None:
    single = statements("postgres.sql")[name]
    statement, _ = Statements({**statements("postgres.sql")}).of([Put(name, [], None)])
    assert statement.count("(v->>") == single.count("%s")
