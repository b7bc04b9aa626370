"""Who may do what: one table. Each role may do everything the roles before it may."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from flexiroaster.auth.errors import Forbidden


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    EDITOR = "editor"
    ADMIN = "admin"


LOWEST_ROLE: dict[str, Role] = {
    "account:read": Role.VIEWER,
    "account:write": Role.VIEWER,
    "server:read": Role.VIEWER,
    "stage_types:read": Role.VIEWER,
    "pipelines:read": Role.VIEWER,
    "executions:read": Role.VIEWER,
    "artifacts:read": Role.VIEWER,
    "logs:read": Role.VIEWER,
    "metrics:read": Role.VIEWER,
    "alerts:read": Role.VIEWER,
    "insights:read": Role.VIEWER,
    "triggers:read": Role.VIEWER,
    "pools:read": Role.VIEWER,
    "workers:read": Role.VIEWER,
    "approvals:read": Role.VIEWER,
    "approvals:decide": Role.OPERATOR,
    "executions:run": Role.OPERATOR,
    "executions:cancel": Role.OPERATOR,
    "executions:pause": Role.OPERATOR,
    "executions:retry": Role.OPERATOR,
    "executions:signal": Role.OPERATOR,
    "pipelines:enable": Role.OPERATOR,
    "alerts:acknowledge": Role.OPERATOR,
    "insights:judge": Role.OPERATOR,
    "assistant:explain": Role.OPERATOR,
    "pipelines:validate": Role.EDITOR,
    "pipelines:write": Role.EDITOR,
    "pipelines:delete": Role.EDITOR,
    "triggers:write": Role.EDITOR,
    "pools:write": Role.EDITOR,
    "alerts:write": Role.EDITOR,
    "insights:apply": Role.EDITOR,
    "assistant:draft": Role.EDITOR,
    "assistant:preview": Role.EDITOR,
    "artifacts:delete": Role.EDITOR,
    "executions:delete": Role.ADMIN,
    "pipelines:write_code": Role.ADMIN,
    "secrets:read": Role.ADMIN,
    "secrets:write": Role.ADMIN,
    "settings:read": Role.ADMIN,
    "settings:write": Role.ADMIN,
    "workers:drain": Role.ADMIN,
    "users:read": Role.ADMIN,
    "users:write": Role.ADMIN,
    "audit:read": Role.ADMIN,
}
"""Every operation, with the lowest role that may do it. What is not listed here nobody may do."""

_RANK = {role: rank for rank, role in enumerate(Role)}


def may(role: str, operation: str) -> bool:
    """False for an unknown role and for an unknown operation."""
    lowest = LOWEST_ROLE.get(operation)
    return lowest is not None and role in _RANK and _RANK[Role(role)] >= _RANK[lowest]


def require(role: str, operation: str) -> None:
    """Raises `Forbidden` where `may` says no."""
    if not may(role, operation):
        lowest = LOWEST_ROLE.get(operation)
        raise Forbidden(role, operation, lowest.value if lowest else "a newer release")


Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_OPEN_MARK = "__open_to_all__"


def open_to_all(endpoint: Endpoint) -> Endpoint:
    """Declare that an endpoint answers without a credential. Goes under the route's decorator."""
    setattr(endpoint, _OPEN_MARK, True)
    return endpoint


def is_open(endpoint: Callable[..., Any]) -> bool:
    return getattr(endpoint, _OPEN_MARK, False) is True
