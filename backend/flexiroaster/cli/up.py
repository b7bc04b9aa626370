"""`flexiroaster up`: server, engine and dashboard in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import typer

from flexiroaster.cli.options import (
    CodeOption,
    ExamplesOption,
    FolderOption,
    FormatOption,
    HostOption,
    LevelOption,
    PortOption,
    PublicUrlOption,
    ReadyOption,
)

if TYPE_CHECKING:
    from flexiroaster.config import Settings
    from flexiroaster.main import Server


def up(
    folder: FolderOption = None,
    host: HostOption = None,
    port: PortOption = None,
    public_url: PublicUrlOption = None,
    code_stages: CodeOption = None,
    examples: ExamplesOption = None,
    log_level: LevelOption = None,
    log_format: FormatOption = None,
    as_json: ReadyOption = False,
) -> None:
    """Start the server, the engine and the dashboard in one process.

    Everything is kept in one folder. The first start prints a one-time sign-in link. Options win over FLEXIROASTER_*
    variables; all of them are in .env.example. Stops on Ctrl-C or SIGTERM: running stages get a while to finish, what
    is left goes on at the next start.
    """
    start_server(
        "server",
        as_json=as_json,
        data_folder=folder,
        host=host,
        port=port,
        public_url=public_url,
        code_stages=code_stages,
        examples=examples,
        log_level=log_level,
        log_format=log_format,
    )


def start_server(kind: Literal["server", "api"], *, as_json: bool, **options: object) -> None:
    """Until it is stopped. `options` are settings; None leaves one as it is."""
    from flexiroaster.lean_imports import lean_imports

    with lean_imports():
        from flexiroaster.config import Settings
        from flexiroaster.log_output import configure_logs
        from flexiroaster.roles import API, EVERYTHING
        from flexiroaster.serve import serve

    settings = Settings.load(**options)
    configure_logs(settings.log_level, json=settings.log_json)
    role = API if kind == "api" else EVERYTHING
    serve(settings, lambda server, port: announce(server, port, as_json=as_json), role)


def announce(server: Server, port: int, *, as_json: bool) -> None:
    """Tell where it is, once it answers there."""
    settings = server.settings
    facts = ready_facts(server, port)
    if as_json:
        import orjson

        typer.echo(orjson.dumps(facts).decode())
        return
    lines = [f"FlexiRoaster {facts['version']}", "", f"  Dashboard  {facts['url']}"]
    if facts["sign_in"] is not None:
        lines.append(f"  Sign in    {facts['sign_in']}")
        lines.append("             (works once, within 15 minutes)")
    lines += [f"  API        {facts['url']}/docs", f"  Data       {settings.data_folder}", "", "Stop with Ctrl-C."]
    typer.echo("\n".join(lines))
    warn_without_tls(settings)


def ready_facts(server: Server, port: int) -> dict[str, Any]:
    import os

    url = server.settings.url(port)
    return {
        "event": "ready",
        "url": url,
        "port": port,
        "pid": os.getpid(),
        "instance": server.facts.instance,
        "version": server.facts.version,
        "sign_in": server.sign_in_link(url),
    }


def warn_without_tls(settings: Settings) -> None:
    from flexiroaster.config import is_loopback

    if not is_loopback(settings.host) and not settings.url().startswith("https://"):
        typer.echo(
            "Warning: other machines can reach this server without TLS; passwords travel in clear text. Put a proxy "
            "with TLS before it and set FLEXIROASTER_PUBLIC_URL to its https:// address.",
            err=True,
        )
