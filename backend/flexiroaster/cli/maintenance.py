"""`flexiroaster maintenance`: times in which what happens is no insight."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from flexiroaster.cli.client import connected, segment
from flexiroaster.cli.help_text import WholeSentences
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption

app = typer.Typer(
    cls=WholeSentences,
    help="Times of maintenance: what happens then is no insight.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """List the times of maintenance, the latest first."""
    from flexiroaster.cli.table import print_table
    from flexiroaster.cli.words import moment

    with connected(folder) as server:
        found = server.get("/api/ai/maintenance")
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["id"],
            one["pipeline_id"] or "all",
            moment(one["begins_at"]),
            moment(one["ends_at"]),
            one["by"] or "",
            one["reason"],
        )
        for one in found
    ]
    headings = ("maintenance", "pipeline", "begins", "ends", "by", "reason")
    print_table(headings, rows, nothing="No maintenance is planned.")


@app.command("plan")
def plan(
    begin: Annotated[datetime, typer.Argument(metavar="BEGIN", help="As 2026-03-07T22:00:00, in local time.")],
    end: Annotated[datetime, typer.Argument(metavar="END", help="As 2026-03-08T02:00:00, in local time.")],
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", "-p", metavar="PIPELINE", help="Only of this pipeline, not of all.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; it is kept with it.")] = "",
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Plan a time of maintenance, or say that there was one: its runs raise no insights."""
    body = {
        "begins_at": _on_the_clocks_here(begin, "BEGIN"),
        "ends_at": _on_the_clocks_here(end, "END"),
        "pipeline_id": pipeline,
        "reason": reason,
    }
    with connected(folder) as server:
        made = server.post("/api/ai/maintenance", body)
    if as_json:
        print_json(made)
    else:
        typer.echo(f"Maintenance {made['id']} is planned.")


@app.command("end")
def end(
    window: Annotated[str, typer.Argument(metavar="MAINTENANCE", help="Its id, as `maintenance list` shows it.")],
    folder: FolderOption = None,
) -> None:
    """End a time of maintenance now, before its time: what runs from now on counts."""
    from flexiroaster.cli.words import moment

    with connected(folder) as server:
        ended = server.post(f"/api/ai/maintenance/{segment(window)}/end")
    typer.echo(f"Maintenance {ended['id']} ended at {moment(ended['ends_at'])}.")


@app.command("delete")
def delete(
    window: Annotated[str, typer.Argument(metavar="MAINTENANCE", help="Its id, as `maintenance list` shows it.")],
    folder: FolderOption = None,
) -> None:
    """Delete a time of maintenance: its runs count again."""
    with connected(folder) as server:
        typer.echo(server.delete(f"/api/ai/maintenance/{segment(window)}")["message"])


def _on_the_clocks_here(moment: datetime, name: str) -> str:
    try:
        return moment.astimezone().isoformat()
    except (OverflowError, ValueError):
        raise typer.BadParameter(
            f"{moment.isoformat()} lies outside of the years 1 to 9999 in UTC.", param_hint=f"'{name}'"
        ) from None
