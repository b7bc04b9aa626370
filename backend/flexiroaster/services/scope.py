"""What an expression can see of an execution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flexiroaster.engine.errors import StageError
from flexiroaster.engine.runs import Execution, Key
from flexiroaster.engine.state import ExecutionStatus, Phase
from flexiroaster.services.live import Live, Spilled

SCHEDULE = "schedule"
"""What starts an execution whose `actor` is a trigger of the definition."""
ReadSpilled = Callable[[str], Any]
"""Artifact id → the JSON value it holds."""


def item_scope(live: Live, read_spilled: ReadSpilled, key: Key, item: Any) -> dict[str, Any]:
    """The namespaces of `${{ }}` for a stage run: one for an item sees it too."""
    visible = scope(live, read_spilled)
    return visible | live.version.iterations[key.position].names(item, key.index) if key.index else visible


def scope(live: Live, read_spilled: ReadSpilled) -> dict[str, Any]:
    """The namespaces of `${{ }}`."""
    execution = live.state.execution
    return {
        "inputs": live.inputs,
        "vars": {},
        "results": Results(live.results, read_spilled),
        "execution": {
            "id": execution.id,
            "number": execution.number,
            "pipeline_id": execution.pipeline_id,
            "version": execution.version,
            "logical_date": live.logical_date,
            "trigger": live.trigger,
            "data": live.data,
            "status": _status(execution).value,
            "failed_stage": execution.failed_stage or "",
            "error": _error(execution.error),
        },
        "trigger": trigger_names(live.trigger, live.actor),
        "secrets": {},
    }


def trigger_names(trigger: str, actor: str | None) -> dict[str, str]:
    """`id` is that of the definition's trigger, empty for who started it otherwise."""
    return {"type": trigger, "id": actor or "" if trigger == SCHEDULE else ""}


def _status(execution: Execution) -> ExecutionStatus:
    """For its handlers, what it will end as."""
    return execution.status if execution.phase is Phase.MAIN else execution.stopping_as or execution.status


_NO_ERROR = {"summary": "", "message": "", "code": "", "kind": "", "suggestion": ""}
_SUMMARY = 300
"""Characters of an error's first line in `execution.error.summary`: it goes into messages to people."""


def _error(error: StageError | None) -> dict[str, str]:
    """What failed, as texts that are empty while nothing has: a handler that always runs can name them."""
    if error is None:
        return _NO_ERROR
    return {
        "summary": error.message.partition("\n")[0][:_SUMMARY],
        "message": error.message,
        "code": error.code,
        "kind": error.kind,
        "suggestion": error.suggestion or "",
    }


class Results(Mapping[str, Any]):
    """The results by stage id. A spilled one is read when it is asked for, once: most expressions want few or none."""

    def __init__(self, results: Mapping[str, Any], read_spilled: ReadSpilled) -> None:
        self._results = results
        self._read_spilled = read_spilled
        self._read: dict[str, Any] = {}

    def __getitem__(self, stage: str) -> Any:
        value = self._results[stage]
        if not isinstance(value, Spilled):
            return value
        if value.value is not None:
            return value.value
        if stage not in self._read:
            read = value.read
            self._read[stage] = self._read_spilled(value.artifact_id) if read is None else read()
        return self._read[stage]

    def __contains__(self, stage: object) -> bool:
        return stage in self._results

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._results))  # other stages of the execution end meanwhile

    def __len__(self) -> int:
        return len(self._results)
