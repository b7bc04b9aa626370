"""`flexiroaster run FILE`: a pipeline here and now, without a server."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flexiroaster.cli.asking import Asker, check_answers
from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import InputsOption, StartDataOption
from flexiroaster.cli.words import plain

if TYPE_CHECKING:
    from flexiroaster.cli.definition_file import DefinitionFile
    from flexiroaster.cli.progress import Progress
    from flexiroaster.composition import Engine
    from flexiroaster.engine.events import Event
    from flexiroaster.engine.pipeline import Pipeline
    from flexiroaster.local import LocalExecution

PREVIEW_ROWS = 8
FAILED = 1
WRONG = 2


def run(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The definition: YAML, JSON or Python; - reads standard input.")
    ],
    inputs: InputsOption = None,
    data: StartDataOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document at the end and nothing else.")
    ] = False,
    data_dirs: Annotated[
        list[Path] | None,
        typer.Option(
            "--data-dir",
            metavar="FOLDER",
            help="A folder that file stages may use, besides the file's own and this one.",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--data-folder",
            metavar="FOLDER",
            help="Keep the history and the tables in this folder; else they are removed.",
        ),
    ] = None,
    code: Annotated[bool, typer.Option("--code/--no-code", help="Whether `python` and `shell` stages may run.")] = True,
    http_allow: Annotated[
        list[str] | None,
        typer.Option("--http-allow", metavar="HOST:PORT", help="A private address that http stages may reach."),
    ] = None,
    spark: Annotated[
        str | None,
        typer.Option(
            "--spark",
            metavar="URL",
            envvar="FLEXIROASTER_SPARK_URL",
            help="Where stages with `engine: spark` run: spark://host:7077, sc://host:15002, or local[*].",
        ),
    ] = None,
    approve: Annotated[
        list[str] | None,
        typer.Option("--approve", metavar="STAGE", help="Approve what this stage asks; repeat it for more."),
    ] = None,
) -> None:
    """Run a pipeline here, without a server, and show how it goes. Approvals are asked on the terminal.

    Exits with 0 when it succeeded, 1 when it failed, 2 when the definition or an input is wrong.
    """
    from flexiroaster.lean_imports import uncollected

    with uncollected():
        from flexiroaster.cli.definition_file import STANDARD_INPUT, read_definition
        from flexiroaster.cli.start_data import start_data
        from flexiroaster.local import local_engine
        from flexiroaster.log_output import configure_logs

    configure_logs("error", json=False)
    if file == STANDARD_INPUT and data == "-":
        raise typer.BadParameter("standard input is the definition already: name a file.", param_hint="'--data'")
    start_with = start_data(data)
    definition = read_definition(file)
    with uncollected():  # it loads the types of stages
        pipeline = _checked(definition, as_json)
    given = _checked_inputs(pipeline, inputs or [], as_json)
    approved = approve or []
    check_answers(pipeline, approved, terminal=_can_ask(as_json))
    folders = _folders(definition, data_dirs or [])
    with local_engine(
        folders, folder, code_dirs=[definition.folder], code_stages=code, http_allow=http_allow or (), spark_url=spark
    ) as engine:
        with (
            _progress(pipeline, as_json) as progress,
            Asker(engine, approved, progress, terminal=_can_ask(as_json)) as asker,
        ):
            ended = _run(engine, definition, given, start_with, progress, asker)
        if as_json:
            print_json(ended.to_json())
        else:
            _print_end(engine, ended)
    if not ended.ok:
        raise typer.Exit(FAILED)


def _folders(definition: DefinitionFile, named: list[Path]) -> list[Path]:
    """Where relative paths are looked for, in this order. An output goes to the first."""
    own = definition.folder
    found = [*named, own, *([own / "data"] if (own / "data").is_dir() else []), Path.cwd()]
    return list(dict.fromkeys(folder.resolve() for folder in found))


def _checked(definition: DefinitionFile, as_json: bool) -> Pipeline:
    from flexiroaster.cli.validate import print_report

    report = definition.check()
    if report.ok and report.pipeline is not None:
        if not as_json:
            print_report(definition, report, to_stderr=True)
        return report.pipeline
    if as_json:
        _print_problems("invalid_definition", report.problems)
    else:
        print_report(definition, report, to_stderr=True)
    raise typer.Exit(WRONG)


def _checked_inputs(pipeline: Pipeline, given: list[str], as_json: bool) -> dict[str, Any]:
    from flexiroaster.cli.typed_inputs import typed_inputs
    from flexiroaster.engine.definition import check_inputs

    typed = typed_inputs(given, pipeline.inputs)
    _, problems = check_inputs(pipeline, typed)
    if not problems:
        return typed
    if as_json:
        _print_problems("invalid_inputs", problems)
    else:
        for problem in problems:
            typer.echo(
                f"{problem.code}: {problem.message}" + (f" {problem.suggestion}" if problem.suggestion else ""),
                err=True,
            )
    raise typer.Exit(WRONG)


def _can_ask(as_json: bool) -> bool:
    """Whether somebody sits there. With --json nothing but the document is printed."""
    return not as_json and sys.stdin.isatty() and sys.stdout.isatty()


def _run(
    engine: Engine, definition: DefinitionFile, given: dict[str, Any], data: Any, progress: Progress, asker: Asker
) -> LocalExecution:
    from flexiroaster.local import as_source, keep, run_to_end
    from flexiroaster.services.pipelines import Source

    text = definition.source
    source = Source(text, definition.format or "yaml") if isinstance(text, str) else as_source(text)
    pipeline_id = keep(engine, source)

    def hear(events: Sequence[Event]) -> None:
        progress.hear(events)
        asker.hear(events)

    return run_to_end(engine, pipeline_id, given, hear, data=data)


def _progress(pipeline: Pipeline, as_json: bool) -> Progress:
    from flexiroaster.cli.progress import Board, LiveTable, PlainLines, Quiet

    if as_json:
        return Quiet()
    board = Board([(stage.id, stage.type) for stage in pipeline.stages], _later_types(pipeline))
    if not sys.stdout.isatty():
        return PlainLines(board)
    from rich.console import Console

    return LiveTable(board, Console(), pipeline.name)


def _later_types(pipeline: Pipeline) -> dict[str, str]:
    """Of handlers and compensations, which get their lines when they begin."""
    return {stage.id: stage.type for _, stage in pipeline.in_phases()}


def _print_end(engine: Engine, ended: LocalExecution) -> None:
    from flexiroaster.cli.outcome_text import cause, outputs_text
    from flexiroaster.cli.words import duration

    took = duration(ended.duration_seconds) if ended.duration_seconds is not None else "no time"
    typer.echo("")
    if ended.error is not None:
        typer.echo("\n".join(cause(ended.error, ended.failed_stage)))
    else:
        _print_preview(engine, ended)
    if ended.outputs:
        typer.echo("\n".join(["outputs", *outputs_text(ended.outputs)]))
    reason = f": {ended.reason}" if ended.reason and ended.error is None else ""
    typer.echo(f"{'✓' if ended.ok else '✗'} {ended.pipeline_id} {plain(ended.status)} in {took}{reason}")


def _print_preview(engine: Engine, ended: LocalExecution) -> None:
    from flexiroaster.cli.outcome_text import preview_text
    from flexiroaster.cli.table_preview import last_table
    from flexiroaster.engine.plurals import counted

    found = last_table(engine, ended, PREVIEW_ROWS)
    if found is not None:
        lines = preview_text(found.columns, found.rows, found.total)
        typer.echo("\n".join([f"{found.stage}: {counted(found.total, 'row')}", *lines, ""]))


def _print_problems(code: str, problems: Any) -> None:
    from flexiroaster.cli.validate import problem_json

    print_json({"status": "invalid", "code": code, "problems": [problem_json(problem) for problem in problems]})
