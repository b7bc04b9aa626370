"""What a version's executions have still before them, as past ones of its pipeline let expect."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from flexiroaster.engine.plan import Plan
from flexiroaster.store.executions import recent_stage_seconds

READ_AGAIN = timedelta(minutes=1)
"""Expectations move slowly, and reading them costs as much as running a few stages."""


class Outlook:
    """`tails` are the longest remaining paths by position: in seconds, or in stages while nothing has run yet.

    They only decide who goes first, so any thread may read them while another replaces them.
    """

    __slots__ = ("_plan", "_read_at", "matters", "tails")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._read_at: datetime | None = None
        self.tails = plan.tails({})
        self.matters = _branches(plan)

    def is_old(self, now: datetime) -> bool:
        return self.matters and (self._read_at is None or now - self._read_at > READ_AGAIN)

    def read(self, connection: sa.Connection, pipeline_id: str, now: datetime) -> None:
        if self.matters:
            self._read_at = now
            self.tails = self._plan.tails(recent_stage_seconds(connection, pipeline_id))


def _branches(plan: Plan) -> bool:
    """Whether two of its stages can be ready at once: otherwise there is nothing to choose."""
    return sum(not stage.needs for stage in plan.stages) > 1 or any(len(stage.successors) > 1 for stage in plan.stages)
