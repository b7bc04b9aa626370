from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from flexiroaster.auth.errors import Forbidden
from flexiroaster.bus.local import LocalBus
from flexiroaster.engine.errors import Conflict, InvalidDefinition, InvalidRequest, NotFound, VersionChanged
from flexiroaster.engine.events import Event
from flexiroaster.services.pipelines import Author, PipelinePicture, Pipelines, Source
from flexiroaster.services.version_diff import MOST_LINES
from flexiroaster.stages.base import StageType
from flexiroaster.store.database import Database
from tests.history import NOON, History

EDITOR = Author("ed@example.com", "editor")
ADMIN = Author("ada@example.com", "admin")


def stage_type(type: str, *, runs_code: bool = False) -> StageType:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "additionalProperties": False}
    return StageType(type, type, "", schema, takes_data=False, runs_code=runs_code)


TYPES = {type.type: type for type in (stage_type("noop"), stage_type("input"), stage_type("code", runs_code=True))}


def document(id: str | None = "orders", *stages: dict[str, Any], **changes: Any) -> Source:
    body = {"name": "Orders", "stages": list(stages) or [{"id": "a", "type": "noop"}], **changes}
    return Source(orjson.dumps(body if id is None else {"id": id, **body}).decode(), "json")


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pipelines(database: Database, clock: Callable[[], datetime]) -> Pipelines:
    return Pipelines(database, lambda: TYPES, LocalBus(), clock)


def test_what_happens_to_a_pipeline_is_announced(database: Database, clock: Clock) -> None:
    bus, heard = LocalBus(), list[Event]()
    bus.subscribe(heard.extend)
    pipelines = Pipelines(database, lambda: TYPES, bus, clock)
    pipelines.create(document(), EDITOR)
    pipelines.update("orders", document(), EDITOR)  # nothing but the wording may differ: nothing happens
    pipelines.update("orders", document(description="of a day"), EDITOR)
    pipelines.delete("orders", ADMIN.email)
    with pytest.raises(NotFound):
        pipelines.delete("orders", ADMIN.email)
    told = {"seq": 0, "at": "2026-03-04T12:00:00.000000Z", "pipeline_id": "orders"}
    assert [(event.type.value, event.to_payload()) for event in heard] == [
        ("pipeline_created", {"version": 1, "name": "Orders", "by": EDITOR.email, **told}),
        ("pipeline_updated", {"version": 2, "name": "Orders", "by": EDITOR.email, **told}),
        ("pipeline_deleted", {"by": ADMIN.email, **told}),
    ]


def test_what_is_made_can_be_read(pipelines: Pipelines) -> None:
    source = Source(
        "id: orders\nname: Orders  # of the shop\nlabels: {team: sales}\nstages: [{id: a, type: noop}]\n", "yaml"
    )
    made = pipelines.create(source, EDITOR, "first")
    assert made == pipelines.get("orders")
    assert (made.row.version, made.row.labels, made.row.stages_total) == (1, {"team": "sales"}, 1)
    assert (made.version.source, made.version.source_format, made.version.note) == (source.text, "yaml", "first")
    assert made.version.created_by == "ed@example.com"
    assert made.pipeline is not None and made.pipeline.stages[0].needs == []


def test_an_id_is_made_of_the_name(pipelines: Pipelines) -> None:
    made = pipelines.create(document(None, name="Daily orders (EU)"), EDITOR)
    assert made.row.id == made.version.document["id"]
    assert made.row.name == "Daily orders (EU)"
    assert pipelines.get(made.row.id) == made


def test_an_id_that_exists_is_a_conflict(pipelines: Pipelines) -> None:
    pipelines.create(document(), EDITOR)
    with pytest.raises(Conflict, match="'orders' already: choose another id") as refused:
        pipelines.create(document(), EDITOR)
    assert refused.value.code == "already_exists"


def test_every_problem_is_named_and_nothing_stored(pipelines: Pipelines) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        pipelines.create(
            document("orders", {"id": "a", "type": "nop"}, {"id": "b", "type": "noop", "needs": ["c"]}), EDITOR
        )
    assert len(refused.value.problems) >= 2
    with pytest.raises(NotFound):
        pipelines.get("orders")


def test_a_change_is_a_new_version(pipelines: Pipelines, clock: Clock) -> None:
    pipelines.create(document(), EDITOR)
    clock.now += timedelta(hours=1)
    changed = pipelines.update("orders", document("orders", name="Orders 2"), ADMIN, note="renamed")
    assert (changed.row.version, changed.row.name, changed.row.updated_at) == (2, "Orders 2", clock.now)
    listed = pipelines.versions("orders", limit=10).items
    assert [(row.version, row.created_by, row.note) for row in listed] == [
        (2, "ada@example.com", "renamed"),
        (1, "ed@example.com", ""),
    ]
    assert pipelines.version("orders", 1).document["name"] == "Orders"


