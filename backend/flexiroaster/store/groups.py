"""Who belongs to which group."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from flexiroaster.store.tables import user_groups


def groups_of(connection: sa.Connection, user_id: str) -> frozenset[str]:
    return frozenset(connection.scalars(sa.select(user_groups.c.name).where(user_groups.c.user_id == user_id)))


def members(connection: sa.Connection) -> dict[str, list[str]]:
    """The groups of every user who is in one, by the user's id."""
    found: dict[str, list[str]] = {}
    for user_id, name in connection.execute(sa.select(user_groups.c.user_id, user_groups.c.name).order_by("name")):
        found.setdefault(user_id, []).append(name)
    return found


def set_groups(connection: sa.Connection, user_id: str, names: Iterable[str]) -> None:
    connection.execute(sa.delete(user_groups).where(user_groups.c.user_id == user_id))
    rows = [{"user_id": user_id, "name": name} for name in sorted(set(names))]
    if rows:
        connection.execute(sa.insert(user_groups), rows)
