"""`flexiroaster validate FILE…`: every problem with its place, the line it is on and what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flexiroaster.cli.json_output import print_json
from flexiroaster.engine.plurals import counted

if TYPE_CHECKING:
    from flexiroaster.cli.definition_file import DefinitionFile
    from flexiroaster.engine.definition import Report
    from flexiroaster.engine.errors import Problem

LONGEST_LINE = 100
"""Characters of a line that are shown: a definition may be one line of two megabytes."""


def validate(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Definitions: YAML, JSON or Python; - reads standard input.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")] = False,
) -> None:
    """Check definitions without running them: text, stage types, graph, expressions.

    Exits with 0 when all are valid (warnings are allowed), else with 2.
    """
    from flexiroaster.cli.definition_file import read_definition

    checked = [(file, file.check()) for file in map(read_definition, files)]
    if as_json:
        _print_documents(checked)
    else:
        for file, report in checked:
            print_report(file, report)
    if not all(report.ok for _, report in checked):
        raise typer.Exit(2)


def print_report(file: DefinitionFile, report: Report, *, to_stderr: bool = False) -> None:
    for problem in report.problems:
        typer.echo(describe(file, problem), err=to_stderr)
    if report.ok and not to_stderr:
        stages = len(report.pipeline.stages) if report.pipeline else 0
        typer.echo(f"{file.name}: valid, {counted(stages, 'stage')}")


def describe(file: DefinitionFile, problem: Problem) -> str:
    """`file:line:column: code: message`, then the line with a caret, then the suggestion."""
    place = [file.name, *(str(number) for number in (problem.line, problem.column) if number is not None)]
    kind = "warning: " if problem.severity == "warning" else ""
    parts = [f"{':'.join(place)}: {kind}{problem.code}: {problem.message}"]
    if problem.line is None and problem.path:
        parts[0] += f" (at {problem.path})"
    text = file.line(problem.line) if problem.line is not None else None
    if text is not None:
        shown, column = _excerpt(text, problem.column or 1)
        parts.append(f"  {problem.line:>4} | {shown}")
        if problem.column is not None:
            # Tabs stay tabs, so that the caret stands under its column however wide they are shown.
            before = "".join("\t" if c == "\t" else " " for c in shown[: column - 1])
            parts.append(f"       | {before}^")
    if problem.suggestion:
        parts.append(f"       = {problem.suggestion}")
    return "\n".join(parts)


def _excerpt(line: str, column: int) -> tuple[str, int]:
    """As much of a long line as fits around the column, and where that column is in it."""
    if len(line) <= LONGEST_LINE:
        return line, column
    start = max(0, min(column - 1 - LONGEST_LINE // 2, len(line) - LONGEST_LINE))
    end = start + LONGEST_LINE
    before, after = "…" if start else "", "…" if end < len(line) else ""
    return f"{before}{line[start:end]}{after}", column - start + len(before)


def problem_json(problem: Problem) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(problem)


def _print_documents(checked: list[tuple[DefinitionFile, Report]]) -> None:
    documents = [
        {
            "file": file.name,
            "valid": report.ok,
            "problems": [problem_json(problem) for problem in report.problems],
            "definition": report.document,
        }
        for file, report in checked
    ]
    print_json(documents)
