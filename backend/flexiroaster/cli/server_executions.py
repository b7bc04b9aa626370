"""Executions of a server, for the commands that start, name or await them."""

from __future__ import annotations

from typing import Any

import typer

from flexiroaster.cli.client import Client, CommandFailed, segment
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.outcome_text import cause, outputs_text
from flexiroaster.cli.words import duration, plain

FINAL = frozenset({"success", "failed", "cancelled", "timed_out"})
WAIT_SECONDS = 10
"""What one request waits for the end of an execution: less than the client's patience with an answer."""


def execution_id(server: Client, given: str) -> str:
    """The id of an execution: the one given, or the latest of the pipeline that is called so."""
    try:
        return str(server.get(f"/api/executions/{segment(given)}")["id"])
    except CommandFailed as unknown:
        try:
            found = server.get(f"/api/pipelines/{segment(given)}/executions", limit=1)
        except CommandFailed:
            raise unknown from None
        if not found:
            raise CommandFailed(f"Pipeline {given!r} has never run: start it with `flexiroaster execute`.") from None
        return str(found[0]["id"])


def inputs_of(server: Client, pipeline: str, version: int | None) -> dict[str, Any]:
    """The schema of each input of a version, None for the newest; `pipeline` is its address."""
    if version is None:
        return dict(server.get(pipeline)["inputs_schema"].get("properties", {}))
    return dict(server.get(f"{pipeline}/versions/{version}")["definition"].get("inputs", {}))


def has_ended(server: Client, execution: str) -> bool:
    return server.get(f"/api/executions/{segment(execution)}")["status"] in FINAL


def conclude(server: Client, execution: str, answer: dict[str, Any], as_json: bool, *, wait: bool) -> None:
    """Print how it ended, or without `wait`, and only as JSON, the `answer`. Exit status 1 unless it succeeded."""
    ended = _awaited(server, execution) if wait else None
    if as_json:
        print_json(answer if ended is None else ended)
    elif ended is not None:
        _print_end(ended)
    if ended is not None and ended["status"] != "success":
        raise typer.Exit(1)


def _awaited(server: Client, execution: str) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = server.get(f"/api/executions/{segment(execution)}", wait=WAIT_SECONDS)
        if found["status"] in FINAL:
            return found


def _print_end(ended: dict[str, Any]) -> None:
    if ended["error"]:
        typer.echo("\n".join(cause(ended["error"], ended["failed_stage"])))
    if ended["outputs"]:
        typer.echo("\n".join(["outputs", *outputs_text(ended["outputs"])]))
    took = "" if ended["duration_seconds"] is None else f" in {duration(ended['duration_seconds'])}"
    mark = "✓" if ended["status"] == "success" else "✗"
    why = f": {ended['reason']}" if ended["reason"] and not ended["error"] else ""
    typer.echo(f"{mark} {ended['pipeline_id']} #{ended['number']} {plain(ended['status'])}{took}{why}")
