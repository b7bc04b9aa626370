"""A pipeline with triggers on a real engine, and time that can be moved."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flexiroaster.services.pipelines import Author, Pipelines, Source
from flexiroaster.services.triggers import Triggers
from flexiroaster.stages.registry import default_registry
from flexiroaster.store import triggers as store
from flexiroaster.store.database import Database
from flexiroaster.store.json import dumps
from flexiroaster.store.tables import executions
from flexiroaster.store.triggers import TriggerRow
from tests.runtime.engine import TestEngine

ADA = Author("ada@example.com", "admin")
HOUR = timedelta(hours=1)


class Shop:
    """A pipeline with a trigger, and time that can be moved: the trigger is taken back instead of the clock forward."""

    def __init__(self, engine: TestEngine) -> None:
        self.engine = engine
        self.database: Database = engine.database
        self.triggers: Triggers = engine.embedded.triggers
        self.pipelines = Pipelines(engine.database, default_registry().types, engine.bus)

    def make(self, *triggers: dict[str, Any], **rest: Any) -> None:
        self.pipelines.create(source(triggers, rest), ADA)

    def change(self, *triggers: dict[str, Any], **rest: Any) -> None:
        self.pipelines.update("shop", source(triggers, rest), ADA)

    def row(self, id: str = "hourly") -> TriggerRow:
        with self.database.read() as connection:
            found = store.find(connection, "shop", id)
        assert found is not None
        return found

    def come(self, hours: int, id: str = "hourly") -> datetime:
        """As if so many instants had passed; answers the last of them."""
        due_at = self.row(id).due_at - hours * HOUR
        self.database.write(lambda tx: store.change(tx.sa, "shop", id, due_at=due_at))
        return due_at + (hours - 1) * HOUR

    def firings(self, id: str = "hourly") -> list[tuple[datetime, str, int]]:
        """The earliest first."""
        page = self.triggers.firings("shop", id, limit=500)
        return [(one.instant, one.state, one.count) for one in page.items][::-1]

    def reason(self, id: str = "hourly") -> str | None:
        return self.triggers.firings("shop", id, limit=1).items[0].reason

    def executions(self) -> list[sa.RowMapping]:
        with self.database.read() as connection:
            return list(connection.execute(sa.select(executions).order_by(executions.c.number)).mappings())


def source(triggers: tuple[dict[str, Any], ...], rest: dict[str, Any]) -> Source:
    stages = [{"id": "one", "type": "noop"}]
    return Source(dumps({"id": "shop", "name": "Shop", "triggers": triggers, "stages": stages} | rest), "json")


def hourly(**more: Any) -> dict[str, Any]:
    return {"id": "hourly", "type": "schedule", "every": "1h", **more}
