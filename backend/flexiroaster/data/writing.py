"""Tables become files: whole under their name, or not there at all."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

from flexiroaster.data.confinement import UNFINISHED
from flexiroaster.data.excel import write_sheet
from flexiroaster.data.failures import disk_full
from flexiroaster.data.quoting import literal, name, names
from flexiroaster.data.session import Session
from flexiroaster.data.table import Column
from flexiroaster.engine.errors import Location, StageFailed

FileFormat = Literal["csv", "json", "jsonl", "parquet", "excel"]
Compression = Literal["none", "gzip", "zstd", "snappy"]

ENDINGS: dict[FileFormat, tuple[str, ...]] = {
    "csv": (".csv", ".tsv", ".txt"),
    "json": (".json",),
    "jsonl": (".jsonl", ".ndjson"),
    "parquet": (".parquet", ".pq"),
    "excel": (".xlsx",),
}
MEDIA_TYPES: dict[FileFormat, str] = {
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "excel": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_ALLOWED: dict[FileFormat, tuple[Compression, ...]] = {
    "csv": ("none", "gzip", "zstd"),
    "json": ("none", "gzip", "zstd"),
    "jsonl": ("none", "gzip", "zstd"),
    "parquet": ("zstd", "snappy", "gzip", "none"),
    "excel": ("none",),
}
_LOCK = "lock"
_LOCKED_AFTER_SECONDS = 5
"""So long a new folder may be without its lock."""
_A_DAY_SECONDS = 86_400
_LONGEST_PREFIX_BYTES = 200
_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux's renameat2."""
_HERE = -100


@dataclass(frozen=True, slots=True)
class Writing:
    """How a file is written; `None` means the format's usual way."""

    format: FileFormat
    delimiter: str = ","
    header: bool = True
    null_text: str = ""
    compression: Compression | None = None
    sheet: str = "Sheet1"
    partition_by: tuple[str, ...] = ()


def format_of(path: str) -> FileFormat | None:
    ending = Path(path.lower().removesuffix(".gz").removesuffix(".zst")).suffix
    return next((format for format, endings in ENDINGS.items() if ending in endings), None)


def check(writing: Writing, columns: Sequence[Column]) -> None:
    """Refuse what the format cannot do, before anything is written."""
    if writing.compression is not None and writing.compression not in _ALLOWED[writing.format]:
        raise StageFailed(
            f"{writing.format} files cannot be compressed with {writing.compression}: "
            f"use {', '.join(_ALLOWED[writing.format])}.",
            code="bad_option",
        )
    known = {column.name for column in columns}
    for column in writing.partition_by:
        if column not in known:
            raise StageFailed(
                f"`partition_by` names the column '{column}', which the table does not have.",
                code="unknown_column",
                location=Location(column=column),
            )
    if writing.partition_by and writing.format in ("excel", "json"):
        raise StageFailed(f"{writing.format} cannot be partitioned: use csv, jsonl or parquet.", code="bad_option")
    if writing.partition_by and len(writing.partition_by) == len(known):
        raise StageFailed("`partition_by` names every column, so the files would be empty.", code="bad_option")


def write_file(session: Session, query: str, columns: Sequence[Column], path: Path, writing: Writing) -> int:
    """Write one file directly (no atomicity here); returns its rows."""
    if writing.format == "excel":
        return _write_excel(session, query, columns, path, writing)
    return session.write(query, path, _options(writing))


def _write_excel(session: Session, query: str, columns: Sequence[Column], path: Path, writing: Writing) -> int:
    """By way of the scratch folder: the writer cannot be stopped cleanly in the middle of a zip file."""
    draft = session.scratch / f"{uuid4().hex}.xlsx"
    rows = write_sheet(draft, columns, session.stream(query), sheet=writing.sheet, header=writing.header)
    shutil.copyfile(draft, path)
    draft.unlink()
    return rows


def write_partitions(session: Session, query: str, folder: Path, writing: Writing) -> int:
    ending = ENDINGS[writing.format][0].lstrip(".") + {"gzip": ".gz", "zstd": ".zst"}.get(
        writing.compression or "none" if writing.format != "parquet" else "none", ""
    )
    options = f"{_options(writing)}, PARTITION_BY ({names(writing.partition_by)}), FILE_EXTENSION {literal(ending)}"
    folder.mkdir()
    return int(session.row(f"COPY ({query}) TO {literal(folder)} ({options})")[0])


