"""PostgreSQL: many rows in one statement, and many statements in one.

A statement of its own for each row, and a round trip for each statement, cost more than the server needs to do the
work. So rows travel as a JSON array; and a transaction whose statements touch each row once is sent as one statement
of several WITH parts, which is a transaction by itself.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from flexiroaster.store.dialects import IDENTITY
from flexiroaster.store.tables import metadata

Rows = Sequence[tuple[Any, ...]]


class Put(NamedTuple):
    """`stale` is to be raised unless each row of the statement touches one row of its table."""

    name: str
    rows: Rows
    stale: Exception | None


class Statements:
    """Made of those for one row. All of them fail with a division by zero where something is stale."""

    def __init__(self, single: Mapping[str, str]) -> None:
        self._parts = {name: _of_many_rows(single[name]) for name in IDENTITY}
        self._all_in_one = lru_cache(maxsize=256)(self._compose)

    def of(self, puts: Sequence[Put]) -> tuple[str, list[Any]]:
        """One statement for all of them, and its parameters."""
        shape = tuple((put.name, put.stale is not None) for put in puts)
        counts = [len(put.rows) for put in puts if put.stale is not None]
        return self._all_in_one(shape), [*(orjson.dumps(put.rows).decode() for put in puts), *counts]

    def _compose(self, shape: tuple[tuple[str, bool], ...]) -> str:
        """Of statements, and whether each is checked."""
        parts = ", ".join(f"p{n} AS ({self._parts[name]} RETURNING 1)" for n, (name, _) in enumerate(shape))
        checks = [f"(SELECT count(*) FROM p{n}) = %s" for n, (_, checked) in enumerate(shape) if checked]
        return f"WITH {parts} SELECT 1 / ({' AND '.join(checks) or 'TRUE'})::int"


def merged(puts: Iterable[Put]) -> list[Put] | None:
    """One `Put` for each statement; None where their order matters, because a row is touched twice."""
    together: dict[str, Put] = {}
    touched: set[tuple[Any, ...]] = set()
    for put in puts:
        known = IDENTITY.get(put.name)
        if known is None:
            return None
        table, places = known
        if places:
            identify = itemgetter(*places)
            before = len(touched)
            touched.update((table, identify(row)) for row in put.rows)
            if len(touched) - before < len(put.rows):
                return None
        earlier = together.get(put.name)
        together[put.name] = (
            put if earlier is None else Put(put.name, [*earlier.rows, *put.rows], earlier.stale or put.stale)
        )
    return list(together.values())


_INSERT = re.compile(r"INSERT INTO (\w+) \(([^)]*)\) VALUES \([%s, ]*\)")
_PLACE = re.compile(r"(\w+) = %s")
_ROWS = "jsonb_array_elements(%s::jsonb) AS v"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def _of_many_rows(statement: str) -> str:
    """The statement for a JSON array of rows (each an array of its parameters) instead of one row."""
    numbers = itertools.count()

    def value(table: sa.Table, column: str) -> str:
        type = table.c[column.strip('"')].type
        # A cast to varchar(16) would cut silently what is too long; writing it to the column is refused.
        name = "text" if isinstance(type, sa.String) else type.compile(dialect=_DIALECT)
        return f"(v->>{next(numbers)})::{name}"

    if (insert := _INSERT.match(statement)) is not None:
        table, columns = metadata.tables[insert[1]], [name.strip() for name in insert[2].split(",")]
        values = ", ".join(value(table, name) for name in columns)
        rest = statement[insert.end() :]
        # Without a WHERE, ON CONFLICT would be read as the beginning of a join.
        return f"INSERT INTO {table.name} ({insert[2]}) SELECT {values} FROM {_ROWS} WHERE TRUE{rest}"
    table = metadata.tables[statement.split()[1]]
    placed = _PLACE.sub(lambda place: f"{place[1]} = {value(table, place[1])}", statement)
    return placed.replace(" WHERE ", f" FROM {_ROWS} WHERE ", 1)
