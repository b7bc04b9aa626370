"""Puts together what learns from the executions of a server."""

from __future__ import annotations

import hashlib
import hmac

from flexiroaster.bus.port import Bus
from flexiroaster.config import Settings
from flexiroaster.roles import Role
from flexiroaster.runtime.learner import Learner, Place
from flexiroaster.services.ai.room import AiServices


def make_learner(settings: Settings, role: Role, bus: Bus, ai: AiServices, secret: str) -> Learner | None:
    """None where it is switched off, and in processes that are there for stages. Models are signed with a key of their
    own, made from the server's.
    """
    if not settings.ai or role.kind == "worker":
        return None
    key = hmac.new(secret.encode(), b"models of the AI layer", hashlib.sha256).digest()
    return Learner(bus, ai, Place(settings.database_url, settings.data_folder / "models", key))
