"""`flexiroaster`: every command, and how errors become sentences and exit statuses.

0 it worked, 1 it did not, 2 the definition, an option or a setting is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer

from flexiroaster.cli.commands import Commands
from flexiroaster.cli.help_text import WholeSentences

FAILED = 1
WRONG = 2
INTERRUPTED = 130

SECTIONS = {
    "Server": {
        "up": "up:up",
        "db": "db:app",
        "user": "user:app",
        "doctor": "doctor:doctor",
        "clean": "clean:clean",
        "health": "health:health",
    },
    "Parts of a fleet": {
        "api": "fleet:api",
        "worker": "fleet:worker",
        "scheduler": "fleet:scheduler",
    },
    "Without a server": {
        "run": "run:run",
        "test": "test:test",
        "validate": "validate:validate",
        "version": "version:version",
    },
    "With a running server": {
        "list": "client_commands:list_",
        "show": "show:show",
        "import": "definitions:import_",
        "export": "definitions:export",
        "delete": "definitions:delete",
        "execute": "client_commands:execute",
        "retry": "executions:retry",
        "rerun": "executions:rerun",
        "cancel": "executions:cancel",
        "pause": "executions:pause",
        "resume": "executions:resume",
        "logs": "client_commands:logs",
        "approvals": "approvals:approvals",
        "approve": "approvals:approve",
        "reject": "approvals:reject",
        "signal": "signal:signal",
        "pipeline": "pipeline:app",
        "trigger": "trigger:app",
        "pool": "pool:app",
        "insights": "insights:insights",
        "suggestions": "insights:app",
        "maintenance": "maintenance:app",
        "project": "project:app",
        "assistant": "assistant:app",
        "workers": "workers:app",
        "drain": "drain:drain",
        "login": "client_commands:login",
    },
}
"""Every command, and where its function (or group of commands) is in this package."""


class Sections(WholeSentences):
    """The commands in groups, each loaded when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands({name: place for section in SECTIONS.values() for name, place in section.items()})

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for heading, names in SECTIONS.items():
            self.list_under(heading, list(names), formatter)


app = typer.Typer(
    name="flexiroaster",
    cls=Sections,
    help="Pipelines with a durable engine and a live dashboard.",
    epilog="Start with: flexiroaster up. Every command explains itself with --help.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def _any_command() -> None:
    """Makes it a group, whose commands are not registered here."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit status."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="flexiroaster")
    except BrokenPipeError:  # `flexiroaster list | head`
        sys.stderr.close()
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        sys.exit(_status(error))


def _status(error: Exception) -> int:
    """Say an error of ours as its sentence; whatever else is a fault of ours and keeps its traceback."""
    from flexiroaster.engine.errors import ConfigurationError, FlexiRoasterError, InvalidDefinition

    if not isinstance(error, FlexiRoasterError):
        raise error
    sys.stderr.write(f"{error}\n")
    wrong = isinstance(error, ConfigurationError | InvalidDefinition) or error.code == "refused"
    return WRONG if wrong else FAILED
