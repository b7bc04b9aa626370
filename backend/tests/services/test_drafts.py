from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.auth.errors import Forbidden
from flexiroaster.bus.local import LocalBus
from flexiroaster.engine.errors import Conflict, InvalidDefinition, InvalidRequest, NotFound, VersionChanged
from flexiroaster.engine.events import Event
from flexiroaster.services.drafts import Drafts
from flexiroaster.services.pipelines import Author, PipelinePicture, Pipelines, Source
from flexiroaster.store.database import Database
from flexiroaster.store.tables import pipeline_versions
from tests.history import NOON
from tests.services.test_pipelines import ADMIN, EDITOR, TYPES, Clock, document

OTHER = Author("bob@example.com", "editor")


@dataclass
class Desk:
    """Pipelines and drafts on one database, with what they announced."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    types: dict[str, Any] = field(default_factory=lambda: dict(TYPES))
    heard: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        bus = LocalBus()
        bus.subscribe(self.heard.extend)
        self.pipelines = Pipelines(self.database, lambda: self.types, bus, self.clock)
        self.drafts = Drafts(self.database, self.pipelines, bus, self.clock)

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        said = [(event.type.value, dict(event.payload)) for event in self.heard]
        self.heard.clear()
        return said

    def states(self, id: str = "orders") -> dict[int, str]:
        return {row.version: row.state for row in self.pipelines.versions(id, limit=100).items}


@pytest.fixture
def desk(database: Database) -> Desk:
    desk = Desk(database)
    desk.pipelines.create(document(), EDITOR)
    desk.heard.clear()
    return desk


def named(name: str, **changes: Any) -> Source:
    return document(name=name, **changes)


def test_a_draft_waits_beside_what_runs(desk: Desk) -> None:
    desk.clock.now = NOON + timedelta(hours=1)
    made = desk.drafts.save("orders", named("New", labels={"team": "sales"}), OTHER, note="faster")
    assert (made.version, made.state, made.based_on, made.note) == (2, "draft", 1, "faster")
    assert (made.created_by, made.published_at, made.published_by) == (OTHER.email, None, None)
    found = desk.pipelines.get("orders")
    assert (found.row.version, found.row.name, found.row.labels, found.drafts) == (1, "Orders", {}, [2])
    assert found.row.updated_at == NOON
    assert desk.pipelines.page(limit=9).items[0].row.name == "Orders"
    assert desk.states() == {2: "draft", 1: "published"}
    assert desk.pipelines.diff("orders", 1, 2).settings == ["name", "labels"]
    assert desk.told() == [("pipeline_draft_changed", {"version": 2, "state": "draft", "by": OTHER.email})]


def test_a_published_draft_runs_from_then_on(desk: Desk) -> None:
    desk.drafts.save("orders", named("New", labels={"team": "sales"}), OTHER, note="faster")
    desk.heard.clear()
    desk.clock.now = NOON + timedelta(hours=1)
    found = desk.drafts.publish("orders", 2, EDITOR)
    assert found == desk.pipelines.get("orders")
    assert (found.row.version, found.row.name, found.row.labels, found.drafts) == (2, "New", {"team": "sales"}, [])
    version = found.version
    assert (version.state, version.created_by, version.created_at) == ("published", OTHER.email, NOON)
    assert (version.published_by, version.published_at, version.note) == (EDITOR.email, desk.clock.now, "faster")
    assert desk.told() == [("pipeline_updated", {"version": 2, "name": "New", "by": EDITOR.email})]
    assert desk.pipelines.update("orders", named("Newer"), EDITOR, expected=[2]).row.version == 3


def test_a_note_of_the_publisher_takes_the_place_of_the_drafts(desk: Desk) -> None:
    desk.drafts.save("orders", named("New"), EDITOR, note="try")
    assert desk.drafts.publish("orders", 2, EDITOR, note="tried").version.note == "tried"


def test_what_is_published_is_published_by_somebody(desk: Desk) -> None:
    created, changed = desk.pipelines.get("orders"), desk.pipelines.update("orders", named("New"), OTHER)
    assert (created.version.published_by, created.version.published_at) == (EDITOR.email, NOON)
    assert (changed.version.published_by, changed.version.based_on) == (OTHER.email, None)


def test_a_discarded_draft_is_read_but_listed_no_more(desk: Desk) -> None:
    desk.drafts.save("orders", named("New"), EDITOR)
    desk.heard.clear()
    desk.drafts.discard("orders", 2, OTHER.email)
    assert desk.states() == {1: "published"}
    assert desk.pipelines.get("orders").drafts == []
    assert desk.pipelines.version("orders", 2).state == "discarded"
    assert desk.told() == [("pipeline_draft_changed", {"version": 2, "state": "discarded", "by": OTHER.email})]


def test_a_number_is_never_given_twice(desk: Desk) -> None:
    """Processes remember what a number says, and executions keep theirs."""
    desk.drafts.save("orders", named("New"), EDITOR)
    desk.drafts.discard("orders", 2, EDITOR.email)
    assert desk.drafts.save("orders", named("New"), EDITOR).version == 3
    assert desk.pipelines.update("orders", named("Other"), EDITOR).row.version == 4
    desk.pipelines.delete("orders", ADMIN.email)
    assert desk.pipelines.create(document(), EDITOR).row.version == 5


def test_a_draft_that_means_the_same_is_the_one_there_is(desk: Desk) -> None:
    first = desk.drafts.save("orders", named("New"), EDITOR)
    assert desk.drafts.save("orders", named("New"), OTHER) == first
    assert desk.drafts.save("orders", named("New"), OTHER, replaces=2) == first
    assert desk.pipelines.get("orders").drafts == [2]


def test_there_is_nothing_to_draft_in_what_runs(desk: Desk) -> None:
    with pytest.raises(Conflict, match=r"Version 1 .* says this already") as refused:
        desk.drafts.save("orders", document(), EDITOR)
    assert refused.value.code == "already_so"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (named("New", stages=[{"id": "a", "type": "nope"}]), InvalidDefinition),
        (Source("stages: [", "yaml"), InvalidDefinition),
        (document("other"), InvalidRequest),
        (document("orders", {"id": "a", "type": "code"}), Forbidden),
    ],
)
def test_a_draft_is_checked_like_any_version(desk: Desk, source: Source, error: type[Exception]) -> None:
    with pytest.raises(error):
        desk.drafts.save("orders", source, EDITOR)
    assert desk.states() == {1: "published"}


def test_code_is_published_by_administrators(desk: Desk) -> None:
    desk.drafts.save("orders", document("orders", {"id": "a", "type": "code"}), ADMIN)
    with pytest.raises(Forbidden):
        desk.drafts.publish("orders", 2, EDITOR)
    assert desk.drafts.publish("orders", 2, ADMIN).row.version == 2


def test_a_draft_that_fits_no_more_is_not_published(desk: Desk) -> None:
    """A stage type was taken away since."""
    desk.drafts.save("orders", document("orders", {"id": "a", "type": "input"}), EDITOR)
    del desk.types["input"]
    with pytest.raises(InvalidDefinition):
        desk.drafts.publish("orders", 2, EDITOR)
    assert desk.states() == {2: "draft", 1: "published"}


def test_a_change_of_what_runs_outdates_a_draft(desk: Desk) -> None:
    desk.drafts.save("orders", named("Mine"), EDITOR)
    assert desk.pipelines.update("orders", named("Theirs"), OTHER, expected=[1]).row.version == 3
    with pytest.raises(Conflict, match=r"made from version 1, and version 3 was published since") as refused:
        desk.drafts.publish("orders", 2, EDITOR)
    assert refused.value.code == "draft_outdated"
    assert 'If-Match: "3"' in str(refused.value)
    with pytest.raises(VersionChanged, match=r"at version 3 now, changed by bob@example\.com"):
        desk.drafts.publish("orders", 2, EDITOR, expected=[1])
    assert desk.pipelines.get("orders").row.name == "Theirs"
    assert desk.drafts.publish("orders", 2, EDITOR, expected=[3]).row.name == "Mine"


def test_whoever_says_so_publishes_over_anything(desk: Desk) -> None:
    desk.drafts.save("orders", named("Mine"), EDITOR)
    desk.pipelines.update("orders", named("Theirs"), OTHER)
    found = desk.drafts.publish("orders", 2, EDITOR, anyway=True)
    assert (found.row.version, found.row.name) == (2, "Mine")
    assert desk.pipelines.update("orders", named("Next"), EDITOR, expected=[2]).row.version == 4


def test_a_draft_knows_what_its_author_had_before_them(desk: Desk) -> None:
    desk.pipelines.update("orders", named("Two"), OTHER)
    late = desk.drafts.save("orders", named("Late"), EDITOR, based_on=1)
    again = desk.drafts.save("orders", named("Later"), EDITOR, based_on=late.version)
    assert (late.based_on, again.based_on) == (1, 1)
    with pytest.raises(Conflict, match="made from version 1"):
        desk.drafts.publish("orders", again.version, EDITOR)
    with pytest.raises(NotFound):
        desk.drafts.save("orders", named("None"), EDITOR, based_on=99)


def test_a_draft_takes_the_place_of_another(desk: Desk) -> None:
    desk.drafts.save("orders", named("First try"), EDITOR)
    desk.pipelines.update("orders", named("Theirs"), OTHER)
    second = desk.drafts.save("orders", named("Second try"), EDITOR, replaces=2)
    assert (second.version, second.based_on) == (4, 1)
    assert desk.states() == {4: "draft", 3: "published", 1: "published"}
    with pytest.raises(Conflict, match=r"Version 2 .* is discarded"):
        desk.drafts.save("orders", named("Third try"), EDITOR, replaces=2)
    assert desk.states() == {4: "draft", 3: "published", 1: "published"}


@pytest.mark.parametrize("end", ["publish", "discard"])
def test_what_is_no_draft_stays_as_it_is(desk: Desk, end: str) -> None:
    def treat(number: int) -> object:
        if end == "publish":
            return desk.drafts.publish("orders", number, EDITOR, anyway=True)
        return desk.drafts.discard("orders", number, EDITOR.email)

    desk.drafts.save("orders", named("New"), EDITOR)
    desk.drafts.discard("orders", 2, EDITOR.email)
    for number, state in ((1, "published"), (2, "discarded")):
        with pytest.raises(Conflict, match=f"is {state}") as refused:
            treat(number)
        assert refused.value.code == "not_a_draft"
    with pytest.raises(NotFound):
        treat(3)
    assert desk.pipelines.get("orders").row.version == 1


def test_a_deleted_pipeline_has_no_drafts(desk: Desk) -> None:
    desk.drafts.save("orders", named("New"), EDITOR)
    desk.pipelines.delete("orders", ADMIN.email)
    works: Sequence[Callable[[], object]] = (
        lambda: desk.drafts.save("orders", named("New"), EDITOR),
        lambda: desk.drafts.publish("orders", 2, EDITOR),
        lambda: desk.drafts.discard("orders", 2, EDITOR.email),
    )
    for work in works:
        with pytest.raises(NotFound):
            work()
    assert desk.pipelines.create(document(), EDITOR).drafts == []
    with pytest.raises(Conflict, match="is discarded"):
        desk.drafts.publish("orders", 2, EDITOR, anyway=True)


def at_once(url: str, *works: Callable[[Desk], object]) -> list[object]:
    """What servers on one database answer or raise, asked in the same moment."""
    together = threading.Barrier(len(works))
    answers: list[object] = []

    def serve(work: Callable[[Desk], object]) -> None:
        database = Database.open(url)
        try:
            together.wait()
            answers.append(work(Desk(database)))
        except (Conflict, NotFound) as error:
            answers.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=serve, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answers, key=lambda answer: isinstance(answer, Exception))


def prepared(url: str, *names: str) -> None:
    """A pipeline with these drafts, from 2."""
    database = Database.open(url)
    desk = Desk(database)
    desk.pipelines.create(document(), EDITOR)
    for name in names:
        desk.drafts.save("orders", named(name), EDITOR)
    database.close()


def test_two_servers_publish_a_draft_once(database_url: str) -> None:
    prepared(database_url, "New")
    publish = lambda desk: desk.drafts.publish("orders", 2, EDITOR)  # noqa: E731
    done, refused = at_once(database_url, publish, publish)
    assert isinstance(done, PipelinePicture) and done.row.version == 2
    assert isinstance(refused, Conflict) and refused.code == "not_a_draft"


def test_of_two_drafts_published_at_once_one_is_outdated(database_url: str) -> None:
    prepared(database_url, "One", "Two")
    works = [lambda desk, n=n: desk.drafts.publish("orders", n, EDITOR) for n in (2, 3)]
    done, refused = at_once(database_url, *works)
    assert isinstance(done, PipelinePicture)
    assert isinstance(refused, Conflict) and refused.code == "draft_outdated"


def test_two_servers_draft_the_same_once(database_url: str) -> None:
    prepared(database_url)
    save = lambda desk: desk.drafts.save("orders", named("New"), EDITOR).version  # noqa: E731
    assert at_once(database_url, save, save) == [2, 2]


def test_drafts_and_changes_at_once_get_numbers_of_their_own(database_url: str) -> None:
    prepared(database_url)
    found = at_once(
        database_url,
        lambda desk: desk.drafts.save("orders", named("Draft"), EDITOR).version,
        lambda desk: desk.pipelines.update("orders", named("Change"), EDITOR).row.version,
    )
    assert sorted(found, key=str) == [2, 3]


def test_a_pipeline_points_at_a_published_version(database_url: str) -> None:
    """Whatever comes first, publishing or discarding."""
    prepared(database_url, "New")
    done, refused = at_once(
        database_url,
        lambda desk: desk.drafts.publish("orders", 2, EDITOR),
        lambda desk: desk.drafts.discard("orders", 2, EDITOR.email),
    )
    assert isinstance(refused, Conflict) and refused.code == "not_a_draft"
    database = Database.open(database_url)
    found = Desk(database).pipelines.get("orders")
    with database.read() as connection:
        columns = (pipeline_versions.c.published_at, pipeline_versions.c.discarded_at)
        of_draft = connection.execute(sa.select(*columns).where(pipeline_versions.c.version == 2)).one()
    database.close()
    assert found.version.state == "published"
    assert (found.row.version == 2) == isinstance(done, PipelinePicture)
    assert (of_draft.published_at is None) != (of_draft.discarded_at is None)
