"""Learning and the assistant, switched for a project."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from flexiroaster.ai.runs import Run
from flexiroaster.bus.local import LocalBus
from flexiroaster.services.ai.history import RunHistory
from flexiroaster.services.ai.projects import KEPT_SECONDS, Projects
from flexiroaster.services.ai.switch import Switch, project_of
from flexiroaster.store import pipelines as pipeline_store
from flexiroaster.store.database import Database
from flexiroaster.store.pipelines import NewVersion
from tests.services.ai.rows import write

NOW = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = Database.open(sqlite_url)
    yield opened
    opened.close()


class Seconds:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def projects(database: Database, seconds: Seconds) -> Projects:
    return Projects(database, LocalBus(), lambda: NOW, seconds)


def make(database: Database, id: str, **labels: str) -> None:
    new = NewVersion(id, "", labels, {"id": id, "stages": []}, "", "yaml", "d", "", None)
    database.write(lambda tx: pipeline_store.insert(tx.sa, id, new, NOW))


@pytest.mark.parametrize(
    ("labels", "project"),
    [
        ({"project": "sales"}, "sales"),
        ({"project": " sales "}, "sales"),
        ({"project": " "}, "default"),
        ({"team": "sales"}, "default"),
        ({}, "default"),
        (None, "default"),
    ],
)
def test_a_project_is_a_label(labels: dict[str, str] | None, project: str) -> None:
    assert project_of(labels) == project


def test_projects_are_those_of_pipelines_and_those_that_were_switched(database: Database, projects: Projects) -> None:
    make(database, "a", project="sales")
    make(database, "b", project="sales")
    make(database, "c", team="ops")
    make(database, "d", project="")
    projects.set("later", "ada@example.com", assistant=True)
    found = [(one.name, one.pipelines, one.learning, one.assistant, one.changed_by) for one in projects.all()]
    assert found == [
        ("default", 2, True, False, None),
        ("later", 0, True, True, "ada@example.com"),
        ("sales", 2, True, False, None),
    ]


def test_what_is_not_named_stays_as_it_is(projects: Projects) -> None:
    projects.set("sales", "ada@example.com", assistant=True)
    after = projects.set("sales", "bob@example.com", learning=False)
    assert (after.learning, after.assistant, after.changed_by, after.changed_at) == (
        False,
        True,
        "bob@example.com",
        NOW,
    )


def test_the_assistant_is_off_until_somebody_switches_it_on(projects: Projects) -> None:
    assert not projects.may_ask("sales")
    projects.set("sales", None, assistant=True)
    assert projects.may_ask("sales")
    assert not projects.may_ask("default")
    projects.set("sales", None, assistant=False)
    assert not projects.may_ask("sales")


def test_learning_is_on_until_somebody_switches_it_off(projects: Projects) -> None:
    switch = Switch(True, projects.learns)
    sales: dict[str, Any] = {"project": "sales"}
    assert switch.looks_at(sales)
    projects.set("sales", None, learning=False)
    assert not switch.looks_at(sales)
    assert switch.why_not(sales) == (
        "Learning is switched off for project 'sales': an administrator can switch it on again."
    )
    assert switch.looks_at({})
    projects.set("sales", None, learning=True)
    assert switch.looks_at(sales)


def test_another_server_hears_of_a_switch_within_a_moment(database: Database, seconds: Seconds) -> None:
    here, there = (Projects(database, LocalBus(), seconds=seconds) for _ in range(2))
    assert there.learns("sales")
    here.set("sales", None, learning=False)
    assert there.learns("sales")
    seconds.now += KEPT_SECONDS
    assert not there.learns("sales")


def test_a_pipeline_can_be_kept_out_though_its_project_learns(projects: Projects) -> None:
    switch = Switch(True, projects.learns)
    assert not switch.looks_at({"ai": "off", "project": "sales"})
    assert not Switch(False, projects.learns).looks_at({})


def test_what_learns_sees_nothing_of_a_project_that_is_off(
    database: Database, projects: Projects, seconds: Seconds
) -> None:
    """In the learner's process, which only reads: it hears of the switch through the database."""
    write(database, [Run("e1", "orders", 100.0, stage="load", ended_at=105.0, status="failed")])
    history = RunHistory(database, Switch(True, Projects(database, LocalBus(), seconds=seconds).learns))
    assert [story.seen.id for story in history.newest(10)] == ["e1"]
    projects.set("default", "ada@example.com", learning=False)
    seconds.now += KEPT_SECONDS
    assert history.newest(10) == []
    assert history.named(["e1"]) == []
