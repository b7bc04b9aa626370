"""What every process that keeps a folder and opens the database is made of: a server, a worker, a scheduler."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from flexiroaster.artifact_store import make_artifacts
from flexiroaster.composition import Engine, make_engine
from flexiroaster.config import Settings
from flexiroaster.data_folder import DataFolder, unusable
from flexiroaster.roles import Role, allowed_by, make_broker, seat_of
from flexiroaster.services.drain import Drain

if TYPE_CHECKING:
    from flexiroaster.bus.redis import RedisLink

log = structlog.get_logger(__name__)

GARBAGE = (10_000, 10, 10)
"""How many more objects than were given back make Python look for garbage that refers to itself; of these looks, how
many make one of older objects. With its 700 a tenth of an execution's time goes into finding none.
"""
SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while others want it. With Python's 5 ms a request, or word of work, which
passes through two or three threads, would take that long while stages are worked on.
"""


def tune_interpreter() -> None:
    """For a process of many threads that stays."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GARBAGE)


@contextmanager
def given_back(folder: DataFolder) -> Iterator[None]:
    """Closed where the process cannot be put together. Raises `ConfigurationError` for a file that is in the way."""
    try:
        yield
    except OSError as error:
        folder.close()
        raise unusable(Path(error.filename or folder.path), error) from error
    except BaseException:
        folder.close()
        raise


def make_drained_engine(
    settings: Settings, role: Role, folder: DataFolder, secret: str, link: RedisLink | None
) -> tuple[Engine, Drain]:
    """The engine with its folders, and what ends its work when somebody asks for it; starts nothing."""
    for path in (*settings.data_dirs, *(settings.code_dirs if settings.code_stages else ())):
        path.mkdir(parents=True, exist_ok=True)
    settings.artifacts_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = make_engine(
        settings.database_url,
        settings.artifacts_folder,
        folder.path / "scratch",
        allowed_by(settings, role),
        artifacts=make_artifacts(settings),
        wait_for_disk=settings.wait_for_disk,
        seat=seat_of(settings, folder, secret, role),
        link=link,
        broker=make_broker(settings),
    )
    engine.embedded.refuse_differences()
    drain = Drain(engine.embedded.drain, lambda: engine.embedded.worker.running, grace_seconds=settings.grace_seconds)
    engine.embedded.presence.on_stop_asked = drain.begin
    return engine, drain


def keep_code_apart(settings: Settings) -> None:
    """Before the first code stage runs."""
    from flexiroaster.stages.process.isolation import protect_this_process

    kept_apart = protect_this_process() if settings.code_confined else "nothing"
    log.info("code_stages.on", kept_apart=kept_apart, folders=[str(path) for path in settings.code_dirs])
