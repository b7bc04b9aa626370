"""Keys of artifacts as paths: none leads out of where artifacts are kept."""

from __future__ import annotations

from pathlib import PurePosixPath

from flexiroaster.engine.errors import InvalidRequest

UNFINISHED = ".unfinished-"
"""What a file is called until it is whole; left over only by a killed process."""


def parts_of(key: str) -> tuple[str, ...]:
    """Raises InvalidRequest for what is no relative path downwards."""
    parts = PurePosixPath(key).parts
    if not parts or key.startswith("/") or ".." in parts or "\0" in key:
        raise InvalidRequest(f"{key!r} is no artifact key: use a relative path such as execution/stage/data.parquet.")
    return parts


def ending(name: str) -> str:
    """The suffix, by which writers such as DuckDB's choose. But a name full of dots may be all suffix."""
    return "".join(PurePosixPath(name).suffixes[-2:])[-40:]
