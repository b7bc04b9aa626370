"""Who somebody is, once they are known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flexiroaster.auth.tokens import AccessToken


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    email: str
    role: str
    disabled: bool
    created_at: datetime
    last_login_at: datetime | None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, and until when the token they asked with is good."""

    user_id: str
    email: str
    role: str
    session: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SignedIn:
    access: AccessToken
    refresh_token: str
    refresh_expires_at: datetime
    user: Account


@dataclass(frozen=True, slots=True)
class SessionsEnded:
    """All of a user's sessions, or the named one."""

    user_id: str
    session: str | None = None
