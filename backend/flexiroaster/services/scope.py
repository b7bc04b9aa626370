"""What an expression can see of an execution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flexiroaster.services.live import Live, Spilled

ReadSpilled = Callable[[str], Any]
"""Artifact id → the JSON value it holds."""


def scope(live: Live, read_spilled: ReadSpilled) -> dict[str, Any]:
    """The namespaces of `${{ }}`."""
    execution = live.state.execution
    return {
        "inputs": live.inputs,
        "vars": {},
        "results": unspilled(live.results, read_spilled),
        "execution": {
            "id": execution.id,
            "number": execution.number,
            "pipeline_id": execution.pipeline_id,
            "version": execution.version,
            "logical_date": live.logical_date,
            "trigger": live.trigger,
            "data": live.data,
        },
        "trigger": {"type": live.trigger},
        "secrets": {},
    }


def unspilled(results: Mapping[str, Any], read_spilled: ReadSpilled) -> dict[str, Any]:
    """A copy with every spilled result read back."""
    return {
        stage: read_spilled(value.artifact_id) if isinstance(value, Spilled) else value
        for stage, value in list(results.items())
    }
