"""Commands for the versions of a pipeline: `pipeline versions`, `diff`, `publish`, `discard`."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from flexiroaster.cli.client import connected, segment
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption

IdArgument = Annotated[str, typer.Argument(metavar="PIPELINE", help="The pipeline's id.")]
DraftArgument = Annotated[int, typer.Argument(min=1, metavar="DRAFT", help="The draft's number.")]


def versions(pipeline: IdArgument, as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """List the versions of a pipeline, the newest first, with those that are drafts."""
    from flexiroaster.cli.table import print_table
    from flexiroaster.cli.words import moment

    with connected(folder) as server:
        path = f"/api/pipelines/{segment(pipeline)}"
        runs = server.get(path)["version"]
        found = [version for page in server.pages(f"{path}/versions") for version in page]
    if as_json:
        print_json(found)
        return
    rows = [
        (
            f"v{one['version']}",
            "runs" if one["version"] == runs else one["state"],
            moment(one["published_at"] or one["created_at"]),
            one["published_by"] or one["created_by"] or "",
            "" if one["based_on"] is None else f"v{one['based_on']}",
            one["note"],
        )
        for one in found
    ]
    print_table(("version", "state", "since", "by", "from", "note"), rows)


def diff(
    pipeline: IdArgument,
    version: Annotated[int, typer.Argument(min=1, metavar="VERSION", help="A version or a draft.")],
    other: Annotated[
        int | None, typer.Argument(min=1, metavar="OTHER", help="What it is compared with; left out, what runs.")
    ] = None,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Show what a version changes. Ends with 0 also where nothing differs."""
    with connected(folder) as server:
        path = f"/api/pipelines/{segment(pipeline)}"
        old = other if other is not None else server.get(path)["version"]
        found = server.get(f"{path}/versions/{old}/diff/{version}")
    if as_json:
        print_json(found)
    elif found["text"]:
        typer.echo(found["text"])
    else:
        typer.echo(f"v{version} says what v{old} says.", err=True)


def publish(
    pipeline: IdArgument,
    draft: DraftArgument,
    note: Annotated[str, typer.Option("--note", "-m", help="In place of the draft's own note.")] = "",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also where another version was published since it was made.")
    ] = False,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Let a draft run from now on. What runs keeps its version."""
    with connected(folder) as server:
        asked = f"?note={quote(note, safe='')}" if note else ""
        path = f"/api/pipelines/{segment(pipeline)}/versions/{draft}/publish{asked}"
        published: dict[str, Any] = server.post(path, headers={"if-match": "*"} if anyway else None)
    if as_json:
        print_json(published)
    else:
        typer.echo(f"Pipeline {pipeline} runs v{published['version']} from now on.")


def discard(pipeline: IdArgument, draft: DraftArgument, folder: FolderOption = None) -> None:
    """Throw a draft away. Executions of it go on."""
    with connected(folder) as server:
        typer.echo(server.delete(f"/api/pipelines/{segment(pipeline)}/versions/{draft}")["message"])
