"""A small disk of a test's own, to be filled or to be made read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

CHUNK = bytes(1 << 16)


@dataclass(frozen=True)
class SmallDisk:
    path: Path

    def fill(self) -> None:
        """To the last page."""
        size = len(CHUNK)
        with self._filler.open("ab", buffering=0) as file:
            while size:
                try:
                    file.write(CHUNK[:size])
                except OSError:
                    size //= 2

    def free(self) -> None:
        with suppress(FileNotFoundError):
            self._filler.unlink()

    def make_read_only(self) -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True)

    @property
    def _filler(self) -> Path:
        return self.path / "filler"


@contextmanager
def small_disk(path: Path, megabytes: int, *, mode: str = "700") -> Iterator[SmallDisk]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    path.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode={mode}", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not allow mounting")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
