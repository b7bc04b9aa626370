"""`flexiroaster`: every command, and how errors become sentences and exit statuses.

0 it worked, 1 it did not, 2 the definition, an option or a setting is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from flexiroaster.cli import client_commands, db, run, up, user, validate, version

FAILED = 1
WRONG = 2
INTERRUPTED = 130

app = typer.Typer(
    name="flexiroaster",
    help="Pipelines with a durable engine, a live dashboard and local AI.",
    epilog="Start with: flexiroaster up. Every command explains itself with --help.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("up", rich_help_panel="Server")(up.up)
app.add_typer(db.app, name="db", rich_help_panel="Server")
app.add_typer(user.app, name="user", rich_help_panel="Server")
app.command("run", rich_help_panel="Without a server")(run.run)
app.command("validate", rich_help_panel="Without a server")(validate.validate)
app.command("version", rich_help_panel="Without a server")(version.version)
app.command("login", rich_help_panel="With a running server")(client_commands.login)
app.command("list", rich_help_panel="With a running server")(client_commands.list_)
app.command("execute", rich_help_panel="With a running server")(client_commands.execute)
app.command("logs", rich_help_panel="With a running server")(client_commands.logs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit status."""
    from flexiroaster.engine.errors import ConfigurationError, FlexiRoasterError, InvalidDefinition

    try:
        app(args=None if arguments is None else list(arguments))
    except (ConfigurationError, InvalidDefinition) as error:
        _say(error)
        sys.exit(WRONG)
    except FlexiRoasterError as error:
        _say(error)
        sys.exit(FAILED)
    except BrokenPipeError:  # `flexiroaster list | head`
        sys.stderr.close()
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _say(error: Exception) -> None:
    sys.stderr.write(f"{error}\n")
