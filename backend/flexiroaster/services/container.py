"""What the API is given: every service of one running server, put together in `main`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from flexiroaster.services.accounts import Accounts
from flexiroaster.services.admission import Admission
from flexiroaster.services.ai.assistance import Assistance
from flexiroaster.services.ai.room import AiServices
from flexiroaster.services.approvals import Approvals
from flexiroaster.services.artifacts import Artifacts
from flexiroaster.services.bulk import Bulk
from flexiroaster.services.drafts import Drafts
from flexiroaster.services.drain import Drain
from flexiroaster.services.ends import Ends
from flexiroaster.services.executions import Executions
from flexiroaster.services.history import History
from flexiroaster.services.logs import Logs
from flexiroaster.services.metrics import Metrics
from flexiroaster.services.pipelines import Pipelines
from flexiroaster.services.pools import Pools
from flexiroaster.services.reruns import Reruns
from flexiroaster.services.signals import Signals
from flexiroaster.services.stage_tables import StageTables
from flexiroaster.services.triggers import Triggers
from flexiroaster.services.workers import Workers
from flexiroaster.stages.base import StageType
from flexiroaster.store.database import Database


class Facts(NamedTuple):
    """What a server says of itself. `instance` is chosen anew by every process."""

    version: str
    instance: str
    code_stages: bool
    data_dirs: tuple[Path, ...]


class Services(NamedTuple):
    accounts: Accounts
    pipelines: Pipelines
    drafts: Drafts
    executions: Executions
    reruns: Reruns
    bulk: Bulk
    approvals: Approvals
    signals: Signals
    triggers: Triggers
    admission: Admission
    pools: Pools
    drain: Drain
    workers: Workers
    ends: Ends
    history: History
    artifacts: Artifacts
    stage_tables: StageTables
    logs: Logs
    metrics: Metrics
    ai: AiServices
    assistance: Assistance
    stage_types: Callable[[], Mapping[str, StageType]]
    database: Database
    redis_trouble: Callable[[], str | None]
    metrics_token: str | None
    broker_trouble: Callable[[], str | None]
    facts: Facts
