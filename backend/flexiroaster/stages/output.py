"""The stage that writes a table to a file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from flexiroaster.data.failures import stopped
from flexiroaster.data.quoting import name
from flexiroaster.data.reading import Tables
from flexiroaster.data.table import Column, TableRef
from flexiroaster.data.writing import (
    ENDINGS,
    MEDIA_TYPES,
    Compression,
    FileFormat,
    Writing,
    check,
    format_of,
    json_query,
    refuse_foreign_folder,
    replacing,
    write_file,
    write_partitions,
)  # fmt: skip
from flexiroaster.engine.errors import Location, StageFailed
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.stages.base import Stage, StageConfig, StageContext, StageExample
from flexiroaster.stages.tables import confinement, given_table, open_tables, result_of

TABLE = "output"
MAX_COPY_BYTES = 64 << 20


class OutputConfig(StageConfig):
    """Where to write a table, and how."""

    data: Any = Field(
        None, description="The table: `${{ results.<stage>.data }}`. Left out, it is the one needed stage's."
    )
    path: str | None = Field(
        None,
        description="A file in the data folder. Left out, the file is only kept with the execution, for download.",
        examples=["reports/daily.csv", "lake/orders"],
    )
    format: FileFormat | None = Field(
        None, description="Found from the ending of `path` when left out; csv without a path."
    )
    partition_by: list[str] = Field(
        [], description="Write a folder with a file for each value of these columns (`region=eu/data_0.parquet`)."
    )
    if_exists: Literal["replace", "fail"] = Field("replace", description="What to do when the file is there.")
    columns: list[str] = Field([], description="The columns to write, in order; all when left out.")
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="CSV: `,`, or a tab for .tsv.")
    header: bool = Field(True, description="CSV, Excel: whether the first line names the columns.")
    null_text: str = Field("", description="CSV: what to write for empty values.")
    compression: Compression | None = Field(None, description="gzip when `path` ends in .gz; Parquet: zstd.")
    sheet: str = Field("Sheet1", min_length=1, max_length=31, description="Excel: the sheet's name.")
    keep_copy: bool = Field(
        True, description="Keep a copy (up to 64 MB) of a file written to `path` with the execution, for download."
    )


class OutputStage(Stage):
    type = "output"
    summary = "Writes a table to a file."
    description = (
        "Writes CSV, JSON, JSON Lines, Parquet or Excel into the data folder. The file appears whole under its name or "
        "not at all: it is written beside it, flushed to disk and renamed; a partitioned output is a folder that is "
        "swapped whole. A crash, a cancel or a full disk leaves the old file as it was."
    )
    Config = OutputConfig
    takes_data = True
    examples = (
        StageExample("A CSV report", {"path": "reports/daily.csv"}),
        StageExample("A file per day", {"path": "reports/${{ inputs.day }}.xlsx", "sheet": "Orders"}),
        StageExample("A partitioned lake", {"path": "lake/orders", "format": "parquet", "partition_by": ["region"]}),
        StageExample("Only for download", {"format": "excel"}),
    )

    def run(self, config: OutputConfig, context: StageContext) -> Succeeded:
        ref = given_table(config.data, context)
        target = confinement(context).output(config.path) if config.path is not None else None
        folders = [target.parent] if target is not None else []
        with open_tables({TABLE: ref}, context, *folders) as tables:
            columns = _chosen(tables.columns(TABLE), config.columns)
            writing = _writing(config)
            check(writing, columns)
            query = f"SELECT {', '.join(name(column.name) for column in columns)} FROM {name(TABLE)}"
            if writing.format in ("json", "jsonl"):
                query = json_query(query, columns)
            if target is None:
                return _keep_only(tables, query, columns, writing, ref, context)
            return _write(tables, query, columns, writing, ref, target, config, context)


def _chosen(columns: tuple[Column, ...], wanted: list[str]) -> tuple[Column, ...]:
    by_name = {column.name.lower(): column for column in columns}
    for column in wanted:
        if column.lower() not in by_name:
            raise StageFailed(
                f"`columns` names '{column}', which the table does not have.",
                code="unknown_column",
                location=Location(column=column),
            )
    return tuple(by_name[column.lower()] for column in wanted) or columns


def _writing(config: OutputConfig) -> Writing:
    format = config.format or (format_of(config.path) if config.path is not None else "csv")
    if format is None:
        endings = ", ".join(endings[0] for endings in ENDINGS.values())
        raise StageFailed(
            f"The ending of '{config.path}' does not tell its format: use {endings}, or set `format`.",
            code="unknown_format",
            location=Location(file=config.path),
        )
    path = (config.path or "").lower()
    return Writing(
        format,
        delimiter=config.delimiter or ("\t" if path.removesuffix(".gz").endswith(".tsv") else ","),
        header=config.header,
        null_text=config.null_text,
        compression=config.compression or ("gzip" if path.endswith(".gz") else None),
        sheet=config.sheet,
        partition_by=tuple(config.partition_by),
    )


def _keep_only(
    tables: Tables, query: str, columns: tuple[Column, ...], writing: Writing, ref: TableRef, context: StageContext
) -> Succeeded:
    if writing.partition_by:
        raise StageFailed("`partition_by` needs a `path`: a folder to write.", code="bad_option")
    called = f"{context.stage_id}{ENDINGS[writing.format][0]}"
    with context.artifact(called, kind="file", media_type=MEDIA_TYPES[writing.format]) as draft:
        rows = draft.rows = write_file(tables.session, query, columns, draft.path, writing)
    result = result_of(ref, path=None, files=[], format=writing.format, artifact_id=draft.id)
    return Succeeded({**result, "rows": rows, "bytes": draft.bytes}, rows=rows, bytes=draft.bytes)


def _write(
    tables: Tables, query: str, columns: tuple[Column, ...], writing: Writing, ref: TableRef, target: Path,
    config: OutputConfig, context: StageContext,
) -> Succeeded:  # fmt: skip
    allowed = confinement(context)
    shown = allowed.shown(target)
    if writing.partition_by:
        refuse_foreign_folder(target, shown, writing.format)
    elif target.is_dir():
        raise StageFailed(
            f"'{shown}' is a folder: give the file a name, or set `partition_by`.", code="file_exists",
            location=Location(file=shown),
        )  # fmt: skip
    with replacing(target, shown, may_exist=config.if_exists == "replace") as unfinished:
        if writing.partition_by:
            rows = write_partitions(tables.session, query, unfinished, writing)
        else:
            rows = write_file(tables.session, query, columns, unfinished, writing)
        if context.cancelled.is_set():
            raise stopped()
    files = sorted(file for file in target.rglob("*") if file.is_file()) if target.is_dir() else [target]
    size = sum(file.stat().st_size for file in files)
    result = result_of(
        ref, path=shown, files=[allowed.shown(file) for file in files[:1_000]], format=writing.format,
        artifact_id=_copy(target, writing, size, rows, config, context),
    )  # fmt: skip
    context.log("info", "The file is written.", path=shown, rows=rows, bytes=size)
    return Succeeded({**result, "rows": rows, "bytes": size}, rows=rows, bytes=size)


def _copy(
    target: Path, writing: Writing, size: int, rows: int, config: OutputConfig, context: StageContext
) -> str | None:
    if not config.keep_copy or target.is_dir() or size > MAX_COPY_BYTES:
        return None
    media_type = "application/gzip" if target.name.endswith(".gz") else MEDIA_TYPES[writing.format]
    with context.artifact(target.name, kind="file", media_type=media_type, rows=rows) as draft:
        shutil.copyfile(target, draft.path)
    return draft.id
