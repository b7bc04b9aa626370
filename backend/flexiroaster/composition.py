"""How the rooms are put together: what a server and a local run have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.bus.local import LocalBus
from flexiroaster.bus.port import Bus
from flexiroaster.data import clusters
from flexiroaster.data.clusters import Cluster
from flexiroaster.engine.errors import ConfigurationError
from flexiroaster.runtime.broker import Broker
from flexiroaster.runtime.conditions import REALITY, Conditions
from flexiroaster.runtime.embedded import NO_SEAT, Embedded, Limits, Seat
from flexiroaster.services.history import History
from flexiroaster.services.pipelines import Pipelines
from flexiroaster.stages.registry import StageRegistry, default_registry
from flexiroaster.store.database import Database, StoreUnavailable
from flexiroaster.store.migrate import upgrade

if TYPE_CHECKING:
    from flexiroaster.bus.redis import RedisLink
    from flexiroaster.store.notices import Notices

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine of one process with what reads and writes its history."""

    database: Database
    bus: Bus
    artifacts: ArtifactStore
    registry: StageRegistry
    embedded: Embedded
    pipelines: Pipelines
    history: History
    notices: Notices | None = None
    """What goes to other servers on the database, where there may be some."""

    def tell_to_look(self, worker: str) -> None:
        """Somebody wants something of another worker, as its row says."""
        if self.notices is not None:
            self.notices.tell("look", [worker])

    def close(self) -> None:
        """After `embedded.stop`."""
        self.database.close()


@dataclass(frozen=True, slots=True)
class Allowed:
    """What stages may do."""

    data_dirs: tuple[Path, ...]
    code_stages: bool
    http_allow: tuple[str, ...]
    concurrency: int
    code_dirs: tuple[Path, ...] = ()
    hidden_from_code: tuple[Path, ...] = ()
    spark: Cluster | None = None
    """Where data stages with `engine: spark` run; None leaves what this process was told before."""


def make_engine(
    database_url: str,
    artifacts_folder: Path,
    scratch_folder: Path,
    allowed: Allowed,
    *,
    artifacts: ArtifactStore | None = None,
    wait_for_disk: bool = False,
    conditions: Conditions = REALITY,
    seat: Seat = NO_SEAT,
    link: RedisLink | None = None,
    broker: Broker | None = None,
) -> Engine:
    """Opens the database and brings its tables to this release's shape; starts nothing.

    Artifacts are kept in `artifacts_folder`; with `artifacts`, which are elsewhere, it is where copies of them are.
    """
    database = open_database(database_url, wait_for_disk=wait_for_disk)
    bus, notices = make_bus(database, link)
    artifacts_folder.mkdir(parents=True, exist_ok=True)
    artifacts = artifacts or DiskArtifacts(artifacts_folder)
    registry = default_registry()
    if allowed.spark is not None:
        clusters.configure(allowed.spark)
    limits = Limits(
        artifact_dir=artifacts_folder,
        data_dirs=allowed.data_dirs,
        scratch_root=scratch_folder,
        code_stages=allowed.code_stages,
        code_dirs=allowed.code_dirs,
        hidden_from_code=allowed.hidden_from_code,
        http_allow=allowed.http_allow,
        concurrency=allowed.concurrency,
    )
    embedded = Embedded(
        database, bus, artifacts, registry, limits, conditions, notices=notices, seat=seat, broker=broker
    )
    return Engine(
        database=database,
        bus=bus,
        artifacts=artifacts,
        registry=registry,
        embedded=embedded,
        pipelines=Pipelines(database, registry.types, bus, clock=conditions.clock),
        history=History(database, artifacts, embedded.executions.retry_plan, clock=conditions.clock),
        notices=notices,
    )


def make_bus(database: Database, link: RedisLink | None = None) -> tuple[Bus, Notices | None]:
    """One process has SQLite; on PostgreSQL there may be other servers, which `link` reaches faster."""
    if database.dialect == "sqlite":
        return LocalBus(), None
    from flexiroaster.several_servers import make_shared_bus

    return make_shared_bus(database, link)


def open_database(url: str, *, wait_for_disk: bool = False) -> Database:
    """With the tables of this release. Raises `ConfigurationError` for a database that cannot be used, untouched."""
    _look_at_empty(url)
    database = Database.open(url, wait_for_disk=wait_for_disk)
    try:
        upgrade(database)
    except (StoreUnavailable, SQLAlchemyError) as error:
        database.close()
        raise ConfigurationError(_unusable(url, error, database.unavailable(error))) from error
    except BaseException:
        database.close()
        raise
    return database


def _look_at_empty(url: str) -> None:
    """A start that was killed in its first moment leaves an empty file, a broken disk may do so much later: then there
    are artifacts beside it, and to begin anew would look as if everything were gone.
    """
    named = sa.make_url(url)
    path = Path(named.database) if named.get_backend_name() == "sqlite" and named.database else None
    if path is None or not path.is_file() or path.stat().st_size:
        return
    artifacts = path.parent / "artifacts"
    if artifacts.is_dir() and any(artifacts.iterdir()):
        raise ConfigurationError(
            f"The database {path} is empty, though {artifacts} holds results of earlier executions: put back a copy of "
            "the database, or move both away to begin anew."
        )
    log.warning("database.begun_anew", path=str(path), found="an empty file")


def _unusable(url: str, error: Exception, now: str | None) -> str:
    """`now` says what stands in the way for the moment; the database itself may be sound then."""
    cause = str(getattr(error, "orig", None) or error.__cause__ or error).strip().splitlines()[0]
    if url.startswith("sqlite"):
        path = sa.make_url(url).database
        if now is not None:
            return f"The database {path} cannot be used. {now}"
        return f"The database {path} cannot be used ({cause}): put back a copy of it, or name another data folder."
    shown = sa.make_url(url).render_as_string(hide_password=True)
    return f"The database {shown} cannot be used ({cause}): start it, or correct FLEXIROASTER_DATABASE_URL."
