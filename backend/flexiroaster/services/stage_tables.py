"""The table that a stage handed on: a file of its own, of another stage or of the data folders, without some rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.data.confinement import Confinement
from flexiroaster.data.table import TableRef, is_table
from flexiroaster.engine.errors import InvalidRequest, NotFound
from flexiroaster.store import artifacts as artifact_store
from flexiroaster.store import executions as execution_store
from flexiroaster.store.database import Database

if TYPE_CHECKING:
    from flexiroaster.data.preview import Preview


class StageTables:
    """`data_dirs` are the folders that source files are read from."""

    def __init__(self, database: Database, artifacts: ArtifactStore, data_dirs: tuple[Path, ...] = ()) -> None:
        self._database = database
        self._artifacts = artifacts
        self._data_dirs = data_dirs

    def preview(self, execution_id: str, stage: str, index: int, *, offset: int, limit: int) -> Preview:
        """Rows of the table in a stage run's result. Raises NotFound for an unknown stage run, InvalidRequest where it
        gave no table, and StageFailed where its file cannot be read any more."""
        from flexiroaster.data.preview import preview

        ref = self.find(execution_id, stage, index)
        if ref is None:
            raise InvalidRequest(f"The stage {stage!r} has no table in its result: look at its result.", "not_a_table")
        return preview(*self.readable(ref), offset=offset, limit=limit)

    def find(self, execution_id: str, stage: str, index: int) -> TableRef | None:
        """The table in a stage run's result, None where there is none. Raises NotFound for an unknown stage run."""
        with self._database.read() as connection:
            run = execution_store.stage_run(connection, execution_id, stage, index)
            if run is None:
                raise NotFound("stage run", f"{stage}[{index}]" if index else stage)
            found = execution_store.result(connection, execution_id, run.position, index)
            spilled = artifact_store.find(connection, found.artifact_id) if found and found.artifact_id else None
        value = found.value if found is not None else None
        if spilled is not None:
            value = orjson.loads(self._artifacts.local_path(spilled.key).read_bytes())
        data = value.get("data") if isinstance(value, dict) else None
        return TableRef.model_validate(data) if is_table(data) else None

    def readable(self, ref: TableRef) -> tuple[TableRef, Confinement]:
        """The reference, and leave to read its artifacts and the data folders."""
        return ref, Confinement(self._data_dirs, artifact=self._local)

    def _local(self, uri: str) -> Path | None:
        """Where the artifact of a URI is, None for what is no artifact."""
        key = self._artifacts.key(uri)
        return self._artifacts.local_path(key) if key is not None else None
