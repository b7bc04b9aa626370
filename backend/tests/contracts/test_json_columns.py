"""What is kept as JSON comes back as it was: in SQLite a column must be TEXT, or numbers lose their text."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.store.database import Database
from flexiroaster.store.tables import results
from tests.history import History


@pytest.mark.parametrize("value", [7, 1.5, "7", True, None, [1], {"a": 1}, 10**17])
def test_values_come_back(database: Database, history: History, value: Any) -> None:
    history.result(history.execution(history.pipeline("p"), 1), 0, value)
    with database.read() as connection:
        found = connection.scalar(sa.select(results.c.value))
    assert (found, type(found)) == (value, type(value))