def test_a_text_that_means_the_same_is_no_new_version(pipelines: Pipelines) -> None:
    pipelines.create(document(), EDITOR)
    same = Source("# the same\nname: Orders\nid: orders\nstages:\n  - type: noop\n    id: a\n", "yaml")
    assert pipelines.update("orders", same, EDITOR).row.version == 1


def test_a_change_without_an_id_is_of_this_pipeline(pipelines: Pipelines) -> None:
    pipelines.create(document(), EDITOR)
    changed = pipelines.update("orders", document(None, name="Something else"), EDITOR)
    assert (changed.row.id, changed.row.name, changed.row.version) == ("orders", "Something else", 2)


def test_a_change_of_another_pipeline_is_refused(pipelines: Pipelines) -> None:
    pipelines.create(document(), EDITOR)
    with pytest.raises(InvalidRequest, match="calls itself 'stock', but this is pipeline 'orders'"):
        pipelines.update("orders", document("stock"), EDITOR)


def test_a_change_of_an_old_version_is_refused(pipelines: Pipelines) -> None:
    pipelines.create(document(), EDITOR)
    pipelines.update("orders", document("orders", name="Orders 2"), ADMIN, expected=[1])
    with pytest.raises(
        VersionChanged, match=r"version 2 now, changed by ada@example\.com at 2026-03-04 12:00:00"
    ) as refused:
        pipelines.update("orders", document("orders", name="Orders 3"), EDITOR, expected=[1])
    assert refused.value.code == "version_changed"
    assert pipelines.get("orders").row.name == "Orders 2"


def test_code_is_written_by_administrators(pipelines: Pipelines) -> None:
    code = document("orders", {"id": "a", "type": "noop"}, {"id": "crunch", "type": "code"})
    with pytest.raises(Forbidden, match="stage 'crunch' runs code"):
        pipelines.create(code, EDITOR)
    assert pipelines.create(code, ADMIN).code_stages == ["crunch"]
    with pytest.raises(Forbidden):
        pipelines.update("orders", code, EDITOR)


def test_a_deleted_pipeline_keeps_its_history_and_may_come_back(pipelines: Pipelines, history: History) -> None:
    pipelines.create(document(), EDITOR)
    history.execution("orders", 1)
    pipelines.delete("orders", "ada@example.com")
    with pytest.raises(NotFound):
        pipelines.get("orders")
    with pytest.raises(NotFound):
        pipelines.delete("orders", "ada@example.com")
    with pytest.raises(NotFound):
        pipelines.update("orders", document(), EDITOR)
    assert pipelines.page(limit=10).items == []
    assert [row.version for row in pipelines.versions("orders", limit=10).items] == [1]
    assert pipelines.version("orders", 1).version == 1

    again = pipelines.create(document("orders", name="Orders again"), EDITOR)
    assert (again.row.version, [run.number for run in again.runs]) == (2, [1])


@pytest.mark.parametrize("status", ["queued", "running", "paused", "cancelling"])
def test_a_pipeline_is_not_deleted_while_it_runs(pipelines: Pipelines, history: History, status: str) -> None:
    pipelines.create(document(), EDITOR)
    history.execution("orders", 1, status=status, seconds=None)
    with pytest.raises(Conflict, match="not ended yet: wait"):
        pipelines.delete("orders", "ada@example.com")
    assert pipelines.get("orders").row.id == "orders"


