"""Commands that treat many at once say what they would do, and ask."""

from __future__ import annotations

import sys
from typing import Any

import typer

from flexiroaster.cli.json_output import print_json


def go_on(said: str, plan: dict[str, Any], yes: bool, dry_run: bool, as_json: bool) -> bool:
    """Say what would be done, and ask where that is wanted and possible."""
    if dry_run and as_json:
        print_json(plan)
    elif not as_json:
        typer.echo(said)
    if dry_run:
        return False
    if yes:
        return True
    if as_json or not sys.stdin.isatty():
        raise typer.BadParameter("Nobody can be asked here: say --yes to do it, or --dry-run to look.")
    return typer.confirm("Go on?")
