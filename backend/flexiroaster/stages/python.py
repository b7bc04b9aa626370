"""The stage that runs the user's Python in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import ConfigDict, Field, field_validator, model_validator

from flexiroaster.data.table import TableRef, is_table
from flexiroaster.engine.errors import Location, StageError, StageFailed
from flexiroaster.engine.field_types import Duration
from flexiroaster.engine.outcome import Cancelled, Failed, Outcome, Succeeded
from flexiroaster.stages.base import ArtifactDraft, LogLevel, Stage, StageConfig, StageContext, StageExample
from flexiroaster.stages.json_lines import MEDIA_TYPE, columns_of, widened
from flexiroaster.stages.python_log import BoundedLog, LineReader
from flexiroaster.stages.python_process import MARKER, Ending, Handlers, Limits, StageProcess

MAX_RESULT_BYTES = 100_000_000
ENTRYPOINT = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
LEVELS: Mapping[str, LogLevel] = {"debug": "debug", "info": "info", "warning": "warning", "error": "error"}
TABLE_MEDIA_TYPES = {"jsonl": MEDIA_TYPE, "parquet": "application/vnd.apache.parquet"}
_OUT_OF_MEMORY = re.compile(rb"memory allocation of \d+ bytes failed|std::bad_alloc|MemoryError|Cannot allocate memory")


class PythonConfig(StageConfig):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"oneOf": [{"required": ["entrypoint"]}, {"required": ["code"]}]}
    )

    entrypoint: str | None = Field(
        None,
        pattern=ENTRYPOINT,
        description="The function to call, as module:function; the module lies in the project folder or is installed.",
        examples=["stages.enrich:run"],
    )
    code: str | None = Field(
        None, max_length=200_000, description="Python text that defines a function `run`, or sets `result`."
    )
    args: dict[str, Any] = Field(
        default_factory=dict, description="Arguments of the function, by name (for `code`, also names in it)."
    )
    memory_mb: int = Field(
        1024, ge=32, le=1_048_576, description="The most memory all processes of the stage may use together, in MB."
    )
    cpu_seconds: int | None = Field(None, ge=1, description="The most processor time it may use, in seconds.")
    file_mb: int = Field(10_240, ge=1, description="The largest file it may write, in MB.")
    env: dict[str, str] = Field(
        default_factory=dict, description="Environment variables; those of the server are not passed on."
    )
    max_output_mb: float = Field(10, gt=0, le=100, description="The most it may print into the log, in MB.")
    grace: Duration = Field(
        timedelta(seconds=10),
        description="The time between asking it to end (SIGTERM) and killing it.",
        json_schema_extra={"default": "10s"},
    )

    @field_validator("env")
    @classmethod
    def _plain_names(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name == MARKER or "\0" in value:
                raise ValueError(f"{name!r} cannot be set: use names of letters, digits and _.")
        return env

    @model_validator(mode="after")
    def _one_source(self) -> PythonConfig:
        if (self.entrypoint is None) == (self.code is None):
            raise ValueError("Give exactly one of entrypoint and code.")
        return self


class PythonStage(Stage):
    type = "python"
    summary = "Runs a Python function in a process of its own."
    description = (
        "Calls `run(context, **args)` or `run(**args)`, as its signature says, and hands on what it returns, "
        "which must be JSON. `context` has `inputs`, `data`, `upstream` (results of the needed stages by id), "
        "`scratch_dir`, `log(level, message)`, `progress(done, total)`, `table(reference_or_stage_id)` (the path of a "
        "table, to be read with Polars, pandas or DuckDB), `write_table(rows)` (gives a reference to return as "
        "`data`), `keep_file(path)` and `fail(message, retry=False)`.\n\n"
        "The process starts in an empty folder, with a clean environment and without the server's variables. What it "
        "prints becomes log lines. It may not use more memory than `memory_mb`; on cancel and timeout it is asked to "
        "end, then killed after `grace`, with everything it started. An exception fails the stage for good, except "
        "ConnectionError and TimeoutError, which count as `transient` for `retry`.\n\n"
        "An administrator must switch code stages on: `FLEXIROASTER_CODE_STAGES=on`."
    )
    Config = PythonConfig
    runs_code = True
    examples = (
        StageExample(
            "A function of the project",
            {"entrypoint": "stages.enrich:run", "args": {"day": "${{ inputs.day }}"}},
            "`stages/enrich.py` in the project's folder holds `def run(context, day): ...`.",
        ),
        StageExample(
            "A few lines in place",
            {"code": "total = sum(numbers)\nresult = {'total': total}\n", "args": {"numbers": [1, 2, 3]}},
        ),
        StageExample(
            "Make a table",
            {
                "code": "def run(context, n):\n    return {'data': context.write_table({'id': i} for i in range(n))}\n",
                "args": {"n": 1000},
                "memory_mb": 512,
            },
        ),
    )

    def run(self, config: PythonConfig, context: StageContext) -> Outcome:
        if not context.code_stages:
            raise StageFailed(
                "This server runs no code stages: an administrator switches them on with FLEXIROASTER_CODE_STAGES=on.",
                code="code_stages_off",
            )
        return Attempt(config, context).outcome()


class Attempt:
    """One run of a python stage."""

    def __init__(self, config: PythonConfig, context: StageContext) -> None:
        self._config = config
        self._context = context
        self._folders = [str(folder) for folder in context.data_dirs]
        self._log = BoundedLog(context.log, int(config.max_output_mb * 1e6))
        self._stdout, self._stderr = LineReader(self._log), LineReader(self._log)
        self._names: Counter[str] = Counter()
        self._out_of_memory = False

    def outcome(self) -> Outcome:
        process = StageProcess(
            env=self._environment(),
            folder=self._context.scratch_dir,
            limits=Limits(
                memory_bytes=self._config.memory_mb << 20,
                cpu_seconds=self._config.cpu_seconds,
                file_bytes=self._config.file_mb << 20,
            ),
            grace_seconds=self._config.grace.total_seconds(),
            max_frame_bytes=MAX_RESULT_BYTES + 1000,
            handlers=Handlers(self._stdout.feed, self._hear_stderr, self._hear_frame, self._save),
        )
        with self._context.on_cancel(process.cancel):
            ending = process.run(self._job(), self._remaining_seconds())
        self._stdout.close()
        self._stderr.close()
        self._log.close()
        return self._judged(ending)

    def _environment(self) -> dict[str, str]:
        home = str(self._context.scratch_dir)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home,
            "TMPDIR": home,
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(self._folders),
            **self._config.env,
        }

    def _job(self) -> bytes:
        context = self._context
        job = {
            "stage": context.stage_id,
            "entrypoint": self._config.entrypoint,
            "code": self._config.code,
            "file": f"<code of stage {context.stage_id}>",
            "args": self._config.args,
            "folders": self._folders,
            "max_result_bytes": MAX_RESULT_BYTES,
            "context": {
                "execution_id": context.execution_id,
                "pipeline_id": context.pipeline_id,
                "stage_id": context.stage_id,
                "index": context.index,
                "attempt": context.attempt,
                "idempotency_key": context.idempotency_key,
                "inputs": dict(context.inputs),
                "data": context.data,
                "upstream": dict(context.upstream),
                "data_dirs": self._folders,
                "scratch_dir": str(context.scratch_dir),
            },
        }
        return orjson.dumps(job, default=str)

    def _remaining_seconds(self) -> float | None:
        deadline = self._context.deadline
        return None if deadline is None else max(0.0, (deadline - self._context.now).total_seconds())

    def _hear_stderr(self, chunk: bytes) -> None:
        self._out_of_memory = self._out_of_memory or _OUT_OF_MEMORY.search(chunk) is not None
        self._stderr.feed(chunk)

    def _hear_frame(self, frame: Mapping[str, Any]) -> None:
        if frame["op"] == "progress":
            self._context.progress(frame["done"], frame["total"], str(frame["unit"]))
        elif frame["op"] == "log":
            for line in frame["message"].splitlines() or [""]:
                self._log.line(LEVELS[frame["level"]], line.encode())

    def _save(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        """Take a file of the scratch folder over as an artifact; the answer goes to the waiting code."""
        try:
            path = within(self._context.scratch_dir, Path(frame["path"]))
            return {"value": self._table(path, frame) if frame["kind"] == "table" else self._file(path, frame)}
        except (StageFailed, OSError) as error:
            return {"error": str(error)}

    def _table(self, path: Path, frame: Mapping[str, Any]) -> dict[str, Any]:
        columns = columns_of(types_of(frame["samples"])) if "samples" in frame else ()
        schema = [column.model_dump() for column in columns] or None
        with self._context.artifact(
            self._name(frame),
            kind="table",
            media_type=TABLE_MEDIA_TYPES[frame["format"]],
            rows=frame["rows"],
            schema=schema,
        ) as draft:
            move(path, draft)
        return TableRef(
            table=draft.uri,
            format=frame["format"],
            columns=columns,
            rows=frame["rows"],
            bytes=draft.bytes,
            artifact_id=draft.id,
        ).to_json()

    def _file(self, path: Path, frame: Mapping[str, Any]) -> dict[str, Any]:
        media_type = frame["media_type"]
        with self._context.artifact(self._name(frame), kind="file", media_type=media_type) as draft:
            move(path, draft)
        return {"artifact_id": draft.id, "uri": draft.uri, "bytes": draft.bytes, "media_type": media_type}

    def _name(self, frame: Mapping[str, Any]) -> str:
        """A safe name for an artifact, and another one when the code uses it again."""
        stem, dot, suffix = file_name(str(frame["name"])).partition(".")
        self._names[stem + dot + suffix] += 1
        count = self._names[stem + dot + suffix]
        return f"{stem}{dot}{suffix}" if count == 1 else f"{stem}-{count}{dot}{suffix}"

    def _judged(self, ending: Ending) -> Outcome:
        final = ending.final
        if ending.stopped == "cancelled":
            return Cancelled("cancelled (killed)" if ending.killed == "grace" else "cancelled")
        if ending.stopped or final is None:
            return Failed(self._without_result(ending))
        if final["op"] == "result":
            return succeeded(final["value"])
        return Failed(self._memory() if final.get("memory") else reported(final))

    def _without_result(self, ending: Ending) -> StageError:
        """Why a process ended that gave neither a result nor an error in time."""
        match ending.stopped:
            case "timeout":
                how = " and was killed" if ending.killed == "grace" else ""
                return StageError(f"The stage did not end within its timeout{how}.", "timeout", "timeout")
            case "too large":
                size = f"{MAX_RESULT_BYTES / 1e6:g} MB"
                return StageError(
                    f"The result is too large (at most {size}): return a table or a file.", "python_result"
                )
            case "protocol":
                return StageError("The code wrote into the connection that only context may use.", "python_exit")
        if ending.killed == "memory" or self._out_of_memory:
            return self._memory()
        return exited(ending.status, self._config)

    def _memory(self) -> StageError:
        return StageError(
            f"stage killed: memory limit {self._config.memory_mb} MB",
            "memory_limit",
            suggestion="Raise memory_mb, or work through the data in parts.",
        )


def succeeded(result: Any) -> Succeeded:
    table = result.get("data") if isinstance(result, dict) else None
    if isinstance(table, dict) and is_table(table):
        return Succeeded(result, rows=table.get("rows"), bytes=table.get("bytes"))
    return Succeeded(result)


def reported(final: Mapping[str, Any]) -> StageError:
    """The error that the code's process told."""
    known: Mapping[str, Literal["transient", "permanent"]] = {"transient": "transient"}
    location = Location(file=final["file"], line=final.get("line")) if final.get("file") else None
    return StageError(
        str(final["message"]),
        str(final["code"]),
        known.get(str(final["kind"]), "permanent"),
        location=location,
        traceback=final.get("traceback"),
        retry_after_seconds=final.get("retry_after_seconds"),
    )


