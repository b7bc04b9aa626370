"""Commands for executions that there are: `retry`, `rerun`, `cancel`, `pause`, `resume`; some for many by a filter."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from flexiroaster.cli.client import Client, connected, segment
from flexiroaster.cli.confirmation import go_on
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption
from flexiroaster.cli.server_executions import conclude, execution_id, inputs_of
from flexiroaster.engine.plurals import counted

ExecutionArgument = Annotated[
    str | None, typer.Argument(metavar="EXECUTION", help="The execution's id; leave it out with --all.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All that fit the options below.")]
PipelineOption = Annotated[str | None, typer.Option("--pipeline", "-p", help="With --all: of this pipeline.")]
StatusOption = Annotated[
    list[str] | None, typer.Option("--status", "-s", metavar="STATE", help="With --all: in this state; repeat it.")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="With --all: created since then, such as 1h, 2d or 2026-03-04T12:00.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="With --all: created before then.")]
TriggerOption = Annotated[
    list[str] | None,
    typer.Option("--trigger", metavar="TRIGGER", help="With --all: started by this, such as manual; repeat it."),
]
TextOption = Annotated[
    str | None, typer.Option("--text", help="With --all: with this in the error or the failed stage's id.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
CacheOption = Annotated[
    bool | None,
    typer.Option("--cache/--no-cache", help="Whether what runs again may take cached results.", show_default=False),
]
WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end and exit with 1 when it failed.")]


def retry(
    execution: ExecutionArgument = None,
    all_: AllOption = False,
    pipeline: PipelineOption = None,
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    trigger: TriggerOption = None,
    text: TextOption = None,
    cache: CacheOption = None,
    wait: WaitOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Retry a failed execution from the failed stages on, or with --all many.

    Shows first what is reused and what runs, and asks; --yes answers.
    """
    wanted = _which(execution, all_, pipeline, status, since, until, trigger, text)
    with connected(folder) as server:
        if execution is None:
            _treat_many(server, "retry", {**wanted, "use_cache": cache}, yes, dry_run, as_json)
            return
        path = f"/api/executions/{segment(execution)}"
        plan = server.get(f"{path}/retry")
        if not go_on(f"{plan['message']}: {', '.join(plan['to_run'][:20])}", plan, yes, dry_run, as_json):
            return
        done = server.post(f"{path}/retry", {"use_cache": cache})
        conclude(server, execution, done, as_json, wait=wait)


def rerun(
    execution: Annotated[
        str, typer.Argument(metavar="EXECUTION", help="The execution's id, or that of a pipeline for its latest.")
    ],
    from_stage: Annotated[
        str | None, typer.Option("--from", metavar="STAGE", help="Reuse what is before this stage.")
    ] = None,
    only_stage: Annotated[str | None, typer.Option("--only", metavar="STAGE", help="Run this stage alone.")] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="KEY=VALUE", help="An input to change; the others stay as they were."),
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="The published one when left out; may be a draft.")
    ] = None,
    cache: CacheOption = None,
    wait: WaitOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Run an execution again, as a new one: from a stage on, one stage alone, or everything."""
    from flexiroaster.cli.typed_inputs import typed_inputs
    from flexiroaster.engine.rerun import LONGEST_INPUTS

    if from_stage is not None and only_stage is not None:
        raise typer.BadParameter("--from and --only exclude each other.", param_hint="'--only'")
    with connected(folder) as server:
        execution = execution_id(server, execution)
        path = f"/api/executions/{segment(execution)}/rerun"
        asked = {"from_stage": from_stage, "only_stage": only_stage, "version": version}
        plan = server.get(path, **asked)
        given = {}
        if inputs:
            pipeline = f"/api/pipelines/{segment(plan['pipeline_id'])}"
            given = typed_inputs(inputs, inputs_of(server, pipeline, plan["version"]))
            told = json.dumps(given)
            if len(told) <= LONGEST_INPUTS:
                plan = server.get(path, **asked, inputs=told)
        if not go_on(_said(plan), plan, yes, dry_run, as_json):
            return
        started = server.post(path, {**asked, "inputs": given, "use_cache": cache})
        if not as_json:
            typer.echo(f"Started {started['pipeline_id']} #{started['number']}: {started['execution_id']}")
        conclude(server, started["execution_id"], started, as_json, wait=wait)


def cancel(
    execution: ExecutionArgument = None,
    stage: Annotated[str | None, typer.Option("--stage", help="This stage alone; the execution goes on.")] = None,
    item: Annotated[
        int | None, typer.Option("--item", min=1, max=1_000_000, help="With --stage: this foreach item alone.")
    ] = None,
    all_: AllOption = False,
    pipeline: PipelineOption = None,
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    trigger: TriggerOption = None,
    text: TextOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Cancel an execution, one stage of it, or with --all many: running stages are told to stop."""
    wanted = _which(execution, all_, pipeline, status, since, until, trigger, text)
    if (stage is not None and execution is None) or (stage is None and item is not None):
        raise typer.BadParameter("--stage needs an execution, and --item a stage.", param_hint="'--stage'")
    with connected(folder) as server:
        if execution is not None and stage is not None:
            path = f"/api/executions/{segment(execution)}/stages/{segment(stage)}/cancel?index={item or 0}"
            _print_stage(server.post(path), as_json)
            return
        if execution is None:
            _treat_many(server, "cancel", wanted, yes, dry_run, as_json)
            return
        done = server.post(f"/api/executions/{segment(execution)}/cancel")
    if as_json:
        print_json(done)
    else:
        typer.echo(f"{done['pipeline_id']} #{done['number']} is {done['status']}")


