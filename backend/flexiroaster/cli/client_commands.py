"""Commands that talk to a running server: `login`, `list`, `execute`, `logs`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flexiroaster.cli.client import LOOK_SECONDS, Client, connected, segment, server_url
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, InputsOption, JsonOption, StartDataOption
from flexiroaster.cli.server_executions import conclude, has_ended, inputs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 200
LEVELS = ("debug", "info", "warning", "error")


def login(
    url: Annotated[
        str | None, typer.Argument(envvar="FLEXIROASTER_URL", help="The server's address, such as https://host:8000.")
    ] = None,
    email: Annotated[str | None, typer.Option("--email", "-e", help="Asked for where it is left out.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    folder: FolderOption = None,
) -> None:
    """Sign in to a server and keep the session for the other commands.

    Not needed on the machine that keeps the server's data folder.
    """
    from flexiroaster.cli.sessions import sign_in
    from flexiroaster.config import Settings

    address = (url or server_url(Settings.load(data_folder=folder))).rstrip("/")
    name = email or typer.prompt("E-mail")
    password = sys.stdin.readline().rstrip("\n") if password_stdin else typer.prompt("Password", hide_input=True)
    typer.echo(f"Signed in to {address} as {sign_in(address, name, password)}.")


def list_(
    pipeline: Annotated[
        str | None, typer.Argument(metavar="PIPELINE", help="List the executions of this pipeline.")
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", "-s", metavar="STATE", help="Executions in this state; repeat it."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="At most this many.")] = 50,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """List the pipelines of a server, or the executions of one pipeline or in one state."""
    with connected(folder) as server:
        if pipeline is not None:
            found = server.get(f"/api/pipelines/{segment(pipeline)}/executions", limit=limit, status=status)
        elif status:
            found = server.get("/api/executions", limit=limit, status=status)
        else:
            found = server.get("/api/pipelines", limit=limit)
    if as_json:
        print_json(found)
    elif pipeline is None and not status:
        _print_pipelines(found)
    else:
        _print_executions(found)


def execute(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="The pipeline's id.")],
    inputs: InputsOption = None,
    data: StartDataOption = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="The published one when left out; may be a draft.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait for the end and exit with 1 when it failed.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="The same key starts one execution, however often it is sent."),
    ] = None,
    priority: Annotated[
        int, typer.Option("--priority", min=-1000, max=1000, help="Higher ones go first where workers are short.")
    ] = 0,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Whether stages may take cached results.")] = True,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Start an execution on a server."""
    from flexiroaster.cli.start_data import start_data
    from flexiroaster.cli.typed_inputs import typed_inputs

    start_with = start_data(data)
    with connected(folder) as server:
        path = f"/api/pipelines/{segment(pipeline)}"
        given = typed_inputs(inputs or [], inputs_of(server, path, version) if inputs else {})
        body = {"inputs": given, "version": version, "priority": priority, "use_cache": cache}
        if start_with is not None:
            body["data"] = start_with
        started = server.post(f"{path}/execute", body, {"idempotency-key": key} if key else None)
        if not as_json:
            typer.echo(f"Started {pipeline} #{started['number']}: {started['execution_id']}")
        conclude(server, started["execution_id"], started, as_json, wait=wait)


def logs(
    execution: Annotated[
        str | None, typer.Argument(metavar="EXECUTION", help="Only the lines of this execution.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines as they come.")] = False,
    level: Annotated[
        str | None, typer.Option(help="This level and the graver ones: debug, info, warning, error.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Only the lines of this stage; needs an execution.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=500, help="The last this many, to begin with.")
    ] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print each line as a JSON document.")] = False,
    folder: FolderOption = None,
) -> None:
    """Show log lines of a server. With -f it follows, and ends with the execution it was asked for."""
    if level is not None and level not in LEVELS:
        raise typer.BadParameter(f"{level!r} is none of {', '.join(LEVELS)}.", param_hint="'--level'")
    if stage is not None and execution is None:
        raise typer.BadParameter("name the execution too: a stage alone is not enough.", param_hint="'--stage'")
    with connected(folder) as server:
        path = "/api/logs" if execution is None else f"/api/executions/{segment(execution)}/logs"
        wanted = {"level": level} | ({"stage": stage} if stage else {})
        for line in _lines(server, path, wanted, limit, execution, follow=follow):
            _print_line(line, as_json)


def _lines(
    server: Client, path: str, wanted: dict[str, Any], limit: int, execution: str | None, *, follow: bool
) -> Iterator[dict[str, Any]]:
    """The last lines, then the new ones; the end of the execution is looked up before the last look for lines."""
    newest = 0
    first = {"limit": limit} | ({} if execution is None else {"before": 2**53 - 1})
    lines = server.get(path, **wanted, **first)
    while True:
        yield from lines
        newest = lines[-1]["id"] if lines else newest
        if not follow:
            return
        ended = execution is not None and has_ended(server, execution)
        if not ended and len(lines) < PAGE:
            time.sleep(LOOK_SECONDS)
        lines = server.get(path, **wanted, after=newest, limit=PAGE)
        if ended and not lines:
            return


def _print_pipelines(found: list[dict[str, Any]]) -> None:
    from flexiroaster.cli.table import print_table
    from flexiroaster.cli.words import moment

    rows = []
    for pipeline in found:
        last = pipeline["recent"][-1] if pipeline["recent"] else None
        rows.append(
            (
                pipeline["id"],
                pipeline["name"],
                str(pipeline["stages_total"]),
                f"v{pipeline['version']}",
                last["status"] if last else "never ran",
                moment(last["created_at"]) if last else "",
            )
        )
    headings = ("pipeline", "name", "stages", "version", "last", "started")
    print_table(headings, rows, nothing="There is no pipeline yet.")


def _print_executions(found: list[dict[str, Any]]) -> None:
    from flexiroaster.cli.table import print_table
    from flexiroaster.cli.words import duration, moment

    rows = [
        (
            execution["pipeline_id"],
            f"#{execution['number']}",
            execution["id"],
            execution["status"],
            moment(execution["created_at"]),
            "" if execution["duration_seconds"] is None else duration(execution["duration_seconds"]),
            (execution["error"] or {}).get("message") or execution["reason"] or "",
        )
        for execution in found
    ]
    headings = ("pipeline", "number", "execution", "state", "created", "took", "why")
    print_table(headings, rows, nothing="There is no such execution.")


def _print_line(line: dict[str, Any], as_json: bool) -> None:
    from flexiroaster.cli.words import moment

    if as_json:
        print_json(line, indent=False)
        return
    place = "/".join(str(part) for part in (line["pipeline_id"], line["stage"]) if part)
    message = line["message"] if line["message"].isprintable() else repr(line["message"])[1:-1]
    typer.echo(f"{moment(line['at'])} {line['level']:<7} {place}{': ' if place else ''}{message}")
