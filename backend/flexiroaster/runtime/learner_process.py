"""A process of the learner: `python -m flexiroaster.runtime.learner_process follow` or `… study`.

Its first line of input says where the history is. It only reads there; what it finds goes to its output, and the server
writes it down. It ends with its input: with the server, however that dies.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa

from flexiroaster.bus.local import LocalBus
from flexiroaster.engine.errors import FlexiRoasterError
from flexiroaster.log_output import configure_logs
from flexiroaster.services.ai import messages
from flexiroaster.services.ai.projects import Projects
from flexiroaster.services.ai.switch import Switch
from flexiroaster.store.database import Database

NICE = 19
LOCKS = {"follow": 0x666C6531, "study": 0x666C6532}
"""Of several servers on one PostgreSQL database, one follows and one studies at a time."""
BUDGET_SECONDS = 600
"""Of processor time for one study."""


@dataclass(frozen=True, slots=True)
class Place:
    database_url: str
    models: Path
    key: bytes
    train: bool

    @classmethod
    def of(cls, message: dict[str, Any]) -> Place:
        return cls(
            str(message["database_url"]),
            Path(message["models"]),
            bytes.fromhex(message["key"]),
            bool(message["train"]),
        )


def main(arguments: list[str]) -> int:
    (work,) = arguments
    os.nice(NICE)
    configure_logs("warning", json=True)
    given, told = sys.stdin.buffer, sys.stdout.buffer
    place = Place.of(messages.parsed(given.readline()))
    database = Database.open(place.database_url)
    try:
        with _alone(database, LOCKS[work]) as alone:
            if not alone:
                _tell(told, {"standby": True})
            elif work == "follow":
                _follow(database, place, given, told)
            else:
                _study(database, place, given, told)
    finally:
        database.close()
    return 0


def _follow(database: Database, place: Place, given: BinaryIO, told: BinaryIO) -> None:
    from flexiroaster.services.ai.following import Following

    following = Following(database, Switch(True, Projects(database, LocalBus()).learns), place.models, place.key)
    _tell(told, messages.of_said(following.begin()))
    for text in given:
        message = messages.parsed(text)
        if message.get("reload"):
            said = following.reload()
            _tell(told, {} if said is None else messages.of_said(said))
        else:
            _tell(told, messages.of_said(following.heed(message["ids"])))


def _study(database: Database, place: Place, given: BinaryIO, told: BinaryIO) -> None:
    from flexiroaster.services.ai.study import Study
    from flexiroaster.stages.registry import default_registry

    resource.setrlimit(resource.RLIMIT_CPU, (BUDGET_SECONDS, BUDGET_SECONDS + 5))
    threading.Thread(target=_end_with, args=(given.fileno(),), daemon=True).start()
    registry = default_registry()

    def takes_data(kind: str) -> bool:
        try:
            return registry.get(kind).takes_data
        except FlexiRoasterError:
            return True

    study = Study(database, Switch(True, Projects(database, LocalBus()).learns), takes_data)
    _tell(told, messages.of_findings(study.look()))
    if place.train:
        _tell(told, messages.of_training(study.train(place.models, place.key)))


def _end_with(given: int) -> None:
    """A study looks at no input while it works; without a server nobody hears what it finds."""
    while os.read(given, 4096):
        pass
    os._exit(1)


def _tell(told: BinaryIO, message: dict[str, Any]) -> None:
    told.write(messages.line(message))
    told.flush()


@contextmanager
def _alone(database: Database, lock: int) -> Iterator[bool]:
    """Whether no other server's process does this work. On SQLite there is one server."""
    if database.dialect == "sqlite":
        yield True
        return
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(lock))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
