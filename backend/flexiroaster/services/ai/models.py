"""The trained models with their cards, and what the learner is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from flexiroaster.bus.port import Bus
from flexiroaster.engine.errors import NotFound
from flexiroaster.engine.events import NO_EXECUTION, Event, EventType
from flexiroaster.services.ai.switch import Switch, missing_packages
from flexiroaster.store import ended_runs
from flexiroaster.store import models as store
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.models import ModelRow

LOOK, TRAINING = "look", "training"
"""The names under which the learner notes what it did."""
KEPT = 5
"""Models of each kind that can be looked at."""


class Standing(NamedTuple):
    """How it stands with learning. `note` is a sentence where something is missing."""

    on: bool
    missing: list[str]
    looked_at: datetime | None
    trained_at: datetime | None
    training: dict[str, Any]
    note: str | None
    more_needed: list[dict[str, Any]]
    """What more executions may show: `pipeline_id`, `kind` of the suggestion (None for any) and `text`."""


class Models:
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

    def all(self) -> list[ModelRow]:
        """The newest first."""
        with self._database.read() as connection:
            return store.all_models(connection)

    def get(self, id: str) -> ModelRow:
        """Raises NotFound."""
        with self._database.read() as connection:
            found = store.find(connection, id)
        if found is None:
            raise NotFound("model", id)
        return found

    def standing(self) -> Standing:
        with self._database.read() as connection:
            done = store.work(connection)
        look, training, missing = done.get(LOOK), done.get(TRAINING), missing_packages()
        return Standing(
            on=self._switch.on,
            missing=missing,
            looked_at=look.at if look else None,
            trained_at=training.at if training else None,
            training=training.value if training else {},
            note=self._note(missing, training.value if training else {}),
            more_needed=look.value.get("missing", []) if look else [],
        )

    def looked_at_all(self) -> bool:
        """Whether the newest execution that has ended was looked at, if there is one."""
        with self._database.read() as connection:
            looked, ended = store.work(connection).get(LOOK), ended_runs.last_end(connection)
        return ended is None or (looked is not None and looked.at >= ended)

    # What the learner did

    def looked(self, **counts: Any) -> None:
        """The history was looked through."""
        now = self._clock()
        self._database.write(lambda tx: store.note_work(tx.sa, LOOK, counts, now))

    def trained(self, new: Sequence[ModelRow], *, runs: int, failures: int, note: str | None) -> list[str]:
        """These models answer from now on; with none, `note` says why. Answers the files that are still needed."""
        now = self._clock()
        value = {"runs": runs, "failures": failures, "note": note, "models": [row.id for row in new]}

        def operation(tx: Transaction) -> list[str]:
            store.note_work(tx.sa, TRAINING, value, now)
            files: list[str] = []
            for row in new:
                store.promote(tx.sa, row)
                files = store.forget_older(tx.sa, row.kind, KEPT)
            if new:
                told = [
                    Event(EventType.MODEL_TRAINED, NO_EXECUTION, "", 0, now, payload={"id": row.id, "kind": row.kind})
                    for row in new
                ]
                tx.after_commit(partial(self._bus.publish, told))
            return files

        return self._database.write(operation)

    def _note(self, missing: list[str], training: dict[str, Any]) -> str | None:
        if not self._switch.on:
            return self._switch.why_nothing({})
        if missing:
            return (
                f"Shares of earlier failures answer, nothing is learned beyond: {' and '.join(missing)} "
                f'{"is" if len(missing) == 1 else "are"} not installed (pip install "flexiroaster[ai]").'
            )
        note = training.get("note")
        return str(note) if note else None
