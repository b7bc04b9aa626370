"""The switches of projects: the same on every database."""

from __future__ import annotations

from flexiroaster.bus.local import LocalBus
from flexiroaster.services.ai.projects import Projects
from flexiroaster.store import pipelines as pipeline_store
from flexiroaster.store.database import Database
from flexiroaster.store.pipelines import NewVersion
from tests.history import NOON


def make(database: Database, id: str, **labels: str) -> None:
    new = NewVersion(id, "", labels, {"id": id, "stages": []}, "", "yaml", "d", "", None)
    database.write(lambda tx: pipeline_store.insert(tx.sa, id, new, NOON))


def test_pipelines_are_counted_by_their_label(database: Database) -> None:
    for id, labels in {"a": {"project": "sales"}, "b": {"project": "sales"}, "c": {"team": "ops"}, "d": {}}.items():
        make(database, id, **labels)
    database.write(lambda tx: pipeline_store.mark_deleted(tx.sa, "b", NOON))
    found = Projects(database, LocalBus(), lambda: NOON).all()
    assert [(one.name, one.pipelines) for one in found] == [("default", 2), ("sales", 1)]


def test_a_switch_is_kept(database: Database) -> None:
    projects = Projects(database, LocalBus(), lambda: NOON)
    projects.set("sales", "ada@example.com", assistant=True)
    projects.set("sales", "bob@example.com", learning=False)
    (_, sales) = projects.all()
    assert (sales.learning, sales.assistant, sales.changed_at, sales.changed_by) == (
        False, True, NOON, "bob@example.com",
    )  # fmt: skip
    assert projects.may_ask("sales")
    assert not projects.learns("sales")
