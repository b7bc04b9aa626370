"""Drafts: versions that wait. One runs where somebody asks for it by its number, until it is published or discarded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa
import structlog

from flexiroaster.bus.port import Bus
from flexiroaster.engine.errors import Conflict, NotFound, VersionChanged
from flexiroaster.engine.events import NO_EXECUTION, Event, EventType, of_pipeline
from flexiroaster.services.pipelines import Author, PipelinePicture, Pipelines, Source, Stored, locked
from flexiroaster.store import pipelines as store
from flexiroaster.store import suggestions as suggestion_store
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.pipelines import Head, VersionText
from flexiroaster.store.suggestions import SuggestionRow

log = structlog.get_logger(__name__)


class Drafts:
    def __init__(
        self,
        database: Database,
        pipelines: Pipelines,
        bus: Bus,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._pipelines = pipelines
        self._bus = bus
        self._clock = clock

    def save(
        self,
        id: str,
        source: Source,
        author: Author,
        *,
        based_on: int | None = None,
        replaces: int | None = None,
        note: str = "",
        also: Callable[[Transaction, VersionText], None] = lambda tx, made: None,
    ) -> VersionText:
        """A new draft, or the one there is when it means the same.

        `based_on` is the version that its author had before them: left out, the published one, or what the draft that
        it `replaces` was made from. That draft is discarded. `also` is done in the same transaction. Raises NotFound,
        InvalidDefinition, and Conflict where the published version says this already.
        """
        self._pipelines.ensure(id)
        _, new = self._pipelines.checked(source, author, note, id=id)
        now = self._clock()

        def operation(tx: Transaction) -> VersionText:
            head = locked(tx.sa, id)
            if new.digest == head.digest:
                raise Conflict(
                    f"Version {head.version} of pipeline {id!r}, which runs, says this already: there is nothing to "
                    "draft.",
                    "already_so",
                )
            base = _base(tx.sa, id, head, based_on, replaces)
            number = store.draft_like(tx.sa, id, new.digest, base)
            if number is None:
                number = head.newest + 1
                store.add_draft(tx.sa, id, number, new, now, based_on=base)
                self._tell(tx, id, number, "draft", author.email, now)
            if replaces is not None and replaces != number:
                self._discard(tx, id, replaces, author.email, now)
            made = _version(tx.sa, id, number)
            also(tx, made)
            return made

        made = self._database.write(operation, durable=True)
        log.info("draft.saved", pipeline=id, version=made.version, based_on=made.based_on, by=author.email)
        return made

    def publish(
        self,
        id: str,
        number: int,
        author: Author,
        *,
        expected: Sequence[int] | None = None,
        anyway: bool = False,
        note: str = "",
    ) -> PipelinePicture:
        """It runs from now on; executions under way keep their version. `note` takes the place of the draft's own.

        `expected` are the versions that it may take the place of; None: only the one it was made from, or with `anyway`
        whichever runs. Raises NotFound, InvalidDefinition where it is not valid any more, Conflict where it is no draft
        any more or another version was published since, and VersionChanged where none of `expected` runs.
        """
        self._pipelines.ensure(id)
        draft = _still_draft(self._pipelines.version(id, number))
        source = Source(draft.source, "json" if draft.source_format == "json" else "yaml")
        _, new = self._pipelines.checked(source, author, note or draft.note, id=id)
        now = self._clock()

        def operation(tx: Transaction) -> Stored:
            head = locked(tx.sa, id)
            present = _still_draft(_version(tx.sa, id, number))
            if not anyway:
                _may_replace(head, present, expected)
            store.publish(tx.sa, id, number, new, now)
            applied = suggestion_store.draft_published(tx.sa, id, number, head.version, author.email, now)
            found = self._pipelines.published(tx, EventType.PIPELINE_UPDATED, id, author, now)
            tx.after_commit(partial(self._bus.publish, [suggestion_changed(row, now) for row in applied]))
            return found

        found = self._database.write(operation, durable=True)
        log.info("draft.published", pipeline=id, version=number, by=author.email)
        return self._pipelines.picture(found)

    def discard(self, id: str, number: int, by: str) -> None:
        """Executions of it go on, and it stays readable. Raises NotFound, and Conflict where it is no draft."""
        now = self._clock()

        def operation(tx: Transaction) -> None:
            locked(tx.sa, id)
            self._discard(tx, id, number, by, now)

        self._database.write(operation, durable=True)
        log.info("draft.discarded", pipeline=id, version=number, by=by)

    def _discard(self, tx: Transaction, id: str, number: int, by: str, now: datetime) -> None:
        _still_draft(_version(tx.sa, id, number))
        store.discard(tx.sa, id, number, now)
        reopened = suggestion_store.draft_discarded(tx.sa, id, number, by, now)
        self._tell(tx, id, number, "discarded", by, now)
        tx.after_commit(partial(self._bus.publish, [suggestion_changed(row, now) for row in reopened]))

    def _tell(self, tx: Transaction, id: str, number: int, state: str, by: str, now: datetime) -> None:
        told = of_pipeline(EventType.PIPELINE_DRAFT_CHANGED, id, now, version=number, state=state, by=by)
        tx.after_commit(partial(self._bus.publish, [told]))


def suggestion_changed(row: SuggestionRow, at: datetime) -> Event:
    told = {"id": row.id, "kind": row.kind, "text": row.text, "state": row.state}
    return Event(EventType.SUGGESTION_CHANGED, NO_EXECUTION, row.pipeline_id, 0, at, payload=told)


def outdated(pipeline_id: str, draft: int, based_on: int, published: int) -> str:
    """Why a draft is not published without a second look."""
    return (
        f"Draft {draft} of pipeline {pipeline_id!r} was made from version {based_on}, and version {published} was "
        "published since: the draft would take back what that changed."
    )


def _may_replace(head: Head, draft: VersionText, expected: Sequence[int] | None) -> None:
    if expected is not None and head.version not in expected:
        raise VersionChanged(draft.pipeline_id, head.version, head.updated_by, head.updated_at)
    if expected is None and head.version != draft.base:
        raise Conflict(
            f"{outdated(draft.pipeline_id, draft.version, draft.base, head.version)} Make the change again from that "
            f'version, or send `If-Match: "{head.version}"` to publish it all the same.',
            "draft_outdated",
        )


def _base(connection: sa.Connection, id: str, head: Head, based_on: int | None, replaces: int | None) -> int:
    """The published version that a change begins at."""
    if replaces is not None:
        replaced = _still_draft(_version(connection, id, replaces))
        if based_on is None:
            return replaced.base
    return head.version if based_on is None else _version(connection, id, based_on).base


def _version(connection: sa.Connection, id: str, number: int) -> VersionText:
    found = store.version(connection, id, number)
    if found is None:
        raise NotFound("version", f"{id} v{number}")
    return found


def _still_draft(version: VersionText) -> VersionText:
    if version.state == "draft":
        return version
    raise Conflict(
        f"Version {version.version} of pipeline {version.pipeline_id!r} is {version.state}: it is no draft any more. "
        "To bring its text back, save it as a draft again.",
        "not_a_draft",
    )
