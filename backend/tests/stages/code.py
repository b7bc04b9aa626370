"""What tests of code stages share: running a stage on a context, and looking at processes from outside."""

from __future__ import annotations

import os
import select
import sys
import time
from textwrap import dedent
from typing import Any

import pytest

from flexiroaster.engine.errors import StageError
from flexiroaster.engine.outcome import Failed, Outcome, Succeeded
from flexiroaster.stages.process import run as process_run
from flexiroaster.stages.python import PythonConfig, PythonStage
from flexiroaster.stages.shell import ShellConfig, ShellStage
from tests.stages.context import FakeContext, Line

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and prctl")
PATIENCE_MS = 20_000


def run(context: FakeContext, code: str | None = None, **config: Any) -> Outcome:
    if code is not None:
        config["code"] = dedent(code)
    return PythonStage().run(PythonConfig.model_validate(config), context)


def shell(context: FakeContext, command: str | list[Any], **config: Any) -> Outcome:
    if isinstance(command, str):
        command = dedent(command)
    return ShellStage().run(ShellConfig.model_validate({"command": command, **config}), context)


def result_of(outcome: Outcome) -> Any:
    assert isinstance(outcome, Succeeded), outcome
    return outcome.result


def error_of(outcome: Outcome) -> StageError:
    assert isinstance(outcome, Failed), outcome
    return outcome.error


def cancel_on(context: FakeContext, message: str) -> None:
    def look(line: Line) -> None:
        if line.message == message:
            context.cancel()

    context.on_line = look


class Clock:
    """The seconds that pass for the supervised process: those that really pass, and what a test adds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._added = 0.0
        monkeypatch.setattr(process_run, "time", self)

    def monotonic(self) -> float:
        return time.monotonic() + self._added

    def advance(self, seconds: float) -> None:
        self._added += seconds


def has_ended(pid: int, within_ms: int = 0) -> bool:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(within_ms))
    finally:
        os.close(pidfd)
