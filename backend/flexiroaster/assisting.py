"""Puts together the text assistant of a server, and what it must never be told."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit

from flexiroaster.composition import Engine
from flexiroaster.config import Settings
from flexiroaster.services.ai.assistance import Assistance
from flexiroaster.services.ai.endpoint import Endpoint
from flexiroaster.services.ai.room import AiServices
from flexiroaster.services.logs import Logs

SHORTEST_SECRET = 6
"""Characters: what is shorter would be taken out of words that hold it by chance."""
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|CREDENTIAL|PRIVATE", re.IGNORECASE)


def make_assistance(settings: Settings, secret: str, engine: Engine, ai: AiServices, logs: Logs) -> Assistance:
    """Asks nobody where no endpoint is set."""
    return Assistance(
        _endpoint(settings, secret),
        engine.database,
        ai.switch,
        ai.projects,
        ai.explanations,
        engine.pipelines,
        engine.history,
        logs,
        engine.registry.types,
    )


def _endpoint(settings: Settings, secret: str) -> Endpoint | None:
    if settings.assistant_url is None or settings.assistant_model is None:
        return None
    return Endpoint(
        settings.assistant_url,
        settings.assistant_model,
        settings.assistant_api_key.get_secret_value() if settings.assistant_api_key else "",
        settings.assistant_timeout_seconds,
        secrets_of(settings, secret),
    )


def secrets_of(settings: Settings, secret: str) -> tuple[str, ...]:
    """The values of the server's own secrets, and of what its environment calls one."""
    given = (
        settings.admin_password,
        settings.metrics_token,
        settings.s3_secret_access_key,
        settings.assistant_api_key,
    )
    found = {secret, *(one.get_secret_value() for one in given if one is not None)}
    for url in (settings.database_url, settings.broker_url, settings.redis_url):
        password = urlsplit(url).password if url else None
        found |= {password, unquote(password)} if password else set()
    found |= {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    return tuple(sorted(value for value in found if len(value) >= SHORTEST_SECRET))