def _options(writing: Writing) -> str:
    compression = writing.compression
    match writing.format:
        case "parquet":
            kind = compression or "zstd"
            level = ", COMPRESSION_LEVEL 3" if kind == "zstd" else ""
            return f"FORMAT parquet, COMPRESSION {'uncompressed' if kind == 'none' else kind}{level}"
        case "csv":
            return (
                f"FORMAT csv, HEADER {literal(writing.header)}, DELIMITER {literal(writing.delimiter)}, "
                f"NULLSTR {literal(writing.null_text)}, COMPRESSION {compression or 'none'}"
            )
        case "json":
            return f"FORMAT json, ARRAY true, COMPRESSION {compression or 'none'}"
        case _:
            return f"FORMAT json, COMPRESSION {compression or 'none'}"


def json_query(query: str, columns: Sequence[Column]) -> str:
    """JSON has no infinity: such numbers become empty."""
    floats = [column.name for column in columns if column.type in ("DOUBLE", "FLOAT")]
    if not floats:
        return query
    finite = ", ".join(f"CASE WHEN isfinite({name(c)}) THEN {name(c)} END AS {name(c)}" for c in floats)
    return f"SELECT * REPLACE ({finite}) FROM ({query})"


@contextmanager
def replacing(target: Path, shown: str, *, may_exist: bool) -> Iterator[Path]:
    """A path to write a file or a folder to. On a clean exit it is on the disk and takes the target's place in one
    step; otherwise it vanishes and the target is untouched. A killed process leaves it, and the next writer removes it.
    """
    if target.exists() and not may_exist:
        raise StageFailed(
            f"'{shown}' exists already: choose another path, or set `if_exists: replace`.",
            code="file_exists",
            location=Location(file=shown),
        )
    try:
        remove_left_over(target)
        with _workplace(target) as folder:
            unfinished = folder / "data"
            yield unfinished
            for written in (*unfinished.rglob("*"), unfinished):
                flush(written)
            _take_place(unfinished, target)
            flush(target.parent)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(f"'{shown}'") from error
        raise
    except StageFailed as error:
        if error.code == "disk_full":
            raise disk_full(f"'{shown}'") from error
        raise


@contextmanager
def _workplace(target: Path) -> Iterator[Path]:
    """A folder beside the target. Its lock says that somebody works in it: the system lets go of it at any death."""
    folder = target.with_name(f"{_workplace_prefix(target)}{uuid4().hex[:12]}{UNFINISHED}")
    folder.mkdir()
    try:
        with (folder / _LOCK).open("wb") as lock:
            with suppress(OSError):  # a file system without locks: what is left over goes after a day
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_over(target: Path) -> None:
    """Remove what killed processes left beside a target that they were writing."""
    prefix = _workplace_prefix(target)
    with os.scandir(target.parent) as entries:
        found = [Path(e.path) for e in entries if e.name.startswith(prefix) and e.name.endswith(UNFINISHED)]
    for folder in found:
        with suppress(FileNotFoundError):  # its writer is done, or another one cleans up too
            if _is_left_over(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_left_over(folder: Path) -> bool:
    age = time.time() - folder.stat().st_mtime
    if age < _LOCKED_AFTER_SECONDS:
        return False
    try:
        with (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    except OSError:
        return age > _A_DAY_SECONDS
    return True


def _workplace_prefix(target: Path) -> str:
    name = target.name
    if len(os.fsencode(name)) > _LONGEST_PREFIX_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f".{name}."


def refuse_foreign_folder(target: Path, shown: str, format: FileFormat) -> None:
    """A partitioned output replaces a folder whole: only one that holds nothing but such output."""
    if target.is_file():
        raise StageFailed(f"'{shown}' is a file; a partitioned output is a folder.", code="file_exists")
    if not target.exists():
        return
    for file in target.rglob("*"):
        if file.is_file() and format_of(file.name) != format:
            raise StageFailed(
                f"The folder '{shown}' holds '{file.name}', which is not {format}: a partitioned output replaces the "
                "folder whole, so give it one of its own.",
                code="file_exists",
                location=Location(file=shown),
            )


def flush(path: Path) -> None:
    """Make a file's content, or a folder's list of names, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take_place(unfinished: Path, target: Path) -> None:
    if unfinished.is_dir() and target.is_dir():
        _exchange(unfinished, target)
    else:
        unfinished.replace(target)


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders in one step, where the system can; the old one is then removed by the caller."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return
    old = other.with_name(f"{one.name}.old")
    other.rename(old)
    one.rename(other)
    shutil.rmtree(old)
