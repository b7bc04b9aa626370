"""Tokens: short signed ones that carry who is asking, long random ones that renew them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import jwt

from flexiroaster.auth.errors import Unauthenticated
from flexiroaster.auth.keys import SigningKeys
from flexiroaster.engine.errors import ConfigurationError

ALGORITHM = "HS256"
"""The only one, here in the code: what the token's own header asks for is never followed."""
ISSUER = "flexiroaster"
ACCESS = "access"
LONGEST_ACCESS = timedelta(minutes=15)
LONGEST_TEXT = 4096
REMEMBERED = 1024
"""Tokens whose signature was found right and need not be computed again."""
CLOCK_TOLERANCE_SECONDS = 60
"""How far in the future a token of another server may have been issued."""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """`session` is the family of refresh tokens it was made from; `token_version` is the user's at that moment."""

    user_id: str
    session: str
    token_version: int
    token_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AccessToken:
    text: str
    expires_in: int
    """Seconds."""


class Tokens:
    def __init__(
        self, keys: SigningKeys, *, lifetime: timedelta = timedelta(minutes=10), clock: Clock = utc_now
    ) -> None:
        if not timedelta(0) < lifetime <= LONGEST_ACCESS:
            raise ConfigurationError(f"Access tokens live {lifetime}: use at most {LONGEST_ACCESS}.")
        self._keys = keys
        self._lifetime = lifetime
        self._clock = clock
        # A page or a script sends the same token with every request; its times are looked at anew each time.
        self._verified = lru_cache(maxsize=REMEMBERED)(self._verify)

    def issue(self, user_id: str, session: str, token_version: int) -> AccessToken:
        issued = int(self._clock().timestamp())
        seconds = int(self._lifetime.total_seconds())
        claims = {
            "iss": ISSUER,
            "typ": ACCESS,
            "sub": user_id,
            "sid": session,
            "ver": token_version,
            "jti": secrets.token_urlsafe(12),
            "iat": issued,
            "exp": issued + seconds,
        }
        kid = self._keys.current
        text = jwt.encode(claims, self._keys.by_kid[kid], algorithm=ALGORITHM, headers={"kid": kid})
        return AccessToken(text, seconds)

    def read(self, text: str) -> AccessClaims:
        """Raises `Unauthenticated`; an expired token says so, so that the client renews it."""
        claims = self._verified(text)
        now = self._clock().timestamp()
        issued, expires = claims["iat"], claims["exp"]
        if expires <= now:
            raise Unauthenticated("The access token has expired: renew it or sign in again.", "token_expired")
        if issued > now + CLOCK_TOLERANCE_SECONDS or expires - issued > LONGEST_ACCESS.total_seconds():
            raise _refused()
        return AccessClaims(
            user_id=claims["sub"],
            session=claims["sid"],
            token_version=claims["ver"],
            token_id=claims["jti"],
            expires_at=datetime.fromtimestamp(expires, UTC),
        )

    def _verify(self, text: str) -> dict[str, Any]:
        """The claims of a token that we signed, each of the right type; times are not looked at yet."""
        if len(text) > LONGEST_TEXT:
            raise _refused()
        try:
            kid = jwt.get_unverified_header(text).get("kid")
            key = self._keys.by_kid.get(kid) if isinstance(kid, str) else None
            if key is None:
                raise _refused()
            claims: dict[str, Any] = jwt.decode(
                text,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                # Times are compared below with the injected clock.
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "require": ["iss", "sub", "iat", "exp", "jti"],
                },
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise _refused() from error
        if claims.get("typ") != ACCESS:
            raise _refused()
        for name, kind in (("sub", str), ("sid", str), ("jti", str), ("ver", int), ("iat", int), ("exp", int)):
            if type(claims.get(name)) is not kind:
                raise _refused()
        return claims


def new_secret() -> str:
    """256 random bits, to be handed out once and kept as `digest`."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """How refresh tokens and one-time links are stored: their bits are random, so a plain SHA-256 is enough."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _refused() -> Unauthenticated:
    return Unauthenticated("The access token is not valid: sign in again.", "invalid_token")
