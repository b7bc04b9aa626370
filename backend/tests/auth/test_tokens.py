from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from flexiroaster.auth.errors import Unauthenticated
from flexiroaster.auth.keys import SigningKeys, signing_keys
from flexiroaster.auth.tokens import AccessToken, Tokens, digest, new_secret
from flexiroaster.engine.errors import ConfigurationError

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECRET = "s" * 48
KEYS = signing_keys([SECRET])
KEY = KEYS.by_kid[KEYS.current]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(KEYS, clock=clock)


def forged(claims: dict[str, Any] | None = None, headers: dict[str, Any] | None = None, key: bytes = KEY) -> str:
    """A token signed with our own key, so that only what is changed can be the reason it is refused."""
    issued = int(NOW.timestamp())
    good = {
        "iss": "flexiroaster",
        "typ": "access",
        "sub": "u1",
        "sid": "s1",
        "ver": 0,
        "jti": "j1",
        "iat": issued,
        "exp": issued + 600,
    }
    merged = {name: value for name, value in {**good, **(claims or {})}.items() if value is not ...}
    return jwt.encode(merged, key, algorithm="HS256", headers={"kid": KEYS.current, **(headers or {})})


def raw(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    return ".".join((part(json.dumps(header).encode()), part(json.dumps(claims).encode()), part(signature)))


def test_a_token_says_who_it_was_issued_to(tokens: Tokens) -> None:
    claims = tokens.read(tokens.issue("u1", "s1", 3).text)
    assert (claims.user_id, claims.session, claims.token_version) == ("u1", "s1", 3)
    assert claims.expires_at == NOW + timedelta(minutes=10)


def test_the_helper_makes_a_good_token(tokens: Tokens) -> None:
    assert tokens.read(forged()).user_id == "u1"


def test_every_token_has_its_own_id(tokens: Tokens) -> None:
    first, second = (tokens.read(tokens.issue("u1", "s1", 0).text) for _ in range(2))
    assert first.token_id != second.token_id


def test_a_token_ends(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue("u1", "s1", 0)
    clock.now += timedelta(seconds=token.expires_in - 1)
    tokens.read(token.text)
    clock.now += timedelta(seconds=1)
    with pytest.raises(Unauthenticated) as caught:
        tokens.read(token.text)
    assert caught.value.code == "token_expired"


CLAIMS = {"iss": "flexiroaster", "typ": "access", "sub": "u1", "sid": "s1", "ver": 0, "jti": "j", "iat": 1777636800}


FORGERIES = [
    "",
    "x",
    "a.b.c",
    "." * 10,
    "x" * 5000,
    "é.é.é",
    raw({"alg": "none", "typ": "JWT", "kid": KEYS.current}, {**CLAIMS, "exp": 1777637000}),
    raw({"alg": "NONE", "typ": "JWT", "kid": KEYS.current}, {**CLAIMS, "exp": 1777637000}),
    raw({"alg": "HS256", "typ": "JWT", "kid": KEYS.current}, {**CLAIMS, "exp": 1777637000}),
    jwt.encode({**CLAIMS, "exp": 1777637000}, KEY * 2, algorithm="HS512", headers={"kid": KEYS.current}),
    forged(key=b"k" * 32),
    forged(key=SECRET.encode()),
    forged(headers={"kid": "other"}),
    raw({"alg": "HS256", "typ": "JWT", "kid": ["a"]}, {**CLAIMS, "exp": 1777637000}),
    raw({"alg": "HS256", "typ": "JWT"}, {**CLAIMS, "exp": 1777637000}),
    forged(headers={"kid": "../../../../dev/null"}),
    forged(headers={"kid": "' OR 1=1 --"}),
    forged(headers={"kid": "other", "jwk": {"kty": "oct", "k": "AAAA"}}, key=b"k" * 32),
    forged(headers={"kid": "other", "jku": "https://evil.example/keys"}, key=b"k" * 32),
    forged(headers={"crit": ["exp"]}),
    forged({"typ": "refresh"}),
    forged({"typ": ...}),
    forged({"iss": "somebody"}),
    forged({"iss": ...}),
    forged({"sub": ...}),
    forged({"exp": ...}),
    forged({"exp": 1.0e12}),
    forged({"exp": "never"}),
    forged({"exp": True}),
    forged({"exp": 99999999999}),
    forged({"iat": ...}),
    forged({"iat": int(NOW.timestamp()) + 3600, "exp": int(NOW.timestamp()) + 3700}),
    forged({"jti": ...}),
    forged({"sid": ...}),
    forged({"sid": 7}),
    forged({"ver": "0"}),
    forged({"ver": ...}),
]


@pytest.mark.parametrize("number", range(len(FORGERIES)))
def test_forged_tokens_are_refused(tokens: Tokens, number: int) -> None:
    with pytest.raises(Unauthenticated):
        tokens.read(FORGERIES[number])


def test_changed_claims_break_the_signature(tokens: Tokens) -> None:
    header, body, signature = tokens.issue("u1", "s1", 0).text.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["sub"] = "u2"
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    with pytest.raises(Unauthenticated):
        tokens.read(f"{header}.{body}.{signature}")


def test_a_retired_secret_still_verifies_but_no_longer_signs(clock: Clock) -> None:
    old: AccessToken = Tokens(KEYS, clock=clock).issue("u1", "s1", 0)
    rotated = signing_keys(["n" * 48, SECRET])
    both = Tokens(rotated, clock=clock)
    assert both.read(old.text).user_id == "u1"
    assert jwt.get_unverified_header(both.issue("u1", "s1", 0).text)["kid"] == rotated.current != KEYS.current
    with pytest.raises(Unauthenticated):
        Tokens(signing_keys(["n" * 48]), clock=clock).read(old.text)


def test_short_secrets_and_keys_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="FLEXIROASTER_SECRET_KEY has 31 bytes"):
        signing_keys(["s" * 31])
    with pytest.raises(ConfigurationError, match="at least 32"):
        SigningKeys("a", {"a": b"short"})
    with pytest.raises(ConfigurationError, match="not in the table"):
        SigningKeys("a", {"b": b"k" * 32})
    with pytest.raises(ConfigurationError):
        signing_keys([])


def test_access_tokens_never_live_longer_than_fifteen_minutes() -> None:
    with pytest.raises(ConfigurationError):
        Tokens(KEYS, lifetime=timedelta(minutes=16))


def test_secrets_are_random_and_stored_as_digests() -> None:
    assert new_secret() != new_secret()
    assert len(base64.urlsafe_b64decode(new_secret() + "=")) == 32
    assert len(digest(new_secret())) == 64
    assert digest("lone \ud800") != digest("text")
