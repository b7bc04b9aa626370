"""The stage that runs the user's Python in a process of its own."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from flexiroaster.data.table import is_table
from flexiroaster.engine.errors import Location, StageError
from flexiroaster.engine.outcome import Failed, Outcome, Succeeded
from flexiroaster.stages.base import LogLevel, Stage, StageContext, StageExample
from flexiroaster.stages.process.attempt import CodeAttempt, signal_name
from flexiroaster.stages.process.config import ProcessConfig
from flexiroaster.stages.process.keep import Keeper
from flexiroaster.stages.process.output import LineReader
from flexiroaster.stages.process.run import Ending, Handlers

ENTRYPOINT = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
LEVELS: Mapping[str, LogLevel] = {"debug": "debug", "info": "info", "warning": "warning", "error": "error"}
_OUT_OF_MEMORY = re.compile(rb"memory allocation of \d+ bytes failed|std::bad_alloc|MemoryError|Cannot allocate memory")


class PythonConfig(ProcessConfig):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"oneOf": [{"required": ["entrypoint"]}, {"required": ["code"]}]}
    )

    entrypoint: str | None = Field(
        None,
        pattern=ENTRYPOINT,
        description="The function to call, as module:function; the module lies in a code folder or is installed.",
        examples=["stages.enrich:run"],
    )
    code: str | None = Field(
        None,
        max_length=200_000,
        description="Python text that defines a function `run`, or sets `result`.",
        json_schema_extra={
            "x-literal": "it would be run as part of the code. Hand it over in `args`, as `day: ${{ … }}`: `day` is a "
            "name in the code then"
        },
    )
    args: dict[str, Any] = Field(
        default_factory=dict, description="Arguments of the function, by name (for `code`, also names in it)."
    )
    interpreter: str | None = Field(
        None,
        pattern=r"^/[^\x00]+$",
        description="The Python to run it with, for example that of a virtual environment; starting it takes longer.",
        examples=["/srv/envs/forecast/bin/python"],
    )

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
        "The process is a new one for each attempt and starts in an empty folder, with a clean environment. What it "
        "prints becomes log lines. Its limits hold for everything it starts; on cancel and timeout it is asked to end, "
        "then killed after `grace`, with all of that. An exception fails the stage for good, except ConnectionError "
        "and TimeoutError, which count as `transient` for `retry`.\n\n"
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
        return PythonAttempt(config, context).outcome()


class PythonAttempt(CodeAttempt):
    """One run of a python stage."""

    def __init__(self, config: PythonConfig, context: StageContext) -> None:
        super().__init__(config, context)
        self._python = config
        self._folders = [str(folder) for folder in context.code_dirs]
        self._out_of_memory = False

    def outcome(self) -> Outcome:
        stdout, self._stderr = LineReader(self.log), LineReader(self.log)
        handlers = Handlers(stdout.feed, self._hear_stderr, self._hear_frame, Keeper(self._context).answer)
        ending = self.run(self._job, handlers, env={"PYTHONPATH": os.pathsep.join(self._folders)})
        stdout.close()
        self._stderr.close()
        self.log.close()
        return self.cut_short(ending) or self._judged(ending)

    def _job(self) -> dict[str, Any]:
        context, config = self._context, self._python
        return {
            "stage": context.stage_id,
            "interpreter": config.interpreter,
            "entrypoint": config.entrypoint,
            "code": config.code,
            "file": f"<code of stage {context.stage_id}>",
            "args": config.args,
            "folders": self._folders,
            "max_result_bytes": config.result_bytes,
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
                "data_dirs": [str(folder) for folder in context.data_dirs],
                "scratch_dir": str(context.scratch_dir),
            },
        }

    def _hear_stderr(self, chunk: bytes) -> None:
        self._out_of_memory = self._out_of_memory or _OUT_OF_MEMORY.search(chunk) is not None
        self._stderr.feed(chunk)

    def _hear_frame(self, frame: Mapping[str, Any]) -> None:
        if frame["op"] == "progress":
            self._context.progress(frame["done"], frame["total"], str(frame["unit"]))
        elif frame["op"] == "log":
            for line in frame["message"].splitlines() or [""]:
                self.log.line(LEVELS[frame["level"]], line.encode())

    def _judged(self, ending: Ending) -> Outcome:
        final = ending.final
        if final is not None and final["op"] == "result":
            return succeeded(final["value"])
        if final is not None and "limit" not in final:
            return Failed(reported(final))
        if final is not None:
            breach = self._python.breach(str(final["limit"]))
            return Failed(replace(breach, location=location(final), traceback=final.get("traceback")))
        return Failed(self._python.breach("memory") if self._out_of_memory else exited(ending.status))


def succeeded(result: Any) -> Succeeded:
    table = result.get("data") if isinstance(result, dict) else None
    if isinstance(table, dict) and is_table(table):
        return Succeeded(result, rows=table.get("rows"), bytes=table.get("bytes"))
    return Succeeded(result)


def reported(final: Mapping[str, Any]) -> StageError:
    """The error that the code's process told."""
    known: Mapping[str, Literal["transient", "permanent"]] = {"transient": "transient"}
    return StageError(
        str(final["message"]),
        str(final["code"]),
        known.get(str(final["kind"]), "permanent"),
        location=location(final),
        traceback=final.get("traceback"),
        retry_after_seconds=final.get("retry_after_seconds"),
    )


def location(final: Mapping[str, Any]) -> Location | None:
    return Location(file=final["file"], line=final.get("line")) if final.get("file") else None


def exited(status: int | None) -> StageError:
    assert status is not None
    if not os.WIFSIGNALED(status):
        code = os.waitstatus_to_exitcode(status)
        return StageError(f"The stage's process ended with status {code} before it gave a result.", "process_ended")
    number = os.WTERMSIG(status)
    hint = ": the system may have been out of memory" if number == signal.SIGKILL else ""
    return StageError(
        f"The stage's process was ended by signal {number} ({signal_name(number)}){hint}.", "process_ended"
    )
