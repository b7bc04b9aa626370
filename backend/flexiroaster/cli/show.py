"""`show`: one execution with its stages, what each waits for, and the items of a foreach stage."""

from __future__ import annotations

from itertools import chain, islice
from typing import Annotated, Any

import typer

from flexiroaster.cli.client import connected, segment
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption
from flexiroaster.cli.server_executions import execution_id
from flexiroaster.cli.words import plain
from flexiroaster.engine.plurals import counted


def show(
    execution: Annotated[
        str, typer.Argument(metavar="EXECUTION", help="The execution's id, or that of a pipeline for its latest.")
    ],
    items: Annotated[
        str | None, typer.Option("--items", metavar="STAGE", help="The items of this foreach stage instead.")
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", "-s", metavar="STATE", help="Only stages, or items, in this state; repeat it."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many stages or items.")] = 200,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Show an execution: its state and cause, and what every stage did or waits for."""
    with connected(folder) as server:
        path = f"/api/executions/{segment(execution_id(server, execution))}"
        found = server.get(path)
        part = f"{path}/stages" if items is None else f"{path}/stages/{segment(items)}/items"
        pages = server.pages(part, **({"status": status} if status else {}))
        rows = list(islice(chain.from_iterable(pages), limit))
    if as_json:
        print_json({**found, "stages": rows} if items is None else rows)
    elif items is None:
        _print_execution(found, rows, everything=not status)
    else:
        _print_items(found, items, rows, everything=not status)


def _print_execution(found: dict[str, Any], rows: list[dict[str, Any]], *, everything: bool) -> None:
    from flexiroaster.cli.outcome_text import cause

    typer.echo("\n".join([_headline(found), *_facts(found)]))
    _print_stages(rows)
    if everything and len(rows) < found["stages_total"]:
        typer.echo(f"and {counted(found['stages_total'] - len(rows), 'more stage')}: see --limit")
    if found["error"]:
        typer.echo("\n".join(cause(found["error"], found["failed_stage"])))
    if found["retry"]:
        typer.echo(f"A retry: {found['retry']['message']} (flexiroaster retry {found['id']})")


def _headline(found: dict[str, Any]) -> str:
    from flexiroaster.cli.words import duration

    seconds = found["duration_seconds"]
    took = "" if seconds is None else f" in {duration(seconds)}" if found["ended_at"] else f" for {duration(seconds)}"
    return f"{found['pipeline_id']} #{found['number']}: {plain(found['status'])}{took}"


def _facts(found: dict[str, Any]) -> list[str]:
    from flexiroaster.cli.words import moment

    by = f" by {found['actor']}" if found["actor"] else ""
    lines = [f"  {found['id']}, version {found['version']}, {found['trigger']}{by}, {moment(found['created_at'])}"]
    if found["reason"]:
        lines.append(f"  {found['reason']}")
    if found["rerun_of"]:
        start = f" from {found['from_stage']}" if found["from_stage"] else ""
        lines.append(f"  runs {found['rerun_of']} again{start}")
    if found["deadline_at"]:
        lines.append(f"  deadline {moment(found['deadline_at'])}{', missed' if found['late'] else ''}")
    return lines


def _print_stages(rows: list[dict[str, Any]]) -> None:
    from flexiroaster.cli.table import print_table

    headings = ("stage", "type", "state", "attempt", "took", "rows", "why")
    shown = [
        (
            row["stage"],
            row["type"],
            _state(row),
            str(row["attempt"] or ""),
            _took(row),
            "" if row["rows"] is None else f"{row['rows']:,}",
            _why(row),
        )
        for row in rows
    ]
    print_table(headings, shown, nothing="No stage is in this state.")


def _print_items(found: dict[str, Any], stage: str, rows: list[dict[str, Any]], *, everything: bool) -> None:
    from flexiroaster.cli.table import print_table
    from flexiroaster.cli.words import cell

    for run in found["stages"]:
        if run["stage"] == stage and run["items"]:
            typer.echo(f"{stage}: {_counts(run['items'])}")
    headings = ("item", "of", "state", "attempt", "took", "why")
    shown = [
        (
            str(row["index"]),
            cell(row["item"]),
            plain(row["status"]),
            str(row["attempt"] or ""),
            _took(row),
            _why(row),
        )
        for row in rows
    ]
    nothing = f"Stage '{stage}' has no items." if everything else "No item is in this state."
    print_table(headings, shown, nothing=nothing)


def _state(row: dict[str, Any]) -> str:
    if row["cached_from"]:
        return "cached"
    return "reused" if row["reused_from"] else plain(row["status"])


def _why(row: dict[str, Any]) -> str:
    """What went wrong, what it waits for; else how many of its items are how."""
    if row["error"]:
        return str(row["error"]["message"])
    parts = ("late" if row.get("late") else "", row["reason"], _counts(row["items"]) if row.get("items") else "")
    return ", ".join(part for part in parts if part)


def _counts(items: dict[str, Any]) -> str:
    states = ", ".join(f"{count:,} {plain(state)}" for state, count in items["states"].items() if count)
    return f"{counted(items['count'], 'item')}: {states}" if states else counted(items["count"], "item")


def _took(row: dict[str, Any]) -> str:
    from flexiroaster.cli.words import duration

    return "" if row["duration_seconds"] is None else duration(row["duration_seconds"])
