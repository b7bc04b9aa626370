"""`flexiroaster trigger`: what starts executions by itself."""

from __future__ import annotations

from itertools import chain, islice
from typing import Annotated, Any

import typer

from flexiroaster.cli.client import connected, segment
from flexiroaster.cli.help_text import WholeSentences
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption

app = typer.Typer(
    cls=WholeSentences,
    help="Triggers: what starts executions by itself.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

PipelineArgument = Annotated[str, typer.Argument(metavar="PIPELINE", help="The pipeline's id.")]
TriggerArgument = Annotated[str, typer.Argument(metavar="TRIGGER", help="The trigger's id in the definition.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many.")]


@app.command("list")
def list_(
    pipeline: Annotated[str | None, typer.Argument(metavar="PIPELINE", help="Only those of this pipeline.")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """List triggers with when they come next, and what became of the last time."""
    from flexiroaster.cli.table import print_table
    from flexiroaster.cli.words import moment

    with connected(folder) as server:
        if pipeline is None:
            found = list(islice(chain.from_iterable(server.pages("/api/triggers")), limit))
        else:
            found = server.get(f"/api/pipelines/{segment(pipeline)}/triggers")[:limit]
    if as_json:
        print_json(found)
        return
    rows = [
        (
            trigger["pipeline_id"],
            trigger["id"],
            _rhythm(trigger),
            trigger["reason"] or moment(trigger["next_at"]),
            "" if trigger["last"] is None else f"{trigger['last']['state']} {moment(trigger['last']['instant'])}",
        )
        for trigger in found
    ]
    print_table(("pipeline", "trigger", "comes", "next", "last"), rows, nothing="There is no trigger yet.")


@app.command("history")
def history(
    pipeline: PipelineArgument,
    trigger: TriggerArgument,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Show what became of a trigger's instants, the latest first."""
    from flexiroaster.cli.table import print_table
    from flexiroaster.cli.words import moment

    with connected(folder) as server:
        pages = server.pages(f"/api/pipelines/{segment(pipeline)}/triggers/{segment(trigger)}/firings")
        found = list(islice(chain.from_iterable(pages), limit))
    if as_json:
        print_json(found)
        return
    rows = [(moment(one["instant"]), one["state"], _execution(one), one["reason"] or "") for one in found]
    print_table(("instant", "state", "execution", "why"), rows, nothing="It has not come yet.")


@app.command("pause")
def pause(
    pipeline: PipelineArgument, trigger: TriggerArgument, as_json: JsonOption = False, folder: FolderOption = None
) -> None:
    """Pause a trigger: it starts nothing until it is resumed."""
    _set(pipeline, trigger, "pause", as_json, folder)


@app.command("resume")
def resume(
    pipeline: PipelineArgument, trigger: TriggerArgument, as_json: JsonOption = False, folder: FolderOption = None
) -> None:
    """Let a paused trigger go on with its next instant."""
    _set(pipeline, trigger, "resume", as_json, folder)


def _set(pipeline: str, trigger: str, verb: str, as_json: bool, folder: FolderOption) -> None:
    from flexiroaster.cli.words import moment

    with connected(folder) as server:
        now = server.post(f"/api/pipelines/{segment(pipeline)}/triggers/{segment(trigger)}/{verb}")
    if as_json:
        print_json(now)
    else:
        then = f"comes next at {moment(now['next_at'])}" if now["next_at"] else f"starts nothing: {now['reason']}"
        typer.echo(f"Trigger {now['id']} of {now['pipeline_id']} {then}.")


def _execution(firing: dict[str, Any]) -> str:
    from flexiroaster.cli.words import plain

    if firing["execution_id"] is None:
        return ""
    if firing["execution_number"] is None:
        return "no longer kept"
    return f"#{firing['execution_number']} {plain(firing['execution_status'])}"


def _rhythm(trigger: dict[str, Any]) -> str:
    return f"every {trigger['every']}" if trigger["every"] else f"{trigger['cron']} {trigger['timezone']}"
