"""Suggestions: shown with what they would change, applied as a draft, compared once that is published, undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson
import structlog

from flexiroaster.bus.port import Bus
from flexiroaster.engine import definition
from flexiroaster.engine.errors import Conflict, FlexiRoasterError, NotFound
from flexiroaster.engine.events import NO_EXECUTION, Event, EventType
from flexiroaster.services.ai.switch import ENOUGH, not_enough
from flexiroaster.services.drafts import Drafts, outdated, suggestion_changed
from flexiroaster.services.paging import Page, cut, decode, decode_moment, not_a_cursor
from flexiroaster.services.pipelines import Author, Pipelines, Source, digest
from flexiroaster.services.version_diff import compare
from flexiroaster.store import pipelines as pipeline_store
from flexiroaster.store import suggestions as store
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.pipelines import VersionText
from flexiroaster.store.suggestions import SuggestionFilter, SuggestionRow

if TYPE_CHECKING:
    from flexiroaster.ai import Suggestion

log = structlog.get_logger(__name__)

COMPARED = 100
"""Executions on either side of a change, at most."""
VALUES: Mapping[str, str] = {
    "parallel": "faster",
    "critical_path": "faster",
    "fusion": "faster",
    "schedule": "faster",
    "pool": "faster",
    "concurrency": "faster",
    "cache": "cheaper",
    "timeout": "faster",
    "retry": "fewer_retries",
}
"""What a kind of suggestion is good for."""
CARRIED = ("draft", "applied")
"""The states in which a version of the pipeline carries the suggestion."""
CURE = "Undo it and apply it again."
FAIL_LESS = frozenset({"fewer_failures", "fewer_retries"})


class Outcome(NamedTuple):
    """What an applied suggestion has brought. `note` instead of numbers while too few executions ended since."""

    after: int
    note: str | None
    text: str | None = None
    saved_share: float | None = None
    low: float | None = None
    high: float | None = None
    before: int = 0


@dataclass(frozen=True, slots=True)
class SuggestionEntry:
    row: SuggestionRow
    pipeline_name: str

    @property
    def value(self) -> str:
        numbers = self.row.numbers
        now = numbers.get("now", 0)
        more_attempts = self.row.kind == "retry" and numbers.get("attempts", 0) > now
        # A stage without a timeout, or with too long a one, only hangs for longer: it fails no less.
        more_time = self.row.kind == "timeout" and 0 < now < numbers.get("timeout", 0)
        if more_attempts or more_time:
            return "fewer_failures"
        return VALUES.get(self.row.kind, "faster")

    @property
    def title(self) -> str:
        return self.row.text.partition(":")[0]


@dataclass(frozen=True, slots=True)
class SuggestionPicture(SuggestionEntry):
    """`diff` is empty where nothing of the definition would change, and begins at `version`.

    `why_not` says why it cannot be applied; of a draft, why it cannot be published as it is.
    """

    diff: str
    version: int | None
    why_not: str | None
    outcome: Outcome | None


class Suggestions:
    def __init__(
        self,
        database: Database,
        pipelines: Pipelines,
        drafts: Drafts,
        bus: Bus,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._pipelines = pipelines
        self._drafts = drafts
        self._bus = bus
        self._clock = clock

    # Reading

    def page(self, wanted: SuggestionFilter, *, limit: int, cursor: str | None = None) -> Page[SuggestionEntry]:
        """Those that save most first."""
        after = _position(cursor) if cursor else None
        with self._database.read() as connection:
            rows = store.page(connection, wanted, after=after, limit=limit + 1)
            page = cut(rows, limit, lambda row: [repr(row.gain), row.found_at.isoformat(), row.id])
            names = store.pipeline_names(connection, [row.pipeline_id for row in page.items])
        return Page(
            [SuggestionEntry(row, names.get(row.pipeline_id, row.pipeline_id)) for row in page.items],
            page.next_cursor,
        )

    def get(self, id: str) -> SuggestionPicture:
        """Raises NotFound."""
        row = self._row(id)
        with self._database.read() as connection:
            names = store.pipeline_names(connection, [row.pipeline_id])
        name = names.get(row.pipeline_id, row.pipeline_id)
        if row.state in CARRIED and row.version_applied is not None and row.version_before is not None:
            return self._carried(row, name, row.version_before, row.version_applied)
        try:
            base, changed = self._changed(row)
        except FlexiRoasterError as error:
            return SuggestionPicture(row, name, "", None, str(error), None)
        return SuggestionPicture(row, name, compare(base, changed).text, base.version, None, None)

    def against_failures(self, pipeline_id: str, stage: str | None) -> list[SuggestionEntry]:
        """The open ones by which a stage would fail less often."""
        page = self.page(SuggestionFilter(["open"], (), pipeline_id), limit=COMPARED)
        return [entry for entry in page.items if stage in entry.row.stages and entry.value in FAIL_LESS]

    # Deciding

    def apply(self, id: str, author: Author) -> SuggestionPicture:
        """As a draft of the pipeline: nothing runs it before it is published.

        Raises Conflict where there is nothing to apply any more.
        """
        row = self._row(id)
        _not_carried(row)
        base, changed = self._changed(row)
        now = self._clock()

        def carry(tx: Transaction, draft: VersionText) -> None:
            _still_open(tx, id)
            values = {"version_before": base.version, "version_applied": draft.version, "version_undone": None}
            store.change(tx.sa, id, now, state="draft", by=author.email, **values)

        note = f"Suggestion {id}: {SuggestionEntry(row, '').title}"
        self._drafts.save(row.pipeline_id, _source(changed), author, based_on=base.version, note=note[:500], also=carry)
        return self._told(id, "suggestion.applied", author.email)

    def dismiss(self, id: str, by: str, reason: str = "") -> SuggestionPicture:
        """It does not come back. Raises Conflict for one that is applied."""
        _not_carried(self._row(id))
        now = self._clock()

        def operation(tx: Transaction) -> None:
            _still_open(tx, id)
            store.change(tx.sa, id, now, state="dismissed", by=by, reason=reason or None)

        self._database.write(operation, durable=True)
        return self._told(id, "suggestion.dismissed", by)

    def undo(self, id: str, author: Author) -> SuggestionPicture:
        """A draft is discarded, and the suggestion open again. Of a published one the text of before comes back, as a
        new version: Conflict where the pipeline was changed since.
        """
        row = self._row(id)
        if row.state == "draft" and row.version_applied is not None:
            self._drafts.discard(row.pipeline_id, row.version_applied, author.email)
            return self.get(id)
        if row.state != "applied" or row.version_before is None:
            raise Conflict(f"The suggestion is {row.state}, not applied: there is nothing to undo.", "not_applied")
        present = self._pipelines.get(row.pipeline_id).version
        if present.version != row.version_applied:
            raise Conflict(
                f"Pipeline {row.pipeline_id!r} was changed since: version {row.version_applied} applied the "
                f"suggestion, version {present.version} is the newest. Change it there by hand.",
                "changed_since",
            )
        before = self._pipelines.version(row.pipeline_id, row.version_before)
        note = f"Undo suggestion {id}: {SuggestionEntry(row, '').title}"
        now = self._clock()

        def undone(tx: Transaction, made: int) -> None:
            store.change(tx.sa, id, now, state="undone", by=author.email, version_undone=made)

        self._pipelines.update(
            row.pipeline_id, _source(before), author, expected=[present.version], note=note[:500], also=undone
        )
        return self._told(id, "suggestion.undone", author.email)

    # What the learner finds

    def keep(
        self, pipeline_id: str, found: Sequence[Suggestion], replays: Mapping[str, dict[str, Any]] | None = None
    ) -> list[str]:
        """All that is suggested for a pipeline now. Answers the ids of the new ones. Nothing for one that was deleted
        while the history was looked through.
        """
        now = self._clock()
        rows = [_as_row(one, (replays or {}).get(one.id)) for one in found]

        def operation(tx: Transaction) -> list[str]:
            head = pipeline_store.head(tx.sa, pipeline_id)
            if head is not None and head.deleted_at is not None:
                return []
            new = store.keep(tx.sa, pipeline_id, rows, now)
            told = [
                Event(EventType.SUGGESTION_FOUND, NO_EXECUTION, pipeline_id, 0, now, payload=_payload(row))
                for row in rows
                if row["id"] in new
            ]
            if told:
                tx.after_commit(partial(self._bus.publish, told))
            return new

        return self._database.write(operation)

    # Details

    def _row(self, id: str) -> SuggestionRow:
        with self._database.read() as connection:
            row = store.find(connection, id)
        if row is None:
            raise NotFound("suggestion", id)
        return row

    def _changed(self, row: SuggestionRow) -> tuple[VersionText, VersionText]:
        """The published version, and what would become of it. Raises Conflict where nothing can be changed."""
        from flexiroaster.ai.optimizer.suggestion import Edit, apply
        from flexiroaster.services.ai.source_edits import edited

        if not row.edits:
            raise Conflict("This is advice: no change of the definition follows from it by itself.", "only_advice")
        base = self._pipelines.get(row.pipeline_id).version
        edits = [Edit(**edit | {"path": tuple(edit["path"])}) for edit in row.edits]
        try:
            document = apply(base.document, edits)
        except KeyError as error:
            raise Conflict(f"Pipeline {row.pipeline_id!r} has no stage {error} any more.", "changed_since") from error
        if digest(document) == digest(base.document):
            raise Conflict(f"Version {base.version} of {row.pipeline_id!r} is so already.", "already_so")
        if base.source_format == "json":
            text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"
        else:
            text = edited(base.source, edits) or ""
            if not text or not self._means(text, document):
                text = definition.to_yaml(document)
        return base, replace(base, version=base.version + 1, document=document, source=text)

    def _means(self, text: str, document: Mapping[str, Any]) -> bool:
        found = self._pipelines.validate(Source(text, "yaml")).document
        return found is not None and digest(found) == digest(document)

    def _carried(self, row: SuggestionRow, name: str, before: int, carrier: int) -> SuggestionPicture:
        """By a draft, or by the version that one became."""
        diff = self._pipelines.diff(row.pipeline_id, before, carrier).text
        if row.state == "applied":
            return SuggestionPicture(row, name, diff, before, None, self._outcome(row, before, carrier))
        with self._database.read() as connection:
            pipeline = pipeline_store.find(connection, row.pipeline_id)
        late = pipeline is not None and pipeline.version != before
        why_not = (
            f"{outdated(row.pipeline_id, carrier, before, pipeline.version)} {CURE}" if pipeline and late else None
        )
        return SuggestionPicture(row, name, diff, before, why_not, None)

    def _outcome(self, row: SuggestionRow, version_before: int, version_applied: int) -> Outcome:
        """Of the executions since it was published: those of the draft were trials."""
        from flexiroaster.ai import NotEnough, effect

        with self._database.read() as connection:
            applied = pipeline_store.version(connection, row.pipeline_id, version_applied)
            since = applied.published_at if applied else None
            before = store.seconds_of(connection, row.pipeline_id, [version_before], COMPARED)
            after = store.seconds_of(connection, row.pipeline_id, [version_applied], COMPARED, since=since)
        found = effect(before, after)
        if isinstance(found, NotEnough):
            short = len(after) if len(after) < ENOUGH else len(before)
            return Outcome(len(after), not_enough(short), before=len(before))
        return Outcome(found.after, None, found.text, found.saved_share, found.low, found.high, found.before)

    def _told(self, id: str, event: str, by: str) -> SuggestionPicture:
        picture = self.get(id)
        log.info(event, suggestion=id, pipeline=picture.row.pipeline_id, by=by)
        self._bus.publish([suggestion_changed(picture.row, self._clock())])
        return picture


def _as_row(one: Suggestion, replay: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": one.id,
        "pipeline_id": one.pipeline,
        "kind": one.kind,
        "stages": list(one.stages),
        "text": one.text,
        "edits": [asdict(edit) | {"path": list(edit.path)} for edit in one.edits],
        "saving": None if one.saving is None else asdict(one.saving),
        "numbers": dict(one.numbers),
        "replay": replay,
        "call": None if one.call is None else asdict(one.call),
        "executions": one.executions,
        "shown": list(one.shown),
        "confidence": one.confidence,
        "gain": one.gain,
    }


def _payload(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("id", "kind", "text", "stages")}


def _not_carried(row: SuggestionRow) -> None:
    """Raises Conflict for a suggestion that a version carries."""
    if row.state in CARRIED:
        what = "draft" if row.state == "draft" else "version"
        raise Conflict(
            f"The suggestion is applied already, as {what} {row.version_applied}: undo that first.", "already_applied"
        )


def _still_open(tx: Transaction, id: str) -> None:
    """Raises Conflict where somebody else has applied it at the same time."""
    present = store.find(tx.sa, id)
    if present is not None:
        _not_carried(present)


def _source(version: VersionText) -> Source:
    return Source(version.source, cast("Any", version.source_format))


def _position(cursor: str) -> tuple[float, datetime, str]:
    gain, moment, id = decode(cursor, [str, str, str])
    try:
        return float(gain), decode_moment(moment, cursor), str(id)
    except ValueError as error:
        raise not_a_cursor(cursor) from error
