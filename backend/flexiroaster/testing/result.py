"""How an execution in a test went, or where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flexiroaster.local import StageResult


@dataclass(frozen=True, slots=True)
class Result:
    """`status` is a final state, or `paused` where it waits for somebody; `at` names the stages it waits at, or those
    that failed.

    `stages` are by id, `waited` is the time that passed in it, none of which was waited for.
    """

    status: str
    at: list[str]
    stages: Mapping[str, StageResult]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    failed_stage: str | None
    error: Mapping[str, Any] | None
    reason: str | None
    waited: timedelta
    logs: list[str]

    @property
    def ok(self) -> bool:
        return self.status == "success"

    @property
    def results(self) -> dict[str, Any]:
        """By stage id, of the stages that have one."""
        return {id: stage.result for id, stage in self.stages.items() if stage.result is not None}

    @property
    def cause(self) -> str | None:
        """What went wrong, in a sentence."""
        if self.error is None:
            return self.reason if self.status not in ("success", "paused") else None
        message = str(self.error.get("message", ""))
        return f"{self.failed_stage}: {message}" if self.failed_stage else message
