"""Approvals of a pipeline that runs here: approved by `--approve`, or asked on the terminal."""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import typer

if TYPE_CHECKING:
    from flexiroaster.composition import Engine
    from flexiroaster.engine.events import Event
    from flexiroaster.engine.pipeline import Pipeline
    from flexiroaster.services.approvals import Answer, Question

ALL = 500


class Screen(Protocol):
    def aside(self) -> AbstractContextManager[None]:
        """What moves on the screen stands still meanwhile."""
        ...


def check_answers(pipeline: Pipeline, approved: Collection[str], *, terminal: bool) -> None:
    """Refuse to begin what could never end. Raises BadParameter."""
    asking = {stage.id: stage for _, stage in pipeline.in_phases() if stage.type == "approval"}
    unknown = [name for name in approved if name not in asking]
    if unknown:
        there = f"its approval stages are {', '.join(asking)}" if asking else "it has none"
        raise typer.BadParameter(
            f"{unknown[0]!r} is no approval stage of this pipeline: {there}.", param_hint="'--approve'"
        )
    open_ = [stage.id for stage in asking.values() if stage.timeout is None and stage.id not in approved]
    if open_ and not terminal:
        raise typer.BadParameter(
            f"Stage {open_[0]} asks a person, and nobody can be asked here: say --approve {open_[0]}, give the stage a "
            "timeout, or run it on a terminal.",
            param_hint="'--approve'",
        )


class Asker:
    """Use as a context manager while the pipeline runs; `hear` is a bus listener."""

    def __init__(self, engine: Engine, approved: Collection[str], screen: Screen, *, terminal: bool) -> None:
        self._engine = engine
        self._approved = frozenset(approved)
        self._screen = screen
        self._terminal = terminal
        self._asked: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        # A daemon: it may be waiting for a line that nobody types any more.
        self._thread = threading.Thread(target=self._answer_all, name="asker", daemon=True)

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.put(None)

    def hear(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.type == "approval_requested":
                self._asked.put(event)

    def _answer_all(self) -> None:
        while (event := self._asked.get()) is not None:
            question = self._question(event)
            if question is not None and event.stage in self._approved:
                self._say(question, approve())
            elif question is not None and self._terminal:
                with self._screen.aside():
                    self._ask(question)

    def _ask(self, question: Question) -> None:
        try:
            while not self._say(question, ask(question)):
                pass
        except typer.Abort:  # Ctrl-D: nobody wants to answer
            self._cancel(question, "Ctrl-D")

    def _question(self, event: Event) -> Question | None:
        """None where it was answered meanwhile."""
        pending = self._engine.embedded.approvals.pending(
            _caller(), mine=False, limit=ALL, execution_id=event.execution_id
        )
        place = event.stage, event.index or 0
        return next((one for one in pending.items if (one.row.stage, one.row.index) == place), None)

    def _say(self, question: Question, answer: Answer) -> bool:
        """Whether there is nothing more to ask."""
        from flexiroaster.engine.errors import Conflict, InvalidInputs

        row = question.row
        try:
            self._engine.embedded.approvals.decide(row.execution_id, row.stage, row.index, answer, _caller())
        except Conflict:
            return True  # its time was over, or the execution was cancelled
        except InvalidInputs as wrong:
            for problem in wrong.problems:
                typer.echo(f"{row.stage}: {problem.message}", err=True)
            if not self._terminal:
                self._cancel(question, "--approve, which cannot fill in its form")
            return not self._terminal
        return True

    def _cancel(self, question: Question, by: str) -> None:
        from flexiroaster.engine.errors import Conflict

        with suppress(Conflict):  # it ended meanwhile
            self._engine.embedded.executions.cancel(question.row.execution_id, by)


def approve() -> Answer:
    from flexiroaster.services.approvals import Answer

    return Answer(True, "--approve")


def ask(question: Question) -> Answer:
    """On the terminal; the form only of who approves."""
    from flexiroaster.cli.typed_inputs import typed
    from flexiroaster.services.approvals import Answer

    state = question.row.state
    typer.echo(f"\n{question.row.stage}: {state.get('message', '')}")
    if not typer.confirm("Approve?"):
        return Answer(False, typer.prompt("Why", default="", show_default=False))
    fields: dict[str, dict[str, Any]] = state.get("form") or {}
    return Answer(True, values={name: typed(_field(name, schema), schema) for name, schema in fields.items()})


def _field(name: str, schema: dict[str, Any]) -> str:
    title = schema.get("title") or schema.get("description") or name
    choices = f" ({', '.join(map(str, schema['enum']))})" if "enum" in schema else ""
    default = schema.get("default")
    return str(
        typer.prompt(
            f"  {title}{choices}", default="" if default is None else str(default), show_default=default is not None
        )
    )


def _caller() -> Any:
    from flexiroaster.auth.identity import Caller
    from flexiroaster.local import AUTHOR

    return Caller(AUTHOR.email, AUTHOR.email, AUTHOR.role, "", datetime.max.replace(tzinfo=UTC))
