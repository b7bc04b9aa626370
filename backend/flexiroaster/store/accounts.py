"""The SQL of accounts, sessions and one-time links. Every function works in the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from flexiroaster.store.tables import one_time_links, refresh_tokens, users


class UserRow(NamedTuple):
    id: str
    email: str
    password_hash: str
    role: str
    disabled: bool
    token_version: int
    created_at: datetime
    last_login_at: datetime | None


class RefreshRow(NamedTuple):
    id: str
    user_id: str
    family: str
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


_USER = sa.select(*(users.c[name] for name in UserRow._fields))
_REFRESH = sa.select(*(refresh_tokens.c[name] for name in RefreshRow._fields))


def any_user(connection: sa.Connection) -> bool:
    return connection.execute(sa.select(users.c.id).limit(1)).first() is not None


def user_by_id(connection: sa.Connection, user_id: str) -> UserRow | None:
    row = connection.execute(_USER.where(users.c.id == user_id)).first()
    return None if row is None else UserRow._make(row)


def user_by_email(connection: sa.Connection, email: str) -> UserRow | None:
    row = connection.execute(_USER.where(users.c.email == email)).first()
    return None if row is None else UserRow._make(row)


def all_users(connection: sa.Connection) -> list[UserRow]:
    return [UserRow._make(row) for row in connection.execute(_USER.order_by(users.c.email))]


def user_of_session(connection: sa.Connection, user_id: str, family: str) -> UserRow | None:
    """None where the user is gone or the session has ended."""
    alive = sa.exists().where(
        refresh_tokens.c.family == family,
        refresh_tokens.c.user_id == users.c.id,
        refresh_tokens.c.revoked_at.is_(None),
    )
    row = connection.execute(_USER.where(users.c.id == user_id, alive)).first()
    return None if row is None else UserRow._make(row)


def insert_user(
    connection: sa.Connection, *, id: str, email: str, password_hash: str, role: str, now: datetime
) -> None:
    connection.execute(
        users.insert().values(id=id, email=email, password_hash=password_hash, role=role, created_at=now)
    )


def set_password_hash(connection: sa.Connection, user_id: str, password_hash: str) -> None:
    connection.execute(users.update().where(users.c.id == user_id).values(password_hash=password_hash))


def set_role(connection: sa.Connection, user_id: str, role: str) -> None:
    connection.execute(users.update().where(users.c.id == user_id).values(role=role))


def set_disabled(connection: sa.Connection, user_id: str, disabled: bool) -> None:
    connection.execute(users.update().where(users.c.id == user_id).values(disabled=disabled))


def set_last_login(connection: sa.Connection, user_id: str, now: datetime) -> None:
    connection.execute(users.update().where(users.c.id == user_id).values(last_login_at=now))


def lock_enabled_admins(connection: sa.Connection) -> list[str]:
    """Their ids, held until the transaction ends, so that two of them cannot remove each other at once."""
    query = sa.select(users.c.id).where(users.c.role == "admin", users.c.disabled.is_(False)).with_for_update()
    return [row[0] for row in connection.execute(query)]


def insert_refresh(
    connection: sa.Connection, *, id: str, user_id: str, family: str, digest: str, now: datetime, expires_at: datetime
) -> None:
    connection.execute(
        refresh_tokens.insert().values(
            id=id, user_id=user_id, family=family, digest=digest, created_at=now, expires_at=expires_at
        )
    )


def refresh_by_digest(connection: sa.Connection, digest: str) -> RefreshRow | None:
    row = connection.execute(_REFRESH.where(refresh_tokens.c.digest == digest)).first()
    return None if row is None else RefreshRow._make(row)


def use_refresh(connection: sa.Connection, refresh_id: str, now: datetime) -> bool:
    """False when somebody used or ended it first: the statement itself decides, whoever runs it."""
    unused = refresh_tokens.update().where(
        refresh_tokens.c.id == refresh_id, refresh_tokens.c.used_at.is_(None), refresh_tokens.c.revoked_at.is_(None)
    )
    return connection.execute(unused.values(used_at=now)).rowcount == 1


def end_family(connection: sa.Connection, family: str, now: datetime) -> None:
    connection.execute(
        refresh_tokens.update()
        .where(refresh_tokens.c.family == family, refresh_tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def end_all_sessions(connection: sa.Connection, user_id: str, now: datetime) -> None:
    """Every refresh token and, through `token_version`, every access token."""
    connection.execute(
        refresh_tokens.update()
        .where(refresh_tokens.c.user_id == user_id, refresh_tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    connection.execute(users.update().where(users.c.id == user_id).values(token_version=users.c.token_version + 1))


def forget_sessions(connection: sa.Connection, user_id: str, expired_before: datetime) -> None:
    connection.execute(
        refresh_tokens.delete().where(refresh_tokens.c.user_id == user_id, refresh_tokens.c.expires_at < expired_before)
    )


def replace_link(connection: sa.Connection, *, purpose: str, digest: str, now: datetime, expires_at: datetime) -> None:
    """The newest link of a purpose is the only one that works."""
    connection.execute(one_time_links.delete().where(one_time_links.c.purpose == purpose))
    connection.execute(
        one_time_links.insert().values(digest=digest, purpose=purpose, created_at=now, expires_at=expires_at)
    )


def link_is_good(connection: sa.Connection, purpose: str, digest: str, now: datetime) -> bool:
    return connection.execute(sa.select(one_time_links.c.digest).where(_good(purpose, digest, now))).first() is not None


def use_link(connection: sa.Connection, purpose: str, digest: str, now: datetime) -> bool:
    """False when it is unknown, used or too old."""
    good = one_time_links.update().where(_good(purpose, digest, now))
    return connection.execute(good.values(used_at=now)).rowcount == 1


def _good(purpose: str, digest: str, now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        one_time_links.c.digest == digest,
        one_time_links.c.purpose == purpose,
        one_time_links.c.used_at.is_(None),
        one_time_links.c.expires_at > now,
    )