def exited(status: int | None, config: PythonConfig) -> StageError:
    if status is None:
        return StageError("The stage's process was lost: its supervisor was killed.", "python_exit")
    if not os.WIFSIGNALED(status):
        code = os.waitstatus_to_exitcode(status)
        return StageError(f"The stage's process ended with status {code} before it gave a result.", "python_exit")
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        return StageError(f"stage killed: it used up its {config.cpu_seconds} s of processor time", "cpu_limit")
    name = signal.Signals(number).name if number in set(signal.Signals) else "unknown"
    hint = ": the system may have been out of memory" if number == signal.SIGKILL else ""
    return StageError(f"The stage's process was ended by signal {number} ({name}){hint}.", "python_exit")


def types_of(samples: Mapping[str, list[Any]]) -> dict[str, str | None]:
    """The types of columns from one value of each type seen in them."""
    return {column: reduce(widened, values, None) for column, values in samples.items()}


def file_name(text: str) -> str:
    """The last part of a path, with nothing in it that a file system or a URL reads differently."""
    name = "".join(char if char.isalnum() or char in "._-" else "_" for char in text.rpartition("/")[2])
    return name.lstrip(".")[-100:] or "file"


def within(folder: Path, path: Path) -> Path:
    """`path` if it is an ordinary file inside `folder`, links resolved."""
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise StageFailed(f"{path.name} is not in the stage's scratch_dir: write it there to keep it.")
    if not stat.S_ISREG(real.stat().st_mode):
        raise StageFailed(f"{path.name} is not an ordinary file.")
    return real


def move(path: Path, draft: ArtifactDraft) -> None:
    try:
        path.replace(draft.path)
    except OSError:  # another file system
        import shutil

        shutil.move(path, draft.path)
