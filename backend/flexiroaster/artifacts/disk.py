"""Artifacts in a folder of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from uuid import uuid4

from flexiroaster.engine.errors import InvalidRequest, NotFound

UNFINISHED = ".unfinished-"
"""What a file is called until it is whole; left over only by a killed process."""


class DiskArtifacts:
    """Keys are paths below `root`. A file appears under its key whole and flushed to disk, or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._root.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def write(self, key: str) -> Iterator[Path]:
        final = self._path(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays: writers such as DuckDB's choose by it. But a name full of dots may be all suffix.
        unfinished = final.with_name(f"{UNFINISHED}{uuid4().hex}{''.join(final.suffixes[-2:])[-40:]}")
        try:
            yield unfinished
            _flush(unfinished)
            unfinished.replace(final)
            _flush(final.parent)
        finally:
            unfinished.unlink(missing_ok=True)

    def local_path(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise NotFound("artifact", key)
        return path

    def uri(self, key: str) -> str:
        return self._path(key).as_uri()

    def key(self, uri: str) -> str | None:
        root = f"{self._root.as_uri()}/"
        return uri.removeprefix(root) if uri.startswith(root) else None

    def size(self, key: str) -> int:
        return self.local_path(key).stat().st_size

    def read(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        with self.local_path(key).open("rb") as file:
            while chunk := file.read(chunk_bytes):
                yield chunk

    def delete(self, prefix: str) -> None:
        path = self._path(prefix)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        """Below the root whatever the key says: no way up, no way out through a link."""
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or ".." in parts or "\0" in key:
            raise InvalidRequest(
                f"{key!r} is no artifact key: use a relative path such as execution/stage/data.parquet."
            )
        path = self._root.joinpath(*parts)
        if not path.parent.resolve().is_relative_to(self._root.resolve()):
            raise InvalidRequest(f"The artifact key {key!r} leads out of the artifact folder.")
        return path


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