def _print_stage(run: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(run)
    else:
        name = f"{run['stage']}[{run['index']}]" if run["index"] else run["stage"]
        typer.echo(f"{name} is {run['status']}")


def pause(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION", help="The execution's id.")],
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Pause an execution: what runs goes on to its end, nothing else starts before `resume`."""
    _hold(execution, "pause", as_json, folder)


def resume(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION", help="The execution's id.")],
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Let a paused execution go on where it was."""
    _hold(execution, "resume", as_json, folder)


def _hold(execution: str, action: str, as_json: bool, folder: FolderOption) -> None:
    with connected(folder) as server:
        done = server.post(f"/api/executions/{segment(execution)}/{action}")
    if as_json:
        print_json(done)
    else:
        typer.echo(f"{done['pipeline_id']} #{done['number']} is {done['status']}")


def _which(
    execution: str | None,
    all_: bool,
    pipeline: str | None,
    status: list[str] | None,
    since: str | None,
    until: str | None,
    trigger: list[str] | None,
    text: str | None,
) -> dict[str, Any]:
    """The filter as the API wants it."""
    filters = {
        "pipeline_id": pipeline,
        "status": status,
        "since": since,
        "until": until,
        "trigger": trigger,
        "q": text,
    }
    given = {name: value for name, value in filters.items() if value}
    if (execution is None) != all_ or (execution is not None and given):
        raise typer.BadParameter("Name one execution, or say --all with what narrows it, such as --pipeline.")
    for name in ("since", "until"):
        if name in given:
            given[name] = _moment(str(given[name]), name)
    return {"all": all_, **given}


def _moment(text: str, name: str) -> str:
    from flexiroaster.engine.duration import InvalidDuration, parse_duration

    try:
        return _back(parse_duration(text))
    except InvalidDuration:
        pass
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a duration, such as 1h or 2d, nor a moment, such as 2026-03-04T12:00.",
            param_hint=f"'--{name}'",
        ) from None


def _back(ago: timedelta) -> str:
    return (datetime.now().astimezone() - ago).isoformat()


def _treat_many(server: Client, action: str, wanted: dict[str, Any], yes: bool, dry_run: bool, as_json: bool) -> None:
    path = f"/api/executions/{action}"
    found = server.post(path, {**wanted, "dry_run": True})
    if not go_on(f"{counted(found['matched'], 'execution')} to {action}", found, yes, dry_run, as_json):
        return
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = server.post(path, {**wanted, "cursor": cursor})
        items += answer["items"]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    refused = [item for item in items if not item["done"]]
    if as_json:
        print_json({"done": len(items) - len(refused), "refused": len(refused), "items": items})
    else:
        for item in refused:
            typer.echo(f"{item['pipeline_id']} #{item['number']}: {item['message']}", err=True)
        typer.echo(f"{len(items) - len(refused):,} of {len(items):,} done")
    if refused:
        raise typer.Exit(1)


def _said(plan: dict[str, Any]) -> str:
    lines = [f"{plan['message']}: {', '.join(plan['to_run'][:20])}"]
    lines += [f"  {one['stage']} runs too: {one['reason']}" for one in plan["runs_too"]]
    return "\n".join([*lines, *(f"  {note}" for note in plan["notes"])])
