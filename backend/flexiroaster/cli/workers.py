"""`flexiroaster workers`: who runs stages, and what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flexiroaster.cli.client import CommandFailed, connected, segment
from flexiroaster.cli.help_text import WholeSentences
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption

app = typer.Typer(
    cls=WholeSentences,
    help="Workers: the processes that run stages, and what they run.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

WorkerArgument = Annotated[str, typer.Argument(metavar="WORKER", help="Its id, or how that begins.")]


@app.command("list")
def list_(as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """List the workers on a server's database with their load."""
    from flexiroaster.cli.table import print_table

    with connected(folder) as server:
        found = server.get("/api/workers")
    if as_json:
        print_json(found)
        return
    print_table(
        ("worker", "role", "state", "running", "pools", "host", "pid", "version", "heard of"),
        [_row(worker) for worker in found],
        nothing="There is no worker.",
    )


@app.command("show")
def show(id: WorkerArgument, as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """Show what a worker runs."""
    from flexiroaster.cli.table import print_table

    with connected(folder) as server:
        worker = _one(server.get("/api/workers"), id)
    if as_json:
        print_json(worker)
        return
    typer.echo(f"{worker['role']} on {worker['host']}, pid {worker['pid']}: {worker['state']}.")
    rows = [
        (stage["pipeline_id"], f"#{stage['execution_number']}", _stage(stage), str(stage["attempt"]))
        for stage in worker["stages"]
    ]
    print_table(("pipeline", "execution", "stage", "attempt"), rows, nothing="It runs nothing.")


@app.command("drain")
def drain(id: WorkerArgument, as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """Let a worker take no more work: what it runs ends, or is handed back. It takes work again after a restart."""
    with connected(folder) as server:
        worker = _one(server.get("/api/workers"), id)
        worker = server.post(f"/api/workers/{segment(worker['id'])}/drain", None)
    if as_json:
        print_json(worker)
    else:
        typer.echo(f"{worker['state']}: {worker['running']} running on {worker['host']}, pid {worker['pid']}")


def _one(workers: list[dict[str, Any]], beginning: str) -> dict[str, Any]:
    found = [worker for worker in workers if worker["id"].startswith(beginning)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandFailed(f"There is no worker {beginning!r}: flexiroaster workers list names them.")
    raise CommandFailed(f"{len(found)} workers begin with {beginning!r}: write more of the id.")


def _row(worker: dict[str, Any]) -> tuple[str, ...]:
    from flexiroaster.cli.words import moment

    return (
        worker["id"][:8],
        worker["role"],
        worker["state"],
        f"{worker['running']}/{worker['slots']}",
        "all" if worker["pools"] is None else ", ".join(worker["pools"]),
        worker["host"],
        str(worker["pid"]),
        worker["version"],
        moment(worker["seen_at"]),
    )


def _stage(stage: dict[str, Any]) -> str:
    return f"{stage['stage']}[{stage['index']}]" if stage["index"] else str(stage["stage"])
