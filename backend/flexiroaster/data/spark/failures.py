"""Spark's errors as sentences, like those of DuckDB."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from flexiroaster.data.failures import disk_full, stopped
from flexiroaster.data.spark.casting import MISFIT
from flexiroaster.engine.errors import Location, StageFailed

_CAST = re.compile(r"The value (.+?) of the type \"(.+?)\" cannot be cast to \"(.+?)\"", re.DOTALL)
_MISFIT = re.compile(re.escape(MISFIT) + r"'(.*?)' to (\S+?)(?=[\s'\"]|$)", re.DOTALL)
_CONDITION = re.compile(r"\[([A-Z_]+(?:\.[A-Z_]+)*)\]\s*(.*)", re.DOTALL)
_CANCELLED = ("OPERATION_CANCELED", "SPARK_JOB_CANCELLED", "cancelled part of", "Job aborted due to cancellation")
_LOST = ("Answer from Java side is empty", "SparkContext was shut down", "stopped SparkContext")
_LOST_KINDS = ("Py4JNetworkError", "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError")


def is_lost(error: Exception) -> bool:
    """Whether the application itself is gone, rather than a query of it."""
    kind, text = type(error).__name__, str(error)
    if kind == "SparkConnectGrpcException":
        return "UNAVAILABLE" in text
    return kind in _LOST_KINDS or any(mark in text for mark in _LOST)


def is_cancelled(error: Exception) -> bool:
    return any(mark in str(error) for mark in _CANCELLED)


def explain(error: Exception) -> StageFailed:
    text = str(error)
    if is_cancelled(error):
        return stopped()
    if found := _MISFIT.search(text):
        return _bad_value(f"could not convert string '{found[1][:200]}' to {found[2].rstrip('.')}", found[1])
    if found := _CAST.search(text):
        value = found[1].strip("'")
        return _bad_value(f"could not convert {found[2].lower()} '{value[:200]}' to {found[3].lower()}", value)
    if "No space left on device" in text:
        return disk_full()
    if "OutOfMemoryError" in text or ("exceeds limit" in text and "memory" in text.lower()):
        return StageFailed(
            "Spark has run out of memory. Give it more (FLEXIROASTER_SPARK_OPTIONS=spark.executor.memory=8g), select "
            "fewer columns before sorting or joining, or aggregate earlier.",
            code="out_of_memory",
        )
    if "FileNotFoundException" in text or "PATH_NOT_FOUND" in text or "FAILED_READ_FILE.FILE_NOT_EXIST" in text:
        return _unseen(text)
    return _unknown(text)


def _bad_value(reason: str, value: str) -> StageFailed:
    return StageFailed(
        f"A value does not fit its type: {reason}. Use try_cast(… as …) to read such values as empty, or a validation "
        "stage to set their rows aside.",
        code="bad_value",
        kind="data",
        location=Location(value=value[:200]),
    )


def _unseen(text: str) -> StageFailed:
    found = re.search(r"file:/*(/[^\s\"']+)", text)
    file = PurePosixPath(found[1]).name if found else "a file"
    return StageFailed(
        f"Spark does not find '{file}': its workers must see the server's data folders, artifacts and scratch folder "
        "under the same paths (mount a shared folder), or run this stage without `engine: spark`.",
        code="file_not_found",
        location=Location(file=file),
    )


def _unknown(text: str) -> StageFailed:
    found = _CONDITION.search(text)
    reason = found[2] if found else text
    sentence = re.split(r"(?<=[.!])\s|\n|SQLSTATE", reason.strip())[0].strip().rstrip(".")
    code = f" ({found[1]})" if found else ""
    return StageFailed(
        f"The query failed in Spark: {sentence[:1].lower()}{sentence[1:500]}{code}.", code="query_failed"
    )
