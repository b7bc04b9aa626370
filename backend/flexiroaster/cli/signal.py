"""`flexiroaster signal`: tell a running execution that something happened."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flexiroaster.cli.client import connected, segment
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption


def signal(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION", help="The execution's id.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The event that its stages wait for.")],
    data: Annotated[str | None, typer.Option("--data", help="What comes with it: JSON, or text.")] = None,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Tell an execution of an event: the stages that wait for it go on."""
    with connected(folder) as server:
        sent = server.post(f"/api/executions/{segment(execution)}/signal", {"name": name, "data": _read(data)})
    if as_json:
        print_json(sent)
        return
    stages = [f"{one['stage']}[{one['index']}]" if one["index"] else one["stage"] for one in sent["went_on"]]
    heard = f"{', '.join(stages)} went on." if stages else "no stage waits for it yet; it is kept."
    typer.echo(f"Told of {name}: {heard}")


def _read(text: str | None) -> Any:
    import orjson  # it takes no NaN and no endless nesting, as the server

    if text is None:
        return None
    try:
        return orjson.loads(text)
    except ValueError:
        return text
