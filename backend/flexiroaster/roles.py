"""What a process of FlexiRoaster is there for, and what follows from that and the settings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from sqlalchemy import make_url

import flexiroaster
from flexiroaster.composition import Allowed
from flexiroaster.config import PREFIX, Settings, variable
from flexiroaster.data.clusters import cluster_of
from flexiroaster.data_folder import DataFolder
from flexiroaster.engine.errors import ConfigurationError
from flexiroaster.runtime.broker import Broker
from flexiroaster.runtime.embedded import Seat

if TYPE_CHECKING:
    from flexiroaster.bus.redis import RedisLink


@dataclass(frozen=True, slots=True)
class Role:
    """`pools`: whose stages it runs, "default" standing for no pool; None: of all, empty: none at all."""

    kind: Literal["server", "api", "worker", "scheduler"]
    pools: tuple[str, ...] | None

    @property
    def runs_stages(self) -> bool:
        return self.pools != ()

    def check(self, settings: Settings) -> None:
        """Raises `ConfigurationError` where the database is one that a process has alone."""
        if settings.embedded and self.kind != "server":
            raise ConfigurationError(
                f"`flexiroaster {self.kind}` is for several processes on one database, and SQLite serves one: set "
                f"{PREFIX}DATABASE_URL to a PostgreSQL, or start everything in one process with `flexiroaster up`."
            )


EVERYTHING = Role("server", None)
API = Role("api", ())
SCHEDULER = Role("scheduler", ())


def worker(pools: tuple[str, ...] | None = None) -> Role:
    return Role("worker", pools or None)


def allowed_by(settings: Settings, role: Role) -> Allowed:
    """What stages may do in a process of this role."""
    return Allowed(
        settings.data_dirs,
        settings.code_stages,
        settings.http_allow,
        settings.concurrency if role.runs_stages else 0,
        settings.code_dirs,
        _hidden_from_code(settings) if settings.code_confined else (),
        spark=cluster_of(settings.spark_url, settings.spark_options),
    )


def make_broker(settings: Settings) -> Broker | None:
    return None if settings.broker_url is None else Broker(settings.broker_url)


def make_link(settings: Settings, secret: str) -> RedisLink | None:
    """What reaches the other servers of the database faster, where there is a Redis."""
    if settings.redis_url is None:
        return None
    from flexiroaster.several_servers import link_of

    return link_of(settings.redis_url, settings.database_url, secret)


def seat_of(settings: Settings, folder: DataFolder, secret: str, role: Role) -> Seat:
    """What makes this process one of several on a PostgreSQL database, which all sign and keep alike."""
    version, lease = flexiroaster.__version__, timedelta(seconds=settings.lease_seconds)
    if settings.embedded:
        return Seat(version, lease=lease)
    # Slow to guess: the digest lies in the database.
    key = hashlib.scrypt(secret.encode(), salt=b"servers of a database", n=2**12, r=8, p=1, dklen=16).hex()
    kept = settings.artifacts_url if settings.artifacts_in_s3 else _name_of(settings.artifacts_folder)
    shares = {variable("secret_key"): key, variable("artifacts_url"): kept}
    return Seat(version, role.kind, role.pools, folder.identity, shares, lease)


def _hidden_from_code(settings: Settings) -> tuple[Path, ...]:
    """What belongs to the server, wherever it was put. A database file has others beside it."""
    database = make_url(settings.database_url).database if settings.embedded else None
    beside = [Path(database + suffix) for suffix in ("", "-wal", "-shm", "-journal")] if database else []
    return (settings.data_folder, settings.artifacts_folder, Path(".env").absolute(), *beside)


def _name_of(folder: Path) -> str:
    """The same for all who see this folder, under whatever path; made by the first of them."""
    path = folder / ".name"
    if not path.exists():
        draft = folder / f".name-{uuid4().hex}"
        draft.write_text(uuid4().hex)
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # another one was first
        finally:
            draft.unlink()
    return path.read_text()
