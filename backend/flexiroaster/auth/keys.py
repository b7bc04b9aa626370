"""The keys that sign access tokens: a fixed table by kid, made from the server's secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from flexiroaster.engine.errors import ConfigurationError

MINIMUM_BYTES = 32
"""256 bits: PyJWT signs with a shorter HMAC key, with no more than a warning."""
PURPOSE = b"flexiroaster access token v1"


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """`current` is the kid new tokens are signed with; every key of the table verifies."""

    current: str
    by_kid: Mapping[str, bytes]

    def __post_init__(self) -> None:
        for kid, key in self.by_kid.items():
            if len(key) < MINIMUM_BYTES:
                raise ConfigurationError(
                    f"The signing key {kid!r} has {len(key)} bytes: it needs at least {MINIMUM_BYTES}."
                )
        if self.current not in self.by_kid:
            raise ConfigurationError(f"The current signing key {self.current!r} is not in the table of keys.")


def signing_keys(secrets: Sequence[str]) -> SigningKeys:
    """The first secret signs, the others still verify: put a new one in front to rotate, drop the old one after an
    hour. The signing key is derived, so that the secret may serve other purposes too.
    """
    if not secrets:
        raise ConfigurationError("There is no secret to sign tokens with: set FLEXIROASTER_SECRET_KEY.")
    keys: dict[str, bytes] = {}
    for secret in secrets:
        raw = secret.encode()
        if len(raw) < MINIMUM_BYTES:
            raise ConfigurationError(
                f"FLEXIROASTER_SECRET_KEY has {len(raw)} bytes: it needs at least {MINIMUM_BYTES}. "
                "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'."
            )
        key = hmac.digest(raw, PURPOSE, "sha256")
        keys[hashlib.sha256(key).hexdigest()[:12]] = key
    return SigningKeys(next(iter(keys)), MappingProxyType(keys))
