"""Copies of remote artifacts on this machine, up to a number of bytes. Several processes may share the folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from flexiroaster.artifacts.keys import UNFINISHED, ending, parts_of

IN_USE_SECONDS = 60.0
"""Whoever was just given a path is about to open it: what was used so recently stays, even where it is too much."""
ABANDONED_SECONDS = 2 * 86_400.0
"""Since the last write to an unfinished file, longer than any stage runs: its process was killed."""
LOOKED_AT_EVERY = 0.05
"""Of the limit, written by this process: then it looks whether the folder has grown too large."""
KEPT_WHEN_FULL = 0.9


class FileCache:
    """A file's time of change says when it was used last. A file appears whole, and none is ever changed."""

    def __init__(self, root: Path, limit_bytes: int) -> None:
        self._root = root.absolute()
        self._limit = limit_bytes
        self._grown = limit_bytes  # an earlier process may have left more than is allowed now
        self._lock = threading.Lock()
        self._root.mkdir(parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        return self._root

    def find(self, key: str) -> Path | None:
        """Counts as a use."""
        path = self._path(key)
        try:
            os.utime(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return path

    @contextmanager
    def unfinished(self, key: str) -> Iterator[Path]:
        """A path to write to, which is gone after the block unless it was kept."""
        parts_of(key)
        path = self._root / f"{UNFINISHED}{uuid4().hex}{ending(key)}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, unfinished: Path, key: str) -> Path:
        """Move a whole file under its key, and forget what was not used for longest where there is too much."""
        path = self._path(key)
        size = unfinished.stat().st_size
        os.utime(unfinished)
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                unfinished.replace(path)
                break
            except FileNotFoundError:
                if not unfinished.exists():
                    raise  # otherwise another process has just removed the empty folder
        self._make_room(size)
        return path

    def forget(self, prefix: str) -> None:
        path = self._path(prefix)
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            path.unlink()

    def _make_room(self, added: int) -> None:
        with self._lock:
            self._grown += added
            if self._grown < self._limit * LOOKED_AT_EVERY:
                return
            self._grown = 0
            self._evict(time.time())

    def _evict(self, now: float) -> None:
        found = sorted(_files(self._root), key=lambda file: file[1].st_mtime)
        total = sum(state.st_size for _, state in found)
        wanted = total if total <= self._limit else self._limit * KEPT_WHEN_FULL
        for path, state in found:
            idle = now - state.st_mtime
            abandoned = path.name.startswith(UNFINISHED) and idle > ABANDONED_SECONDS
            if not abandoned and (total <= wanted or idle < IN_USE_SECONDS or path.name.startswith(UNFINISHED)):
                continue
            path.unlink(missing_ok=True)
            _remove_empty(path.parent, self._root)
            total -= state.st_size

    def _path(self, key: str) -> Path:
        return self._root.joinpath(*parts_of(key))


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            with contextlib.suppress(FileNotFoundError):  # forgotten by another process
                yield path, path.stat()


def _remove_empty(folder: Path, root: Path) -> None:
    with contextlib.suppress(OSError):  # not empty, or gone
        while folder != root and folder.is_relative_to(root):
            folder.rmdir()
            folder = folder.parent
