"""What `login` keeps: a session per server, in a file that only its owner may read."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COOKIE = "flexiroaster_refresh"
RENEW_SECONDS = 30
"""An access token that ends sooner is renewed first."""


def sessions_file() -> Path:
    """`$XDG_CONFIG_HOME/flexiroaster/sessions.json`, by default `~/.config/flexiroaster/sessions.json`."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "flexiroaster" / "sessions.json"


def sign_in(url: str, email: str, password: str) -> str:
    """Sign in and keep the session; answers who it is."""
    import httpx

    from flexiroaster.cli.client import CommandFailed, sentence, unreachable

    try:
        response = httpx.post(
            f"{url}/api/auth/login", data={"username": email, "password": password}, trust_env=False, timeout=30
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unreachable(url, error) from None
    if not response.is_success:
        raise CommandFailed(sentence(response).removesuffix(" (flexiroaster login)"))
    with _kept() as sessions:
        sessions[url] = _session(response)
    return str(response.json()["user"]["email"])


def kept_token(url: str) -> str | None:
    """A good access token of the session kept for this server, renewed when it is about to end; None without one.

    The file stays locked meanwhile: a refresh token works once, and two commands must not spend the same one.
    """
    if not sessions_file().exists():
        return None
    with _kept() as sessions:
        session = sessions.get(url)
        if session is not None and session["until"] < time.time() + RENEW_SECONDS:
            session = sessions[url] = _renewed(url, session)
            if session is None:
                del sessions[url]
        return None if session is None else str(session["access"])


def _renewed(url: str, session: dict[str, Any]) -> dict[str, Any] | None:
    import httpx

    try:
        response = httpx.post(
            f"{url}/api/auth/refresh", cookies={COOKIE: session["refresh"]}, trust_env=False, timeout=30
        )
    except httpx.HTTPError:
        return session  # the command itself will say that the server is not there
    return _session(response) if response.is_success else None


def _session(response: Any) -> dict[str, Any]:
    body = response.json()
    return {
        "access": body["access_token"],
        "until": time.time() + body["expires_in"],
        "refresh": response.cookies[COOKIE],
    }


@contextmanager
def _kept() -> Iterator[dict[str, Any]]:
    """The sessions by URL, locked; what is changed in the block is written at its end."""
    path = sessions_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(handle, "r+") as file:
        os.fchmod(file.fileno(), 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            sessions = json.load(file)
        except ValueError:
            sessions = {}
        before = json.dumps(sessions)
        yield sessions
        after = json.dumps(sessions)
        if after != before:
            file.seek(0)
            file.truncate()
            file.write(after)
