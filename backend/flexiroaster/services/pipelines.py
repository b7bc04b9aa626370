"""Pipelines: make, change, delete, compare. A change is a new version; what runs keeps the one it started with.

Versions made here are published at once; `services.drafts` makes those that wait.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import orjson
import sqlalchemy as sa
import structlog
from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from flexiroaster.auth.errors import Forbidden
from flexiroaster.auth.permissions import may
from flexiroaster.bus.port import Bus
from flexiroaster.engine import definition
from flexiroaster.engine.errors import (
    Conflict,
    InvalidDefinition,
    InvalidRequest,
    NotFound,
    Problem,
    VersionChanged,
)
from flexiroaster.engine.events import EventType, of_pipeline
from flexiroaster.engine.pipeline import Pipeline, compensation_id
from flexiroaster.engine.state import Phase
from flexiroaster.services.arming import arm, disarm, moment
from flexiroaster.services.paging import Page, cut, decode
from flexiroaster.services.version_diff import VersionDiff, compare
from flexiroaster.stages.base import StageType
from flexiroaster.store import pipelines as store
from flexiroaster.store import predictions, suggestions
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.gates import defined
from flexiroaster.store.pipelines import Head, NewVersion, PipelineRow, RunRow, VersionRow, VersionText

log = structlog.get_logger(__name__)

Kept = TypeVar("Kept", PipelineRow, Head)

WRITE_CODE = "pipelines:write_code"


class Source(NamedTuple):
    """A definition as it was sent."""

    text: str
    format: Literal["yaml", "json"]


class Author(NamedTuple):
    email: str
    role: str


@dataclass(frozen=True, slots=True)
class PipelineEntry:
    """A pipeline in a list. `runs` are its latest executions, oldest first (see `store.pipelines.latest_runs`)."""

    row: PipelineRow
    runs: list[RunRow]


@dataclass(frozen=True, slots=True)
class Stored(PipelineEntry):
    """A pipeline with its published version, as the database has it, and the numbers of its drafts, newest first."""

    version: VersionText
    drafts: list[int]


@dataclass(frozen=True, slots=True)
class PipelinePicture(Stored):
    """`pipeline` is None when this release cannot read the stored document; `problems` then says why."""

    pipeline: Pipeline | None
    problems: list[Problem]
    code_stages: list[str]


class Pipelines:
    def __init__(
        self,
        database: Database,
        stage_types: Callable[[], Mapping[str, StageType]],
        bus: Bus,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._stage_types = stage_types
        self._bus = bus
        self._clock = clock

    # Reading

    def page(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        text: str | None = None,
        labels: Mapping[str, str | None] | None = None,
        enabled: bool | None = None,
    ) -> Page[PipelineEntry]:
        after = str(decode(cursor, [str])[0]) if cursor else None
        with self._database.read() as connection:
            rows = store.page(connection, after=after, limit=limit + 1, text=text, labels=labels, enabled=enabled)
            page = cut(rows, limit, lambda row: [row.id])
            runs = store.latest_runs(connection, [row.id for row in page.items])
        by_pipeline: dict[str, list[RunRow]] = {}
        for run in runs:
            by_pipeline.setdefault(run.pipeline_id, []).append(run)
        return Page([PipelineEntry(row, by_pipeline.get(row.id, [])) for row in page.items], page.next_cursor)

    def get(self, id: str) -> PipelinePicture:
        """Raises NotFound, also for a deleted one."""
        with self._database.read() as connection:
            found = stored(connection, id)
        return self.picture(found)

    def versions(self, id: str, *, limit: int, cursor: str | None = None) -> Page[VersionRow]:
        """The newest first, without discarded drafts; also of a deleted pipeline."""
        before = int(decode(cursor, [int])[0]) if cursor else None
        with self._database.read() as connection:
            rows = store.versions(connection, id, before=before, limit=limit + 1)
        if not rows and before is None:
            raise NotFound("pipeline", id)
        return cut(rows, limit, lambda row: [row.version])

    def version(self, id: str, number: int) -> VersionText:
        """Also a discarded draft, and also of a deleted pipeline."""
        with self._database.read() as connection:
            found = store.version(connection, id, number)
            if found is None and store.find(connection, id) is None:
                raise NotFound("pipeline", id)
        if found is None:
            raise NotFound("version", f"{id} v{number}")
        return found

    def diff(self, id: str, old: int, new: int) -> VersionDiff:
        return compare(self.version(id, old), self.version(id, new))

    def validate(self, source: Source) -> definition.Report:
        return self._report(source.text, source.format)

    # Writing

    def create(self, source: Source, author: Author, note: str = "") -> PipelinePicture:
        """Raises InvalidDefinition, Conflict when the id is taken. A deleted pipeline of that id comes back with it."""
        pipeline, new = self.checked(source, author, note, id=None)
        now = self._clock()

        def operation(tx: Transaction) -> Stored:
            head = store.head(tx.sa, pipeline.id)
            if head is None:
                store.insert(tx.sa, pipeline.id, new, now)
            elif head.deleted_at is None:
                raise taken(pipeline.id)
            else:
                store.add_version(tx.sa, pipeline.id, head.newest + 1, new, now)
            return self.published(tx, EventType.PIPELINE_CREATED, pipeline.id, author, now)

        try:
            made = self._database.write(operation, durable=True)
        except IntegrityError as error:  # another server made it between our look and our insert
            raise taken(pipeline.id) from error
        log.info("pipeline.created", pipeline=pipeline.id, version=made.row.version, by=author.email)
        return self.picture(made)

    def update(
        self,
        id: str,
        source: Source,
        author: Author,
        *,
        expected: Sequence[int] | None = None,
        note: str = "",
        also: Callable[[Transaction, int], None] = lambda tx, version: None,
    ) -> PipelinePicture:
        """A new version that runs from now on, unless nothing but the wording of the text changed. `also` is done in
        the same transaction, with the version that runs then.

        Raises NotFound, InvalidDefinition, and VersionChanged when the published version is none of `expected`.
        """
        self.ensure(id)
        _, new = self.checked(source, author, note, id=id)
        now = self._clock()

        def operation(tx: Transaction) -> tuple[bool, Stored]:
            head = locked(tx.sa, id)
            if expected is not None and head.version not in expected:
                raise VersionChanged(id, head.version, head.updated_by, head.updated_at)
            changed = head.digest != new.digest
            if changed:
                store.add_version(tx.sa, id, head.newest + 1, new, now)
            found = self.published(tx, EventType.PIPELINE_UPDATED, id, author, now) if changed else stored(tx.sa, id)
            also(tx, found.row.version)
            return changed, found

        changed, found = self._database.write(operation, durable=True)
        if changed:
            log.info("pipeline.updated", pipeline=id, version=found.row.version, by=author.email)
        return self.picture(found)

    def delete(self, id: str, by: str) -> None:
        """Its history stays readable, its drafts are discarded. Raises Conflict while executions are under way."""
        now = self._clock()

        def operation(tx: Transaction) -> None:
            locked(tx.sa, id)
            active = store.open_executions(tx.sa, id)
            if active:
                executions = "an execution that has" if active == 1 else f"{active} executions that have"
                raise Conflict(
                    f"Pipeline {id!r} has {executions} not ended yet: wait for the end or cancel, then delete again.",
                    "executions_active",
                )
            store.discard(tx.sa, id, None, now)
            suggestions.draft_discarded(tx.sa, id, None, by, now)
            store.mark_deleted(tx.sa, id, now)
            disarm(tx.sa, id)
            suggestions.withdraw(tx.sa, id)
            predictions.withdraw(tx.sa, id)
            tx.after_commit(partial(self._bus.publish, [of_pipeline(EventType.PIPELINE_DELETED, id, now, by=by)]))

        self._database.write(operation, durable=True)
        log.info("pipeline.deleted", pipeline=id, by=by)

    # What drafts are made with too

    def ensure(self, id: str) -> None:
        """Raises NotFound, also for a deleted one: nobody is told what is wrong with a text for nothing."""
        with self._database.read() as connection:
            _present(store.find(connection, id), id)

    def published(self, tx: Transaction, type: EventType, id: str, author: Author, now: datetime) -> Stored:
        """What follows in the transaction that publishes a version: its triggers count from now on, and it is told.

        Answers what is stored, since somebody may delete it the moment after.
        """
        made = stored(tx.sa, id)
        arm(tx.sa, id, made.version.document, moment(tx.sa, self._clock))
        told = of_pipeline(type, id, made.row.updated_at, version=made.row.version, name=made.row.name, by=author.email)
        tx.after_commit(partial(self._bus.publish, [told]))
        return made

    def picture(self, found: Stored) -> PipelinePicture:
        pipeline, problems = self._read(found.version)
        code_stages = self._code_stages(found.version.document)
        return PipelinePicture(found.row, found.runs, found.version, found.drafts, pipeline, problems, code_stages)

    def checked(self, source: Source, author: Author, note: str, id: str | None) -> tuple[Pipeline, NewVersion]:
        """`id` is of the pipeline it is to be a version of. Raises InvalidDefinition, InvalidRequest and Forbidden."""
        report = self._report(source.text, source.format, id)
        errors = [problem for problem in report.problems if problem.severity == "error"]
        if errors or report.pipeline is None or report.document is None:
            raise InvalidDefinition(errors, source.text)
        if id is not None and report.pipeline.id != id:
            raise InvalidRequest(
                f"The definition calls itself {report.pipeline.id!r}, but this is pipeline {id!r}: write `id: {id}`, "
                "or create it as a new pipeline.",
                "id_mismatch",
            )
        code = self._code_stages(report.document)
        if code and not may(author.role, WRITE_CODE):
            raise Forbidden(author.role, f"{WRITE_CODE} (stage {code[0]!r} runs code)", "admin")
        new = NewVersion(
            name=report.pipeline.name,
            description=report.pipeline.description,
            labels=report.pipeline.labels,
            document=report.document,
            source=source.text,
            source_format=source.format,
            digest=digest(report.document),
            note=note,
            by=author.email,
        )
        return report.pipeline, new

    # Details

    def _report(
        self, source: str | Mapping[str, Any], format: Literal["yaml", "json"] | None, id: str | None = None
    ) -> definition.Report:
        with self._database.read() as connection:
            pools = defined(connection)
        return definition.validate(source, format=format, stage_types=self._stage_types(), id=id, pools=pools)

    def _read(self, version: VersionText) -> tuple[Pipeline | None, list[Problem]]:
        """The stored document, and what is worth a warning today. A document that no longer fits still shows."""
        try:
            pipeline = Pipeline.from_document(version.document)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            return None, [Problem("unreadable", f"This release cannot read version {version.version}: {reason}.")]
        report = self._report(version.document, None)
        return pipeline, report.problems

    def _code_stages(self, document: Mapping[str, Any]) -> list[str]:
        types = self._stage_types()
        return [
            stage["id"]
            for _, stage in phased_stages(document)
            if (known := types.get(stage.get("type", ""))) is not None and known.runs_code
        ]


def phased_stages(document: Mapping[str, Any]) -> Iterator[tuple[Phase, dict[str, Any]]]:
    """All that an execution of the document may run, in the order of its stage runs. What has no id is left out.

    The document may be one that is still being written, or one of another release: any key may hold anything.
    """
    main = list(_stages_of(document, "stages"))
    for stage in main:
        yield Phase.MAIN, stage
    for phase in (Phase.ON_FAILURE, Phase.ON_SUCCESS, Phase.FINALLY):
        for stage in _stages_of(document, phase.value):
            yield phase, stage
    for stage in main:
        undo = stage.get("compensate")
        if isinstance(undo, dict):
            yield Phase.COMPENSATION, {**undo, "id": compensation_id(stage["id"]), "name": f"Undo {name_of(stage)}"}


def _stages_of(document: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    stages = document.get(key)
    for stage in stages if isinstance(stages, list) else []:
        if isinstance(stage, dict) and isinstance(stage.get("id"), str):
            yield stage


def name_of(stage: Mapping[str, Any]) -> str:
    name = stage.get("name")
    return name if isinstance(name, str) and name else str(stage["id"])


def needs_of(stage: Mapping[str, Any]) -> list[str]:
    needs = stage.get("needs")
    return [need for need in needs if isinstance(need, str)] if isinstance(needs, list) else []


def locked(connection: sa.Connection, id: str) -> Head:
    """For a writer, see `store.head`. Raises NotFound, also for a deleted pipeline."""
    return _present(store.head(connection, id), id)


def stored(connection: sa.Connection, id: str) -> Stored:
    """Raises NotFound."""
    row = _present(store.find(connection, id), id)
    version = store.version(connection, id, row.version)
    assert version is not None, "a pipeline points at a version of its own"
    return Stored(row, store.latest_runs(connection, [id]), version, store.drafts(connection, id))


def _present(found: Kept | None, id: str) -> Kept:
    if found is None or found.deleted_at is not None:
        raise NotFound("pipeline", id)
    return found


def digest(document: Mapping[str, Any]) -> str:
    """Of what the document means: the order of keys, comments and layout do not count."""
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def taken(id: str) -> Conflict:
    return Conflict(
        f"There is a pipeline {id!r} already: choose another id, or change that one with PUT /api/pipelines/{id}.",
        "already_exists",
    )
