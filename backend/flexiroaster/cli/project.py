"""`flexiroaster project`: for whose pipelines the server learns, and who may ask the assistant."""

from __future__ import annotations

from typing import Annotated

import typer

from flexiroaster.cli.client import connected
from flexiroaster.cli.help_text import WholeSentences
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption

app = typer.Typer(
    cls=WholeSentences,
    help="Projects: pipelines with the same label `project`, and whether the server learns from them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """List the projects with their switches. Pipelines without the label belong to `default`."""
    from flexiroaster.cli.table import print_table

    with connected(folder) as server:
        found = server.get("/api/ai/projects")
    if as_json:
        print_json(found)
        return
    rows = [
        (
            project["name"],
            str(project["pipelines"]),
            _word(project["learning"]),
            _word(project["assistant"]),
            project["changed_by"] or "",
        )
        for project in found
    ]
    print_table(("project", "pipelines", "learning", "assistant", "changed by"), rows, nothing="There is no project.")


@app.command("set")
def set_(
    name: Annotated[str, typer.Argument(metavar="PROJECT", help="The value of the label `project`, or `default`.")],
    learning: Annotated[
        bool | None, typer.Option("--learning/--no-learning", help="Whether predictions and insights are made.")
    ] = None,
    assistant: Annotated[
        bool | None,
        typer.Option("--assistant/--no-assistant", help="Whether something of it may be sent to the assistant."),
    ] = None,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Switch learning or the assistant on or off for a project. Needs an administrator."""
    if learning is None and assistant is None:
        raise typer.BadParameter("Say what to switch: --learning, --no-learning, --assistant or --no-assistant.")
    with connected(folder) as server:
        body = {"name": name, "learning": learning, "assistant": assistant}
        project = server.put("/api/ai/projects", body)
    if as_json:
        print_json(project)
    else:
        typer.echo(
            f"Project {project['name']}: learning {_word(project['learning'])}, "
            f"assistant {_word(project['assistant'])}."
        )


def _word(on: bool) -> str:
    return "on" if on else "off"
