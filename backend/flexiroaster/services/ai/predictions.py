"""Predictions as they were made: read with executions and pipelines, written by whoever makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from flexiroaster.bus.port import Bus
from flexiroaster.engine.events import Event, EventType
from flexiroaster.services.ai.switch import ENOUGH, Switch, not_enough
from flexiroaster.store import predictions as store
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.predictions import ForecastRow, NewPrediction, PredictionRow


class Expected(NamedTuple):
    """What is shown of a prediction. `body` is empty while there is none; `note` says why."""

    made_at: datetime | None
    executions: int
    note: str | None
    body: Mapping[str, Any]
    model_id: str | None = None
    as_of: datetime | None = None
    outlook: Mapping[str, Any] | None = None

    @property
    def enough(self) -> bool:
        return bool(self.body) and self.executions >= ENOUGH


class Predictions:
    def __init__(
        self,
        database: Database,
        bus: Bus,
        switch: Switch,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._bus = bus
        self._switch = switch
        self._clock = clock

    # Reading

    def of_executions(self, ids: Sequence[str]) -> dict[str, Expected]:
        """By execution; those that nothing was predicted for are left out."""
        if not ids:
            return {}
        with self._database.read() as connection:
            found = store.of_executions(connection, ids)
        return {id: _expected(row) for id, row in found.items()}

    def of_execution(self, id: str) -> Expected | None:
        return self.of_executions([id]).get(id)

    def of_pipelines(self, pipelines: Mapping[str, tuple[Mapping[str, str] | None, int]]) -> dict[str, Expected]:
        """Of the next execution of each. A pipeline comes with its labels and how many executions are known to have
        ended.
        """
        if not pipelines:
            return {}
        with self._database.read() as connection:
            rows = store.forecasts(connection, list(pipelines)) if self._switch.on else {}
        return {id: self._forecast(rows.get(id), labels, ended) for id, (labels, ended) in pipelines.items()}

    def behind(self) -> list[str]:
        """The pipelines with an execution that has ended and that their forecast does not know of, if there is one."""
        if not self._switch.on:
            return []
        with self._database.read() as connection:
            found = store.behind(connection)
        return [id for id, labels in found.items() if self._switch.looks_at(labels)]

    def _forecast(self, row: ForecastRow | None, labels: Mapping[str, str] | None, ended: int) -> Expected:
        off = self._switch.why_not(labels)
        if off is not None:
            return Expected(None, ended, off, {})
        if row is None:
            return Expected(None, ended, not_enough(ended) if ended < ENOUGH else "It is being worked out.", {})
        executions = int(row.body.get("executions", 0))
        return Expected(row.made_at, executions, _note(executions), row.body, row.body.get("model_id"), row.made_at)

    # Writing

    def keep(self, new: Sequence[NewPrediction]) -> None:
        """Predictions for executions that have begun. What was said of one before stays."""
        by_id = {one.execution_id: one for one in new}

        def operation(tx: Transaction) -> None:
            kept = store.insert(tx.sa, new)
            told = [
                _told(id, by_id[id].pipeline_id, by_id[id].made_at, probability=by_id[id].probability, outlook=None)
                for id in kept
            ]
            if told:
                tx.after_commit(partial(self._bus.publish, told))

        self._database.write(operation)

    def keep_outlooks(self, outlooks: Mapping[str, tuple[str, dict[str, Any] | None]]) -> None:
        """By execution its pipeline and what is left of it; None once it has ended."""
        now = self._clock()
        told = [
            _told(id, pipeline_id, now, probability=outlook["probability"], outlook=outlook)
            for id, (pipeline_id, outlook) in outlooks.items()
            if outlook is not None
        ]

        def operation(tx: Transaction) -> None:
            for id, (_, outlook) in outlooks.items():
                store.set_outlook(tx.sa, id, outlook, now)
            if told:
                tx.after_commit(partial(self._bus.publish, told))

        self._database.write(operation)

    def keep_forecasts(self, found: Sequence[ForecastRow]) -> None:
        self._database.write(lambda tx: store.set_forecasts(tx.sa, found))


def _told(
    execution_id: str, pipeline_id: str, at: datetime, *, probability: float, outlook: Mapping[str, Any] | None
) -> Event:
    payload = {"failure_probability": probability, "outlook": outlook}
    return Event(EventType.PREDICTION_UPDATED, execution_id, pipeline_id, 0, at, payload=payload)


def _expected(row: PredictionRow) -> Expected:
    executions = int(row.body.get("executions", 0))
    return Expected(row.made_at, executions, _note(executions), row.body, row.model_id, row.as_of, row.outlook)


def _note(executions: int) -> str | None:
    return not_enough(executions) if executions < ENOUGH else None
