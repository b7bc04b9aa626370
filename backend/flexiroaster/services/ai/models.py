"""The trained models with their cards, and what the learner is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flexiroaster.engine.errors import NotFound
from flexiroaster.services.ai.switch import Switch, missing_packages
from flexiroaster.store import models as store
from flexiroaster.store.database import Database
from flexiroaster.store.models import ModelRow

LOOK, TRAINING = "look", "training"
"""The names under which the learner notes what it did."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with learning. `note` is a sentence where something is missing."""

    on: bool
    missing: list[str]
    looked_at: datetime | None
    trained_at: datetime | None
    training: dict[str, Any]
    note: str | None


class Models:
    def __init__(self, database: Database, switch: Switch) -> None:
        self._database = database
        self._switch = switch

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
        )

    def _note(self, missing: list[str], training: dict[str, Any]) -> str | None:
        if not self._switch.on:
            return self._switch.why_not({})
        if missing:
            return (
                f"Shares of earlier failures answer, nothing is learned beyond: {' and '.join(missing)} "
                f'{"is" if len(missing) == 1 else "are"} not installed (pip install "flexiroaster[ai]").'
            )
        note = training.get("note")
        return str(note) if note else None
