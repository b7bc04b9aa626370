"""What history says: `insights`, and `suggestions list | show | apply | dismiss | undo`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flexiroaster.cli.client import connected, segment
from flexiroaster.cli.help_text import WholeSentences
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption
from flexiroaster.cli.words import plain

SUGGESTION_STATES = ("open", "draft", "applied", "undone", "dismissed", "gone")
INSIGHT_STATES = ("open", "acknowledged", "over")

app = typer.Typer(
    cls=WholeSentences,
    help="Suggestions: changes of definitions that history speaks for.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

SuggestionArgument = Annotated[
    str, typer.Argument(metavar="SUGGESTION", help="Its id, as `suggestions list` shows it.")
]
PipelineOption = Annotated[
    str | None, typer.Option("--pipeline", "-p", metavar="PIPELINE", help="Only those about this pipeline.")
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="At most this many.")]


def insights(
    pipeline: PipelineOption = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", "-s", metavar="STATE", help="open, acknowledged or over; repeat it. Default: open."),
    ] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """List what is abnormal, the newest first."""
    wanted = _states(state, INSIGHT_STATES)
    with connected(folder) as server:
        found = server.get("/api/insights", state=wanted, pipeline_id=pipeline, limit=limit)
    if as_json:
        print_json(found)
    else:
        _print_insights(found)


@app.command("list")
def list_(
    pipeline: PipelineOption = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            "-s",
            metavar="STATE",
            help="open, draft, applied, undone, dismissed or gone; repeat it. Default: open.",
        ),
    ] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """List suggestions, those that save most first; below them what more executions may show."""
    wanted = _states(state, SUGGESTION_STATES)
    with connected(folder) as server:
        found = server.get("/api/suggestions", state=wanted, pipeline_id=pipeline, limit=limit)
        later = [] if as_json or wanted != ["open"] else server.get("/api/ai")["more_needed"]
    if as_json:
        print_json(found)
        return
    _print_suggestions(found)
    for one in later:
        if pipeline in (None, one["pipeline_id"]):
            typer.echo(f"{one['pipeline_id']}: {one['text']}", err=True)


@app.command("show")
def show(suggestion: SuggestionArgument, as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """Show a suggestion: what it rests on, what would change, and what it has brought once it is applied."""
    with connected(folder) as server:
        found = server.get(f"/api/suggestions/{segment(suggestion)}")
    if as_json:
        print_json(found)
    else:
        _print_suggestion(found)


@app.command("apply")
def apply(suggestion: SuggestionArgument, as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """Apply a suggestion to its pipeline as a draft; `pipeline publish` lets that run."""
    _change(suggestion, "apply", None, as_json, folder)


@app.command("dismiss")
def dismiss(
    suggestion: SuggestionArgument,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; it is kept with it.")] = "",
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Dismiss a suggestion: it does not come back by itself."""
    _change(suggestion, "dismiss", {"reason": reason}, as_json, folder)


@app.command("undo")
def undo(suggestion: SuggestionArgument, as_json: JsonOption = False, folder: FolderOption = None) -> None:
    """Undo an applied suggestion: its draft is discarded; once published, the text of before is another version."""
    _change(suggestion, "undo", None, as_json, folder)


def _change(suggestion: str, verb: str, body: Any, as_json: bool, folder: Any) -> None:
    with connected(folder) as server:
        changed = server.post(f"/api/suggestions/{segment(suggestion)}/{verb}", body)
    if as_json:
        print_json(changed)
        return
    if changed["state"] == "draft":
        pipeline, draft = changed["pipeline_id"], changed["version_applied"]
        typer.echo(f"Suggestion {changed['id']} is draft {draft} of {pipeline}.")
        typer.echo(f"To let it run: flexiroaster pipeline publish {pipeline} {draft}")
        return
    version = changed["version_undone"] if changed["state"] == "undone" else changed["version_applied"]
    made = "" if version is None else f": version {version} of {changed['pipeline_id']}"
    typer.echo(f"Suggestion {changed['id']} is {changed['state']}{made}.")


def _states(given: list[str] | None, known: tuple[str, ...]) -> list[str]:
    for state in given or ():
        if state not in known:
            raise typer.BadParameter(f"{state!r} is none of {', '.join(known)}.", param_hint="'--state'")
    return given or ["open"]


def _print_insights(found: list[dict[str, Any]]) -> None:
    from flexiroaster.cli.table import print_table
    from flexiroaster.cli.words import moment

    rows = [
        (
            one["id"],
            plain(one["rule"]),
            one["subject"],
            one["state"],
            moment(one["since"]),
            _percent(one["confidence"]),
            one["text"],
        )
        for one in found
    ]
    headings = ("insight", "rule", "about", "state", "since", "sure", "what")
    print_table(headings, rows, nothing="Nothing is abnormal.")


def _print_suggestions(found: list[dict[str, Any]]) -> None:
    from flexiroaster.cli.table import print_table

    rows = [
        (
            one["id"],
            one["pipeline_id"],
            plain(one["kind"]),
            one["state"],
            _saving(one["saving"]),
            _percent(one["confidence"]),
            one["title"],
        )
        for one in found
    ]
    headings = ("suggestion", "pipeline", "kind", "state", "saves", "sure", "what")
    print_table(headings, rows, nothing="There is nothing to suggest.")


def _print_suggestion(found: dict[str, Any]) -> None:
    from flexiroaster.cli.words import duration

    typer.echo(f"{found['pipeline_id']}: {found['text']}")
    saving = found["saving"]
    if saving is not None:
        low, high = duration(saving["low"]), duration(saving["high"])
        typer.echo(f"Saves {duration(saving['seconds'])} an execution, between {low} and {high} nine times in ten.")
    typer.echo(f"From {found['executions']} executions; {_percent(found['confidence'])} sure. It is {found['state']}.")
    if found["call"] is not None:
        import orjson

        call = found["call"]
        typer.echo(f"To follow it: {call['method']} {call['path']} {orjson.dumps(call['body']).decode()}")
    if found["outcome"] is not None:
        typer.echo(found["outcome"]["text"] or found["outcome"]["note"])
    if found["diff"]:
        typer.echo(f"\n{found['diff'].rstrip()}")
    elif found["why_not"]:
        typer.echo(found["why_not"])


def _saving(saving: dict[str, Any] | None) -> str:
    from flexiroaster.cli.words import duration

    return "" if saving is None else f"{duration(saving['seconds'])} ({saving['share']:.0%})"


def _percent(share: float) -> str:
    """Never 100 % of what may be chance."""
    return f"{min(share, 0.999):.1%}"
