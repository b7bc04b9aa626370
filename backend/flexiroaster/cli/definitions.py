"""Commands that move definitions between files and a server: `import`, `export`, `delete`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flexiroaster.cli.client import Client, CommandFailed, Refused, connected, segment
from flexiroaster.cli.options import FolderOption

if TYPE_CHECKING:
    from flexiroaster.cli.definition_file import DefinitionFile

EXTENSIONS = {"yaml": ".yaml", "json": ".json"}


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Definitions: YAML, JSON or Python; - reads standard input."),
    ],
    note: Annotated[str, typer.Option("--note", "-m", help="What changed; it is kept with the version.")] = "",
    draft: Annotated[
        bool, typer.Option("--draft", help="As drafts: they run where asked for, until `pipeline publish`.")
    ] = False,
    folder: FolderOption = None,
) -> None:
    """Bring definitions to a server: each makes its pipeline, or a new version of it.

    Exits with 2 when a definition is wrong; those before it are brought.
    """
    from flexiroaster.cli.definition_file import read_definition

    definitions = [read_definition(file) for file in files]
    with connected(folder) as server:
        for definition in definitions:
            try:
                typer.echo((_draft if draft else _bring)(server, definition, note))
            except Refused as refused:
                _print_refusal(definition, refused)
                raise typer.Exit(2) from None


def export(
    pipelines: Annotated[
        list[str] | None, typer.Argument(metavar="PIPELINE", help="Their ids; all of them when left out.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="Write a file for each; else one pipeline is printed."),
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, metavar="NUMBER", help="The published one when left out.")
    ] = None,
    folder: FolderOption = None,
) -> None:
    """Get definitions from a server, as they were written."""
    if to is None and len(pipelines or []) != 1:
        raise typer.BadParameter("name one pipeline to print it, or a folder to write several.", param_hint="'--to'")
    if version is not None and len(pipelines or []) != 1:
        raise typer.BadParameter("name the one pipeline it is a version of.", param_hint="'--version'")
    with connected(folder) as server:
        for id in pipelines or _every_id(server):
            text, format = _definition(server, id, version)
            if to is None:
                typer.echo(text, nl=not text.endswith("\n"))
            else:
                typer.echo(_write(to / f"{id}{EXTENSIONS[format]}", text))


def delete(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="The pipeline's id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    folder: FolderOption = None,
) -> None:
    """Delete a pipeline from a server. What it ran stays readable, and the id can be used again."""
    import sys

    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter("nobody can be asked here: add --yes to do it.", param_hint="'--yes'")
    with connected(folder) as server:
        found = server.get(f"/api/pipelines/{segment(pipeline)}")
        if yes or typer.confirm(f"Delete {found['name']} ({pipeline})?"):
            server.delete(f"/api/pipelines/{segment(pipeline)}")
            typer.echo(f"{pipeline} is deleted.")


def _bring(server: Client, definition: DefinitionFile, note: str) -> str:
    text, media_type = _as_sent(definition)
    parameters = {"note": note} if note else {}
    id = _own_id(definition)
    path = None if id is None else f"/api/pipelines/{segment(id)}"
    present = None if path is None else server.find(path)
    if path is None or present is None:
        made = server.send("POST", "/api/pipelines", text, media_type, **parameters)
        return f"{definition.name}: made {made['id']} v{made['version']}"
    changed = server.send("PUT", path, text, media_type, **parameters)
    if changed["version"] == present["version"]:
        return f"{definition.name}: {id} is like this already (v{present['version']})"
    return f"{definition.name}: changed {id} from v{present['version']} to v{changed['version']}"


def _draft(server: Client, definition: DefinitionFile, note: str) -> str:
    text, media_type = _as_sent(definition)
    id = _own_id(definition)
    path = None if id is None else f"/api/pipelines/{segment(id)}"
    if path is None or server.find(path) is None:
        raise CommandFailed(
            f"{definition.name}: there is no pipeline {id!r} to draft a version of: import it without --draft first."
        )
    made = server.send("POST", f"{path}/versions", text, media_type, **({"note": note} if note else {}))
    return f"{definition.name}: draft v{made['version']} of {id}, made from v{made['based_on']}"


def _as_sent(definition: DefinitionFile) -> tuple[str, str]:
    import orjson

    if isinstance(definition.source, str):
        return definition.source, f"application/{definition.format or 'yaml'}"
    return orjson.dumps(definition.source).decode(), "application/json"


def _own_id(definition: DefinitionFile) -> str | None:
    """As the server will find it: written, or made of the name. None where there is none to be found."""
    document = definition.check().document
    id = document.get("id") if document else None
    return id if isinstance(id, str) and id else None


def _print_refusal(definition: DefinitionFile, refused: Refused) -> None:
    from flexiroaster.cli.validate import describe
    from flexiroaster.engine.errors import Problem

    for problem in refused.problems:
        typer.echo(describe(definition, Problem(**problem)), err=True)
    if not refused.problems:
        typer.echo(f"{definition.name}: {refused}", err=True)


def _every_id(server: Client) -> list[str]:
    return [pipeline["id"] for page in server.pages("/api/pipelines") for pipeline in page]


def _definition(server: Client, id: str, version: int | None) -> tuple[str, str]:
    path = f"/api/pipelines/{segment(id)}"
    found: dict[str, Any] = server.get(path if version is None else f"{path}/versions/{version}")
    return found["source"], found["source_format"]


def _write(path: Path, text: str) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}.") from None
    return str(path)
