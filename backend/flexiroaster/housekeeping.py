"""From settings to what removes what is old: for the server, and for `flexiroaster clean`."""

from __future__ import annotations

from datetime import timedelta

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.config import Settings
from flexiroaster.runtime.collector import Collector
from flexiroaster.services.leftovers import LeftoverFiles
from flexiroaster.services.retention import Retention
from flexiroaster.store.database import Database


def make_retention(
    settings: Settings, database: Database, artifacts: ArtifactStore, keep: timedelta | None = None
) -> Retention:
    """`keep` is for how long executions are kept, where that is not as the settings say."""
    return Retention(
        database,
        artifacts,
        keep=keep or _days(settings.retention_days),
        keep_lines=_days(settings.log_retention_days),
    )


def make_collector(settings: Settings, database: Database, artifacts: ArtifactStore) -> Collector:
    return Collector(database, make_retention(settings, database, artifacts), LeftoverFiles(database, artifacts))


def _days(number: int) -> timedelta | None:
    return timedelta(days=number) if number else None
