"""Executions and attempts as the rows that the AI layer learns from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import ValidationError

from flexiroaster.ai.insights.signatures import ErrorSeen, top_frames
from flexiroaster.ai.insights.signatures import fingerprint as fingerprint_of
from flexiroaster.ai.runs import Run, Status
from flexiroaster.engine.errors import FlexiRoasterError
from flexiroaster.engine.parts import parts
from flexiroaster.engine.pipeline import WAITING_TYPES, Pipeline
from flexiroaster.engine.state import Phase
from flexiroaster.services.ai.switch import Switch
from flexiroaster.services.pipelines import needs_of, phased_stages
from flexiroaster.stages.pipeline import CHILD_FAILED
from flexiroaster.store import ended_runs as store
from flexiroaster.store import pipelines as pipeline_store
from flexiroaster.store.database import Database
from flexiroaster.store.ended_runs import AttemptSeen, ExecutionSeen

READ_AT_ONCE = 500
VERSIONS_KEPT = 1_000
MOST_INPUTS = 16
"""Inputs of an execution that are looked at."""
LONGEST_INPUT = 100
BY_A_PERSON = "approval"
"""A refusal is no failure that comes and goes."""
OF_ANOTHER = "pipeline"
"""Takes as long as another execution, and fails with it: what is abnormal or slow there is told of that one."""
UNKNOWN_LENGTH = WAITING_TYPES - {OF_ANOTHER}
"""Stages that take as long as a person, a clock or an event says: that is no work, and tells nothing of the stage."""
REFUSED = "invalid_count"
"""What validation stages call the number of rows they refused."""
STATUS: Mapping[str, Status] = {
    "success": "success",
    "failed": "failed",
    "timed_out": "timed_out",
    "cancelled": "cancelled",
    "skipped": "skipped",
}
_CLASS = re.compile(r"^(?:[\w]+\.)*(?P<name>[A-Z]\w*(?:Error|Exception|Timeout|Interrupt|Exit|Warning))\b")


@dataclass(frozen=True, slots=True)
class StageSketch:
    """What a version says of a stage, as far as it tells one history from another."""

    type: str
    needs: tuple[str, ...]
    connector: str
    main: bool
    """Whether it runs in every execution, not only after a failure or in the end."""
    max_attempts: int
    delay: float
    """Seconds before the second attempt."""


class VersionSketch(NamedTuple):
    stages: Mapping[str, StageSketch]
    document: Mapping[str, Any]

    @property
    def connector(self) -> str:
        """Of the execution as a whole: that of the first stage that has one."""
        return next((stage.connector for stage in self.stages.values() if stage.connector), "")


class Story(NamedTuple):
    """An execution and the attempts of its stages, in the order of their starts."""

    seen: ExecutionSeen
    version: VersionSketch
    whole: Run | None
    """None before it has started."""
    attempts: list[Run]
    errors: list[ErrorSeen]
    over: frozenset[str]
    """The stages that have ended, those that were skipped too."""
    elsewhere: Sequence[Run] = ()
    """Seen afterwards: the attempts of stages that ran another execution, which are not among `attempts` then."""

    @property
    def runs(self) -> list[Run]:
        return [*([self.whole] if self.whole else []), *self.attempts]


class RunHistory:
    """Reads; keeps only what versions say. Used by one thread at a time.

    `afterwards` adds what is known only once a run is over: how many rows were refused, since when its last attempt
    waited, and of a stage that needs no other, what it handed on as the size of its work. What befell another execution
    is left to that one then. It helps to explain what was; predictions must not see it.
    """

    def __init__(self, database: Database, switch: Switch) -> None:
        self._database = database
        self._switch = switch
        self._versions: dict[tuple[str, int], VersionSketch] = {}

    def newest(self, limit: int, *, afterwards: bool = False) -> list[Story]:
        """The newest executions of all pipelines that the AI layer looks at, the oldest of them first."""
        found: list[Story] = []
        before: tuple[datetime, str] | None = None
        while len(found) < limit:
            with self._database.read() as connection:
                seen = store.newest(connection, limit=min(READ_AT_ONCE, limit - len(found)), before=before)
            if not seen:
                break
            before = seen[-1].created_at, seen[-1].id
            found += self._stories(seen, afterwards=afterwards)
        return sorted(found, key=lambda story: (story.seen.created_at, story.seen.id))

    def named(self, ids: Iterable[str]) -> list[Story]:
        """In the order in which they were created. Those that are not looked at are left out."""
        found: list[Story] = []
        for some in parts(list(dict.fromkeys(ids)), READ_AT_ONCE):
            with self._database.read() as connection:
                seen = store.named(connection, some)
            found += self._stories(seen)
        return found

    def connector(self, pipeline_id: str, version: int) -> str:
        """Of the executions of a version as a whole."""
        self._learn_versions({(pipeline_id, version)})
        return self._versions[pipeline_id, version].connector

    def running(self, limit: int = READ_AT_ONCE) -> list[str]:
        with self._database.read() as connection:
            return store.running(connection, limit)

    def of_pipeline(
        self, pipeline_id: str, *, until: datetime, limit: int, also: str | None = None, afterwards: bool = False
    ) -> list[Story]:
        """Its newest executions that were created by then; `also` one that tried a draft."""
        with self._database.read() as connection:
            seen = store.newest(connection, limit=limit, pipeline_id=pipeline_id, created_until=until, also=also)
        return self._stories(seen, afterwards=afterwards)

    def between(self, since: datetime, until: datetime, limit: int, *, afterwards: bool = False) -> list[Story]:
        """Executions of all pipelines that were created then, the newest `limit`."""
        with self._database.read() as connection:
            seen = store.newest(connection, limit=limit, created_from=since, created_until=until)
        return self._stories(seen, afterwards=afterwards)

    # Details

    def _stories(self, seen: Sequence[ExecutionSeen], *, afterwards: bool = False) -> list[Story]:
        wanted = [one for one in seen if self._switch.looks_at(one.labels)]
        if not wanted:
            return []
        ids = [one.id for one in wanted]
        by_execution: dict[str, list[AttemptSeen]] = {}
        with self._database.read() as connection:
            attempts, over = store.attempts_of(connection, ids)
            for attempt in attempts:
                by_execution.setdefault(attempt.execution_id, []).append(attempt)
            counts = store.refused_rows(connection, ids, REFUSED) if afterwards else {}
        ended: dict[str, set[str]] = {}
        for id, stage in over:
            ended.setdefault(id, set()).add(stage)
        self._learn_versions({(one.pipeline_id, one.version) for one in wanted})
        told = self._told_elsewhere(wanted) if afterwards else frozenset()
        return [
            _story(
                one,
                self._versions[one.pipeline_id, one.version],
                by_execution.get(one.id, []),
                frozenset(ended.get(one.id, ())),
                counts,
                afterwards,
                told,
            )
            for one in wanted
        ]

    def _told_elsewhere(self, seen: Sequence[ExecutionSeen]) -> frozenset[str]:
        """The executions that failed with one that they waited for, if that is looked at itself."""
        failed_with = {one.id: child.pipeline_id for one in seen if (child := failed_child(one.error)) is not None}
        if not failed_with:
            return frozenset()
        with self._database.read() as connection:
            labels = pipeline_store.labels_of(connection, set(failed_with.values()))
        looked_at = {id for id, own in labels.items() if self._switch.looks_at(own)}
        return frozenset(id for id, child in failed_with.items() if child in looked_at)

    def _learn_versions(self, keys: set[tuple[str, int]]) -> None:
        missing = keys - self._versions.keys()
        if len(self._versions) + len(missing) > VERSIONS_KEPT:
            self._versions.clear()
            missing = keys
        if not missing:
            return
        with self._database.read() as connection:
            for id, number in missing:
                version = pipeline_store.version(connection, id, number)
                self._versions[id, number] = sketch(version.document if version else {})


def sketch(document: Mapping[str, Any]) -> VersionSketch:
    stages = {
        stage["id"]: StageSketch(
            str(stage.get("type", "")), tuple(needs_of(stage)), connector_of(stage), phase is Phase.MAIN, 1, 0.0
        )
        for phase, stage in phased_stages(document)
    }
    try:
        pipeline = Pipeline.from_document(document)
    except (ValidationError, FlexiRoasterError):  # of another release: what was read of it is enough
        return VersionSketch(stages, document)
    for _, stage in pipeline.in_phases():
        retry = pipeline.retry_for(stage)
        seconds = retry.delay.total_seconds()
        stages[stage.id] = replace(stages[stage.id], max_attempts=retry.max_attempts, delay=seconds)
    return VersionSketch(stages, document)


def connector_of(stage: Mapping[str, Any]) -> str:
    """The system outside that a stage talks to, from its settings: a host, a bucket. Empty where none is named."""
    config = stage.get("config")
    if not isinstance(config, Mapping):
        return ""
    for key in ("connection", "url", "path", "to"):
        value = config.get(key)
        if not isinstance(value, str):
            continue
        if key == "connection" and "${{" not in value:
            return value
        if "://" in value:
            place = urlsplit(value.partition("${{")[0]).netloc.rpartition("@")[2]
            # A host that only the execution knows is none that others share.
            if place and "${{" not in value.partition("://")[2].partition("/")[0]:
                return place
    return ""


def _story(
    seen: ExecutionSeen,
    version: VersionSketch,
    attempts: Sequence[AttemptSeen],
    over: frozenset[str],
    refused: Mapping[tuple[str, str], int],
    afterwards: bool,
    told_elsewhere: frozenset[str],
) -> Story:
    numbers, texts = inputs_of(seen.inputs)
    rows = {one.stage: one.rows for one in attempts if one.last and one.rows is not None}
    sizes = {one.stage: one.bytes for one in attempts if one.last and one.bytes is not None}
    ends: dict[str, list[datetime]] = {}
    for one in attempts:
        if one.ended_at is not None:
            ends.setdefault(one.stage, []).append(one.ended_at)
    runs: list[Run] = []
    elsewhere: list[Run] = []
    errors: list[ErrorSeen] = []
    for one in sorted(attempts, key=lambda one: (one.started_at or seen.created_at, one.stage, one.attempt)):
        if one.waited or one.taken_over or one.started_at is None or one.type == BY_A_PERSON:
            continue
        own = elsewhere if afterwards and one.type == OF_ANOTHER else runs
        stage = version.stages.get(one.stage) or StageSketch(one.type, (), "", True, 1, 0.0)
        status = STATUS.get(one.status, "") if one.ended_at is not None else ""
        failed = status in ("failed", "timed_out")
        if failed and one.ended_at is not None and failed_child(one.error) is None:
            errors.append(_error(seen, one, stage.connector, status))
        if one.type in UNKNOWN_LENGTH:
            continue
        asked_at = one.ready_at if afterwards else _asked_at(seen, one, stage, ends)
        attributes: dict[str, float] = dict(numbers)
        if afterwards:
            count = _refused_by(one, refused)
            attributes |= {} if count is None else {REFUSED: float(count)}
        own.append(
            Run(
                execution=seen.id,
                pipeline=seen.pipeline_id,
                started_at=one.started_at.timestamp(),
                stage=one.stage,
                queued_at=asked_at.timestamp() if asked_at is not None and one.attempt == 1 else None,
                ended_at=one.ended_at.timestamp() if one.ended_at is not None else None,
                status=status,
                version=str(seen.version),
                kind=one.type,
                connector=stage.connector,
                trigger=seen.trigger,
                attempt=max(one.attempt, 1),
                error_class=error_class(one.error, status) if failed else "",
                fingerprint=_fingerprint(one) if failed else "",
                input_rows=_work(rows, one.stage, stage.needs, afterwards),
                input_bytes=_work(sizes, one.stage, stage.needs, afterwards),
                output_rows=one.rows,
                worker=one.worker or "",
                pool=one.pool or "",
                needs=stage.needs,
                attributes=attributes,
                categories=texts,
            )
        )
    execution = whole(seen, version, numbers, texts)
    if execution is not None and seen.id in told_elsewhere:
        execution = replace(execution, status="cancelled")
    return Story(seen, version, execution, runs, errors, over, elsewhere)


def whole(
    seen: ExecutionSeen, version: VersionSketch, numbers: Mapping[str, float], texts: Mapping[str, str]
) -> Run | None:
    """The execution as one run. One that a person retried, or that took over results, says nothing of its kind."""
    if seen.started_at is None:
        return None
    usual = not (seen.retries or seen.from_stage or seen.alone)
    status = STATUS.get(seen.status, "") if seen.ended_at is not None else ""
    return Run(
        execution=seen.id,
        pipeline=seen.pipeline_id,
        started_at=seen.started_at.timestamp(),
        queued_at=seen.created_at.timestamp(),
        ended_at=seen.ended_at.timestamp() if seen.ended_at is not None else None,
        status=status if usual or not status else "cancelled",
        version=str(seen.version),
        connector=version.connector,
        trigger=seen.trigger,
        places="" if seen.concurrency_key is None else f"{seen.pipeline_id}\x1f{seen.concurrency_key}",
        error_class=error_class(seen.error, status) if status in ("failed", "timed_out") else "",
        attributes=numbers,
        categories=texts,
        stages_known=True,
    )


def inputs_of(inputs: Any) -> tuple[dict[str, float], dict[str, str]]:
    """The numbers among the inputs, and the short texts. Dates and ids differ every time: trees cut out what helps."""
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, value in list(inputs.items())[:MOST_INPUTS] if isinstance(inputs, Mapping) else ():
        if isinstance(value, bool) or (isinstance(value, str) and len(value) <= LONGEST_INPUT):
            texts[str(name)] = str(value)
        elif isinstance(value, int | float):
            numbers[str(name)] = float(value)
    return numbers, texts


def error_class(error: Any, status: str) -> str:
    """The class of a Python error where there is one, otherwise the code, with the status of a reply."""
    if not isinstance(error, Mapping):
        return "timeout" if status == "timed_out" else "error"
    found = _CLASS.match(str(error.get("message", "")))
    if found is not None:
        return found["name"]
    code, details = str(error.get("code") or "error"), error.get("details")
    reply = details.get("status") if isinstance(details, Mapping) else None
    return f"{code} {reply}" if isinstance(reply, int) else code


class FailedChild(NamedTuple):
    pipeline_id: str
    execution_id: str


def failed_child(error: Any) -> FailedChild | None:
    """The execution that it failed with."""
    if not isinstance(error, Mapping) or error.get("code") != CHILD_FAILED:
        return None
    details = error.get("details")
    if not isinstance(details, Mapping):
        return None
    return FailedChild(str(details.get("pipeline_id")), str(details.get("execution_id")))


def _error(seen: ExecutionSeen, one: AttemptSeen, connector: str, status: str) -> ErrorSeen:
    assert one.ended_at is not None
    error = one.error if isinstance(one.error, Mapping) else {}
    return ErrorSeen(
        execution=seen.id,
        pipeline=seen.pipeline_id,
        at=one.ended_at.timestamp(),
        message=str(error.get("message", "")) or status,
        error_class=error_class(one.error, status),
        stage=one.stage,
        stage_type=one.type,
        traceback=str(error["traceback"]) if error.get("traceback") else None,
        connector=connector,
    )


def _fingerprint(one: AttemptSeen) -> str:
    error = one.error if isinstance(one.error, Mapping) else {}
    traceback = str(error["traceback"]) if error.get("traceback") else None
    message = str(error.get("message", ""))
    return fingerprint_of(error_class(one.error, one.status), one.type, message, top_frames(traceback))


def _refused_by(one: AttemptSeen, refused: Mapping[tuple[str, str], int]) -> int | None:
    details = one.error.get("details") if isinstance(one.error, Mapping) else None
    told = details.get(REFUSED) if isinstance(details, Mapping) else None
    return told if isinstance(told, int) else refused.get((one.execution_id, one.stage))


def _asked_at(
    seen: ExecutionSeen, one: AttemptSeen, stage: StageSketch, ends: Mapping[str, Sequence[datetime]]
) -> datetime | None:
    """When all that it needs had ended. The recorded moment is that of the last attempt: earlier ones have none, which
    would tell that they failed.
    """
    if one.started_at is None or not stage.main:
        return None
    before = [moment for need in stage.needs for moment in ends.get(need, ()) if moment <= one.started_at]
    return max(before, default=min(seen.started_at or one.started_at, one.started_at))


def _work(known: Mapping[str, int | None], stage: str, needs: Sequence[str], afterwards: bool) -> float | None:
    sources = needs if needs or not afterwards else (stage,)
    found = [value for source in sources if (value := known.get(source)) is not None]
    return float(sum(found)) if found else None


def all_runs(stories: Iterable[Story]) -> Iterator[Run]:
    for story in stories:
        yield from story.runs
