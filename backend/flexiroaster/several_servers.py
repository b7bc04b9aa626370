"""What several servers on one PostgreSQL database have with each other. One that is alone does not load it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from uuid import uuid4

import sqlalchemy as sa

from flexiroaster.auth.identity import SessionsEnded
from flexiroaster.bus.postgres import PostgresBus
from flexiroaster.bus.redis import RedisLink
from flexiroaster.engine.events import Event
from flexiroaster.services.accounts import Accounts
from flexiroaster.services.narration import as_events
from flexiroaster.store import stream
from flexiroaster.store.database import Database
from flexiroaster.store.notices import Notices


def make_shared_bus(database: Database, link: RedisLink | None) -> tuple[PostgresBus, Notices]:
    """`link` reaches the other servers faster."""
    notices = Notices(database.engine, str(uuid4()), link)

    def read_events(wanted: Sequence[tuple[str, int, int, int]], since: datetime) -> list[Event]:
        with database.read() as connection:
            return stream.events(connection, wanted, since)

    def read_lines(wanted: Sequence[tuple[str, datetime, datetime]]) -> list[Event]:
        with database.read() as connection:
            return as_events(stream.lines(connection, wanted))

    return PostgresBus(notices, read_events, read_lines), notices


def link_of(redis_url: str, database_url: str, secret: str) -> RedisLink:
    """Common to the servers of a database, which have the same secret; connects when it is started."""
    key = shared_key(secret)
    database = sa.make_url(database_url).database or ""
    return RedisLink(redis_url, blake2b(database.encode(), key=key, digest_size=8).hexdigest(), key)


def share_endings(accounts: Accounts, notices: Notices) -> None:
    """Who is signed out here is signed out everywhere, at once."""

    def heard(items: list[list[str | None]]) -> None:
        for user_id, session in items:
            accounts.note_ended(SessionsEnded(str(user_id), session))

    notices.hear("sessions", heard)
    accounts.on_ended_here = lambda ended: notices.tell("sessions", [[ended.user_id, ended.session]])


def shared_key(secret: str) -> bytes:
    """For what servers share in Redis."""
    return blake2b(secret.encode(), digest_size=32, person=b"flexiroaster-msg").digest()
