"""Commands for what waits for a person: `approvals`, `approve`, `reject`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flexiroaster.cli.client import Client, connected, segment
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption

ExecutionArgument = Annotated[str, typer.Argument(metavar="EXECUTION", help="The execution's id.")]
StageArgument = Annotated[str, typer.Argument(metavar="STAGE", help="The stage that asks.")]
IndexOption = Annotated[int, typer.Option("--index", min=0, help="The item, where the stage runs once for each.")]
CommentOption = Annotated[str, typer.Option("--comment", "-m", help="Why; it is kept with the decision.")]


def approvals(
    mine: Annotated[bool, typer.Option("--mine", help="Only what you may decide.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="At most this many.")] = 50,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """List what waits for a decision, the oldest first."""
    with connected(folder) as server:
        found = server.get("/api/approvals", mine=mine, limit=limit)
    if as_json:
        print_json(found)
    else:
        _print_questions(found)


def approve(
    execution: ExecutionArgument,
    stage: StageArgument,
    fields: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="KEY=VALUE", help="A field of the form; KEY=@FILE reads it from a file."),
    ] = None,
    comment: CommentOption = "",
    index: IndexOption = 0,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Approve what a stage asks: the pipeline goes on."""
    from flexiroaster.cli.typed_inputs import typed_inputs

    with connected(folder) as server:
        values = typed_inputs(fields or [], _form(server, execution, stage, index)) if fields else {}
        decided = _decide(server, "approve", execution, stage, comment=comment, index=index, values=values)
    _print_decision(decided, as_json)


def reject(
    execution: ExecutionArgument,
    stage: StageArgument,
    comment: CommentOption = "",
    index: IndexOption = 0,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Reject what a stage asks: it has failed, and what needs it does not run."""
    with connected(folder) as server:
        decided = _decide(server, "reject", execution, stage, comment=comment, index=index)
    _print_decision(decided, as_json)


def _decide(server: Client, verb: str, execution: str, stage: str, **given: Any) -> dict[str, Any]:
    path = f"/api/executions/{segment(execution)}/stages/{segment(stage)}/{verb}"
    decided: dict[str, Any] = server.post(path, given)
    return decided


def _form(server: Client, execution: str, stage: str, index: int) -> dict[str, Any]:
    """The schemas of the fields, so that what is typed gets its type."""
    config = server.get(f"/api/executions/{segment(execution)}/stages/{segment(stage)}", index=index)["config"]
    form = config.get("form")
    return form if isinstance(form, dict) else {}


def _print_questions(found: list[dict[str, Any]]) -> None:
    from flexiroaster.cli.table import print_table
    from flexiroaster.cli.words import moment

    rows = [
        (
            question["pipeline_id"],
            f"#{question['number']}",
            question["execution_id"],
            f"{question['stage']}[{question['index']}]" if question["index"] else question["stage"],
            question["message"],
            ", ".join(question["assignees"]),
            moment(question["asked_at"]),
            moment(question["due_at"]),
        )
        for question in found
    ]
    headings = ("pipeline", "number", "execution", "stage", "question", "of", "asked", "until")
    print_table(headings, rows, nothing="Nothing waits for a decision.")


def _print_decision(decided: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(decided)
        return
    verb = "approved" if decided["approved"] else "rejected"
    by = f" by {decided['by']}" if decided["by"] else ""
    typer.echo(f"{decided['stage']} is {verb}{by}.")