def test_pages_follow_each_other(pipelines: Pipelines) -> None:
    for id in ("a", "b", "c", "d", "e"):
        pipelines.create(document(id), EDITOR)
    seen: list[str] = []
    cursor = None
    while True:
        page = pipelines.page(limit=2, cursor=cursor)
        seen += [entry.row.id for entry in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["a", "b", "c", "d", "e"]


def test_a_page_takes_two_queries(pipelines: Pipelines, history: History, statements: list[str]) -> None:
    for number in range(50):
        history.pipeline(f"p{number:02}")
        history.execution(f"p{number:02}", 1)
        history.execution(f"p{number:02}", 2)
    statements.clear()
    page = pipelines.page(limit=50)
    assert [len(entry.runs) for entry in page.items] == [2] * 50
    assert len(statements) == 2


def test_a_document_of_another_release_still_shows(pipelines: Pipelines, history: History) -> None:
    history.pipeline("future", stages=0)
    history.pipeline("orders")
    picture = pipelines.get("future")
    assert picture.pipeline is None
    assert [problem.code for problem in picture.problems] == ["unreadable"]
    assert [entry.row.id for entry in pipelines.page(limit=10).items] == ["future", "orders"]


def test_a_diff_names_stages_keys_and_lines(pipelines: Pipelines) -> None:
    old = "id: orders\nname: Orders\nstages:\n- {id: a, type: input, config: {path: x.csv}}\n- {id: b, type: noop}\n"
    new = "id: orders\nname: Sales\nstages:\n- {id: a, type: input, config: {path: y.csv}}\n- {id: c, type: noop}\n"
    pipelines.create(Source(old, "yaml"), EDITOR)
    pipelines.update("orders", Source(new, "yaml"), EDITOR)
    diff = pipelines.diff("orders", 1, 2)
    assert (diff.added, diff.removed, diff.settings) == (["c"], ["b"], ["name"])
    assert [(change.stage, change.keys) for change in diff.changed] == [("a", ["config.path"])]
    assert "-name: Orders\n+name: Sales" in diff.text
    assert diff.text.startswith("--- version 1\n+++ version 2\n")
    assert pipelines.diff("orders", 2, 2).identical


def test_a_diff_of_json_is_readable(pipelines: Pipelines) -> None:
    pipelines.create(document(), EDITOR)
    pipelines.update("orders", document("orders", name="Sales"), EDITOR)
    lines = pipelines.diff("orders", 1, 2).text.splitlines()
    assert "-name: Orders" in lines
    assert "+name: Sales" in lines


def test_a_diff_of_endless_texts_still_names_what_changed(pipelines: Pipelines) -> None:
    text = "id: orders\nname: Orders\nstages: [{id: a, type: noop}]\n" + "# note\n" * MOST_LINES
    pipelines.create(Source(text, "yaml"), EDITOR)
    pipelines.update("orders", Source(text.replace("name: Orders", "name: Sales"), "yaml"), EDITOR)
    diff = pipelines.diff("orders", 1, 2)
    assert diff.settings == ["name"]
    assert diff.text.startswith("# The texts are too long")


def test_a_version_that_never_was_is_not_found(pipelines: Pipelines) -> None:
    pipelines.create(document(), EDITOR)
    for id, number in (("orders", 7), ("nothing", 1)):
        with pytest.raises(NotFound):
            pipelines.version(id, number)
    with pytest.raises(NotFound):
        pipelines.versions("nothing", limit=3)


def at_once(url: str, work: Callable[[Pipelines], object]) -> list[object]:
    """What two servers on one database answer or raise, asked in the same moment."""
    together = threading.Barrier(2)
    answers: list[object] = []

    def serve() -> None:
        database = Database.open(url)
        try:
            together.wait()
            answers.append(work(Pipelines(database, lambda: TYPES, LocalBus())))
        except Conflict as error:
            answers.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=serve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answers, key=lambda answer: isinstance(answer, Conflict))


def test_two_servers_make_a_pipeline_once(database_url: str) -> None:
    made, refused = at_once(database_url, lambda pipelines: pipelines.create(document(), EDITOR))
    assert isinstance(made, PipelinePicture)
    assert isinstance(refused, Conflict) and refused.code == "already_exists"


def test_two_servers_do_not_overwrite_each_other(database_url: str) -> None:
    first = Database.open(database_url)
    Pipelines(first, lambda: TYPES, LocalBus()).create(document(), EDITOR)
    first.close()

    def change(pipelines: Pipelines) -> object:
        return pipelines.update("orders", document("orders", name=f"By {id(pipelines)}"), EDITOR, expected=[1])

    made, refused = at_once(database_url, change)
    assert isinstance(made, PipelinePicture) and made.row.version == 2
    assert isinstance(refused, VersionChanged)


@pytest.mark.parametrize("kind", ["create", "update"])
def test_what_is_deleted_at_once_was_made_all_the_same(
    pipelines: Pipelines, database: Database, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The delete of another client comes between the write and the answer to it."""
    if kind == "update":
        pipelines.create(document(), EDITOR)
    write = database.write

    def write_and_delete(operation: Any, **options: Any) -> Any:
        answer = write(operation, **options)
        monkeypatch.undo()
        pipelines.delete("orders", "bob")
        return answer

    monkeypatch.setattr(database, "write", write_and_delete)
    made = (
        pipelines.create(document(), EDITOR)
        if kind == "create"
        else pipelines.update("orders", document(name="New"), EDITOR)
    )
    assert made.row.version == (1 if kind == "create" else 2)
    with pytest.raises(NotFound):
        pipelines.get("orders")
    assert pipelines.create(document(), EDITOR).row.version == made.row.version + 1
