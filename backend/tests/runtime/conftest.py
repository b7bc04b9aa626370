from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flexiroaster.store.database import Database
from tests.runtime.engine import TestEngine, running


@pytest.fixture
def engine(database: Database, tmp_path: Path) -> Iterator[TestEngine]:
    """A running engine, once on SQLite and once on PostgreSQL."""
    with running(database, tmp_path) as started:
        yield started
