"""`flexiroaster test FILE…`: the tests that stand in definitions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flexiroaster.cli.json_output import print_json
from flexiroaster.engine.plurals import counted

if TYPE_CHECKING:
    from flexiroaster.cli.definition_file import DefinitionFile
    from flexiroaster.testing.cases import Case, Verdict

FAILED = 1
WRONG = 2


def test(
    files: Annotated[list[Path], typer.Argument(help="Definitions: YAML, JSON or Python; - reads standard input.")],
    only: Annotated[
        str | None, typer.Option("--only", "-k", metavar="TEXT", help="Only tests with this text in their name.")
    ] = None,
    others: Annotated[
        list[Path] | None, typer.Option("--with", metavar="FILE", help="Another pipeline, which a stage starts.")
    ] = None,
    data_dirs: Annotated[
        list[Path] | None,
        typer.Option("--data-dir", help="A folder that file stages may use, besides the file's own and this one."),
    ] = None,
    code: Annotated[bool, typer.Option("--code/--no-code", help="Whether code stages may run.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")] = False,
) -> None:
    """Run the tests that stand in definitions, without a server. Retries and waits take no time.

    Exits with 0 when all passed, 1 when one failed, 2 when a definition is wrong.
    """
    from flexiroaster.cli.definition_file import read_definition
    from flexiroaster.log_output import configure_logs

    configure_logs("critical", json=False)
    known = [_source(read_definition(file)) for file in others or []]
    verdicts: list[tuple[DefinitionFile, list[Verdict]]] = []
    for file in [read_definition(path) for path in files]:
        chosen = [case for case in _cases(file, known, data_dirs or [], code, as_json) if _is_wanted(case, only)]
        if not as_json:
            typer.echo(f"{file.name}: {counted(len(chosen), 'test')}")
        verdicts.append((file, [_shown(case.run(), as_json) for case in chosen]))
    _conclude(verdicts, as_json)


def _cases(file: DefinitionFile, others: list[Any], data_dirs: list[Path], code: bool, as_json: bool) -> list[Case]:
    from flexiroaster.cli.run import _checked, _folders
    from flexiroaster.testing.cases import cases_of
    from flexiroaster.testing.trial import Setting

    pipeline = _checked(file, as_json)
    folders = tuple(_folders(file, data_dirs))
    setting = Setting(others=others, data_dirs=folders, code_dirs=(file.folder,), code_stages=code)
    return cases_of(pipeline, _source(file), setting)


def _source(file: DefinitionFile) -> Any:
    from flexiroaster.local import as_source
    from flexiroaster.services.pipelines import Source

    return Source(file.source, file.format or "yaml") if isinstance(file.source, str) else as_source(file.source)


def _is_wanted(case: Case, only: str | None) -> bool:
    return only is None or only.casefold() in str(case).casefold()


def _shown(verdict: Verdict, as_json: bool) -> Verdict:
    from flexiroaster.cli.words import duration

    if not as_json:
        typer.echo(f"  {'✓' if verdict.ok else '✗'} {verdict.case}  {duration(verdict.seconds)}")
        for line in verdict.lines():
            typer.echo(f"      {line}")
    return verdict


def _conclude(verdicts: list[tuple[DefinitionFile, list[Verdict]]], as_json: bool) -> None:
    every = [verdict for _, some in verdicts for verdict in some]
    failed = sum(not verdict.ok for verdict in every)
    if as_json:
        _print_verdicts(verdicts)
    else:
        typer.echo(f"{len(every) - failed} passed, {failed} failed")
    if failed:
        raise typer.Exit(FAILED)


def _print_verdicts(verdicts: list[tuple[DefinitionFile, list[Verdict]]]) -> None:
    documents = [
        {
            "file": file.name,
            "test": str(verdict.case),
            "passed": verdict.ok,
            "seconds": round(verdict.seconds, 3),
            "status": verdict.result and verdict.result.status,
            "trouble": verdict.trouble,
            "differences": [
                {"where": one.where, "expected": one.expected, "got": one.got, "why": one.why}
                for one in verdict.differences
            ],
        }
        for file, some in verdicts
        for verdict in some
    ]
    print_json(documents)
