"""`flexiroaster`: every command, and how errors become sentences and exit statuses.

0 it worked, 1 it did not, 2 the definition, an option or a setting is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer

from flexiroaster.cli import (
    approvals,
    clean,
    client_commands,
    db,
    definitions,
    doctor,
    drain,
    executions,
    fleet,
    health,
    insights,
    pipeline,
    pool,
    project,
    run,
    show,
    signal,
    test,
    up,
    user,
    validate,
    version,
    workers,
)
from flexiroaster.cli.help_text import WholeSentences

FAILED = 1
WRONG = 2
INTERRUPTED = 130

SECTIONS = {
    "Server": ("up", "db", "user", "doctor", "clean", "health"),
    "Parts of a fleet": ("api", "worker", "scheduler"),
    "Without a server": ("run", "test", "validate", "version"),
    "With a running server": (
        "list",
        "show",
        "import",
        "export",
        "delete",
        "execute",
        "retry",
        "rerun",
        "cancel",
        "pause",
        "resume",
        "logs",
        "approvals",
        "approve",
        "reject",
        "signal",
        "pipeline",
        "pool",
        "insights",
        "suggestions",
        "project",
        "workers",
        "drain",
        "login",
    ),
}


class Sections(WholeSentences):
    """The commands in groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for heading, names in SECTIONS.items():
            self.list_under(heading, names, formatter)


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

app.command("up")(up.up)
app.command("api")(fleet.api)
app.command("worker")(fleet.worker)
app.command("scheduler")(fleet.scheduler)
app.add_typer(db.app, name="db")
app.add_typer(user.app, name="user")
app.command("doctor")(doctor.doctor)
app.command("clean")(clean.clean)
app.command("health")(health.health)
app.command("run")(run.run)
app.command("test")(test.test)
app.command("validate")(validate.validate)
app.command("version")(version.version)
app.command("list")(client_commands.list_)
app.command("show")(show.show)
app.command("import")(definitions.import_)
app.command("export")(definitions.export)
app.command("delete")(definitions.delete)
app.command("execute")(client_commands.execute)
app.command("retry")(executions.retry)
app.command("rerun")(executions.rerun)
app.command("cancel")(executions.cancel)
app.command("pause")(executions.pause)
app.command("resume")(executions.resume)
app.command("logs")(client_commands.logs)
app.command("login")(client_commands.login)
app.command("approvals")(approvals.approvals)
app.command("approve")(approvals.approve)
app.command("reject")(approvals.reject)
app.command("signal")(signal.signal)
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(pool.app, name="pool")
app.command("insights")(insights.insights)
app.add_typer(insights.app, name="suggestions")
app.add_typer(project.app, name="project")
app.add_typer(workers.app, name="workers")
app.command("drain")(drain.drain)


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
