"""The text assistant at work: what it may be told of, what is sent, and what it proposes. It saves nothing.

Off unless the server is set up with an endpoint and an administrator has switched it on for the pipeline's project.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import structlog

from flexiroaster.auth.errors import Throttled
from flexiroaster.engine.errors import AssistantFailed, Conflict, FlexiRoasterError, NotFound, Problem
from flexiroaster.services.ai.endpoint import Endpoint, Line
from flexiroaster.services.ai.explanations import FAILED, Explanations
from flexiroaster.services.ai.projects import Projects
from flexiroaster.services.ai.switch import Switch, project_of
from flexiroaster.services.history import History
from flexiroaster.services.logs import Logs
from flexiroaster.services.pipelines import Pipelines, Source, phased_stages
from flexiroaster.store import pipelines as pipeline_store
from flexiroaster.store.database import Database
from flexiroaster.store.executions import ExecutionRow
from flexiroaster.store.logs import LogFilter

if TYPE_CHECKING:
    from flexiroaster.ai.assistant import Assistant, Failure, Message, Talk
    from flexiroaster.engine.definition import Report
    from flexiroaster.stages.base import StageType

log = structlog.get_logger(__name__)

LINES = 80
"""Of the failed stage's log, the last ones."""
MOST_AT_ONCE = 4
"""Questions under way: each holds one of the threads that answer requests."""
BUSY_SECONDS = 5.0
ABOUT_OTHERS = frozenset({"connector_outage"})
"""Causes that count executions of other pipelines, whose projects may not have been switched on."""
NOT_SET_UP = (
    "No assistant is set up: an administrator can name one in FLEXIROASTER_ASSISTANT_URL and "
    "FLEXIROASTER_ASSISTANT_MODEL and start again."
)


class Standing(NamedTuple):
    """`note` says why nothing can be asked; host and model are there where the server is set up with them."""

    host: str | None
    model: str | None
    note: str | None


class Sent(NamedTuple):
    """What would leave, to the letter. `hidden` counts the values that were taken out of it."""

    host: str
    model: str
    messages: list[Message]
    hidden: int


class Answer(NamedTuple):
    host: str
    model: str
    seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """Not accepted where `problems` hold an error; `text` is the last try then."""

    host: str
    model: str
    seconds: float
    text: str
    diff: str
    accepted: bool
    problems: list[Problem] = field(default_factory=list)


class Wish(NamedTuple):
    """`definition` is the text to be changed; without one, that of the pipeline; without both it is a new one."""

    text: str
    definition: str = ""
    pipeline_id: str | None = None


