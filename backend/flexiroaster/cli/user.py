"""`flexiroaster user …`: accounts, on the machine that keeps them."""

from __future__ import annotations

import secrets
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flexiroaster.cli.help_text import WholeSentences
from flexiroaster.cli.options import FolderOption

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from flexiroaster.services.accounts import Accounts

app = typer.Typer(
    cls=WholeSentences, help="Accounts, on the machine that keeps them.", no_args_is_help=True, rich_markup_mode=None
)

EmailArgument = Annotated[str, typer.Argument(metavar="E-MAIL", help="The account's e-mail address.")]
StdinOption = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
GenerateOption = Annotated[bool, typer.Option("--generate", help="Make a password and print it once.")]


class RoleName(StrEnum):
    """Each may do what the one before may, and more."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    EDITOR = "editor"
    ADMIN = "admin"


@app.callback()
def _group() -> None:
    """Accounts, on the machine that keeps them."""


@app.command()
def create(
    email: EmailArgument,
    role: Annotated[RoleName, typer.Option(help="What the account may do.")] = RoleName.VIEWER,
    password_stdin: StdinOption = False,
    generate: GenerateOption = False,
    folder: FolderOption = None,
) -> None:
    """Make an account."""
    from flexiroaster.auth.permissions import Role

    password = _password(stdin=password_stdin, generate=generate)
    with _accounts(folder, make=True) as accounts:
        made = accounts.create_user(email, password, Role(role.value))
    typer.echo(f"Made the account {made.email} ({made.role}).")
    _show(password, generate)


@app.command("reset-password")
def reset_password(
    email: EmailArgument,
    password_stdin: StdinOption = False,
    generate: GenerateOption = False,
    folder: FolderOption = None,
) -> None:
    """Give an account a new password. Wherever it is signed in, it is signed out."""
    password = _password(stdin=password_stdin, generate=generate)
    with _accounts(folder) as accounts:
        found = accounts.user_named(email)
        accounts.set_password(found.id, password)
    typer.echo(f"{found.email} has a new password and is signed out everywhere.")
    _show(password, generate)


@app.command()
def groups(
    email: EmailArgument,
    names: Annotated[list[str] | None, typer.Argument(metavar="GROUP", help="The groups, and no others.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the account out of every group.")] = False,
    folder: FolderOption = None,
) -> None:
    """Say which groups an account is in: `group:NAME` is asked for an approval by that name."""
    if bool(names) == none:
        raise typer.BadParameter("name the groups, or write --none.")
    with _accounts(folder) as accounts:
        found = accounts.user_named(email)
        accounts.set_groups(found.id, names or [])
    typer.echo(f"{found.email} is in {', '.join(names) if names else 'no group'}.")


@app.command("list")
def list_(folder: FolderOption = None) -> None:
    """List the accounts."""
    from flexiroaster.cli.table import print_table
    from flexiroaster.cli.words import moment

    with _accounts(folder) as accounts:
        found = accounts.list_users()
    print_table(
        ("e-mail", "role", "state", "last sign-in", "groups"),
        [
            (
                account.email,
                account.role,
                "disabled" if account.disabled else "active",
                moment(account.last_login_at.isoformat() if account.last_login_at else None) or "never",
                ", ".join(account.groups),
            )
            for account in found
        ],
        nothing="There is no account yet: start the server and follow the one-time link it prints.",
    )


def _accounts(folder: Path | None, *, make: bool = False) -> AbstractContextManager[Accounts]:
    """`make` begins a new folder: otherwise a mistyped one would look like one without accounts."""
    from flexiroaster.cli.local_accounts import local_accounts
    from flexiroaster.config import Settings
    from flexiroaster.engine.errors import ConfigurationError

    settings = Settings.load(data_folder=folder)
    if not make and not settings.data_folder.exists():
        raise ConfigurationError(
            f"There is no data folder {settings.data_folder}: name the server's with --data-folder, start a server, or "
            "make the first account with `flexiroaster user create`."
        )
    return local_accounts(settings)


def _password(*, stdin: bool, generate: bool) -> str:
    if generate:
        return secrets.token_urlsafe(15)
    if stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask for a password: add --password-stdin or --generate.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _show(password: str, generated: bool) -> None:
    if generated:
        typer.echo(f"Password: {password}")
