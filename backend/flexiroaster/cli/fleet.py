"""`flexiroaster api`, `worker` and `scheduler`: what `up` does in one process, in several, on one PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
from flexiroaster.cli.up import start_server

if TYPE_CHECKING:
    from flexiroaster.roles import Role
    from flexiroaster.work import Hand


def api(
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
    """Start a server that runs no stages: API, live events and dashboard.

    Workers do the work, on the same PostgreSQL. Several may be started behind one address. Stops on Ctrl-C or SIGTERM.
    """
    start_server(
        "api",
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


def worker(
    folder: FolderOption = None,
    pools: Annotated[
        list[str] | None,
        typer.Option(
            "--pool",
            metavar="NAME",
            help="Run only stages of this pool, `default` those of none; may be repeated. Without it: all stages.",
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", "-c", help="Stages that run at the same time.")
    ] = None,
    code_stages: CodeOption = None,
    log_level: LevelOption = None,
    log_format: FormatOption = None,
    as_json: ReadyOption = False,
) -> None:
    """Start a worker: it runs stages of the servers on the same PostgreSQL, and answers no requests.

    Several may share a data folder. Stops on Ctrl-C or SIGTERM: running stages get a while to finish
    (FLEXIROASTER_GRACE_SECONDS), what is left goes to other workers at once.
    """
    from flexiroaster.engine.errors import ConfigurationError

    if concurrency is not None and concurrency < 1:
        raise ConfigurationError("--concurrency must be 1 or more: a worker that runs nothing is a scheduler.")
    from flexiroaster.roles import worker as role

    _work(
        role(tuple(pools or ())),
        as_json=as_json,
        data_folder=folder,
        concurrency=concurrency,
        code_stages=code_stages,
        log_level=log_level,
        log_format=log_format,
    )


def scheduler(
    folder: FolderOption = None,
    log_level: LevelOption = None,
    log_format: FormatOption = None,
    as_json: ReadyOption = False,
) -> None:
    """Start a process that only watches the time: schedules, retries, waits, deadlines, and what dead workers left.

    Every server does so too, and every worker but for schedules; it is for who wants it done where no stage
    computes. Several do no harm.
    """
    from flexiroaster.roles import SCHEDULER

    _work(SCHEDULER, as_json=as_json, data_folder=folder, log_level=log_level, log_format=log_format)


def _work(role: Role, *, as_json: bool, **options: object) -> None:
    """`options` are settings; None leaves one as it is."""
    from flexiroaster.config import Settings
    from flexiroaster.log_output import configure_logs
    from flexiroaster.work import work

    settings = Settings.load(**options)
    configure_logs(settings.log_level, json=settings.log_json)
    work(settings, role, lambda hand: _announce(hand, as_json=as_json))


def _announce(hand: Hand, *, as_json: bool) -> None:
    from flexiroaster.work import ready_facts

    facts = ready_facts(hand)
    if as_json:
        import orjson

        typer.echo(orjson.dumps(facts).decode())
        return
    pools = "" if not hand.role.pools else f", pools {', '.join(hand.role.pools)}"
    stages = f", {hand.settings.concurrency} at a time" if hand.role.runs_stages else ""
    typer.echo(f"FlexiRoaster {facts['version']} {hand.role.kind}{pools}{stages}. Stop with Ctrl-C.")