class Assistance:
    """`stop` ends what is under way; it may be called twice."""

    def __init__(
        self,
        endpoint: Endpoint | None,
        database: Database,
        switch: Switch,
        projects: Projects,
        explanations: Explanations,
        pipelines: Pipelines,
        history: History,
        logs: Logs,
        stage_types: Callable[[], Mapping[str, StageType]],
    ) -> None:
        self._endpoint = endpoint
        self._database = database
        self._switch = switch
        self._projects = projects
        self._explanations = explanations
        self._pipelines = pipelines
        self._history = history
        self._logs = logs
        self._stage_types = stage_types
        self._lock = threading.Lock()
        self._lines: set[Line] = set()
        self._stopped = False
        self._about = ""

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            lines = list(self._lines)
        for line in lines:
            line.stop()

    # Whether

    def standing(self, pipeline_id: str | None = None) -> Standing:
        """Of the assistant for a pipeline, or for a new one without labels. Raises NotFound."""
        labels = self._pipelines.get(pipeline_id).row.labels if pipeline_id else {}
        if self._endpoint is None:
            return Standing(None, None, self.why_not(labels))
        return Standing(self._endpoint.host, self._endpoint.model, self.why_not(labels))

    def why_not(self, labels: Mapping[str, str] | None) -> str | None:
        """A sentence for people; None where it may be asked."""
        if self._endpoint is None:
            return NOT_SET_UP
        off = self._switch.why_nothing(labels)
        if off is None and not self._projects.may_ask(project := project_of(labels)):
            return (
                f"The assistant is switched off for project {project!r}: an administrator can switch it on in "
                "Settings, Learning."
            )
        return off

    def may_explain(self, pipeline_id: str) -> bool:
        """Whether `explain` would ask for a failed execution of the pipeline."""
        return self._endpoint is not None and self.why_not(self._labels_of(pipeline_id)) is None

    # A failure

    def sent_to_explain(self, execution_id: str) -> Sent:
        """Raises NotFound, and Conflict for one that has not failed or where the assistant is off."""
        failure, assistant = self._failure(execution_id), self._assistant()
        return self._sent(assistant.about_failure(failure))

    def explain(self, execution_id: str, by: str) -> Answer:
        """Raises what `sent_to_explain` does, AssistantFailed, and Throttled where too much is under way."""
        failure = self._failure(execution_id)
        with self._asking("explain", by, execution=execution_id) as (assistant, began):
            text = assistant.explain(failure)
        return Answer(assistant.host, assistant.model, time.monotonic() - began, text)

    def _failure(self, execution_id: str) -> Failure:
        from flexiroaster.ai.assistant import Failure

        row = self._history.entry(execution_id).row
        if row.status not in FAILED:
            raise Conflict(f"Execution {execution_id!r} has not failed: it is {row.status}.", "not_failed")
        self._refuse_if_off(self._labels_of(row.pipeline_id))
        stage = row.failed_stage or ""
        kind, attempts, definition = self._stage(row, stage)
        return Failure(
            pipeline=row.pipeline_id,
            stage=stage,
            kind=kind,
            error=_error_text(row.error, row.reason),
            attempts=attempts,
            causes=self._causes(execution_id),
            log=self._log(execution_id, stage),
            definition=definition,
        )

    def _stage(self, row: ExecutionRow, stage: str) -> tuple[str, int, str]:
        """Its type, attempt, and definition as YAML, as far as they are known."""
        from flexiroaster.engine.definition import to_yaml

        document = self._pipelines.version(row.pipeline_id, row.version).document
        found = next((one for _, one in phased_stages(document) if one.get("id") == stage), None)
        if found is None:
            return "", 1, ""
        try:
            attempts = self._history.stage(row.id, stage, 0).entry.row.attempt
        except NotFound:
            attempts = 1
        return str(found.get("type", "")), max(attempts, 1), to_yaml(found)

    def _causes(self, execution_id: str) -> list[str]:
        try:
            causes = self._explanations.explain(execution_id).causes
        except FlexiRoasterError:  # it was retried, or removed, since we looked
            return []
        return [cause.text for cause in causes if cause.kind not in ABOUT_OTHERS and cause.kind != "unknown"]

    def _log(self, execution_id: str, stage: str) -> str:
        wanted = LogFilter(execution_id=execution_id, stage=stage or None)
        newest = self._logs.of_execution(wanted, before=2**53, limit=LINES)
        return "\n".join(f"{line.level} {line.message}" for line in newest)

    # A definition

    def sent_to_draft(self, wish: Wish) -> Sent:
        """Raises NotFound, and Conflict where the assistant is off."""
        present = self._present(wish)
        return self._sent(self._assistant().about_draft(wish.text, self._format(), present))

    def draft(self, wish: Wish, by: str) -> Draft:
        """Raises what `sent_to_draft` does, AssistantFailed, and Throttled where too much is under way."""
        from flexiroaster.ai.assistant import DraftRefused

        present = self._present(wish)
        with self._asking("draft", by, pipeline=wish.pipeline_id) as (assistant, began):
            try:
                found = assistant.draft(wish.text, self._check(wish), self._format(), present)
                text, diff, accepted, problems = found.yaml, found.diff, True, list(found.warnings)
            except DraftRefused as refused:
                text, diff, accepted, problems = refused.text, refused.diff, False, refused.problems
        seconds = time.monotonic() - began
        return Draft(assistant.host, assistant.model, seconds, text, diff, accepted, problems)

    def _present(self, wish: Wish) -> str:
        """The text to be changed. The kept pipeline and the given text must both be of a project that is on."""
        self._refuse_if_not_set_up()
        kept = self._pipelines.get(wish.pipeline_id) if wish.pipeline_id else None
        if kept is not None:
            self._refuse_if_off(kept.row.labels)
        if wish.definition or kept is None:
            self._refuse_if_off(self._labels_in(wish.definition))
        return _in_lines(wish.definition or (kept.version.source if kept is not None else ""))

    def _labels_in(self, definition: str) -> Mapping[str, str]:
        document = self._pipelines.validate(Source(definition, "yaml")).document if definition else None
        labels = (document or {}).get("labels")
        return labels if isinstance(labels, Mapping) else {}

    def _check(self, wish: Wish) -> Callable[[str], Report]:
        from flexiroaster.engine.definition import Report

        def check(text: str) -> Report:
            report = self._pipelines.validate(Source(text, "yaml"))
            if wish.pipeline_id and report.pipeline is not None and report.pipeline.id != wish.pipeline_id:
                other = f"The definition calls itself {report.pipeline.id!r}: write `id: {wish.pipeline_id}`."
                return Report([*report.problems, Problem("id_mismatch", other, "id")])
            return report

        return check

    def _format(self) -> str:
        from flexiroaster.ai.format_told import format_told
        from flexiroaster.engine.definition import json_schema

        self._about = self._about or format_told(json_schema(self._stage_types()))
        return self._about

    # Details

    def _labels_of(self, pipeline_id: str) -> Mapping[str, str]:
        """Also of a deleted pipeline."""
        with self._database.read() as connection:
            row = pipeline_store.find(connection, pipeline_id)
        return row.labels if row is not None else {}

    def _refuse_if_not_set_up(self) -> None:
        if self._endpoint is None:
            raise Conflict(NOT_SET_UP, "assistant_off")

    def _refuse_if_off(self, labels: Mapping[str, str] | None) -> None:
        off = self.why_not(labels)
        if off is not None:
            raise Conflict(off, "assistant_off")

    def _assistant(self) -> Assistant:
        """For looking at what would be sent: nothing leaves through it."""
        assert self._endpoint is not None
        return self._endpoint.ask_through(Line(0.0))

    def _sent(self, talk: Talk) -> Sent:
        assert self._endpoint is not None
        return Sent(self._endpoint.host, self._endpoint.model, talk.messages, talk.redaction.hidden)

    @contextmanager
    def _asking(self, what: str, by: str, **about: str | None) -> Iterator[tuple[Assistant, float]]:
        """Notes who asked, and what became of it; never what was said."""
        assert self._endpoint is not None
        line, began, outcome = Line(self._endpoint.timeout_seconds), time.monotonic(), "answered"
        with self._lock:
            if self._stopped or len(self._lines) >= MOST_AT_ONCE:
                raise Throttled(BUSY_SECONDS, "questions to the assistant under way")
            self._lines.add(line)
        try:
            yield self._endpoint.ask_through(line), began
        except AssistantFailed as error:
            outcome = str(error)
            raise
        finally:
            with self._lock:
                self._lines.discard(line)
            seconds = round(time.monotonic() - began, 3)
            host = self._endpoint.host
            log.info("assistant.asked", what=what, by=by, host=host, seconds=seconds, outcome=outcome, **about)


def _in_lines(definition: str) -> str:
    """JSON as YAML: what is all on one line has no line that stays as it was, and no difference that can be read."""
    from flexiroaster.engine.definition import to_yaml

    try:
        document = orjson.loads(definition)
    except orjson.JSONDecodeError:
        return definition
    return to_yaml(document) if isinstance(document, dict) else definition


def _error_text(error: Any, reason: str | None) -> str:
    """What a person reads of it; its traceback's last lines, and never the value it stumbled on."""
    if not isinstance(error, Mapping):
        return reason or "It ended without an error of its own."
    parts = [f"{error.get('code') or 'error'}: {error.get('message') or reason or ''}"]
    if error.get("suggestion"):
        parts.append(str(error["suggestion"]))
    if error.get("traceback"):
        parts.append(str(error["traceback"])[-4_000:])
    return "\n".join(parts)
