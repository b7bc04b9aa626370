"""One attempt of a code stage: what python and shell have in common."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from flexiroaster.engine.errors import StageError, StageFailed
from flexiroaster.engine.outcome import Cancelled, Failed
from flexiroaster.stages.base import StageContext
from flexiroaster.stages.process.config import ProcessConfig
from flexiroaster.stages.process.isolation import confinement
from flexiroaster.stages.process.orphans import new_marker
from flexiroaster.stages.process.output import BoundedLog
from flexiroaster.stages.process.run import LATE_SECONDS, Ending, Handlers, StageProcess

FRAME_ROOM = 1000
"""Bytes of a frame around its result."""


class CodeAttempt:
    """`log` takes what the code prints; `run` closes it."""

    def __init__(self, config: ProcessConfig, context: StageContext) -> None:
        if not context.code_stages:
            raise StageFailed(
                "This server runs no code stages: an administrator switches them on with FLEXIROASTER_CODE_STAGES=on.",
                code="code_stages_off",
            )
        self._config = config
        self._context = context
        self.log = BoundedLog(context.log, config.log_bytes)
        late = timedelta(seconds=2 * LATE_SECONDS)
        context.stop_within = max(context.stop_within, config.grace + late)

    def run(
        self,
        job: Callable[[], Mapping[str, Any]],
        handlers: Handlers,
        *,
        env: Mapping[str, str],
        folder: str | None = None,
        stdin: int | None = None,
    ) -> Ending:
        """Run a job to its end. `env` yields to that of the config; `folder` is by default the scratch folder.

        The job is asked for while a process is woken for it.
        """
        context, config = self._context, self._config
        confine = confinement(context)
        process = StageProcess(
            marker=new_marker(context.scratch_root),
            confine=confine,
            limits=config.limits,
            grace_seconds=config.grace.total_seconds(),
            max_frame_bytes=config.result_bytes + FRAME_ROOM,
            handlers=handlers,
        )

        def body() -> bytes:
            scratch = str(context.scratch_dir)
            preparation = {
                "env": {**env, **config.environment(scratch)},
                "folder": folder or scratch,
                "limits": config.limits.of_each(),
                "confine": confine,
                "writable": [os.path.realpath(scratch)],
            }
            return orjson.dumps({"process": preparation, **job()}, default=str)

        with context.on_cancel(process.cancel), Path(os.devnull).open("rb") as nothing:
            ending = process.run(body, nothing.fileno() if stdin is None else stdin, self._remaining_seconds())
        if ending.killed == "grace":
            grace = config.grace.total_seconds()
            context.log("warning", f"It did not end within its grace of {grace:g} s and was killed.")
        return ending

    def _remaining_seconds(self) -> float | None:
        deadline = self._context.deadline
        return None if deadline is None else max(0.0, (deadline - self._context.now).total_seconds())

    def cut_short(self, ending: Ending) -> Cancelled | Failed | None:
        """The outcome of code that was not let to its end, None when it was."""
        match ending.stopped:
            case "cancelled":
                return Cancelled(killed=ending.killed == "grace")
            case "timeout":
                how = " and was killed" if ending.killed == "grace" else ""
                return Failed(StageError(f"The stage did not end within its timeout{how}.", "timeout", "timeout"))
            case "output":
                return Failed(self._config.breach("output"))
            case "too large":
                return Failed(
                    StageError(
                        f"The result is too large (at most {self._config.max_result_mb:g} MB).",
                        "result_too_large",
                        suggestion="Return a table or a file, or raise max_result_mb.",
                    )
                )
            case "protocol":
                return Failed(
                    StageError("The code wrote into the connection that only context may use.", "process_ended")
                )
        if ending.final is None and (limit := broken_limit(ending)) is not None:
            return Failed(self._config.breach(limit))
        if ending.final is None and ending.status is None:
            gone = "The stage's process was lost: its supervisor was killed."
            return Failed(StageError(gone, "process_ended", "lost"))  # by the kernel, where memory ran out: try again
        return None


def broken_limit(ending: Ending) -> str | None:
    """The limit that a process was killed for, by its supervisor or by the kernel."""
    if ending.killed in {"memory", "cpu", "processes"}:
        return ending.killed
    if ending.status is not None and os.WIFSIGNALED(ending.status):
        return {signal.SIGXCPU: "cpu", signal.SIGXFSZ: "file"}.get(signal.Signals(os.WTERMSIG(ending.status)))
    return None


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else "unknown"
