"""The Spark that runs queries: one application of this process, started when a stage first asks for it.

`local[*]` and `spark://host:port` start a Java process here that drives it; `sc://host:port` (Spark Connect) needs
none.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import socket
import threading
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flexiroaster.data import limits as machine
from flexiroaster.data.clusters import configured
from flexiroaster.engine.errors import StageFailed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EXTRA = "pip install 'flexiroaster[spark]'"
_LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.legacy.createHiveTableByDefault": "false",
    "spark.sql.catalogImplementation": "in-memory",
}
MEANING = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.legacy.sizeOfNull": "false",
    "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
    "spark.sql.groupByOrdinal": "true",
}
"""What the cluster's own settings must not change: what queries mean, and how files are read and written."""
_ANSWER_SECONDS = 5


_session: SparkSession | None = None
_lock = threading.Lock()


def session() -> SparkSession:
    """A session of its own on this process's application, with the settings that queries rely on."""
    try:
        with _lock:
            own = _opened().newSession()
        asked = {key: value for key, value in configured().options.items() if key.startswith("spark.sql.")}
        for key, value in {**asked, **MEANING}.items():
            own.conf.set(key, value)
    except StageFailed:
        raise
    except Exception as error:
        raise lost(error) from error
    return own


class Jobs:
    """What a thread starts is marked, and whatever is marked so is interrupted, from any thread.

    Without Spark Connect that is asked of the context: the tags of a session belong to a thread, and when another one
    interrupts them nothing is interrupted.
    """

    def __init__(self, session: SparkSession) -> None:
        self._session = session
        self._context = None if (configured().url or "").startswith("sc://") else session.sparkContext

    def mark(self, tag: str) -> None:
        if self._context is None:
            self._session.addTag(tag)
            return
        self._context.addJobTag(tag)
        self._context.setInterruptOnCancel(True)

    def unmark(self, tag: str) -> None:
        if self._context is None:
            self._session.removeTag(tag)
        else:
            self._context.removeJobTag(tag)

    def interrupt(self, tag: str) -> None:
        if self._context is None:
            self._session.interruptTag(tag)
        else:
            self._context.cancelJobsWithTag(tag)


def lost(error: Exception) -> StageFailed:
    """The application has ended, or cannot be reached: the next attempt starts another one."""
    with _lock:
        _forget()
    return StageFailed(
        f"Spark at {configured().url} no longer answers ({_first_line(error)}). The next attempt starts it anew.",
        code="spark_lost",
        kind="transient",
    )


def _forget() -> None:
    global _session
    ended, _session = _session, None
    if ended is None:
        return
    with contextlib.suppress(Exception):
        ended.stop()
    from pyspark import SparkContext

    # A Java process that was killed would otherwise be talked to for ever.
    SparkContext._active_spark_context = None
    SparkContext._gateway = None
    SparkContext._jvm = None


def close() -> None:
    """Stop the application, if one runs."""
    global _session
    with _lock:
        if _session is not None:
            _session.stop()
            _session = None


def _opened() -> SparkSession:
    global _session
    url = configured().url
    if url is None:
        raise StageFailed(
            "`engine: spark` needs a Spark cluster, and none is configured: set FLEXIROASTER_SPARK_URL to one "
            "(spark://host:7077, sc://host:15002, or local[*] for this machine), or leave `engine` out.",
            code="no_spark",
        )
    if _session is None:
        _require_library()
        if not url.startswith("sc://"):
            _require_java()
        _require_answer(url)
        _session = _started(url)
    return _session


def _require_library() -> None:
    try:
        import pyspark  # noqa: F401
    except ImportError as error:
        raise StageFailed(
            f"`engine: spark` needs the library pyspark on this server: {EXTRA}, or leave `engine` out.",
            code="no_spark",
        ) from error


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if (home and (Path(home) / "bin" / "java").is_file()) or shutil.which("java"):
        return
    raise StageFailed(
        "`engine: spark` needs Java 17 or later on this server, and there is no `java`: install it (on Debian: apt-get "
        "install openjdk-17-jre-headless), set JAVA_HOME, or use a Spark Connect server (sc://host:15002), which needs "
        "no Java here.",
        code="no_spark",
    )


def _require_answer(url: str) -> None:
    """Spark itself would try for minutes."""
    parts = urlsplit(re.split("[,;]", url)[0])
    if parts.scheme not in ("spark", "sc") or parts.hostname is None:
        return
    try:
        socket.create_connection((parts.hostname, parts.port or 15002), timeout=_ANSWER_SECONDS).close()
    except OSError as error:
        raise StageFailed(
            f"No Spark cluster answers at {url} ({error.strerror or error}): start it, or correct "
            "FLEXIROASTER_SPARK_URL.",
            code="no_spark",
            kind="transient",
        ) from error


def _started(url: str) -> SparkSession:
    from pyspark.sql import SparkSession

    for chatty in ("py4j", "SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    builder = SparkSession.builder.appName("FlexiRoaster")
    settings = {**_LOCAL, **MEANING}
    if url.startswith("sc://"):
        builder = builder.remote(url)
        settings = {}
    else:
        builder = builder.master(url)
        log = resources.files("flexiroaster.data.spark") / "log4j2.properties"
        settings["spark.driver.extraJavaOptions"] = f"-Dlog4j2.configurationFile={log} -XX:+UseSerialGC"
    if url.startswith("local"):
        settings |= {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": f"{max(machine.current().memory_bytes >> 20, 1024)}m",
        }
    for key, value in {**settings, **configured().options}.items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except Exception as error:
        raise StageFailed(
            f"Spark could not be started at {url} ({_first_line(error)}). Check FLEXIROASTER_SPARK_URL, "
            "FLEXIROASTER_SPARK_OPTIONS and that Java is version 17 or later.",
            code="no_spark",
            kind="transient",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")
