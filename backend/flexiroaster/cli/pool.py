"""`flexiroaster pool`: how many stages that name a pool run at the same time."""

from __future__ import annotations

from typing import Annotated

import typer

from flexiroaster.cli.client import connected, segment
from flexiroaster.cli.help_text import WholeSentences
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption
from flexiroaster.engine.plurals import counted

app = typer.Typer(
    cls=WholeSentences,
    help="Pools: how many stages that name one run at the same time.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[str, typer.Argument(metavar="POOL", help="The pool's name.")]


@app.command("list")
def list_(as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """List the pools with what they hold and who waits."""
    from flexiroaster.cli.table import print_table

    with connected(folder) as server:
        found = server.get("/api/pools")
    if as_json:
        print_json(found)
        return
    rows = [
        (
            pool["name"],
            "1 (not defined)" if pool["slots"] is None else str(pool["slots"]),
            str(pool["used"]),
            str(pool["waiting"]),
            str(pool["workers"]),
            str(pool["pipelines"]),
        )
        for pool in found
    ]
    columns = ("pool", "slots", "used", "waiting", "workers", "pipelines")
    print_table(columns, rows, nothing="There is no pool yet.")
    for pool in found:
        if pool["reason"]:
            typer.echo(f"{pool['name']}: {pool['reason']}.")


@app.command("set")
def set_(
    name: NameArgument,
    slots: Annotated[int, typer.Argument(min=0, help="How many stages may run at the same time; 0 lets none start.")],
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Define a pool, or change how many slots it has. What runs goes on."""
    with connected(folder) as server:
        pool = server.put(f"/api/pools/{segment(name)}", {"slots": slots})
    if as_json:
        print_json(pool)
    else:
        size = counted(pool["slots"], "slot")
        typer.echo(f"Pool {pool['name']} has {size}: {pool['used']} used, {pool['waiting']} waiting.")


@app.command("delete")
def delete(name: NameArgument, folder: FolderOption = None) -> None:
    """Delete a pool: stages that name it share one slot from then on."""
    with connected(folder) as server:
        typer.echo(server.delete(f"/api/pools/{segment(name)}")["message"])
