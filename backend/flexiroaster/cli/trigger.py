"""`flexiroaster trigger`: what starts executions by itself."""

from __future__ import annotations

from itertools import chain, islice
from typing import Annotated, Any

import typer

from flexiroaster.cli.client import connected, segment
from flexiroaster.cli.confirmation import go_on
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


@app.command("backfill")
def backfill(
    pipeline: PipelineArgument,
    trigger: TriggerArgument,
    first: Annotated[
        str,
        typer.Option("--from", metavar="MOMENT", help="2026-03-01, or 2026-03-01T06:00 in the trigger's zone."),
    ],
    last: Annotated[str, typer.Option("--to", metavar="MOMENT", help="The last one, which is included.")],
    latest_first: Annotated[bool, typer.Option("--latest-first", help="Start with the last instant.")] = False,
    priority: Annotated[int, typer.Option("--priority", help="A negative one lets other executions go first.")] = 0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Start an execution for each instant of a trigger in a span of time that none was started for.

    What was started before is left alone: asking again starts only what is still missing.
    """
    wanted = {
        "from": first,
        "to": last,
        "order": "latest_first" if latest_first else "earliest_first",
        "priority": priority,
    }
    with connected(folder) as server:
        path = f"/api/pipelines/{segment(pipeline)}/triggers/{segment(trigger)}/backfill"
        plan = server.post(path, {**wanted, "dry_run": True})
        nothing_to_do = plan["left"] == 0
        if not go_on(_plan(plan), plan, yes or nothing_to_do, dry_run, as_json):
            return
        done = server.post(path, wanted)
    if as_json:
        print_json(done)
    else:
        typer.echo(_done(done))
    if done["refused"] or done["left"]:
        raise typer.Exit(1)


def _plan(plan: dict[str, Any]) -> str:
    from flexiroaster.cli.words import moment
    from flexiroaster.engine.plurals import counted

    if not plan["instants"]:
        return "No instant of the trigger lies between them."
    ends = f"{moment(plan['first'])} to {moment(plan['last'])}"
    before = f", {plan['known']:,} of them started before" if plan["known"] else ""
    note = f"\n{plan['note']}" if plan["note"] else ""
    return f"{counted(plan['instants'], 'instant')}{before}: {ends}{note}"


def _done(done: dict[str, Any]) -> str:
    counts = [f"{done[name]:,} {word}" for name, word in _COUNTS.items() if done[name] or name == "started"]
    reason = f": {done['reason']}" if done["reason"] else ""
    return f"{', '.join(counts)}{reason}"


_COUNTS = {"started": "started", "known": "started before", "skipped": "skipped", "refused": "refused", "left": "left"}


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
