"""Artifacts in a folder of this machine."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote
from uuid import uuid4

from flexiroaster.artifacts.keys import UNFINISHED, ending, parts_of
from flexiroaster.artifacts.port import Entry
from flexiroaster.engine.errors import InvalidRequest, NotFound, WrittenAlready


class DiskArtifacts:
    """Keys are paths below `root`. A file appears under its key whole and flushed to disk, or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @contextmanager
    def write(self, key: str, *, called: str | None = None) -> Iterator[Path]:
        final = self._path(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        unfinished = final.with_name(f"{UNFINISHED}{uuid4().hex}{ending(final.name)}")
        try:
            yield unfinished
            _flush(unfinished)
            _appear(unfinished, final, key)
            _flush(final.parent)
        finally:
            unfinished.unlink(missing_ok=True)

    def local_path(self, key: str, *, pinned_in: Path | None = None) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise NotFound("artifact", key)
        return path

    def uri(self, key: str) -> str:
        return self._path(key).as_uri()

    def key(self, uri: str) -> str | None:
        root = f"{self._root.as_uri()}/"
        return unquote(uri.removeprefix(root)) if uri.startswith(root) else None

    def size(self, key: str) -> int:
        return self.local_path(key).stat().st_size

    def read(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        with self.local_path(key).open("rb") as file:
            while chunk := file.read(chunk_bytes):
                yield chunk

    def delete(self, prefix: str) -> None:
        path = self._path(prefix)
        if path.is_dir():
            shutil.rmtree(path, onerror=_unless_gone)
        else:
            path.unlink(missing_ok=True)

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        for place, _, names in os.walk(self._path(prefix) if prefix else self._root):
            for name in names:
                path = Path(place) / name
                if path.parent == self._root and name.startswith("."):
                    continue  # servers note there which folder it is
                try:
                    found = path.stat()
                except FileNotFoundError:  # deleted since
                    continue
                changed_at = datetime.fromtimestamp(found.st_mtime, UTC)
                yield Entry(path.relative_to(self._root).as_posix(), found.st_size, changed_at)

    def link(self, key: str, expires_in: timedelta) -> str | None:
        return None

    def trouble(self) -> str | None:
        return None if self._root.is_dir() else f"The folder {self._root} is not there."

    def _path(self, key: str) -> Path:
        """Below the root whatever the key says: no way up, no way out through a link."""
        path = self._root.joinpath(*parts_of(key))
        if not path.parent.resolve().is_relative_to(self._root.resolve()):
            raise InvalidRequest(f"The artifact key {key!r} leads out of the artifact folder.")
        return path


def _appear(unfinished: Path, final: Path, key: str) -> None:
    """A link, unlike a rename, never replaces what is there."""
    try:
        os.link(unfinished, final)
    except FileExistsError:
        if not filecmp.cmp(unfinished, final, shallow=False):
            raise WrittenAlready(key) from None
    except OSError:  # a file system without links; attempts have keys of their own, so that there is no other writer
        if final.exists() and not filecmp.cmp(unfinished, final, shallow=False):
            raise WrittenAlready(key) from None
        unfinished.replace(final)


def _unless_gone(_function: object, _path: str, raised: tuple[type[BaseException], BaseException, object]) -> None:
    """Another server may delete the same."""
    if not isinstance(raised[1], FileNotFoundError):
        raise raised[1]


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
