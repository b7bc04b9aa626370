"""`flexiroaster drain`: empty a server before it stops."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from flexiroaster.cli.client import LOOK_SECONDS, connected
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption


def drain(
    grace: Annotated[
        float | None, typer.Option("--grace", min=0, help="Seconds for what runs; the server's own when left out.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait until nothing runs any more.")] = False,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Let a server take no more work, before it is stopped. It takes work again after a restart.

    What still runs after the grace is told to stop and handed back, to be run again.
    """
    with connected(folder) as server:
        now = server.post("/api/admin/drain", {"grace_seconds": grace})
        while wait and now["state"] != "drained":
            time.sleep(LOOK_SECONDS)
            now = server.get("/api/admin/drain")
    if as_json:
        print_json(now)
    else:
        typer.echo(now["message"])
