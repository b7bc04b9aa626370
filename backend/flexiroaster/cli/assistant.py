"""`flexiroaster assistant`: explains a failure, drafts a definition. It proposes; nothing is stored on the server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from flexiroaster.cli.client import connected, segment
from flexiroaster.cli.help_text import WholeSentences
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption

PATIENCE_SECONDS = 960.0
"""With an answer: longer than any server waits for the endpoint's."""

app = typer.Typer(
    cls=WholeSentences,
    help="The text assistant, where the server has one: it explains a failure, or drafts a definition.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ShowOption = Annotated[bool, typer.Option("--show", help="Show what would be sent, and send nothing.")]


@app.command("explain")
def explain(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION", help="An execution that has failed.")],
    show: ShowOption = False,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Ask why an execution failed. The answer is a model's words: it may be wrong."""
    path = f"/api/executions/{segment(execution)}/assistant"
    with connected(folder) as server:
        found = server.get(path) if show else server.post(path, patience_seconds=PATIENCE_SECONDS)
    if as_json:
        print_json(found)
    elif show:
        _print_sent(found)
    else:
        typer.echo(found["text"])


@app.command("draft")
def draft(
    wish: Annotated[str, typer.Argument(metavar="WISH", help="What the pipeline should do, or what should change.")],
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", "-p", metavar="PIPELINE", help="Change this pipeline of the server.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", exists=True, dir_okay=False, help="Change the definition in a file.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="Write the proposed definition to this file.")
    ] = None,
    show: ShowOption = False,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Ask for a definition: a new one, or a change of one. It is checked, and stored nowhere."""
    text = file.read_text() if file is not None else ""
    body = {"wish": wish, "pipeline_id": pipeline, "definition": text}
    with connected(folder) as server:
        if show:
            found = server.post("/api/assistant/draft/preview", body)
        else:
            found = server.post("/api/assistant/draft", body, patience_seconds=PATIENCE_SECONDS)
    if as_json:
        print_json(found)
    elif show:
        _print_sent(found)
        return
    else:
        _print_draft(found, changed=bool(pipeline or file))
    if output is not None and not show:
        output.write_text(found["definition"])
    if not show and not found["accepted"]:
        raise typer.Exit(1)


def _print_draft(found: dict[str, Any], *, changed: bool) -> None:
    """The definition on standard output, what is to be said of it beside that."""
    typer.echo(found["diff"] if changed else found["definition"], nl=False)
    for problem in found["problems"]:
        where = f"line {problem['line']}: " if problem.get("line") else ""
        sys.stderr.write(f"{problem['severity']}: {where}{problem['message']}\n")
    if not found["accepted"]:
        sys.stderr.write("The server would not accept this definition.\n")


def _print_sent(found: dict[str, Any]) -> None:
    for message in found["messages"]:
        typer.echo(f"--- {message['role']}\n{message['text']}")
    hidden = found["hidden"]
    sys.stderr.write(f"To {found['host']}, model {found['model']}; hidden values: {hidden}. Nothing was sent.\n")
