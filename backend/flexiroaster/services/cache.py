"""Results that stages take over instead of making them again: by a key that says what they were made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.engine.errors import NotFound
from flexiroaster.engine.expressions import Template
from flexiroaster.engine.pipeline import Cache, StageSpec
from flexiroaster.engine.runs import Key
from flexiroaster.store import artifacts as artifact_rows
from flexiroaster.store import stage_cache as store
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.stage_cache import CachedRow

_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


class CacheRule(NamedTuple):
    """What a version says of caching a stage. `does` is what else than the key decides about its result."""

    key: Template
    ttl: timedelta
    does: bytes

    @classmethod
    def of(cls, stage: StageSpec, cache: Cache) -> CacheRule:
        does = orjson.dumps([stage.type, stage.config], option=_SORTED)
        return cls(Template.parse(cache.key), cache.ttl, does)

    def entry(self, visible: Mapping[str, Any], item: Any) -> Entry | None:
        """None where the key is null: that is not to be cached. Raises ExpressionError."""
        value = self.key.render(visible)
        if value is None:
            return None
        text = self.does + orjson.dumps([value, item], option=_SORTED)
        return Entry(hashlib.sha256(text).hexdigest(), self.ttl)


class Entry(NamedTuple):
    """Under which key a result is looked for, and kept for how long."""

    key: str
    ttl: timedelta


class StageCache:
    """Reads from any thread; a result is kept in the transaction that records it."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts

    def find(self, pipeline_id: str, stage: str, entry: Entry, now: datetime) -> CachedRow | None:
        """None also when something is gone that the result refers to."""
        with self._database.read() as connection:
            found = store.find(connection, pipeline_id, stage, entry.key, now)
            if found is None:
                return None
            keys = store.artifact_keys(connection, pipeline_id, stage, entry.key)
            if found.artifact_id is not None and artifact_rows.find(connection, found.artifact_id) is None:
                return None
        return found if all(self._is_there(key) for key in keys) else None

    def _is_there(self, key: str) -> bool:
        try:
            self._artifacts.size(key)
        except NotFound:
            return False
        return True


def keep(
    tx: Transaction,
    pipeline_id: str,
    stage: str,
    entry: Entry,
    execution_id: str,
    run: Key,
    attempt: int,
    now: datetime,
) -> None:
    """What a stage run has just made."""
    store.put(
        tx.sa,
        pipeline_id,
        stage,
        entry.key,
        execution_id=execution_id,
        run=run,
        attempt=attempt,
        now=now,
        expires_at=now + entry.ttl,
    )


def taken_from(found: CachedRow, now: datetime) -> str:
    """`taken from execution #12, 3 h old`"""
    return f"taken from execution #{found.number}, {_age(now - found.created_at)} old"


def _age(age: timedelta) -> str:
    seconds = max(age.total_seconds(), 0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
