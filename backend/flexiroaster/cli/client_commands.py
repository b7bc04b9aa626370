"""Commands that talk to a running server: `login`, `list`, `execute`, `logs`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flexiroaster.cli.options import FolderOption, InputsOption, JsonOption, StartDataOption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexiroaster.cli.client import Client

FINAL = frozenset({"success", "failed", "cancelled", "timed_out"})
LOOK_SECONDS = 0.5
WAIT_SECONDS = 10
"""What one request waits for the end of an execution: less than the client's patience with an answer."""
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
    from flexiroaster.cli.client import server_url
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
    from flexiroaster.cli.client import connected

    with connected(folder) as server:
        if pipeline is not None:
            found = server.get(f"/api/pipelines/{_part(pipeline)}/executions", limit=limit, status=status)
        elif status:
            found = server.get("/api/executions", limit=limit, status=status)
        else:
            found = server.get("/api/pipelines", limit=limit)
    if as_json:
        _print_json(found)
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
    from flexiroaster.cli.client import connected
    from flexiroaster.cli.start_data import start_data
    from flexiroaster.cli.typed_inputs import typed_inputs

    start_with = start_data(data)
    with connected(folder) as server:
        path = f"/api/pipelines/{_part(pipeline)}"
        given = typed_inputs(inputs or [], _inputs_of(server, path, version) if inputs else {})
        body = {"inputs": given, "version": version, "priority": priority, "use_cache": cache}
        if start_with is not None:
            body["data"] = start_with
        started = server.post(f"{path}/execute", body, {"idempotency-key": key} if key else None)
        if not as_json:
            typer.echo(f"Started {pipeline} #{started['number']}: {started['execution_id']}")
        ended = _wait(server, started["execution_id"]) if wait else None
    if as_json:
        _print_json(started if ended is None else ended)
    elif ended is not None:
        _print_end(ended)
    if ended is not None and ended["status"] != "success":
        raise typer.Exit(1)


def _inputs_of(server: Client, pipeline: str, version: int | None) -> dict[str, Any]:
    """The schema of each input of a version, None for the newest; `pipeline` is its address."""
    if version is None:
        return dict(server.get(pipeline)["inputs_schema"].get("properties", {}))
    return dict(server.get(f"{pipeline}/versions/{version}")["definition"].get("inputs", {}))


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
    from flexiroaster.cli.client import connected

    if level is not None and level not in LEVELS:
        raise typer.BadParameter(f"{level!r} is none of {', '.join(LEVELS)}.", param_hint="'--level'")
    if stage is not None and execution is None:
        raise typer.BadParameter("name the execution too: a stage alone is not enough.", param_hint="'--stage'")
    with connected(folder) as server:
        path = "/api/logs" if execution is None else f"/api/executions/{_part(execution)}/logs"
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
        ended = execution is not None and _has_ended(server, execution)
        if not ended and len(lines) < PAGE:
            time.sleep(LOOK_SECONDS)
        lines = server.get(path, **wanted, after=newest, limit=PAGE)
        if ended and not lines:
            return


def _wait(server: Client, execution: str) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = server.get(f"/api/executions/{_part(execution)}", wait=WAIT_SECONDS)
        if found["status"] in FINAL:
            return found


def _has_ended(server: Client, execution: str) -> bool:
    return server.get(f"/api/executions/{_part(execution)}")["status"] in FINAL


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


def _print_end(ended: dict[str, Any]) -> None:
    from flexiroaster.cli.outcome_text import cause, outputs_text
    from flexiroaster.cli.words import duration

    if ended["error"]:
        typer.echo("\n".join(cause(ended["error"], ended["failed_stage"])))
    if ended["outputs"]:
        typer.echo("\n".join(["outputs", *outputs_text(ended["outputs"])]))
    took = "" if ended["duration_seconds"] is None else f" in {duration(ended['duration_seconds'])}"
    mark = "✓" if ended["status"] == "success" else "✗"
    typer.echo(f"{mark} {ended['pipeline_id']} #{ended['number']} {ended['status'].replace('_', ' ')}{took}")


def _print_line(line: dict[str, Any], as_json: bool) -> None:
    from flexiroaster.cli.words import moment

    if as_json:
        _print_json(line, indent=False)
        return
    place = "/".join(str(part) for part in (line["pipeline_id"], line["stage"]) if part)
    message = line["message"] if line["message"].isprintable() else repr(line["message"])[1:-1]
    typer.echo(f"{moment(line['at'])} {line['level']:<7} {place}{': ' if place else ''}{message}")


def _part(text: str) -> str:
    """As one segment of an address."""
    from urllib.parse import quote

    return quote(text, safe="")


def _print_json(value: Any, *, indent: bool = True) -> None:
    import orjson

    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode())
