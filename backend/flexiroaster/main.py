"""The composition root: settings become a running server. Nothing below builds connections or reads settings."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import structlog
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

import flexiroaster
from flexiroaster.api.auth import create_router
from flexiroaster.api.deps import install_accounts
from flexiroaster.api.description import operation_id
from flexiroaster.api.routes import TAGS, add_routes, include_routes, install_services
from flexiroaster.api.security import install_security
from flexiroaster.assisting import make_assistance
from flexiroaster.composition import Engine
from flexiroaster.config import Settings
from flexiroaster.data_folder import DataFolder
from flexiroaster.engine.errors import ConfigurationError, NotFound
from flexiroaster.engine.events import Event, EventType
from flexiroaster.examples import load_examples
from flexiroaster.housekeeping import make_collector
from flexiroaster.learning import make_learner
from flexiroaster.log_output import configure_logs
from flexiroaster.process import given_back, keep_code_apart, make_drained_engine
from flexiroaster.roles import EVERYTHING, Role, make_link
from flexiroaster.runtime.collector import Collector
from flexiroaster.runtime.learner import Learner
from flexiroaster.services.accounts import Accounts
from flexiroaster.services.ai.room import make_ai
from flexiroaster.services.artifacts import Artifacts
from flexiroaster.services.container import Facts, Services
from flexiroaster.services.drafts import Drafts
from flexiroaster.services.ends import Ends
from flexiroaster.services.logs import Logs
from flexiroaster.services.metrics import Metrics
from flexiroaster.services.shared_answers import SharedAnswers
from flexiroaster.services.stage_tables import StageTables
from flexiroaster.services.workers import Workers
from flexiroaster.sign_in import make_accounts
from flexiroaster.store.executions import EventRow
from flexiroaster.triggers.schedule_loop import ScheduleLoop
from flexiroaster.web.dashboard import Dashboard, find_dist
from flexiroaster.web.docs import install_docs
from flexiroaster.web.routes import install_dashboard
from flexiroaster.websocket.server import LiveServer, create_socket, mount_socket

if TYPE_CHECKING:
    from flexiroaster.bus.redis import RedisLink

log = structlog.get_logger(__name__)

WRONG = 2


@dataclass(slots=True)
class Server:
    """Everything of one server but its sockets. `start` and `stop` belong to the application's lifespan; `stop` may be
    called twice. `facts.instance` is chosen anew by every process.
    """

    settings: Settings
    folder: DataFolder
    engine: Engine
    services: Services
    collector: Collector
    schedules: ScheduleLoop
    learner: Learner | None = None
    stopped: bool = False

    def start(self) -> None:
        if self.settings.examples:
            load_examples(self.engine.pipelines, self.folder.path, self.settings.data_dirs[0])
        if self.settings.code_stages:
            keep_code_apart(self.settings)
        recovered = self.engine.embedded.start()
        self.collector.start()
        self.schedules.start()
        if self.learner is not None:
            self.learner.start()
        log.info("server.started", version=self.facts.version, instance=self.facts.instance, recovered=recovered)

    def take_no_more_work(self) -> None:
        """Let running stages finish within the grace, and begin no other. Returns at once; `stop` waits for it."""
        self.services.drain.begin()

    def stop(self) -> None:
        if self.stopped:
            return
        self.stopped = True
        self.schedules.stop()
        self.take_no_more_work()
        self.services.assistance.stop()
        self.services.drain.wait()
        self.collector.stop()
        if self.learner is not None:
            self.learner.stop()
        self.engine.embedded.stop()
        self.engine.close()
        self.folder.close()
        log.info("server.stopped")

    @property
    def facts(self) -> Facts:
        return self.services.facts

    def sign_in_link(self, url: str) -> str | None:
        """A fresh one-time link for the first account, None once there is an account."""
        if not self.services.accounts.setup_needed():
            return None
        return f"{url}/#setup={self.services.accounts.create_setup_link()}"


def make_server(settings: Settings, role: Role = EVERYTHING) -> Server:
    """Open the data folder and the database and put everything together; starts nothing. It may run no stages.

    Raises `ConfigurationError` with one sentence for whatever stands in the way.
    """
    role.check(settings)
    folder = DataFolder.open(settings.data_folder)
    with given_back(folder):
        return _server(settings, folder, role)


def _server(settings: Settings, folder: DataFolder, role: Role) -> Server:
    secret = settings.secret_key.get_secret_value() if settings.secret_key else folder.key("secret")
    link = make_link(settings, secret)
    engine, drain = make_drained_engine(settings, role, folder, secret, link)
    ai = make_ai(engine.database, engine.pipelines, engine.bus, on=settings.ai)
    logs = Logs(engine.database, engine.embedded.journal.flush)
    services = Services(
        accounts=_accounts(settings, secret, engine, link),
        pipelines=engine.pipelines,
        drafts=Drafts(engine.database, engine.pipelines, engine.bus),
        executions=engine.embedded.executions,
        reruns=engine.embedded.reruns,
        bulk=engine.embedded.bulk,
        approvals=engine.embedded.approvals,
        signals=engine.embedded.signals,
        triggers=engine.embedded.triggers,
        admission=engine.embedded.admission,
        pools=engine.embedded.pools,
        drain=drain,
        workers=Workers(engine.database, engine.embedded.presence.me.id, drain, engine.tell_to_look),
        ends=Ends(engine.database, engine.bus),
        history=engine.history,
        artifacts=Artifacts(engine.database, engine.artifacts),
        stage_tables=StageTables(engine.database, engine.artifacts, settings.data_dirs),
        logs=logs,
        metrics=Metrics(engine.database, answers=SharedAnswers(link)),
        ai=ai,
        assistance=make_assistance(settings, secret, engine, ai, logs),
        stage_types=engine.registry.types,
        database=engine.database,
        redis_trouble=(lambda: link.trouble) if link else (lambda: None),
        metrics_token=settings.metrics_token.get_secret_value() if settings.metrics_token else None,
        broker_trouble=lambda: engine.embedded.broker.trouble if engine.embedded.broker is not None else None,
        facts=Facts(
            version=flexiroaster.__version__,
            instance=engine.embedded.presence.me.id,
            code_stages=settings.code_stages,
            data_dirs=settings.data_dirs,
        ),
    )
    collector = make_collector(settings, engine.database, engine.artifacts)
    learner = make_learner(settings, role, engine.bus, services.ai, secret)
    schedules = ScheduleLoop(engine.embedded.triggers, engine.bus)
    return Server(settings, folder, engine, services, collector, schedules, learner)


def _accounts(settings: Settings, secret: str, engine: Engine, link: RedisLink | None) -> Accounts:
    accounts = make_accounts(engine.database, secret, link)
    if engine.notices is not None:
        from flexiroaster.several_servers import share_endings

        share_endings(accounts, engine.notices)
    if settings.admin_email is not None and settings.admin_password is not None:
        accounts.ensure_admin(settings.admin_email, settings.admin_password.get_secret_value())
    return accounts


def create_app(settings: Settings) -> FastAPI:
    """The whole server as one ASGI application: API, socket and dashboard. Its lifespan starts and stops the engine."""
    return make_app(make_server(settings), settings.url())


def make_app(server: Server, url: str) -> FastAPI:
    """`url` is what people type: hosts, origins and cookies follow from it."""
    live = _live(server, url)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(server.start)
        try:
            yield
        finally:
            await live.shutdown()
            await run_in_threadpool(server.stop)

    app = FastAPI(
        title="FlexiRoaster API",
        version=server.facts.version,
        description="Pipelines, their executions, and everything the dashboard shows.",
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=operation_id,
        lifespan=lifespan,
    )
    app.state.live = live
    install_services(app, server.services)
    install_accounts(app, server.services.accounts)
    include_routes(app)
    add_routes(app, create_router(server.services.accounts, public_url=url))
    mount_socket(app, live)
    install_docs(app)
    dist = find_dist()
    install_dashboard(app, Dashboard(dist) if dist else None, server.facts.version)
    install_security(app, url, trusted_proxies=server.settings.trusted_proxies)
    return app


def _live(server: Server, url: str) -> LiveServer:
    """The socket: what happens, told to who may see it."""
    services = server.services

    def history(execution_id: str, after: int, limit: int) -> Sequence[Event]:
        rows = services.history.events(execution_id, after=after, limit=limit, items=False)
        return [_event(row) for row in rows]

    def exists(kind: str, id: str) -> bool:
        try:
            services.pipelines.get(id) if kind == "pipeline" else services.history.entry(id)
        except NotFound:
            return False
        return True

    return create_socket(server.engine.bus, services.accounts, history, exists, [url])


def _event(row: EventRow) -> Event:
    return Event(
        type=EventType(row.type),
        execution_id=row.execution_id,
        pipeline_id=row.pipeline_id,
        seq=row.seq,
        at=row.at,
        stage=row.stage,
        index=row.index,
        payload=row.payload,
    )


def app_from_environment() -> FastAPI:
    """For `uvicorn app.main:app`: settings from the environment; a wrong one ends the process with a sentence."""
    try:
        settings = Settings.load()
        configure_logs(settings.log_level, json=settings.log_json, own_server=False)
        _refuse_several_processes(settings)
        server = make_server(settings)
    except ConfigurationError as error:
        _leave(str(error))
    link = server.sign_in_link(settings.url())
    if link is not None:
        sys.stderr.write(f"Sign in, once and within 15 minutes: {link}\n")
    return make_app(server, settings.url())


def _refuse_several_processes(settings: Settings) -> None:
    """SQLite and the data folder belong to one process; uvicorn would start each of its workers with this module."""
    workers = _uvicorn_workers(sys.argv)
    if workers > 1:
        raise ConfigurationError(
            f"uvicorn was asked for {workers} worker processes, but one process serves a data folder: leave out "
            "--workers (WEB_CONCURRENCY) and set FLEXIROASTER_CONCURRENCY for more stages at a time."
        )


def _uvicorn_workers(arguments: list[str]) -> int:
    if "--reload" in arguments:
        return 1
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--workers":
            text = value if equals else "".join(arguments[position + 1 : position + 2])
            return int(text) if text.isdigit() else 1
    variable = os.environ.get("WEB_CONCURRENCY", "")
    return int(variable) if variable.isdigit() else 1


def _leave(sentence: str) -> NoReturn:
    sys.stderr.write(f"{sentence}\n")
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        # A supervisor would start this process again and again; the reloader waits for a changed file.
        os.kill(parent.pid, signal.SIGTERM)
    sys.exit(WRONG)
