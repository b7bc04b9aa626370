"""`flexiroaster pipeline`: pause and resume one, and its versions and drafts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flexiroaster.cli import versions
from flexiroaster.cli.client import connected, segment
from flexiroaster.cli.help_text import WholeSentences
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption

app = typer.Typer(
    cls=WholeSentences,
    help="Pause and resume pipelines, and publish drafts of them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("versions")(versions.versions)
app.command("diff")(versions.diff)
app.command("publish")(versions.publish)
app.command("discard")(versions.discard)

IdArgument = Annotated[str, typer.Argument(metavar="PIPELINE", help="The pipeline's id.")]


@app.command("pause")
def pause(pipeline: IdArgument, as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """Let no execution of a pipeline begin: new ones wait, those under way go on."""
    _switch(pipeline, "pause", f"Pipeline {pipeline} is paused: new executions wait.", as_json, folder)


@app.command("resume")
def resume(pipeline: IdArgument, as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """Let the executions of a paused pipeline begin again."""
    _switch(pipeline, "resume", f"Pipeline {pipeline} is resumed: what waited begins.", as_json, folder)


def _switch(pipeline: str, verb: str, said: str, as_json: bool, folder: Any) -> None:
    with connected(folder) as server:
        found = server.post(f"/api/pipelines/{segment(pipeline)}/{verb}")
    if as_json:
        print_json(found)
    else:
        typer.echo(said)
