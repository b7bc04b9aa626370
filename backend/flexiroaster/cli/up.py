"""`flexiroaster up`: server, engine and dashboard in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flexiroaster.cli.options import FolderOption

if TYPE_CHECKING:
    from flexiroaster.config import Settings
    from flexiroaster.main import Server


def up(
    folder: FolderOption = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on (127.0.0.1).", show_default=False)] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", help="The port (8000); 0 takes a free one.")] = None,
    public_url: Annotated[str | None, typer.Option(help="The address people type, where it is another one.")] = None,
    code_stages: Annotated[
        bool | None, typer.Option("--code-stages/--no-code-stages", help="Whether pipelines may run `python` stages.")
    ] = None,
    examples: Annotated[
        bool | None, typer.Option("--examples/--no-examples", help="Whether the first start loads the examples.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="auto, console or json.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="When it answers, print one line of JSON instead of text.")
    ] = False,
) -> None:
    """Start the server, the engine and the dashboard in one process.

    Everything is kept in one folder. The first start prints a one-time sign-in link. Options win over FLEXIROASTER_*
    variables; all of them are in .env.example. Stops on Ctrl-C or SIGTERM: running stages get a while to finish, what
    is left goes on at the next start.
    """
    from flexiroaster.lean_imports import lean_imports

    with lean_imports():
        from flexiroaster.config import Settings
        from flexiroaster.log_output import configure_logs
        from flexiroaster.serve import serve

    settings = Settings.load(
        data_folder=folder,
        host=host,
        port=port,
        public_url=public_url,
        code_stages=code_stages,
        examples=examples,
        log_level=log_level,
        log_format=log_format,
    )
    configure_logs(settings.log_level, json=settings.log_json)
    serve(settings, lambda server, port: announce(server, port, as_json=as_json))


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
